//! `LockProxy`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coheld_store::{Acquired, Lock, Wait};

use super::common::{typed_by_kind, typed_proxy};
use super::held::{Held, HoldsLock, in_the_end, sealed};
use super::{Kind, Proxy};
use crate::{Attachment, Error};

/// A shared lock.
///
/// If a process dies while it has the lock, the next one gets it and is told
/// ([`LockGuard::owner_died`]): what the lock protects may be half changed. With
/// [`owner_died_is_error`](crate::SegmentOptions::owner_died_is_error) that one gets an error, and
/// only the one after it the lock.
///
/// ```
/// use coheld::Manager;
///
/// let manager = Manager::start()?;
/// let (lock, total) = (manager.lock()?, manager.value(&0)?);
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| -> Result<(), coheld::Error> {
///             let _guard = lock.lock()?;
///             total.set(&(total.get()? + 1))
///         });
///     }
/// });
/// assert_eq!(total.get()?, 4);
/// # Ok::<(), coheld::Error>(())
/// ```
pub struct LockProxy {
    proxy: Proxy,
}

typed_proxy!(LockProxy);
typed_by_kind!(LockProxy, Kind::Lock);

impl LockProxy {
    fn over(proxy: Proxy) -> Self {
        Self { proxy }
    }

    /// A new lock, which nobody has.
    ///
    /// ```
    /// use coheld::LockProxy;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let lock = LockProxy::create(manager.attachment())?;
    /// assert!(!lock.is_locked()?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn create(attachment: &Arc<Attachment>) -> Result<Self, Error> {
        Proxy::create(attachment, Kind::Lock, 0).map(Self::over)
    }

    /// Waits until the lock is free and takes it.
    ///
    /// Whoever has the lock already waits for itself, for ever: use an
    /// [`RLockProxy`](super::RLockProxy) for that.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let lock = manager.lock()?;
    /// let guard = lock.lock()?;
    /// assert!(lock.is_locked()?);
    /// drop(guard);
    /// assert!(!lock.is_locked()?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[inline]
    pub fn lock(&self) -> Result<LockGuard<'_>, Error> {
        Ok(self.guard(in_the_end(|wait| self.acquire(wait))?))
    }

    /// Takes the lock if it is free.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let lock = manager.lock()?;
    /// if let Some(_guard) = lock.try_lock()? {
    ///     assert!(lock.try_lock()?.is_none(), "it is taken");
    /// }
    /// assert!(lock.try_lock()?.is_some());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[inline]
    pub fn try_lock(&self) -> Result<Option<LockGuard<'_>>, Error> {
        self.lock_or_not(Wait::No)
    }

    /// As `lock`, but waits no longer than this; `None`: it was not free in time.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let lock = manager.lock()?;
    /// let guard = lock.lock()?;
    /// assert!(lock.lock_for(Duration::from_millis(1))?.is_none());
    /// drop(guard);
    /// assert!(lock.try_lock()?.is_some());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn lock_for(&self, time: Duration) -> Result<Option<LockGuard<'_>>, Error> {
        self.lock_or_not(Wait::for_duration(time))
    }

    /// As `lock_for`, up to a moment.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// let manager = coheld::Manager::start()?;
    /// let (one, other) = (manager.lock()?, manager.lock()?);
    /// let deadline = Instant::now() + Duration::from_secs(1);
    /// // One limit of time for both.
    /// let both = (one.lock_until(deadline)?, other.lock_until(deadline)?);
    /// assert!(both.0.is_some() && both.1.is_some());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn lock_until(&self, deadline: Instant) -> Result<Option<LockGuard<'_>>, Error> {
        self.lock_or_not(Wait::Until(deadline))
    }

    fn lock_or_not(&self, wait: Wait) -> Result<Option<LockGuard<'_>>, Error> {
        Ok(self.acquire(wait)?.map(|acquired| self.guard(acquired)))
    }

    #[inline]
    fn guard(&self, acquired: Acquired) -> LockGuard<'_> {
        LockGuard {
            held: Held::new(&self.proxy, acquired),
        }
    }

    /// Takes the lock without a guard, so that somebody else can release it: another thread, or
    /// another process. `None`: it was not free in time.
    ///
    /// ```
    /// use coheld::Wait;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let lock = manager.lock()?;
    /// assert!(lock.acquire(Wait::Forever)?.is_some());
    /// assert!(lock.acquire(Wait::No)?.is_none());
    /// std::thread::scope(|scope| scope.spawn(|| lock.release()).join()).unwrap()?;
    /// assert!(!lock.is_locked()?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[inline]
    pub fn acquire(&self, wait: Wait) -> Result<Option<Acquired>, Error> {
        Ok(Lock::new(&self.proxy.referent()?).acquire(wait)?)
    }

    /// Releases the lock, whoever has acquired it.
    ///
    /// If nobody has, this is [`StoreError::NotLocked`](crate::StoreError::NotLocked).
    ///
    /// ```
    /// use coheld::{Error, StoreError};
    ///
    /// let manager = coheld::Manager::start()?;
    /// let lock = manager.lock()?;
    /// assert!(matches!(lock.release(), Err(Error::Store(StoreError::NotLocked))));
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
}

/// A lock that is held, released when this is dropped.
///
/// It is released after a panic, too, and is not poisoned by it.
///
/// ```
/// use std::panic::{AssertUnwindSafe, catch_unwind};
///
/// let manager = coheld::Manager::start()?;
/// let lock = manager.lock()?;
/// let panicked = catch_unwind(AssertUnwindSafe(|| {
///     let _guard = lock.lock();
///     std::panic::resume_unwind(Box::new("in the middle"));
/// }));
/// assert!(panicked.is_err() && !lock.is_locked()?);
/// # Ok::<(), coheld::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a guard that is not kept releases the lock at once"]
pub struct LockGuard<'p> {
    held: Held<'p>,
}

impl LockGuard<'_> {
    /// The process that died while it had the lock, if the lock comes from such; 0 when its number
    /// is not known.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let (lock, log) = (manager.lock()?, manager.list::<String>()?);
    /// let guard = lock.lock()?;
    /// if let Some(process) = guard.owner_died() {
    ///     log.append(format!("process {process} has left work half done").as_str())?;
    /// }
    /// assert!(log.is_empty()?, "nobody has died");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn owner_died(&self) -> Option<u32> {
        self.held.owner_died()
    }
}

impl Drop for LockGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.held.release(|lock| Lock::new(lock).release());
    }
}

impl HoldsLock for LockGuard<'_> {}

impl sealed::Sealed for LockGuard<'_> {
    fn after_wait(&mut self, waited: Result<(bool, Acquired), Error>) -> Result<bool, Error> {
        self.held
            .after_wait(waited, |lock, _| Lock::new(lock).is_mine().unwrap_or(false))
    }
}
