//! What the guards of locks and semaphores have in common.

use std::time::Duration;

use coheld_shm::Referent;
use coheld_store::{Acquired, Wait};

use super::Proxy;
use crate::Error;

/// Something that was acquired and has to be given back.
#[derive(Debug)]
pub struct Held<'p> {
    proxy: &'p Proxy,
    /// The member that acquired it.
    member: Option<u32>,
    owner_died: Option<u32>,
    /// It is somebody else's to give back.
    released: bool,
}

impl<'p> Held<'p> {
    #[inline]
    pub(super) fn new(proxy: &'p Proxy, acquired: Acquired) -> Self {
        Self {
            proxy,
            member: proxy.attachment().segment().own_slot(),
            owner_died: acquired.owner_died,
            released: false,
        }
    }

    #[inline]
    pub(super) fn owner_died(&self) -> Option<u32> {
        self.owner_died
    }

    /// Gives it back, when its guard is dropped.
    #[inline]
    pub(super) fn release(&self, release: impl FnOnce(&Referent<'_>) -> coheld_store::Result<()>) {
        // A forked child has a copy of the guard, but not what it stands for.
        if self.released || self.member != self.proxy.attachment().segment().own_slot() {
            return;
        }
        let released = self.proxy.referent().and_then(|it| Ok(release(&it)?));
        if let Err(error) = released {
            log::warn!("{:?} could not be released: {error}", self.proxy);
        }
    }

    /// Leaves giving it back to others.
    pub(super) fn forget(&mut self) {
        self.released = true;
    }

    /// Notes how a wait went, which gave the lock up and took it again. `is_still_held` says, after
    /// one that failed, whether this guard has its lock.
    pub(super) fn after_wait(
        &mut self,
        waited: Result<(bool, Acquired), Error>,
        is_still_held: impl FnOnce(&Referent<'_>, &Error) -> bool,
    ) -> Result<bool, Error> {
        match waited {
            Ok((notified, acquired)) => {
                if acquired.owner_died.is_some() {
                    self.owner_died = acquired.owner_died;
                }
                Ok(notified)
            }
            Err(error) => {
                let held = self.proxy.referent().map(|it| is_still_held(&it, &error));
                self.released |= !held.unwrap_or(false);
                Err(error)
            }
        }
    }
}

/// A guard of what a condition can have as its lock.
///
/// ```
/// use coheld::{ConditionProxy, HoldsLock};
/// use std::time::Duration;
///
/// // With a guard of the condition, or of the lock that it has in common with others.
/// fn is_notified(condition: &ConditionProxy, guard: &mut impl HoldsLock) -> coheld::Result<bool> {
///     condition.wait_for(guard, Duration::from_millis(1))
/// }
///
/// let manager = coheld::Manager::start()?;
/// let permits = manager.semaphore(1)?;
/// let condition = manager.condition_with(&permits)?;
/// assert!(!is_notified(&condition, &mut permits.acquire()?)?);
/// assert!(!is_notified(&condition, &mut condition.lock()?)?);
/// # Ok::<(), coheld::Error>(())
/// ```
pub trait HoldsLock: sealed::Sealed {}

pub(super) mod sealed {
    use coheld_store::Acquired;

    use crate::Error;

    pub trait Sealed {
        /// Notes how a wait went; whether it ended by a notification.
        fn after_wait(&mut self, waited: Result<(bool, Acquired), Error>) -> Result<bool, Error>;
    }
}

/// What an operation that waits for ever acquires in the end.
#[inline]
pub(super) fn in_the_end<T>(
    mut attempt: impl FnMut(Wait) -> Result<Option<T>, Error>,
) -> Result<T, Error> {
    loop {
        if let Some(acquired) = attempt(Wait::Forever)? {
            return Ok(acquired);
        }
    }
}

/// Waiting for a number of seconds at most, as Python counts.
pub(crate) fn within_seconds(seconds: f64) -> Wait {
    if seconds <= 0.0 {
        return Wait::No;
    }
    Duration::try_from_secs_f64(seconds).map_or(Wait::Forever, Wait::for_duration)
}
