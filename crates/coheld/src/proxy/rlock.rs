//! `RLockProxy`.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coheld_store::{Acquired, Lock, Wait};

use super::common::{typed_by_kind, typed_proxy};
use super::held::{Held, HoldsLock, in_the_end, sealed};
use super::{Kind, Proxy};
use crate::{Attachment, Error};

/// A shared lock that the thread that has it can take again.
///
/// It is free when every guard is dropped. As with [`LockProxy`](super::LockProxy), the death of
/// its owner frees it.
///
/// ```
/// use coheld::Manager;
///
/// let manager = Manager::start()?;
/// let lock = manager.rlock()?;
/// let outer = lock.lock()?;
/// let inner = lock.lock()?;
/// drop(outer);
/// assert!(lock.is_owned()?);
/// drop(inner);
/// assert!(!lock.is_locked()?);
/// # Ok::<(), coheld::Error>(())
/// ```
///
/// A guard belongs to its thread:
///
/// ```compile_fail,E0277
/// let manager = coheld::Manager::start()?;
/// let lock = manager.rlock()?;
/// let guard = lock.lock()?;
/// std::thread::scope(|scope| scope.spawn(|| drop(guard)).join());
/// # Ok::<(), coheld::Error>(())
/// ```
pub struct RLockProxy {
    proxy: Proxy,
}

typed_proxy!(RLockProxy);
typed_by_kind!(RLockProxy, Kind::RLock);

impl RLockProxy {
    fn over(proxy: Proxy) -> Self {
        Self { proxy }
    }

    /// A new lock, which nobody has.
    pub fn create(attachment: &Arc<Attachment>) -> Result<Self, Error> {
        Proxy::create(attachment, Kind::RLock, 0).map(Self::over)
    }

    /// Waits until the lock is free, or this thread's, and takes it.
    #[inline]
    pub fn lock(&self) -> Result<RLockGuard<'_>, Error> {
        Ok(self.guard(in_the_end(|wait| self.acquire(wait))?))
    }

    /// Takes the lock if it is free or this thread's.
    #[inline]
    pub fn try_lock(&self) -> Result<Option<RLockGuard<'_>>, Error> {
        self.lock_or_not(Wait::No)
    }

    /// As `lock`, but waits no longer than this; `None`: it was not free in time.
    pub fn lock_for(&self, time: Duration) -> Result<Option<RLockGuard<'_>>, Error> {
        self.lock_or_not(Wait::for_duration(time))
    }

    /// As `lock_for`, up to a moment.
    pub fn lock_until(&self, deadline: Instant) -> Result<Option<RLockGuard<'_>>, Error> {
        self.lock_or_not(Wait::Until(deadline))
    }

    fn lock_or_not(&self, wait: Wait) -> Result<Option<RLockGuard<'_>>, Error> {
        Ok(self.acquire(wait)?.map(|acquired| self.guard(acquired)))
    }

    #[inline]
    fn guard(&self, acquired: Acquired) -> RLockGuard<'_> {
        RLockGuard {
            held: Held::new(&self.proxy, acquired),
            thread: PhantomData,
        }
    }

    /// Takes the lock without a guard. `None`: it was not free in time.
    #[inline]
    pub fn acquire(&self, wait: Wait) -> Result<Option<Acquired>, Error> {
        Ok(Lock::new(&self.proxy.referent()?).acquire(wait)?)
    }

    /// Releases the lock as often as one `acquire` has taken it.
    ///
    /// If this thread has not, this is [`StoreError::NotOwner`](crate::StoreError::NotOwner).
    #[inline]
    pub fn release(&self) -> Result<(), Error> {
        Ok(Lock::new(&self.proxy.referent()?).release()?)
    }

    /// Whether somebody has the lock.
    pub fn is_locked(&self) -> Result<bool, Error> {
        Ok(Lock::new(&self.proxy.referent()?).is_locked()?)
    }

    /// Whether this thread has the lock.
    pub fn is_owned(&self) -> Result<bool, Error> {
        Ok(Lock::new(&self.proxy.referent()?).is_owned()?)
    }
}

/// A lock that this thread has taken, once more or for the first time; undone when this is dropped.
#[derive(Debug)]
#[must_use = "a guard that is not kept releases the lock at once"]
pub struct RLockGuard<'p> {
    held: Held<'p>,
    /// Only the thread that has taken the lock can release it.
    thread: PhantomData<*const ()>,
}

impl RLockGuard<'_> {
    /// The process that died while it had the lock, if the lock comes from such; 0 when its number
    /// is not known.
    pub fn owner_died(&self) -> Option<u32> {
        self.held.owner_died()
    }
}

impl Drop for RLockGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.held.release(|lock| Lock::new(lock).release());
    }
}

impl HoldsLock for RLockGuard<'_> {}

impl sealed::Sealed for RLockGuard<'_> {
    fn after_wait(&mut self, waited: Result<(bool, Acquired), Error>) -> Result<bool, Error> {
        self.held
            .after_wait(waited, |lock, _| Lock::new(lock).is_mine().unwrap_or(false))
    }
}
