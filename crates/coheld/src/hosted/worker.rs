//! A thread that answers the calls of one channel, one after another.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use coheld_store::{Channel, StoreError, kinds};

use super::nesting::{End, Partner};
use super::shared::{Entry, Shared};
use super::{Leases, Reply, ReplyKind, Request, buffers};
use crate::fork::guarded;
use crate::{Error, Handle};

/// How long an idle worker sleeps at most. Requests and the end wake it, so this is only for a
/// wake-up that died with whoever owed it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Accepts a new channel and has its calls answered.
pub(super) fn accept(host: &Arc<Shared>, channel: Handle) -> Result<(), Error> {
    if channel.kind() != kinds::referent::CHANNEL {
        return Err(Error::Protocol {
            why: "something other than a channel was put into the inbox of a host",
        });
    }
    let entry = greet(host, &channel).map(|caller| host.employ(&channel, caller));
    let entry = match entry {
        Ok(Some(entry)) => entry,
        // Stopped meanwhile.
        Ok(None) => return close(&channel),
        Err(error) => {
            // So that nobody waits for an answer.
            close(&channel)?;
            return Err(error);
        }
    };
    // Shared with the thread, so that it is still here if there is none.
    let work = Arc::new(Mutex::new(Some((entry, channel))));
    let taken = Arc::clone(&work);
    let spawned = host.serve().spawn(Box::new(move || {
        if let Some((entry, channel)) = guarded(&taken, Option::take) {
            run(&entry, &channel);
        }
    }));
    let Err(error) = spawned else {
        return Ok(());
    };
    let Some((entry, channel)) = guarded(&work, Option::take) else {
        return Err(error);
    };
    let text = format!("the process of this object cannot answer more callers: {error}\n");
    refuse(&channel, &text)?;
    drop(entry);
    Err(error)
}

/// Says who answers in a channel; who calls.
fn greet(host: &Shared, channel: &Handle) -> Result<u32, Error> {
    let referent = channel.referent()?;
    let channel = Channel::open(&referent)?;
    channel.accept(host.place().tag)?;
    Ok(channel.client()?)
}

/// Answers the call that is in a channel with a text, and closes it.
fn refuse(channel: &Handle, text: &str) -> Result<(), Error> {
    {
        let referent = channel.referent()?;
        let ours = Channel::open(&referent)?;
        if ours.take_request()?.is_some() {
            ours.answer(&Reply::new(ReplyKind::Traceback, text).encode_as_last())?;
        }
    }
    close(channel)
}

fn close(channel: &Handle) -> Result<(), Error> {
    Ok(Channel::open(&channel.referent()?)?.close()?)
}

/// Answers calls until the channel is closed.
fn run(entry: &Entry, handle: &Handle) {
    let ended = answer_all(entry, handle);
    if let Err(error) = &ended {
        log::debug!("a worker ends: {error}");
    }
    // Not in a child that the object has forked: there the channel is its parent's.
    if entry.host().is_own()
        && let Err(error) = close(handle)
    {
        log::debug!("a channel is gone: {error}");
    }
}

fn answer_all(entry: &Entry, handle: &Handle) -> Result<(), Error> {
    let referent = handle.referent()?;
    let channel = Channel::open(&referent)?;
    let caller = Partner::new(
        handle,
        entry.host().place().tag,
        channel.client()?,
        End::Host,
    );
    // Of the last reply, until it is certain that its caller has it.
    let mut sent = Leases::new();
    loop {
        let mut message = buffers::spare();
        match channel.take_request_into(&mut message) {
            // The caller has had the last reply.
            Ok(true) => {}
            Ok(false) => {
                buffers::keep(message);
                channel.wait_for_request(PATIENCE)?;
                continue;
            }
            Err(StoreError::Closed) => {
                // Closed by the caller, or for one that is dead: neither will read it any more.
                if channel.has_unread_reply()? && !entry.host().is_stopped() {
                    sent.give_back();
                }
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        let reply = match Request::decode(&message) {
            Ok(request) => {
                // The caller waits for this thread, which may call back.
                let is_waited_for = request.flags & Request::LIMITED == 0;
                let _waits = is_waited_for.then(|| caller.waits());
                entry.answer(&request)
            }
            Err(error) => Reply::new(ReplyKind::Traceback, format!("{error}\n")),
        };
        buffers::keep(message);
        if !entry.host().is_own() {
            // The object has forked, and this is the child.
            return Ok(());
        }
        match reply.deliver(|reply| channel.answer(reply)) {
            Ok(leases) => sent = leases,
            Err(Error::Store(StoreError::Closed)) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
