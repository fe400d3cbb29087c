//! The one place where errors of the layers below become Python exceptions.

use coheld_store::{IndexProblem, StoreError};
use pyo3::{
    create_exception,
    exceptions::{
        PyIndexError, PyKeyboardInterrupt, PyMemoryError, PyOSError, PyOverflowError,
        PyRuntimeError, PyTypeError, PyValueError,
    },
    prelude::*,
    sync::PyOnceLock,
    types::PyType,
};

use crate::{host, interpreter};

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

/// One class of `coheld.errors`, looked up once.
fn class<'py>(
    py: Python<'py>,
    cell: &'static PyOnceLock<Py<PyType>>,
    name: &str,
) -> PyResult<Bound<'py, PyType>> {
    cell.import(py, "coheld.errors", name).cloned()
}

/// An exception of one of the classes in `coheld.errors`.
fn raise(py: Python<'_>, cell: &'static PyOnceLock<Py<PyType>>, name: &str, text: String) -> PyErr {
    match class(py, cell, name) {
        Ok(class) => PyErr::from_type(class, (text,)),
        Err(error) => error,
    }
}

static OUT_OF_MEMORY: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static CORRUPTED: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static REFERENT_GONE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static COHELD: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static MANAGER_GONE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static CALL_TIMEOUT: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static REMOTE_ERROR: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static FULL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static EMPTY: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static SHUT_DOWN: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static BROKEN_BARRIER: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static OWNER_DIED: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static OWNER_DIED_WARNING: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static AUTHENTICATION: PyOnceLock<Py<PyType>> = PyOnceLock::new();

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

/// Whether an error is that of [`odd_key`].
pub(crate) fn is_odd_key(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<OddKey>(py)
}

/// Whether an error says that the referent has moved to another process; whoever gets it calls that
/// process.
pub(crate) fn is_moved(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<Moved>(py)
}

/// `coheld.CoheldError`, for what has no more fitting class.
pub(crate) fn coheld_error(py: Python<'_>, text: String) -> PyErr {
    raise(py, &COHELD, "CoheldError", text)
}

/// `coheld.ReferentGone`, a `RemoteError`.
pub(crate) fn referent_gone(py: Python<'_>, text: String) -> PyErr {
    match REFERENT_GONE.import(py, "coheld.managers", "ReferentGone") {
        Ok(class) => PyErr::from_type(class.clone(), (text,)),
        Err(error) => error,
    }
}

/// `coheld.ManagerGone`, a `ConnectionError`.
pub(crate) fn manager_gone(py: Python<'_>, text: String) -> PyErr {
    raise(py, &MANAGER_GONE, "ManagerGone", text)
}

/// `multiprocessing.managers.RemoteError`, the class that programs already catch.
pub(crate) fn remote_error(py: Python<'_>, text: String) -> PyErr {
    match REMOTE_ERROR.import(py, "multiprocessing.managers", "RemoteError") {
        Ok(class) => PyErr::from_type(class.clone(), (text,)),
        Err(error) => error,
    }
}

/// Whether an error is a [`remote_error`].
pub(crate) fn is_remote(py: Python<'_>, error: &PyErr) -> bool {
    REMOTE_ERROR
        .import(py, "multiprocessing.managers", "RemoteError")
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
    raise_empty(py, &EMPTY, "queue", "Empty")
}

/// An exception without arguments.
fn raise_empty(
    py: Python<'_>,
    cell: &'static PyOnceLock<Py<PyType>>,
    module: &str,
    name: &str,
) -> PyErr {
    match cell.import(py, module, name) {
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
    let category = class(py, &OWNER_DIED_WARNING, "OwnerDiedWarning")?;
    interpreter::warn(category.as_any(), &text)
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
        StoreError::Full => raise_empty(py, &FULL, "queue", "Full"),
        StoreError::ShutDown => raise_empty(py, &SHUT_DOWN, "coheld.errors", "ShutDown"),
        StoreError::TaskDoneTooOften | StoreError::ReleasedTooOften => {
            PyValueError::new_err(error.to_string())
        }
        StoreError::BrokenBarrier => {
            raise_empty(py, &BROKEN_BARRIER, "threading", "BrokenBarrierError")
        }
        StoreError::OwnerDied { .. } => raise(py, &OWNER_DIED, "OwnerDiedError", error.to_string()),
        StoreError::Limit { .. } => PyOverflowError::new_err(error.to_string()),
        StoreError::PrivateMemory { .. } => PyMemoryError::new_err(error.to_string()),
        StoreError::WrongKind { .. } | StoreError::NotHashable | StoreError::WrongType => {
            PyTypeError::new_err(error.to_string())
        }
        StoreError::Corrupted(_) => raise(py, &CORRUPTED, "CorruptedError", error.to_string()),
        _ => PyRuntimeError::new_err(error.to_string()),
    }
}

/// The exception for an error of the memory below.
#[cold]
pub(crate) fn from_shm(py: Python<'_>, error: &coheld_shm::Error) -> PyErr {
    use coheld_shm::Error;
    let text = error.to_string();
    match error {
        Error::OutOfMemory { .. } => raise(py, &OUT_OF_MEMORY, "OutOfMemory", text),
        Error::Corrupted { .. } => raise(py, &CORRUPTED, "CorruptedError", text),
        Error::ReferentGone { .. } => referent_gone(py, text),
        Error::Interrupted => {
            host::take_raised().unwrap_or_else(|| PyKeyboardInterrupt::new_err(()))
        }
        Error::TooLarge { .. } => PyOverflowError::new_err(text),
        Error::TooSmall { .. } => PyValueError::new_err(text),
        Error::Os { errno, .. } => PyOSError::new_err((*errno, text)),
        _ => coheld_error(py, text),
    }
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
        Error::NotFound { .. } => os(errno::ENOENT, text),
        Error::AddressInUse { .. } => os(errno::EADDRINUSE, text),
        Error::TimedOut { .. } => os(errno::ETIMEDOUT, text),
        Error::BadAddress { .. } => os(errno::EINVAL, text),
        Error::Io { source, .. } => match source.raw_os_error() {
            Some(number) => os(number, text),
            None => PyOSError::new_err(text),
        },
        Error::AuthenticationRejected | Error::AuthenticationFailed(_) => {
            match AUTHENTICATION.import(py, "multiprocessing.context", "AuthenticationError") {
                Ok(class) => PyErr::from_type(class.clone(), (text,)),
                Err(error) => error,
            }
        }
        Error::Stopped { .. } | Error::HostGone { .. } => manager_gone(py, text),
        Error::CallTimedOut { .. } => raise(py, &CALL_TIMEOUT, "CallTimeout", text),
        Error::BadToken { .. } => PyValueError::new_err(text),
        _ => coheld_error(py, text),
    }
}
