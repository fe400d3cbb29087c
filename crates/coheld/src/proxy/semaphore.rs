//! `SemaphoreProxy`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coheld_store::{Acquired, Semaphore, StoreError, Wait};

use super::common::{typed_by_kind, typed_proxy};
use super::held::{Held, HoldsLock, in_the_end, sealed};
use super::{Kind, Proxy};
use crate::{Attachment, Error};

/// A shared semaphore, bounded or not: so many permits, and whoever wants one more waits.
///
/// The permits of a process that dies are free again, and whoever gets the next one is told
/// ([`Permit::owner_died`]).
///
/// ```
/// use coheld::Manager;
///
/// let manager = Manager::start()?;
/// let seats = manager.semaphore(2)?;
/// let first = seats.acquire()?;
/// let second = seats.acquire()?;
/// assert!(seats.try_acquire()?.is_none());
/// drop(first);
/// assert_eq!(seats.value()?, 1);
/// # Ok::<(), coheld::Error>(())
/// ```
pub struct SemaphoreProxy {
    proxy: Proxy,
}

typed_proxy!(SemaphoreProxy);
typed_by_kind!(SemaphoreProxy, Kind::Semaphore, Kind::BoundedSemaphore);

impl SemaphoreProxy {
    fn over(proxy: Proxy) -> Self {
        Self { proxy }
    }

    /// A new semaphore that any number of permits can be added to.
    ///
    /// ```
    /// use coheld::SemaphoreProxy;
    ///
    /// let manager = coheld::Manager::start()?;
    /// // Something that others produce, none of which is there yet.
    /// let produced = SemaphoreProxy::create(manager.attachment(), 0)?;
    /// produced.release(3)?;
    /// assert_eq!(produced.value()?, 3);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn create(attachment: &Arc<Attachment>, permits: u64) -> Result<Self, Error> {
        Self::create_as(attachment, Kind::Semaphore, permits)
    }

    /// A new semaphore that never has more permits than it begins with.
    ///
    /// ```
    /// use coheld::{Error, SemaphoreProxy, StoreError};
    ///
    /// let manager = coheld::Manager::start()?;
    /// let seats = SemaphoreProxy::create_bounded(manager.attachment(), 2)?;
    /// let released = seats.release(1);
    /// assert!(matches!(released, Err(Error::Store(StoreError::ReleasedTooOften))));
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn create_bounded(attachment: &Arc<Attachment>, permits: u64) -> Result<Self, Error> {
        Self::create_as(attachment, Kind::BoundedSemaphore, permits)
    }

    fn create_as(attachment: &Arc<Attachment>, kind: Kind, permits: u64) -> Result<Self, Error> {
        let proxy = Proxy::create(attachment, kind, 0)?;
        Semaphore::new(&proxy.referent()?).initialize(permits)?;
        Ok(Self::over(proxy))
    }

    /// Waits for a permit and takes it.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let printers = manager.semaphore(2)?;
    /// let printer = printers.acquire()?;
    /// assert_eq!(printers.value()?, 1);
    /// drop(printer);
    /// assert_eq!(printers.value()?, 2);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[inline]
    pub fn acquire(&self) -> Result<Permit<'_>, Error> {
        Ok(self.permit(in_the_end(|wait| self.acquire_unguarded(wait))?))
    }

    /// Takes a permit if there is one.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let semaphore = manager.semaphore(1)?;
    /// let permit = semaphore.try_acquire()?;
    /// assert!(permit.is_some() && semaphore.try_acquire()?.is_none());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[inline]
    pub fn try_acquire(&self) -> Result<Option<Permit<'_>>, Error> {
        self.acquire_or_not(Wait::No)
    }

    /// As `acquire`, but waits no longer than this; `None`: there was no permit in time.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let semaphore = manager.semaphore(0)?;
    /// assert!(semaphore.acquire_for(Duration::from_millis(1))?.is_none());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn acquire_for(&self, time: Duration) -> Result<Option<Permit<'_>>, Error> {
        self.acquire_or_not(Wait::for_duration(time))
    }

    /// As `acquire_for`, up to a moment.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// let manager = coheld::Manager::start()?;
    /// let semaphore = manager.semaphore(1)?;
    /// assert!(semaphore.acquire_until(Instant::now() + Duration::from_secs(1))?.is_some());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn acquire_until(&self, deadline: Instant) -> Result<Option<Permit<'_>>, Error> {
        self.acquire_or_not(Wait::Until(deadline))
    }

    fn acquire_or_not(&self, wait: Wait) -> Result<Option<Permit<'_>>, Error> {
        let acquired = self.acquire_unguarded(wait)?;
        Ok(acquired.map(|acquired| self.permit(acquired)))
    }

    /// Takes a permit that somebody gives back by `release`.
    #[inline]
    pub(crate) fn acquire_unguarded(&self, wait: Wait) -> Result<Option<Acquired>, Error> {
        Ok(Semaphore::new(&self.proxy.referent()?).acquire(wait)?)
    }

    #[inline]
    fn permit(&self, acquired: Acquired) -> Permit<'_> {
        Permit {
            held: Held::new(&self.proxy, acquired),
        }
    }

    /// Adds permits: new ones, or those that somebody has kept (see [`Permit::keep`]).
    ///
    /// More than a bounded semaphore may have are
    /// [`StoreError::ReleasedTooOften`], and nothing is added.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let produced = manager.semaphore(0)?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| produced.release(2));
    ///     produced.acquire()?.keep();
    ///     produced.acquire()?.keep();
    ///     Ok::<_, coheld::Error>(())
    /// })?;
    /// assert_eq!(produced.value()?, 0);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn release(&self, permits: u64) -> Result<(), Error> {
        Ok(Semaphore::new(&self.proxy.referent()?).release(permits)?)
    }

    /// How many permits are free.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let semaphore = manager.semaphore(5)?;
    /// let _permits = (semaphore.acquire()?, semaphore.acquire()?);
    /// assert_eq!((semaphore.value()?, semaphore.initial()?), (3, 5));
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn value(&self) -> Result<u64, Error> {
        Ok(Semaphore::new(&self.proxy.referent()?).value()?)
    }

    /// How many permits it began with.
    pub fn initial(&self) -> Result<u64, Error> {
        Ok(Semaphore::new(&self.proxy.referent()?).initial()?)
    }
}

/// A permit of a semaphore, given back when this is dropped.
///
/// ```
/// let manager = coheld::Manager::start()?;
/// let semaphore = manager.semaphore(1)?;
/// {
///     let permit = semaphore.acquire()?;
///     assert_eq!(permit.owner_died(), None);
/// }
/// assert_eq!(semaphore.value()?, 1);
/// # Ok::<(), coheld::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a permit that is not kept is given back at once"]
pub struct Permit<'p> {
    held: Held<'p>,
}

impl Permit<'_> {
    /// The process that died while it had this permit, if it comes from such; 0 when its number is
    /// not known.
    pub fn owner_died(&self) -> Option<u32> {
        self.held.owner_died()
    }

    /// Keeps the permit without a guard. Whoever is done with it calls
    /// [`SemaphoreProxy::release`], in this process or in another one.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let items = manager.semaphore(1)?;
    /// items.acquire()?.keep();
    /// assert_eq!(items.value()?, 0);
    /// items.release(1)?;
    /// assert_eq!(items.value()?, 1);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn keep(mut self) {
        self.held.forget();
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        self.held
            .release(|semaphore| Semaphore::new(semaphore).release(1));
    }
}

impl HoldsLock for Permit<'_> {}

impl sealed::Sealed for Permit<'_> {
    fn after_wait(&mut self, waited: Result<(bool, Acquired), Error>) -> Result<bool, Error> {
        // A permit has no name. Without one it was given up and not had again.
        self.held.after_wait(waited, |_, error| {
            matches!(error, Error::Store(StoreError::NotOwner))
        })
    }
}
