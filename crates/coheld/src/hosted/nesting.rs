//! Calls inside a call, back to whoever waits for the answer: that very thread answers them.
//!
//! A method that was called may call an object of its caller's process (a callback). The thread
//! there that waits for the method's answer is the one that the callback is meant for: it may hold
//! locks that the callback needs, and it has nothing else to do. So the call goes through the
//! channel of the call under way instead of a new one, as an answer that is a request; and what
//! calls back from there comes the same way, as a request that is no new call.
//!
//! ```text
//! caller                                   host
//!   request ------------------------------>  method runs
//!   callback runs  <---- reply NESTED -----  .. calls back
//!   .. calls the host  -- request NESTED ->  .. answers
//!   .. goes on  <------------ reply -------
//!   request ANSWER ----------------------->  .. goes on
//!              <------------- reply -------  method returns
//! ```
//!
//! The two sides take turns as always, so a channel needs nothing more for it. A call that may take
//! a limited time, and whatever is called back from it, goes the ordinary way: who leaves early
//! could not give the turn back.

use std::cell::RefCell;
use std::rc::Rc;

use coheld_shm::HostPlace;
use coheld_store::{Channel, StoreError};

use super::client::MOST_PATIENCE;
use super::{Reply, ReplyKind, Request, buffers, inbox, local};
use crate::{Error, Handle};

thread_local! {
    /// Who waits for this thread, through which channel; the latest comes last.
    static WAITING: RefCell<Vec<Rc<Partner>>> = const { RefCell::new(Vec::new()) };
}

/// Which end of a channel a thread has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Caller,
    Host,
}

/// A thread of another process that waits for this thread.
pub(super) struct Partner {
    handle: Handle,
    segment: [u8; 16],
    /// This process's member; a forked child has no part in the conversation.
    own_tag: u32,
    /// The other process's.
    tag: u32,
    end: End,
}

/// As long as it lives, a partner waits for this thread.
pub(super) struct Waits(());

impl Partner {
    pub(super) fn new(handle: &Handle, own_tag: u32, tag: u32, end: End) -> Rc<Self> {
        Rc::new(Self {
            handle: handle.clone(),
            segment: handle.attachment().segment_id(),
            own_tag,
            tag,
            end,
        })
    }

    /// Notes that it waits.
    pub(super) fn waits(self: &Rc<Self>) -> Waits {
        let partner = Rc::clone(self);
        let _ = WAITING.try_with(|waiting| waiting.borrow_mut().push(partner));
        Waits(())
    }

    /// The partner that waits for this thread, if it is of the member `tag`.
    pub(super) fn find(segment: &[u8; 16], own_tag: u32, tag: u32) -> Option<Rc<Self>> {
        let find = |waiting: &RefCell<Vec<Rc<Self>>>| {
            let waiting = waiting.borrow();
            let last = waiting.last()?;
            let is_it = (&last.segment, last.own_tag, last.tag) == (segment, own_tag, tag);
            is_it.then(|| Rc::clone(last))
        };
        WAITING.try_with(find).ok().flatten()
    }

    /// Calls an object of the partner's process. `None`: it is gone.
    pub(super) fn ask(
        self: &Rc<Self>,
        place: HostPlace,
        request: &Request<'_>,
    ) -> Result<Option<Reply>, Error> {
        let referent = self.handle.referent()?;
        let channel = Channel::open(&referent)?;
        let sent = self.send_request(&channel, place, request);
        match sent {
            Ok(()) => {}
            Err(Error::Store(StoreError::Closed)) => return Ok(None),
            Err(error) => return Err(error),
        }
        let answer = self.receive_answer(&channel, place);
        if answer.is_err() {
            // The turn is not ours any more and never will be.
            channel.close()?;
        }
        match answer? {
            Some(reply) if reply.kind == ReplyKind::Gone => Ok(None),
            answer => Ok(answer),
        }
    }

    fn send_request(
        &self,
        channel: &Channel<'_>,
        place: HostPlace,
        request: &Request<'_>,
    ) -> Result<(), Error> {
        let [inbox, who] = [place.inbox, place.who()].map(u64::to_le_bytes);
        let head = request.head()?;
        let [head, name, body] = request.parts(&head);
        let parts = [inbox.as_slice(), &who, head, name, body];
        match self.end {
            End::Host => {
                let kind = [ReplyKind::Nested as u8];
                let parts = [parts.as_slice(), &[&kind]].concat();
                channel.answer_parts(&parts)?;
            }
            End::Caller => {
                let outer = Request::flagged(Request::NESTED).head()?;
                let parts = [[outer.as_slice()].as_slice(), &parts].concat();
                channel.post_parts(&parts)?;
            }
        }
        Ok(())
    }

    /// Waits for the answer, and answers whatever the partner asks meanwhile.
    fn receive_answer(
        self: &Rc<Self>,
        channel: &Channel<'_>,
        place: HostPlace,
    ) -> Result<Option<Reply>, Error> {
        let segment = self.handle.attachment().joined()?;
        let mut has_waited = false;
        loop {
            let mut message = buffers::spare();
            let taken = match self.end {
                End::Host => channel.take_request_into(&mut message),
                End::Caller => channel.take_reply_into(&mut message),
            };
            match taken {
                Ok(true) => {}
                Ok(false) => {
                    buffers::keep(message);
                    if has_waited && !inbox::is_open(segment, place)? {
                        return Ok(None);
                    }
                    match self.end {
                        End::Host => channel.wait_for_request(MOST_PATIENCE)?,
                        End::Caller => channel.wait_for_reply(MOST_PATIENCE)?,
                    }
                    has_waited = true;
                    continue;
                }
                Err(StoreError::Closed) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
            if self.own_tag != segment.own_tag()? {
                return Ok(None);
            }
            match self.end {
                End::Caller if !Reply::is_nested(&message) => {
                    return Reply::decode(message).map(Some);
                }
                End::Caller => {
                    message.pop();
                    self.answer(channel, &message)?;
                }
                End::Host => {
                    let request = Request::decode(&message)?;
                    if request.flags & Request::ANSWER != 0 {
                        return Reply::decode(request.body.to_vec()).map(Some);
                    }
                    if request.flags & Request::NESTED == 0 {
                        return Err(Error::Protocol {
                            why: "a caller that was called back made another call instead",
                        });
                    }
                    self.answer(channel, request.body)?;
                }
            }
            buffers::keep(message);
        }
    }

    /// Answers a request of the partner's on this thread. A channel that is closed is noticed by
    /// whoever waits at it next.
    pub(super) fn answer(
        self: &Rc<Self>,
        channel: &Channel<'_>,
        message: &[u8],
    ) -> Result<(), Error> {
        let (place, request) = read(message)?;
        let place = place.filter(|place| place.tag == self.own_tag);
        let host = place.and_then(|place| local::find(&self.segment, place));
        let reply = match host {
            Some(host) => {
                let _waits = self.waits();
                host.answer_here(&request)
            }
            None => Reply::new(ReplyKind::Gone, ""),
        };
        if self.own_tag != self.handle.attachment().joined()?.own_tag()? {
            return Err(Error::Protocol {
                why: "the call belongs to the process that this one was forked from",
            });
        }
        match reply.deliver(|reply| self.send_answer(channel, reply)) {
            Ok(_) | Err(Error::Store(StoreError::Closed)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn send_answer(&self, channel: &Channel<'_>, reply: &[u8]) -> Result<(), StoreError> {
        match self.end {
            End::Host => channel.answer(reply),
            End::Caller => match Request::flagged(Request::ANSWER).head() {
                Ok(head) => channel.post_parts(&[&head, reply]),
                Err(_) => Err(StoreError::OutOfTurn),
            },
        }
    }
}

/// The host that is called, if its place can be one, and the request.
fn read(message: &[u8]) -> Result<(Option<HostPlace>, Request<'_>), Error> {
    let cut = Error::Protocol {
        why: "a call inside a call was cut short",
    };
    let Some((inbox, rest)) = message.split_first_chunk() else {
        return Err(cut);
    };
    let Some((who, request)) = rest.split_first_chunk() else {
        return Err(cut);
    };
    let [inbox, who] = [*inbox, *who].map(u64::from_le_bytes);
    Ok((HostPlace::from_words(inbox, who), Request::decode(request)?))
}

impl Drop for Waits {
    fn drop(&mut self) {
        let _ = WAITING.try_with(|waiting| waiting.borrow_mut().pop());
    }
}
