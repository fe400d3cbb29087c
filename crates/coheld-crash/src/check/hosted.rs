//! What is left of a channel or of a hosted referent, and whether it still works.

use coheld_shm::Referent;
use coheld_store::{Channel, Hosted, Result, StoreError, kinds::referent as kind};

use super::expect;

/// Everything that others can see.
pub(super) fn read(referent: &Referent<'_>) -> Result<String> {
    if referent.kind() == kind::HOSTED {
        let hosted = Hosted::new(referent);
        let (place, number) = hosted.place()?;
        return Ok(format!(
            "{number} at {place:?}, {:?}",
            hosted.former_kind()?
        ));
    }
    if is_bare(referent)? {
        return Ok("bare".into());
    }
    let channel = Channel::open(referent)?;
    let summary = |message: Result<Option<Vec<u8>>>| match message {
        Ok(Some(message)) => Ok(format!("{} of {:?}", message.len(), message.first())),
        Ok(None) => Ok("none".into()),
        Err(StoreError::Closed) => Ok("closed".to_owned()),
        Err(error) => Err(error),
    };
    let request = summary(channel.take_request())?;
    let reply = summary(channel.take_reply())?;
    Ok(format!("request: {request}, reply: {reply}"))
}

/// Whether nobody has prepared it yet.
fn is_bare(referent: &Referent<'_>) -> Result<bool> {
    Ok(referent.lock()?.root() == 0)
}

/// Works with it.
pub(super) fn usable(referent: &Referent<'_>) -> Result<()> {
    if referent.kind() == kind::HOSTED {
        return Hosted::new(referent).place().map(drop);
    }
    if is_bare(referent)? {
        Channel::prepare(referent, referent.segment().own_tag()?)?;
    }
    let channel = Channel::open(referent)?;
    if channel.is_closed()? {
        return channel.close();
    }
    // Whoever was left in the middle goes on, and then there is another round.
    for length in [2500, 10, 2500] {
        channel.take_reply()?;
        match channel.post(&vec![1; length]) {
            Ok(()) | Err(StoreError::OutOfTurn) => {}
            Err(error) => return Err(error),
        }
        channel.take_request()?;
        channel.answer(&vec![2; length])?;
        let reply = channel.take_reply()?;
        expect(
            reply.is_some_and(|reply| reply.len() == length),
            "another reply",
        )?;
    }
    Ok(())
}
