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
    ///
    /// ```
    /// use coheld::RLockProxy;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let lock = RLockProxy::create(manager.attachment())?;
    /// assert!(!lock.is_locked()?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn create(attachment: &Arc<Attachment>) -> Result<Self, Error> {
        Proxy::create(attachment, Kind::RLock, 0).map(Self::over)
    }

    /// Waits until the lock is free, or this thread's, and takes it.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let (lock, log) = (manager.rlock()?, manager.list::<String>()?);
    /// let note = |text: &str| -> coheld::Result<()> {
    ///     let _guard = lock.lock()?;
    ///     log.append(text)
    /// };
    /// let _guard = lock.lock()?;
    /// note("begun")?;
    /// note("done")?;
    /// assert_eq!(log.len()?, 2);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[inline]
    pub fn lock(&self) -> Result<RLockGuard<'_>, Error> {
        Ok(self.guard(in_the_end(|wait| self.acquire(wait))?))
    }

    /// Takes the lock if it is free or this thread's.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let lock = manager.rlock()?;
    /// let first = lock.try_lock()?;
    /// assert!(first.is_some() && lock.try_lock()?.is_some(), "it is this thread's");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[inline]
    pub fn try_lock(&self) -> Result<Option<RLockGuard<'_>>, Error> {
        self.lock_or_not(Wait::No)
    }

    /// As `lock`, but waits no longer than this; `None`: it was not free in time.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let lock = manager.rlock()?;
    /// let _guard = lock.lock()?;
    /// let waited = std::thread::scope(|scope| {
    ///     let other = || lock.lock_for(Duration::from_millis(1)).map(|guard| guard.is_some());
    ///     scope.spawn(other).join()
    /// });
    /// assert!(!waited.unwrap()?, "it is another thread's");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn lock_for(&self, time: Duration) -> Result<Option<RLockGuard<'_>>, Error> {
        self.lock_or_not(Wait::for_duration(time))
    }

    /// As `lock_for`, up to a moment.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// let manager = coheld::Manager::start()?;
    /// let lock = manager.rlock()?;
    /// assert!(lock.lock_until(Instant::now() + Duration::from_secs(1))?.is_some());
    /// # Ok::<(), coheld::Error>(())
    /// ```
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
    ///
    /// ```
    /// use coheld::Wait;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let lock = manager.rlock()?;
    /// for _ in 0..2 {
    ///     assert!(lock.acquire(Wait::No)?.is_some());
    /// }
    /// lock.release()?;
    /// assert!(lock.is_owned()?, "it was taken twice");
    /// lock.release()?;
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[inline]
    pub fn acquire(&self, wait: Wait) -> Result<Option<Acquired>, Error> {
        Ok(Lock::new(&self.proxy.referent()?).acquire(wait)?)
    }

    /// Releases the lock as often as one `acquire` has taken it.
    ///
    /// If this thread has not, this is [`StoreError::NotOwner`](crate::StoreError::NotOwner).
    ///
    /// ```
    /// use coheld::{Error, StoreError};
    ///
    /// let manager = coheld::Manager::start()?;
    /// let lock = manager.rlock()?;
    /// assert!(matches!(lock.release(), Err(Error::Store(StoreError::NotOwner))));
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[inline]
    pub fn release(&self) -> Result<(), Error> {
        Ok(Lock::new(&self.proxy.referent()?).release()?)
    }

    /// Whether somebody has the lock.
    pub fn is_locked(&self) -> Result<bool, Error> {
        Ok(Lock::new(&self.proxy.referent()?).is_locked()?)
    }

    /// Whether this thread has the lock.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let lock = manager.rlock()?;
    /// let _guard = lock.lock()?;
    /// let other = std::thread::scope(|scope| scope.spawn(|| lock.is_owned()).join());
    /// assert!(lock.is_owned()? && !other.unwrap()?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn is_owned(&self) -> Result<bool, Error> {
        Ok(Lock::new(&self.proxy.referent()?).is_owned()?)
    }
}

/// A lock that this thread has taken, once more or for the first time; undone when this is dropped.
///
/// ```
/// let manager = coheld::Manager::start()?;
/// let lock = manager.rlock()?;
/// let guard = lock.lock()?;
/// assert_eq!(guard.owner_died(), None);
/// drop(guard);
/// assert!(!lock.is_owned()?);
/// # Ok::<(), coheld::Error>(())
/// ```
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
