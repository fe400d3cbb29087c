//! One call.

use std::sync::Arc;
use std::time::Duration;

use super::{HostPlace, Reply, Request, host, local};
use crate::{Attachment, Error, Handle};

/// Calls a method of the object that `handle` refers to; its number in `request` is of no account.
///
/// Without a `limit` the one of the segment counts, if it has one.
///
/// [`Error::HostGone`]: the host is not there any more. [`Error::CallTimedOut`].
pub fn call(
    handle: &Handle,
    request: &Request<'_>,
    limit: Option<Duration>,
) -> Result<Reply, Error> {
    let (place, number) = host::place_of(&handle.referent()?)?;
    let request = request.of_object(number);
    exchange(handle.attachment(), place, &request, limit)
}

/// Calls a function of the manager itself, which is the object 0 of the manager's host.
pub fn call_manager(
    attachment: &Arc<Attachment>,
    request: &Request<'_>,
    limit: Option<Duration>,
) -> Result<Reply, Error> {
    let Some(place) = local::manager(&attachment.segment_id()) else {
        return Err(gone(attachment, request));
    };
    exchange(attachment, place, &request.of_object(0), limit)
}

fn exchange(
    attachment: &Arc<Attachment>,
    place: HostPlace,
    request: &Request<'_>,
    _limit: Option<Duration>,
) -> Result<Reply, Error> {
    match local::find(&attachment.segment_id(), place) {
        Some(host) => Ok(host.answer(request)),
        None => Err(gone(attachment, request)),
    }
}

fn gone(attachment: &Attachment, request: &Request<'_>) -> Error {
    Error::HostGone {
        address: attachment.address().clone(),
        process: 0,
        method: request.method.to_owned(),
    }
}
