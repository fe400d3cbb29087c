//! The one place where errors of the layers below become Python exceptions.

use coheld_store::{IndexProblem, StoreError};
use pyo3::{
    create_exception,
    exceptions::{
        PyBufferError, PyIndexError, PyKeyboardInterrupt, PyMemoryError, PyOSError,
        PyOverflowError, PyRuntimeError, PyTypeError, PyValueError,
    },
    prelude::*,
};

use crate::{
    host,
    imported::{self, Imported},
    interpreter,
};

/// Error numbers of Linux, by which `OSError` chooses its subclass.
mod errno {
    pub(super) const ENOENT: i32 = 2;
    pub(super) const EINVAL: i32 = 22;
    pub(super) const EADDRINUSE: i32 = 98;
    pub(super) const ETIMEDOUT: i32 = 110;
    pub(super) const ECONNREFUSED: i32 = 111;
}

/// A result of the layers below, about to be handed to Python.
pub(crate) trait OrRaise<T> {
    /// The value, or the Python exception for the error.
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for Result<T, StoreError> {
    #[inline]
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| from_store(py, error))
    }
}

impl<T> OrRaise<T> for Result<T, coheld_shm::Error> {
    #[inline]
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| from_shm(py, &error))
    }
}

impl<T> OrRaise<T> for Result<T, coheld::Error> {
    #[inline]
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| from_coheld(py, error))
    }
}

/// An exception of one of the classes that are looked up by name.
fn raise(py: Python<'_>, class: &Imported, text: String) -> PyErr {
    match class.class(py) {
        Ok(class) => PyErr::from_type(class.clone(), (text,)),
        Err(error) => error,
    }
}

create_exception!(
    coheld._coheld,
    OddKey,
    PyTypeError,
    "The key has no form in shared memory."
);
create_exception!(
    coheld._coheld,
    Moved,
    PyRuntimeError,
    "The shared object has moved to the manager process meanwhile."
);

/// The error for a key that has no form in the segment; whoever gets it moves the referent.
#[cold]
pub(crate) fn odd_key(text: String) -> PyErr {
    OddKey::new_err(text)
}

/// A failure that can be looked at: what class it is of, and what it says.
pub(crate) trait Made {
    /// The same, with the exception made if there is one.
    ///
    /// `PyO3` makes exceptions late, and whoever looks at one has it made. It lets go of the
    /// interpreter for that, and panics if it does not get it back, which is when the interpreter
    /// is about to end and runs the destructors of a program. So whatever looks at an error that
    /// may be one of ours has it made by this first.
    fn made(self, py: Python<'_>) -> Self;
}

impl Made for PyErr {
    fn made(self, py: Python<'_>) -> Self {
        self.restore(py);
        Self::fetch(py)
    }
}

impl<T> Made for PyResult<T> {
    #[inline]
    fn made(self, py: Python<'_>) -> Self {
        self.map_err(|error| error.made(py))
    }
}

/// Whether an error, which is made, is that of [`odd_key`].
pub(crate) fn is_odd_key(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<OddKey>(py)
}

/// Whether an error, which is made, says that the referent has moved to another process; whoever
/// gets it calls that process.
pub(crate) fn is_moved(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<Moved>(py)
}

/// `coheld.CoheldError`, for what has no more fitting class.
pub(crate) fn coheld_error(py: Python<'_>, text: String) -> PyErr {
    raise(py, &imported::COHELD_ERROR, text)
}

/// `coheld.ReferentGone`, a `RemoteError`.
pub(crate) fn referent_gone(py: Python<'_>, text: String) -> PyErr {
    raise(py, &imported::REFERENT_GONE, text)
}

/// `coheld.ManagerGone`, a `ConnectionError`.
pub(crate) fn manager_gone(py: Python<'_>, text: String) -> PyErr {
    raise(py, &imported::MANAGER_GONE, text)
}

/// `multiprocessing.managers.RemoteError`, the class that programs already catch.
pub(crate) fn remote_error(py: Python<'_>, text: String) -> PyErr {
    raise(py, &imported::REMOTE_ERROR, text)
}

/// Whether an error, which is made, is a [`remote_error`].
pub(crate) fn is_remote(py: Python<'_>, error: &PyErr) -> bool {
    imported::REMOTE_ERROR
        .get(py)
        .is_ok_and(|class| error.is_instance(py, class))
}

/// The `IndexError` of a sequence type, in Python's words.
pub(crate) fn index_error(sequence: &str, problem: IndexProblem) -> PyErr {
    PyIndexError::new_err(match problem {
        IndexProblem::Get => format!("{sequence} index out of range"),
        IndexProblem::Assign => format!("{sequence} assignment index out of range"),
        IndexProblem::Pop => "pop index out of range".to_owned(),
    })
}

/// `queue.Empty`, for a queue that had no item in time.
#[cold]
pub(crate) fn queue_empty(py: Python<'_>) -> PyErr {
    raise_empty(py, &imported::EMPTY)
}

/// An exception without arguments.
fn raise_empty(py: Python<'_>, class: &Imported) -> PyErr {
    match class.class(py) {
        Ok(class) => PyErr::from_type(class.clone(), ()),
        Err(error) => error,
    }
}

/// Warns that a process died with what has just been acquired; the exception, if warnings are.
#[cold]
pub(crate) fn warn_of_owner(py: Python<'_>, what: &str, process: u32) -> PyResult<()> {
    let who = match process {
        0 => "a process".to_owned(),
        process => format!("process {process}"),
    };
    let text = format!(
        "{who} died while it held this {what}; what the {what} protects may be half changed"
    );
    interpreter::warn(imported::OWNER_DIED_WARNING.get(py)?, &text)
}

/// The exception for an error of a native referent. Index errors are those of list.
#[cold]
pub(crate) fn from_store(py: Python<'_>, error: StoreError) -> PyErr {
    match error {
        StoreError::Shm(error) => from_shm(py, &error),
        StoreError::Moved => Moved::new_err(error.to_string()),
        StoreError::Index(problem) => index_error("list", problem),
        StoreError::ZeroStep => PyValueError::new_err("slice step cannot be zero"),
        StoreError::SliceSize { given, wanted } => PyValueError::new_err(format!(
            "attempt to assign sequence of size {given} to extended slice of size {wanted}"
        )),
        StoreError::Viewed => PyBufferError::new_err(error.to_string()),
        StoreError::Full => raise_empty(py, &imported::FULL),
        StoreError::ShutDown => raise_empty(py, &imported::SHUT_DOWN),
        StoreError::TaskDoneTooOften | StoreError::ReleasedTooOften => {
            PyValueError::new_err(error.to_string())
        }
        StoreError::BrokenBarrier => raise_empty(py, &imported::BROKEN_BARRIER),
        StoreError::OwnerDied { .. } => raise(py, &imported::OWNER_DIED, error.to_string()),
        StoreError::Limit { .. } => PyOverflowError::new_err(error.to_string()),
        StoreError::PrivateMemory { .. } => PyMemoryError::new_err(error.to_string()),
        StoreError::WrongKind { .. } | StoreError::NotHashable | StoreError::WrongType => {
            PyTypeError::new_err(error.to_string())
        }
        StoreError::Corrupted(_) => raise(py, &imported::CORRUPTED, error.to_string()),
        _ => PyRuntimeError::new_err(error.to_string()),
    }
}

/// The exception for an error of the memory below.
#[cold]
pub(crate) fn from_shm(py: Python<'_>, error: &coheld_shm::Error) -> PyErr {
    use coheld_shm::Error;
    let text = error.to_string();
    match error {
        Error::OutOfMemory { .. } => raise(py, &imported::OUT_OF_MEMORY, text),
        Error::Corrupted { .. } => raise(py, &imported::CORRUPTED, text),
        Error::ReferentGone { .. } => referent_gone(py, text),
        Error::Interrupted => {
            host::take_raised().unwrap_or_else(|| PyKeyboardInterrupt::new_err(()))
        }
        Error::TooLarge { .. } => PyOverflowError::new_err(text),
        Error::TooSmall { .. } => PyValueError::new_err(text),
        Error::Os { errno, .. } | Error::CannotMap { errno, .. } => {
            PyOSError::new_err((*errno, text))
        }
        _ => coheld_error(py, text),
    }
}

/// The `AuthenticationError` for a manager that has another key. It begins as in the standard
/// library.
#[cold]
pub(crate) fn key_rejected(py: Python<'_>, address: &coheld::Address) -> PyErr {
    let text = format!(
        "digest sent was rejected: the manager at {address} has another key; give its key to a \
         manager object and connect() that, or set multiprocessing.current_process().authkey"
    );
    raise(py, &imported::AUTHENTICATION_ERROR, text)
}

/// The exception for a referent that no longer exists.
#[cold]
pub(crate) fn gone<T>(py: Python<'_>, offset: u64, generation: u32) -> PyResult<T> {
    Err(from_shm(
        py,
        &coheld_shm::Error::ReferentGone { offset, generation },
    ))
}

/// The exception for an error between processes: of the types that the standard library raises.
#[cold]
pub(crate) fn from_coheld(py: Python<'_>, error: coheld::Error) -> PyErr {
    use coheld::Error;
    let text = error.to_string();
    let os = |number: i32, text: String| PyOSError::new_err((number, text));
    match error {
        Error::Shm(error) => from_shm(py, &error),
        Error::Store(error) => from_store(py, error),
        Error::ConnectionRefused { .. } => os(errno::ECONNREFUSED, text),
        Error::NotFound { .. } | Error::NoFolder { .. } => os(errno::ENOENT, text),
        Error::AddressInUse { .. } => os(errno::EADDRINUSE, text),
        Error::TimedOut { .. } => os(errno::ETIMEDOUT, text),
        Error::BadAddress { .. } => os(errno::EINVAL, text),
        Error::Io { source, .. } => match source.raw_os_error() {
            Some(number) => os(number, text),
            None => PyOSError::new_err(text),
        },
        Error::AuthenticationRejected | Error::AuthenticationFailed(_) => {
            raise(py, &imported::AUTHENTICATION_ERROR, text)
        }
        Error::Stopped { .. } | Error::HostGone { .. } | Error::Lost { .. } => {
            manager_gone(py, text)
        }
        Error::CallTimedOut { .. } => raise(py, &imported::CALL_TIMEOUT, text),
        Error::BadToken { .. } => PyValueError::new_err(text),
        _ => coheld_error(py, text),
    }
}
