//! Errors as Python raises them.

use std::fmt;

use coheld_store::{IndexProblem, StoreError};

use crate::value::ValueError;
use crate::{Error, Kind};

/// The class of an exception of Python.
///
/// ```
/// use coheld::Exception;
///
/// let manager = coheld::Manager::start()?;
/// let error = manager.list::<i64>()?.get(0).unwrap_err();
/// assert_eq!(error.exception(), Exception::IndexError);
/// assert_eq!(Exception::IndexError.to_string(), "IndexError");
/// # Ok::<(), coheld::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Exception {
    /// `AttributeError`: no such method or name.
    AttributeError,
    /// `threading.BrokenBarrierError`: a barrier was broken.
    BrokenBarrierError,
    /// `ConnectionError`: the manager is not there.
    ConnectionError,
    /// `queue.Empty`: no item in time.
    Empty,
    /// `queue.Full`: no room in time.
    Full,
    /// `IndexError`: an index beyond the end.
    IndexError,
    /// `KeyError`: no such key.
    KeyError,
    /// `KeyboardInterrupt`: a wait was given up.
    KeyboardInterrupt,
    /// `MemoryError`: the segment or the process is full.
    MemoryError,
    /// `OverflowError`: a number is too large.
    OverflowError,
    /// Any other class, whose name the message begins with: of a hosted object only.
    Other,
    /// `coheld.OwnerDiedError`: a process died with the lock.
    OwnerDiedError,
    /// `multiprocessing.managers.RemoteError`: the host of an object could not do what it was told.
    RemoteError,
    /// `RuntimeError`: anything else.
    RuntimeError,
    /// `queue.ShutDown`: a queue was shut down.
    ShutDown,
    /// `StopIteration`: an iterator has no more items.
    StopIteration,
    /// `TimeoutError`: a call took longer than it may.
    TimeoutError,
    /// `TypeError`: an argument of a wrong type, or a wrong number of them.
    TypeError,
    /// `ValueError`: an argument of a wrong value.
    ValueError,
}

impl Exception {
    /// The class of this name in Python.
    pub(super) fn from_python(module: &str, class: &str) -> Self {
        match (module, class) {
            ("builtins", "AttributeError") => Self::AttributeError,
            ("threading", "BrokenBarrierError") => Self::BrokenBarrierError,
            ("builtins", "ConnectionError") => Self::ConnectionError,
            ("_queue" | "queue", "Empty") => Self::Empty,
            ("_queue" | "queue", "Full") => Self::Full,
            ("builtins", "IndexError") => Self::IndexError,
            ("builtins", "KeyError") => Self::KeyError,
            ("builtins", "KeyboardInterrupt") => Self::KeyboardInterrupt,
            ("builtins", "MemoryError") => Self::MemoryError,
            ("builtins", "OverflowError") => Self::OverflowError,
            ("coheld.errors", "OwnerDiedError") => Self::OwnerDiedError,
            ("multiprocessing.managers", "RemoteError") => Self::RemoteError,
            ("builtins", "RuntimeError") => Self::RuntimeError,
            ("coheld.errors" | "queue", "ShutDown") => Self::ShutDown,
            ("builtins", "StopIteration") => Self::StopIteration,
            ("builtins", "TimeoutError") => Self::TimeoutError,
            ("builtins", "TypeError") => Self::TypeError,
            ("builtins", "ValueError") => Self::ValueError,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

/// What a method raised.
///
/// ```
/// use coheld::{Error, Exception};
///
/// let manager = coheld::Manager::start()?;
/// let list = manager.list::<i64>()?;
/// let Err(Error::Raised(raised)) = list.call_method("pop", &[]) else {
///     panic!("it is empty");
/// };
/// assert_eq!(raised.exception, Exception::IndexError);
/// assert_eq!(raised.to_string(), "IndexError: pop from empty list");
/// # Ok::<(), coheld::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Raised {
    /// The class of the exception.
    pub exception: Exception,
    /// Its text.
    pub message: String,
}

impl Raised {
    pub(super) fn new(exception: Exception, message: impl Into<String>) -> Self {
        Self {
            exception,
            message: message.into(),
        }
    }
}

impl fmt::Display for Raised {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As Python ends a traceback.
        if self.exception == Exception::Other {
            return formatter.write_str(&self.message);
        }
        if self.message.is_empty() {
            return self.exception.fmt(formatter);
        }
        write!(formatter, "{}: {}", self.exception, self.message)
    }
}

impl Error {
    /// The exception that Python raises for this error.
    ///
    /// ```
    /// use coheld::Exception;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let error = manager.lock()?.release().unwrap_err();
    /// assert_eq!(error.exception(), Exception::RuntimeError);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn exception(&self) -> Exception {
        match self {
            Self::Raised(raised) => raised.exception,
            Self::Value(_) => Exception::TypeError,
            Self::Store(error) => of_store(error),
            Self::Shm(error) => of_shm(error),
            Self::ConnectionRefused { .. }
            | Self::NotFound { .. }
            | Self::NoFolder { .. }
            | Self::Stopped { .. }
            | Self::HostGone { .. }
            | Self::Lost { .. }
            | Self::TimedOut { .. } => Exception::ConnectionError,
            Self::CallTimedOut { .. } => Exception::TimeoutError,
            Self::BadToken { .. } | Self::BadAddress { .. } => Exception::ValueError,
            _ => Exception::RuntimeError,
        }
    }
}

fn of_store(error: &StoreError) -> Exception {
    match error {
        StoreError::Shm(error) => of_shm(error),
        StoreError::Index(_) => Exception::IndexError,
        StoreError::SliceSize { .. }
        | StoreError::ZeroStep
        | StoreError::ReleasedTooOften
        | StoreError::TaskDoneTooOften => Exception::ValueError,
        StoreError::KeyMissing | StoreError::Empty => Exception::KeyError,
        StoreError::Full => Exception::Full,
        StoreError::ShutDown => Exception::ShutDown,
        StoreError::BrokenBarrier => Exception::BrokenBarrierError,
        StoreError::OwnerDied { .. } => Exception::OwnerDiedError,
        StoreError::Limit { .. } => Exception::OverflowError,
        StoreError::PrivateMemory { .. } => Exception::MemoryError,
        StoreError::WrongKind { .. } | StoreError::NotHashable | StoreError::WrongType => {
            Exception::TypeError
        }
        _ => Exception::RuntimeError,
    }
}

fn of_shm(error: &coheld_shm::Error) -> Exception {
    match error {
        coheld_shm::Error::OutOfMemory { .. } => Exception::MemoryError,
        coheld_shm::Error::TooLarge { .. } => Exception::OverflowError,
        coheld_shm::Error::Interrupted => Exception::KeyboardInterrupt,
        _ => Exception::RuntimeError,
    }
}

/// The error of a method of an object, with the text that Python gives it.
#[cold]
pub(super) fn in_words(error: Error, kind: Kind) -> Error {
    let noun = match kind {
        Kind::Array => "array",
        _ => kind.typeid(),
    };
    let message = match &error {
        Error::Store(StoreError::Index(IndexProblem::Get)) => format!("{noun} index out of range"),
        Error::Store(StoreError::Index(IndexProblem::Assign)) => {
            format!("{noun} assignment index out of range")
        }
        Error::Store(StoreError::Index(IndexProblem::Pop)) => "pop index out of range".to_owned(),
        Error::Store(StoreError::Empty) if matches!(kind, Kind::Queue | Kind::JoinableQueue) => {
            return Raised::new(Exception::Empty, "").into();
        }
        Error::Store(StoreError::Empty) => {
            return Raised::new(Exception::IndexError, "pop from empty list").into();
        }
        Error::Value(ValueError::NotHashable { .. } | ValueError::OnlyPythonCanHash)
        | Error::Store(
            StoreError::SliceSize { .. }
            | StoreError::ZeroStep
            | StoreError::NotLocked
            | StoreError::NotOwner
            | StoreError::OwnerDied { .. }
            | StoreError::ReleasedTooOften
            | StoreError::TaskDoneTooOften,
        ) => error.to_string(),
        // Python raises the bare classes.
        Error::Store(StoreError::Full | StoreError::ShutDown | StoreError::BrokenBarrier) => {
            String::new()
        }
        // Not the method's doing.
        _ => return error,
    };
    Raised::new(error.exception(), message).into()
}
