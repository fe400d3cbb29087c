//! Reading a referent without its lock: read first, then find out whether it stood still.
//!
//! A reader that takes the lock writes to the lock's cache line, which readers in other processes
//! then have to fetch. A glance only loads. It fails as soon as anything may have moved, and its
//! caller takes the lock instead.

use crate::sync::{AtomicU32, AtomicU64, Ordering, fence};

/// What `look` found, if nobody held the lock and nothing was committed meanwhile.
///
/// Whoever changes anything takes the lock and moves the version before the first change that
/// can be seen; so does who mends after a death. `look` may see any mixture of old and new words,
/// also of blocks that were freed and used again, and its answer then counts for nothing.
#[inline(always)]
pub(crate) fn glance<T>(
    lock: &AtomicU32,
    version: &AtomicU64,
    look: impl FnOnce() -> Option<T>,
) -> Option<T> {
    // Acquire: pairs with the Release in `Guard::bump_version`. A reader that sees the version of
    // a change sees the lock of whoever makes it, or the state after.
    let before = version.load(Ordering::Acquire);
    // Acquire: pairs with the Release in `lock::word::release`.
    if lock.load(Ordering::Acquire) != 0 {
        return None;
    }
    let found = look()?;
    // Acquire: pairs with the Release of whatever store `look` has seen; everything in front of
    // that store is seen by the loads below.
    fence(Ordering::Acquire);
    // Acquire: as above.
    let still = lock.load(Ordering::Acquire) == 0 && version.load(Ordering::Relaxed) == before;
    still.then_some(found)
}
