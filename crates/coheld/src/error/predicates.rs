//! What one asks of an error, whichever of its forms it has.

use std::io;

use coheld_store::StoreError;

use super::Error;
use crate::Exception;

impl Error {
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }

    /// Whether the manager, the host of the object, or the object itself is gone, or was not there
    /// to begin with. To try again is of no use.
    ///
    /// ```
    /// use coheld::{Address, Manager};
    ///
    /// let address: Address = "unix:/nowhere/at/all".parse()?;
    /// assert!(Manager::connect(&address, b"key").err().unwrap().is_gone());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn is_gone(&self) -> bool {
        matches!(
            self,
            Self::ConnectionRefused { .. }
                | Self::NotFound { .. }
                | Self::Stopped { .. }
                | Self::Lost { .. }
                | Self::HostGone { .. }
                | Self::Shm(coheld_shm::Error::ReferentGone { .. })
                | Self::Store(StoreError::Shm(coheld_shm::Error::ReferentGone { .. }))
        )
    }

    /// Whether something took longer than it may: a call of a hosted object, or an answer of a
    /// manager. A wait with a limit of time is no error when it runs out: its result says so.
    ///
    /// ```standalone_crate
    /// use std::time::Duration;
    /// use coheld::{Manager, SegmentOptions, process};
    ///
    /// struct Sleeper;
    ///
    /// #[coheld::expose]
    /// impl Sleeper {
    ///     pub fn sleep(&self) {
    ///         std::thread::sleep(Duration::from_millis(200));
    ///     }
    /// }
    ///
    /// fn main() -> Result<(), coheld::Error> {
    ///     process::init();
    ///     let call_limit = Some(Duration::from_millis(10));
    ///     let options = SegmentOptions { call_limit, ..SegmentOptions::default() };
    ///     let manager = Manager::start_with(&options)?;
    ///     let sleeper = manager.share(Sleeper)?;
    ///     let call = |sleeper: SleeperProxy| sleeper.sleep().unwrap_err().is_timeout();
    ///     assert!(process::spawn(call, sleeper)?.join()?);
    ///     Ok(())
    /// }
    /// ```
    pub fn is_timeout(&self) -> bool {
        self.exception() == Exception::TimeoutError || matches!(self, Self::TimedOut { .. })
    }

    /// Whether the queue was shut down.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let queue = manager.queue::<i64>(0)?;
    /// queue.shut_down(false)?;
    /// assert!(queue.get().unwrap_err().is_shut_down());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn is_shut_down(&self) -> bool {
        self.exception() == Exception::ShutDown
    }

    /// Whether an index or a key is not there.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let list = manager.list::<i64>()?;
    /// assert!(list.get(7).unwrap_err().is_missing());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn is_missing(&self) -> bool {
        matches!(
            self.exception(),
            Exception::IndexError | Exception::KeyError
        )
    }

    /// Whether there was no room, in the segment or in the process.
    ///
    /// ```
    /// use coheld::{Manager, SegmentOptions};
    ///
    /// let options = SegmentOptions { capacity: 16 << 20, ..SegmentOptions::default() };
    /// let manager = Manager::start_with(&options)?;
    /// let texts = manager.list::<String>()?;
    /// let error = texts.append("x".repeat(32 << 20).as_str()).unwrap_err();
    /// assert!(error.is_out_of_memory());
    /// assert!(texts.is_empty()?, "nothing has changed");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn is_out_of_memory(&self) -> bool {
        self.exception() == Exception::MemoryError
    }

    /// Whether the process that had the lock or permit has died; only where
    /// [`SegmentOptions::owner_died_is_error`](crate::SegmentOptions::owner_died_is_error) says
    /// that this is an error. The lock is free now.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let lock = manager.lock()?;
    /// match lock.lock() {
    ///     Ok(_guard) => {}
    ///     Err(error) if error.is_owner_dead() => { /* look what it has left, and try again */ }
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn is_owner_dead(&self) -> bool {
        self.exception() == Exception::OwnerDiedError
    }

    /// Whether the bytes of the segment contradict each other: some program has written into it
    /// that has no business there.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let list = manager.list::<i64>()?;
    /// assert!(!list.get(7).unwrap_err().is_corrupted());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn is_corrupted(&self) -> bool {
        match self {
            Self::Shm(error) => matches!(error, coheld_shm::Error::Corrupted { .. }),
            Self::Store(error) => error.is_corrupted(),
            _ => false,
        }
    }
}
