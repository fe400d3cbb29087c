//! Trying again when somebody else changed the object meanwhile.

use coheld_shm::{Referent, Reserved};
use coheld_store::StoreError;

use crate::Error;

/// Races that may be lost before the other processes are asked to wait. Mostly one more try is
/// enough.
const FREE: u32 = 2;

/// Does `attempt` until nobody else comes in between: it looks at the object, computes, and stores
/// only if the version is still what it saw, else it fails with [`StoreError::Changed`].
///
/// There is no limit to the tries: threads of this process do not wait for each other's
/// reservations, but each race that one of them loses is one that another has won.
pub(super) fn until_done<T>(
    referent: &Referent<'_>,
    mut attempt: impl FnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    let mut lost = 0;
    let mut reserved: Option<Reserved<'_>> = None;
    loop {
        match attempt() {
            Err(Error::Store(StoreError::Changed)) => {}
            done => return done,
        }
        lost += 1;
        if lost >= FREE {
            // Ended first: the time that others wait is counted anew for each try.
            drop(reserved.take());
            reserved = referent.reserve()?;
        }
    }
}
