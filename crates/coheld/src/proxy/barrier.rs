//! `BarrierProxy`.

use std::any::Any;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use coheld_store::{Barrier, Output, Passage, Wait, word};

use super::common::{typed_by_kind, typed_proxy};
use super::held::within_seconds;
use super::{Kind, Proxy};
use crate::value::read_output;
use crate::{Attachment, Error, Value};

/// A shared barrier: whoever waits at it goes on when so many have come.
///
/// It can be used again at once. If one of those that wait gives up or dies, the barrier is broken:
/// the others get [`StoreError::BrokenBarrier`](crate::StoreError::BrokenBarrier), as does whoever
/// comes later, until somebody calls [`reset`](Self::reset).
///
/// ```
/// use coheld::Manager;
///
/// let manager = Manager::start()?;
/// let (barrier, steps) = (manager.barrier(2)?, manager.list::<i64>()?);
/// std::thread::scope(|scope| {
///     for number in [1, 2] {
///         let (barrier, steps) = (&barrier, &steps);
///         scope.spawn(move || -> Result<(), coheld::Error> {
///             steps.append(&number)?;
///             barrier.wait()?;
///             steps.append(&(10 * number))
///         });
///     }
/// });
/// let steps = steps.to_vec()?;
/// assert!(steps[..2].iter().all(|step| *step < 10));
/// assert!(steps[2..].iter().all(|step| *step >= 10));
/// # Ok::<(), coheld::Error>(())
/// ```
pub struct BarrierProxy {
    proxy: Proxy,
}

typed_proxy!(BarrierProxy);
typed_by_kind!(BarrierProxy, Kind::Barrier);

/// How an action went wrong.
enum Failure {
    Error(Error),
    Panic(Box<dyn Any + Send>),
}

impl BarrierProxy {
    fn over(proxy: Proxy) -> Self {
        Self { proxy }
    }

    /// A new barrier for so many parties.
    ///
    /// ```
    /// use coheld::BarrierProxy;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let barrier = BarrierProxy::create(manager.attachment(), 3)?;
    /// assert_eq!((barrier.parties()?, barrier.waiting()?), (3, 0));
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn create(attachment: &Arc<Attachment>, parties: u64) -> Result<Self, Error> {
        Proxy::create(attachment, Kind::Barrier, parties).map(Self::over)
    }

    /// Waits for the others; as which party this one goes on, counted from 0.
    ///
    /// A barrier that was made in Python with an action of its own needs somebody to run it, which
    /// Rust cannot: [`Error::NeedsPython`]. Bring [another one](Self::wait_with_action).
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let barrier = manager.barrier(2)?;
    /// let (mut one, mut other) = (0, 0);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| one = barrier.wait().unwrap());
    ///     other = barrier.wait().unwrap();
    /// });
    /// assert_eq!(one + other, 1, "one is 0, the other one 1");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn wait(&self) -> Result<u64, Error> {
        self.wait_as(None)
    }

    /// As `wait`, but no longer than this: if the others have not come by then, the barrier is
    /// broken.
    ///
    /// ```
    /// use coheld::{Error, StoreError};
    /// use std::time::Duration;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let barrier = manager.barrier(2)?;
    /// let waited = barrier.wait_for(Duration::from_millis(1));
    /// assert!(matches!(waited, Err(Error::Store(StoreError::BrokenBarrier))));
    /// assert!(barrier.is_broken()?);
    /// barrier.reset()?;
    /// assert!(!barrier.is_broken()?);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn wait_for(&self, time: Duration) -> Result<u64, Error> {
        self.wait_as(Some(Wait::for_duration(time)))
    }

    /// As `wait_for`, up to a moment.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// let manager = coheld::Manager::start()?;
    /// let barrier = manager.barrier(1)?;
    /// assert_eq!(barrier.wait_until(Instant::now() + Duration::from_secs(1))?, 0);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn wait_until(&self, deadline: Instant) -> Result<u64, Error> {
        self.wait_as(Some(Wait::Until(deadline)))
    }

    pub(crate) fn wait_as(&self, wait: Option<Wait>) -> Result<u64, Error> {
        let usual = self.usual_wait()?.ok_or(Error::NeedsPython {
            what: "the action of this barrier",
        })?;
        let referent = self.proxy.referent()?;
        match Barrier::new(&referent).wait::<Infallible>(wait.unwrap_or(usual), None)? {
            Passage::Passed(number) => Ok(number),
            Passage::Failed(never) => match never {},
        }
    }

    /// As `wait`, with something to be done when all have come, before anybody goes on.
    ///
    /// The party that comes last runs its action; the others' are not run. If it fails or panics,
    /// the barrier is broken.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let (barrier, rounds) = (manager.barrier(1)?, manager.value(&0)?);
    /// barrier.wait_with_action(|| rounds.set(&1))?;
    /// assert_eq!(rounds.get()?, 1);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn wait_with_action(
        &self,
        action: impl FnOnce() -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let wait = self.usual_wait()?.unwrap_or(Wait::Forever);
        self.wait_and_act(wait, action)
    }

    /// As `wait_with_action`, but no longer than this.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let (barrier, log) = (manager.barrier(1)?, manager.list::<String>()?);
    /// barrier.wait_with_action_for(Duration::from_secs(1), || log.append("all are here"))?;
    /// assert_eq!(log.len()?, 1);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn wait_with_action_for(
        &self,
        time: Duration,
        action: impl FnOnce() -> Result<(), Error>,
    ) -> Result<u64, Error> {
        self.wait_and_act(Wait::for_duration(time), action)
    }

    fn wait_and_act(
        &self,
        wait: Wait,
        action: impl FnOnce() -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let mut action = Some(action);
        let mut run = || match action.take().map(|it| catch_unwind(AssertUnwindSafe(it))) {
            Some(Ok(Err(error))) => Err(Failure::Error(error)),
            // The barrier has to learn of it; then it goes on.
            Some(Err(panic)) => Err(Failure::Panic(panic)),
            Some(Ok(Ok(()))) | None => Ok(()),
        };
        match Barrier::new(&self.proxy.referent()?).wait(wait, Some(&mut run))? {
            Passage::Passed(number) => Ok(number),
            Passage::Failed(Failure::Error(error)) => Err(error),
            Passage::Failed(Failure::Panic(panic)) => resume_unwind(panic),
        }
    }

    /// How long `wait` waits; `None` if there is an action to be run in Python.
    fn usual_wait(&self) -> Result<Option<Wait>, Error> {
        let configuration = match Barrier::new(&self.proxy.referent()?).configuration()? {
            Output::Word(word::NONE) => return Ok(Some(Wait::Forever)),
            configuration => read_output(configuration, self.proxy.attachment())?,
        };
        // Python keeps an action and a time-out.
        let Value::Tuple(configuration) = configuration else {
            return Ok(None);
        };
        Ok(match &configuration[..] {
            [Value::None, Value::None] => Some(Wait::Forever),
            [Value::None, seconds] => seconds.as_float().map(within_seconds),
            _ => None,
        })
    }

    /// Makes the barrier as new. Those that wait get
    /// [`StoreError::BrokenBarrier`](crate::StoreError::BrokenBarrier).
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let barrier = manager.barrier(1)?;
    /// barrier.abort()?;
    /// assert!(barrier.wait().is_err());
    /// barrier.reset()?;
    /// assert_eq!(barrier.wait()?, 0);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn reset(&self) -> Result<(), Error> {
        Ok(Barrier::new(&self.proxy.referent()?).reset()?)
    }

    /// Breaks the barrier.
    ///
    /// ```
    /// use coheld::{Error, StoreError};
    ///
    /// let manager = coheld::Manager::start()?;
    /// let barrier = manager.barrier(2)?;
    /// barrier.abort()?;
    /// assert!(barrier.is_broken()?);
    /// assert!(matches!(barrier.wait(), Err(Error::Store(StoreError::BrokenBarrier))));
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn abort(&self) -> Result<(), Error> {
        Ok(Barrier::new(&self.proxy.referent()?).abort()?)
    }

    /// How many have to come.
    pub fn parties(&self) -> Result<u64, Error> {
        Ok(Barrier::new(&self.proxy.referent()?).parties()?)
    }

    /// How many wait.
    pub fn waiting(&self) -> Result<u64, Error> {
        Ok(Barrier::new(&self.proxy.referent()?).waiting()?)
    }

    /// Whether the barrier is broken.
    pub fn is_broken(&self) -> Result<bool, Error> {
        Ok(Barrier::new(&self.proxy.referent()?).is_broken()?)
    }
}
