//! One call: a request posted, and the wait for its reply.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coheld_shm::{HostPlace, Owner};
use coheld_store::{Channel, Hosted, StoreError};

use super::channels::CallerEnd;
use super::nesting::{End, Partner};
use super::{Reply, Request, buffers, inbox, local};
use crate::{Attachment, Error, Handle};

/// How long a caller sleeps before it looks for the first time whether the host lives. Later it
/// looks less and less often,
const PATIENCE: Duration = Duration::from_millis(20);
/// down to this: a long call costs nothing, and a death is noticed soon all the same.
pub(super) const MOST_PATIENCE: Duration = Duration::from_millis(160);

/// Calls a method of the object that `handle` refers to; the number in `request` is of no account.
///
/// Without a `limit` that of the segment counts, if it has one; `Duration::MAX` is for ever.
///
/// [`Error::HostGone`]: its host is not there any more. [`Error::CallTimedOut`]: it took too long.
///
/// ```
/// # use std::sync::Arc;
/// # use coheld::hosted::{Host, Reply, ReplyKind, Serve};
/// use coheld::hosted::{Request, call};
/// use std::time::Duration;
///
/// # struct Length;
/// # impl Serve for Length {
/// #     fn answer(&self, request: &Request<'_>) -> Reply {
/// #         Reply::new(ReplyKind::Return, request.body.len().to_string())
/// #     }
/// #     fn released(&self, _: u64) {}
/// #     fn spawn(&self, work: Box<dyn FnOnce() + Send>) -> coheld::Result<()> {
/// #         std::thread::spawn(work);
/// #         Ok(())
/// #     }
/// # }
/// # let manager = coheld::Manager::start()?;
/// # let host = Host::start(manager.attachment(), Arc::new(Length), false)?;
/// // `host` is one whose objects say how long a body is.
/// let (_number, handle) = host.publish()?;
/// let reply = call(&handle, &Request::new("length", b"12345"), Some(Duration::from_secs(5)))?;
/// assert_eq!(reply.body, b"5");
/// # Ok::<(), coheld::Error>(())
/// ```
pub fn call(
    handle: &Handle,
    request: &Request<'_>,
    limit: Option<Duration>,
) -> Result<Reply, Error> {
    let (place, number) = Hosted::new(&handle.referent()?).place()?;
    let request = request.of_object(number);
    exchange(handle.attachment(), place, &request, limit)
}

/// Calls a function of the manager itself, which is object 0 of the manager's host.
///
/// ```
/// use coheld::Error;
/// use coheld::hosted::{Request, call_manager};
///
/// let manager = coheld::Manager::start()?;
/// let called = call_manager(manager.attachment(), &Request::new("debug_info", b""), None);
/// assert!(matches!(called, Err(Error::NeedsPython { .. })), "this manager is none of Python");
/// # Ok::<(), coheld::Error>(())
/// ```
pub fn call_manager(
    attachment: &Arc<Attachment>,
    request: &Request<'_>,
    limit: Option<Duration>,
) -> Result<Reply, Error> {
    let Some(place) = attachment.joined()?.manager_host() else {
        return Err(Error::NeedsPython {
            what: "a function of the manager itself",
        });
    };
    exchange(attachment, place, &request.of_object(0), limit)
}

/// Whether the host of the object that `handle` refers to lives and takes calls.
///
/// ```
/// use coheld::ExposedProxy as _;
/// use coheld::hosted::lives;
///
/// struct Clock;
///
/// #[coheld::expose]
/// impl Clock {
///     pub fn seconds(&self) -> u64 {
///         7
///     }
/// }
///
/// let (manager, owner) = (coheld::Manager::start()?, coheld::Manager::start()?);
/// let clock = owner.share(Clock)?;
/// let handle = clock.as_proxy().handle().clone();
/// assert!(lives(&handle)?);
/// drop(owner);
/// assert!(!lives(&handle)?);
/// # Ok::<(), coheld::Error>(())
/// ```
pub fn lives(handle: &Handle) -> Result<bool, Error> {
    let referent = handle.referent()?;
    let (place, _) = Hosted::new(&referent).place()?;
    inbox::is_open(referent.segment(), place)
}

fn exchange(
    attachment: &Arc<Attachment>,
    place: HostPlace,
    request: &Request<'_>,
    limit: Option<Duration>,
) -> Result<Reply, Error> {
    let segment = attachment.joined()?;
    let own_tag = segment.own_tag()?;
    if own_tag == place.tag {
        return match local::find(&attachment.segment_id(), place) {
            Some(host) => Ok(host.answer_here(request)),
            None => Err(gone(attachment, place, request)),
        };
    }
    let limit = limit
        .or_else(|| segment.call_limit())
        .filter(|limit| *limit != Duration::MAX);
    if limit.is_none()
        && let Some(partner) = Partner::find(&attachment.segment_id(), own_tag, place.tag)
    {
        let reply = partner.ask(place, request)?;
        return reply.ok_or_else(|| gone(attachment, place, request));
    }
    let mut request = *request;
    if limit.is_some() {
        request.flags |= Request::LIMITED;
    }
    let head = request.head()?;
    let Some(end) = CallerEnd::post(attachment, place, &request.parts(&head))? else {
        return Err(gone(attachment, place, &request));
    };
    match wait_for_reply(&end, place, limit)? {
        Outcome::Replied(reply) => {
            if !Reply::is_last(&reply) {
                end.park();
            }
            Reply::decode(reply)
        }
        Outcome::Gone => Err(gone(attachment, place, &request)),
        Outcome::TimedOut(limit) => Err(Error::CallTimedOut {
            method: request.method.to_owned(),
            limit,
        }),
    }
}

/// How waiting for a reply ended.
enum Outcome {
    Replied(Vec<u8>),
    Gone,
    TimedOut(Duration),
}

fn wait_for_reply(
    end: &CallerEnd,
    place: HostPlace,
    limit: Option<Duration>,
) -> Result<Outcome, Error> {
    let referent = end.handle().referent()?;
    let channel = Channel::open(&referent)?;
    channel.spin_for_reply();
    let mut patience = PATIENCE;
    let mut begun = None;
    let mut has_waited = false;
    loop {
        match look(&channel)? {
            Some(Outcome::Replied(mut request)) if Reply::is_nested(&request) => {
                request.pop();
                Partner::new(end.handle(), end.tag(), place.tag, End::Caller)
                    .answer(&channel, &request)?;
                buffers::keep(request);
                // What was done here is no part of the host's time.
                (begun, has_waited, patience) = (None, false, PATIENCE);
                continue;
            }
            Some(outcome) => return Ok(outcome),
            None => {}
        }
        if has_waited && !inbox::is_open(referent.segment(), place)? {
            // It may have answered as its last act.
            return Ok(look(&channel)?.unwrap_or(Outcome::Gone));
        }
        let left = match limit {
            None => patience,
            Some(limit) => {
                let begun = *begun.get_or_insert_with(Instant::now);
                let left = limit.saturating_sub(begun.elapsed());
                if left.is_zero() {
                    return Ok(Outcome::TimedOut(limit));
                }
                left.min(patience)
            }
        };
        // Fails in a child that a signal handler forks: the call is its parent's.
        channel.wait_for_reply(left)?;
        has_waited = true;
        patience = (2 * patience).min(MOST_PATIENCE);
    }
}

/// What there is of a reply.
fn look(channel: &Channel<'_>) -> Result<Option<Outcome>, Error> {
    let mut reply = buffers::spare();
    match channel.take_reply_into(&mut reply) {
        Ok(true) => Ok(Some(Outcome::Replied(reply))),
        Ok(false) => {
            buffers::keep(reply);
            Ok(None)
        }
        Err(StoreError::Closed) => Ok(Some(Outcome::Gone)),
        Err(error) => Err(error.into()),
    }
}

#[cold]
fn gone(attachment: &Attachment, place: HostPlace, request: &Request<'_>) -> Error {
    let member = Owner::from_word(place.tag.into());
    let process = member.map(|member| attachment.segment().process_of(member));
    Error::HostGone {
        address: attachment.address().clone(),
        process: process.filter(|process| *process != 0),
        method: request.method.to_owned(),
    }
}
