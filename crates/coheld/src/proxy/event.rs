//! `EventProxy`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coheld_store::{Event, Wait};

use super::common::{typed_by_kind, typed_proxy};
use super::{Kind, Proxy};
use crate::{Attachment, Error};

/// A shared event: something that has happened or not, and that one can wait for.
///
/// ```
/// use coheld::Manager;
///
/// let manager = Manager::start()?;
/// let ready = manager.event()?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| ready.set());
///     ready.wait()
/// })?;
/// assert!(ready.is_set()?);
/// # Ok::<(), coheld::Error>(())
/// ```
pub struct EventProxy {
    proxy: Proxy,
}

typed_proxy!(EventProxy);
typed_by_kind!(EventProxy, Kind::Event);

impl EventProxy {
    fn over(proxy: Proxy) -> Self {
        Self { proxy }
    }

    /// A new event, not set.
    ///
    /// ```
    /// use coheld::EventProxy;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let event = EventProxy::create(manager.attachment())?;
    /// assert!(!event.is_set()?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn create(attachment: &Arc<Attachment>) -> Result<Self, Error> {
        Proxy::create(attachment, Kind::Event, 0).map(Self::over)
    }

    /// Whether it is set.
    #[inline]
    pub fn is_set(&self) -> Result<bool, Error> {
        Ok(Event::new(&self.proxy.referent()?).is_set()?)
    }

    /// Sets it. Everybody who waits goes on.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let stop = manager.event()?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| -> coheld::Result<()> {
    ///         while !stop.is_set()? {
    ///             std::thread::yield_now();
    ///         }
    ///         Ok(())
    ///     });
    ///     stop.set()
    /// })?;
    /// assert!(stop.is_set()?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn set(&self) -> Result<(), Error> {
        Ok(Event::new(&self.proxy.referent()?).set()?)
    }

    /// Takes it back.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let event = manager.event()?;
    /// event.set()?;
    /// event.clear()?;
    /// assert!(!event.is_set()?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn clear(&self) -> Result<(), Error> {
        Ok(Event::new(&self.proxy.referent()?).clear()?)
    }

    /// Waits until it is set.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let ready = manager.event()?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| ready.set());
    ///     ready.wait()
    /// })?;
    /// ready.wait()?;
    /// assert!(ready.is_set()?, "it stays set");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn wait(&self) -> Result<(), Error> {
        while !self.wait_as(Wait::Forever)? {}
        Ok(())
    }

    /// As `wait`, but no longer than this; whether it was set in time.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let event = manager.event()?;
    /// assert!(!event.wait_for(Duration::from_millis(1))?);
    /// event.set()?;
    /// assert!(event.wait_for(Duration::ZERO)?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn wait_for(&self, time: Duration) -> Result<bool, Error> {
        self.wait_as(Wait::for_duration(time))
    }

    /// As `wait_for`, up to a moment.
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let event = manager.event()?;
    /// assert!(!event.wait_until(Instant::now())?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn wait_until(&self, deadline: Instant) -> Result<bool, Error> {
        self.wait_as(Wait::Until(deadline))
    }

    pub(crate) fn wait_as(&self, wait: Wait) -> Result<bool, Error> {
        Ok(Event::new(&self.proxy.referent()?).wait(wait)?)
    }
}
