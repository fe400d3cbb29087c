//! The inbox of a host: a queue of the segment. An edge in it is a new channel, an integer the
//! number of an object that may have lost its last reference.

use coheld_shm::{HostPlace, Segment};
use coheld_store::{Input, Queue, StoreError, Wait};

use crate::{Error, host};

/// Puts an item into the inbox at `place`; false: there is no such host any more.
pub(super) fn send(segment: &Segment, place: HostPlace, item: &Input<'_>) -> Result<bool, Error> {
    let sent = segment
        .referent(place.inbox, place.generation)
        .map_err(Error::from)
        .and_then(|inbox| Ok(Queue::new(&inbox).put(item, Wait::No)?));
    is_there(sent)
}

/// Whether the host at `place` lives and takes calls. Asks the kernel.
pub(super) fn is_open(segment: &Segment, place: HostPlace) -> Result<bool, Error> {
    if !segment.is_alive(place.tag) {
        return Ok(false);
    }
    let shut_down = segment
        .referent(place.inbox, place.generation)
        .map_err(Error::from)
        .and_then(|inbox| Ok(Queue::new(&inbox).is_shut_down()?));
    match shut_down {
        Ok(shut_down) => Ok(!shut_down),
        Err(error) => is_there(Err(error)),
    }
}

/// Tells a host, if it is there, that object `number` may have lost its last reference. If it
/// cannot be told it finds out by itself.
pub(crate) fn tell(segment: &Segment, place: HostPlace, number: u64) {
    let mut scratch = [0; 8];
    let item = Input::int(number.cast_signed(), &mut scratch);
    let told = host::uninterrupted(|| send(segment, place, &item));
    if let Err(error) = told {
        log::debug!("a host could not be told of an object without references: {error}");
    }
}

/// Tells a host that is gone from other errors.
fn is_there(done: Result<(), Error>) -> Result<bool, Error> {
    use coheld_shm::Error as Shm;
    match done {
        Ok(()) => Ok(true),
        Err(
            Error::Store(StoreError::ShutDown | StoreError::WrongKind { .. })
            | Error::Shm(Shm::ReferentGone { .. } | Shm::Corrupted { .. }),
        ) => Ok(false),
        Err(error) => Err(error),
    }
}
