//! `ConditionProxy`.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coheld_store::{Acquired, Condition, StoreError, Wait};

use super::common::{typed_by_kind, typed_proxy};
use super::held::{Held, HoldsLock, in_the_end, sealed};
use super::{Kind, Proxy, RLockProxy};
use crate::value::Encoded;
use crate::{Attachment, Error, Value};

/// A shared condition: a lock, and a place to wait for what is done under it.
///
/// Several conditions can have one lock (see
/// [`Manager::condition_with`](crate::Manager::condition_with)); a guard of any of them, or of the
/// lock itself, serves all.
///
/// ```
/// use coheld::Manager;
///
/// let manager = Manager::start()?;
/// let (condition, jobs) = (manager.condition()?, manager.list::<String>()?);
/// let job = std::thread::scope(|scope| {
///     scope.spawn(|| -> Result<(), coheld::Error> {
///         let _guard = condition.lock()?;
///         jobs.append("sweep the floor")?;
///         condition.notify_one()
///     });
///     let mut guard = condition.lock()?;
///     condition.wait_while(&mut guard, || jobs.is_empty())?;
///     jobs.pop()
/// })?;
/// assert_eq!(job.as_deref(), Some("sweep the floor"));
/// # Ok::<(), coheld::Error>(())
/// ```
pub struct ConditionProxy {
    proxy: Proxy,
}

typed_proxy!(ConditionProxy);
typed_by_kind!(ConditionProxy, Kind::Condition);

impl ConditionProxy {
    fn over(proxy: Proxy) -> Self {
        Self { proxy }
    }

    /// A new condition with a re-entrant lock of its own.
    ///
    /// ```
    /// use coheld::ConditionProxy;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let condition = ConditionProxy::create(manager.attachment())?;
    /// let (outer, inner) = (condition.lock()?, condition.lock()?);
    /// drop((outer, inner));
    /// assert!(!condition.is_locked()?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn create(attachment: &Arc<Attachment>) -> Result<Self, Error> {
        Self::create_with(attachment, RLockProxy::create(attachment)?)
    }

    /// A new condition whose lock is this one: a `Lock`, an `RLock`, or a semaphore of either kind.
    ///
    /// ```
    /// use coheld::ConditionProxy;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let lock = manager.lock()?;
    /// let condition = ConditionProxy::create_with(manager.attachment(), &lock)?;
    /// let _guard = condition.lock()?;
    /// assert!(lock.is_locked()?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn create_with(
        attachment: &Arc<Attachment>,
        lock: impl Into<Proxy>,
    ) -> Result<Self, Error> {
        let proxy = Proxy::create(attachment, Kind::Condition, 0)?;
        let lock = Value::Proxy(lock.into());
        let encoded = Encoded::of(&lock, attachment)?;
        Condition::new(&proxy.referent()?).initialize(&encoded.input())?;
        Ok(Self::over(proxy))
    }

    /// Waits until the lock is free and takes it.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let condition = manager.condition()?;
    /// let guard = condition.lock()?;
    /// condition.notify_all()?;
    /// drop(guard);
    /// assert!(condition.notify_all().is_err(), "only under the lock");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[inline]
    pub fn lock(&self) -> Result<ConditionGuard<'_>, Error> {
        Ok(self.guard(in_the_end(|wait| self.acquire(wait))?))
    }

    /// Takes the lock if it is free.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let condition = manager.condition()?;
    /// let _guard = condition.lock()?;
    /// let other = std::thread::scope(|scope| {
    ///     scope.spawn(|| condition.try_lock().map(|guard| guard.is_some())).join()
    /// });
    /// assert!(!other.unwrap()?, "it is this thread's");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn try_lock(&self) -> Result<Option<ConditionGuard<'_>>, Error> {
        self.lock_or_not(Wait::No)
    }

    /// As `lock`, but waits no longer than this; `None`: it was not free in time.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let lock = manager.lock()?;
    /// let condition = manager.condition_with(&lock)?;
    /// let _guard = lock.lock()?;
    /// assert!(condition.lock_for(Duration::from_millis(1))?.is_none());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn lock_for(&self, time: Duration) -> Result<Option<ConditionGuard<'_>>, Error> {
        self.lock_or_not(Wait::for_duration(time))
    }

    /// As `lock_for`, up to a moment.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// let manager = coheld::Manager::start()?;
    /// let condition = manager.condition()?;
    /// let deadline = Instant::now() + Duration::from_secs(1);
    /// assert!(condition.lock_until(deadline)?.is_some());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn lock_until(&self, deadline: Instant) -> Result<Option<ConditionGuard<'_>>, Error> {
        self.lock_or_not(Wait::Until(deadline))
    }

    fn lock_or_not(&self, wait: Wait) -> Result<Option<ConditionGuard<'_>>, Error> {
        Ok(self.acquire(wait)?.map(|acquired| self.guard(acquired)))
    }

    #[inline]
    fn guard(&self, acquired: Acquired) -> ConditionGuard<'_> {
        ConditionGuard {
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
    /// let condition = manager.condition()?;
    /// assert!(condition.acquire(Wait::No)?.is_some());
    /// condition.notify_one()?;
    /// condition.release()?;
    /// assert!(condition.release().is_err());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[inline]
    pub fn acquire(&self, wait: Wait) -> Result<Option<Acquired>, Error> {
        Ok(Condition::new(&self.proxy.referent()?).acquire(wait)?)
    }

    /// Releases the lock as often as one `acquire` has taken it.
    #[inline]
    pub fn release(&self) -> Result<(), Error> {
        Ok(Condition::new(&self.proxy.referent()?).release()?)
    }

    /// Whether somebody has the lock.
    pub fn is_locked(&self) -> Result<bool, Error> {
        Ok(Condition::new(&self.proxy.referent()?).is_locked()?)
    }

    /// Gives the lock up, waits for a notification, and takes the lock again.
    ///
    /// What one waits for may be over by the time one has the lock again: look, or use
    /// [`wait_while`](Self::wait_while). The guard tells if somebody died with the lock meanwhile.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let (condition, is_open) = (manager.condition()?, manager.value(&false)?);
    /// std::thread::scope(|scope| {
    ///     let mut guard = condition.lock()?;
    ///     scope.spawn(|| -> coheld::Result<()> {
    ///         let _guard = condition.lock()?;
    ///         is_open.set(&true)?;
    ///         condition.notify_one()
    ///     });
    ///     while !is_open.get()? {
    ///         condition.wait(&mut guard)?;
    ///     }
    ///     Ok::<_, coheld::Error>(())
    /// })?;
    /// assert!(is_open.get()?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn wait(&self, guard: &mut impl HoldsLock) -> Result<(), Error> {
        guard.after_wait(self.wait_as(Wait::Forever)).map(drop)
    }

    /// As `wait`, but no longer than this; whether it was notified in time.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let condition = manager.condition()?;
    /// let mut guard = condition.lock()?;
    /// assert!(!condition.wait_for(&mut guard, Duration::from_millis(1))?, "nobody has notified");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn wait_for(&self, guard: &mut impl HoldsLock, time: Duration) -> Result<bool, Error> {
        guard.after_wait(self.wait_as(Wait::for_duration(time)))
    }

    /// As `wait_for`, up to a moment.
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let condition = manager.condition()?;
    /// let mut guard = condition.lock()?;
    /// assert!(!condition.wait_until(&mut guard, Instant::now())?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn wait_until(&self, guard: &mut impl HoldsLock, deadline: Instant) -> Result<bool, Error> {
        guard.after_wait(self.wait_as(Wait::Until(deadline)))
    }

    /// Waits as long as something is so. It is looked at under the lock, first without waiting.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let (condition, left) = (manager.condition()?, manager.value(&2_i64)?);
    /// std::thread::scope(|scope| {
    ///     for _ in 0..2 {
    ///         scope.spawn(|| -> coheld::Result<()> {
    ///             let _guard = condition.lock()?;
    ///             left.increment(-1)?;
    ///             condition.notify_all()
    ///         });
    ///     }
    ///     let mut guard = condition.lock()?;
    ///     condition.wait_while(&mut guard, || Ok(left.get()? > 0))
    /// })?;
    /// assert_eq!(left.get()?, 0);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn wait_while(
        &self,
        guard: &mut impl HoldsLock,
        mut condition: impl FnMut() -> Result<bool, Error>,
    ) -> Result<(), Error> {
        while condition()? {
            self.wait(guard)?;
        }
        Ok(())
    }

    /// As `wait_while`, but no longer than this; `false`: it is still so.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let condition = manager.condition()?;
    /// let mut guard = condition.lock()?;
    /// let time = Duration::from_millis(1);
    /// assert!(!condition.wait_while_for(&mut guard, time, || Ok(true))?);
    /// assert!(condition.wait_while_for(&mut guard, time, || Ok(false))?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn wait_while_for(
        &self,
        guard: &mut impl HoldsLock,
        time: Duration,
        mut condition: impl FnMut() -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        let wait = Wait::for_duration(time);
        while condition()? {
            if !guard.after_wait(self.wait_as(wait))? {
                return Ok(!condition()?);
            }
        }
        Ok(true)
    }

    pub(crate) fn wait_as(&self, wait: Wait) -> Result<(bool, Acquired), Error> {
        Ok(Condition::new(&self.proxy.referent()?).wait(wait)?)
    }

    /// Wakes one of those that wait, under the lock.
    ///
    /// Without the lock this is [`StoreError::NotOwner`], as are the
    /// other notifications.
    pub fn notify_one(&self) -> Result<(), Error> {
        self.notify(1)
    }

    /// Wakes as many of those that wait, if there are so many.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let condition = manager.condition()?;
    /// let _guard = condition.lock()?;
    /// condition.notify(3)?;
    /// assert_eq!(condition.waiting()?, 0, "nobody waits, so nothing happens");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn notify(&self, count: u64) -> Result<(), Error> {
        Ok(Condition::new(&self.proxy.referent()?).notify(count)?)
    }

    /// Wakes all that wait.
    pub fn notify_all(&self) -> Result<(), Error> {
        self.notify(u64::MAX)
    }

    /// How many wait.
    pub fn waiting(&self) -> Result<u64, Error> {
        Ok(Condition::new(&self.proxy.referent()?).waiting()?)
    }
}

/// The lock of a condition, held by this thread and released when this is dropped.
///
/// ```
/// let manager = coheld::Manager::start()?;
/// let condition = manager.condition()?;
/// {
///     let guard = condition.lock()?;
///     assert_eq!(guard.owner_died(), None);
/// }
/// assert!(!condition.is_locked()?);
/// # Ok::<(), coheld::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a guard that is not kept releases the lock at once"]
pub struct ConditionGuard<'p> {
    held: Held<'p>,
    /// Only the thread that has taken the lock can release it.
    thread: PhantomData<*const ()>,
}

impl ConditionGuard<'_> {
    /// The process that died while it had the lock, if the lock comes from such; 0 when its number
    /// is not known.
    pub fn owner_died(&self) -> Option<u32> {
        self.held.owner_died()
    }
}

impl Drop for ConditionGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.held
            .release(|condition| Condition::new(condition).release());
    }
}

impl HoldsLock for ConditionGuard<'_> {}

impl sealed::Sealed for ConditionGuard<'_> {
    fn after_wait(&mut self, waited: Result<(bool, Acquired), Error>) -> Result<bool, Error> {
        self.held.after_wait(waited, |condition, error| {
            if matches!(error, Error::Store(StoreError::NotOwner)) {
                // Another condition was waited for, or this lock is not held at all.
                return true;
            }
            Condition::new(condition).is_mine().unwrap_or(false)
        })
    }
}
