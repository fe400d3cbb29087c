//! `AcquirerProxy`: locks and semaphores.

use coheld_store::{Acquired, Condition, Lock, Semaphore, StoreError, Wait};
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyBool, PyFloat, PyInt, PyTuple},
};

use super::{
    BaseProxy, Kind, ProxyState,
    argument::{Argument, Keywords, Rest, positional},
    route::{IntoAnswer, route},
    sequence::tuple,
    timeout::{self, First},
};
use crate::{
    codec,
    errors::{self, OrRaise},
    interpreter,
};

/// A proxy of a shared lock or semaphore.
///
/// It works across processes and threads. What a process held when it died is free again: the next
/// `acquire()` succeeds with an `OwnerDiedWarning`.
#[pyclass(extends = BaseProxy, frozen, subclass)]
pub(crate) struct AcquirerProxy;

/// The longest time-out, in seconds, that needs no look at what the running Python allows.
const PLAIN_SECONDS: f64 = 1e6;

/// The kind of what is acquired: for a condition, that of its lock.
pub(super) fn kind_of_lock(py: Python<'_>, state: &ProxyState) -> PyResult<Kind> {
    if state.kind() != Kind::Condition {
        return Ok(state.kind());
    }
    let referent = state.referent(py)?;
    let number = Condition::new(&referent).lock().or_raise(py)?.kind();
    Kind::from_number(number)
        .ok_or_else(|| errors::from_store(py, StoreError::Corrupted("a condition without a lock")))
}

/// Acquires; false if not within the time. Warns of an owner that died.
#[inline]
pub(super) fn acquire(py: Python<'_>, state: &ProxyState, wait: Wait) -> PyResult<bool> {
    let referent = state.referent(py)?;
    let acquired = match state.kind() {
        Kind::Lock | Kind::RLock => Lock::new(&referent).acquire(wait),
        Kind::Semaphore | Kind::BoundedSemaphore => Semaphore::new(&referent).acquire(wait),
        _ => Condition::new(&referent).acquire(wait),
    };
    match acquired.or_raise(py)? {
        None => Ok(false),
        Some(Acquired { owner_died: None }) => Ok(true),
        Some(Acquired {
            owner_died: Some(process),
        }) => {
            let warned = warn(py, state, process);
            if warned.is_err() {
                // Whoever gets an exception does not expect to have the lock.
                release(py, state, 1)?;
            }
            warned.map(|()| true)
        }
    }
}

/// Warns that a process died with what this thread has acquired.
#[cold]
pub(crate) fn warn(py: Python<'_>, state: &ProxyState, process: u32) -> PyResult<()> {
    let what = match kind_of_lock(py, state)? {
        Kind::Semaphore | Kind::BoundedSemaphore => "semaphore",
        _ => "lock",
    };
    errors::warn_of_owner(py, what, process)
}

/// Gives back; `permits` is 1 for all but semaphores.
#[inline]
fn release(py: Python<'_>, state: &ProxyState, permits: u64) -> PyResult<()> {
    let referent = state.referent(py)?;
    match state.kind() {
        Kind::Lock | Kind::RLock => Lock::new(&referent).release(),
        Kind::Semaphore | Kind::BoundedSemaphore => Semaphore::new(&referent).release(permits),
        _ => Condition::new(&referent).release(),
    }
    .or_raise(py)
}

/// Whether nobody can acquire it without waiting.
fn is_locked(py: Python<'_>, state: &ProxyState) -> PyResult<bool> {
    let referent = state.referent(py)?;
    match state.kind() {
        Kind::Lock | Kind::RLock => Lock::new(&referent).is_locked(),
        Kind::Semaphore | Kind::BoundedSemaphore => {
            Semaphore::new(&referent).value().map(|free| free == 0)
        }
        _ => Condition::new(&referent).is_locked(),
    }
    .or_raise(py)
}

/// What `acquire` was asked for, beyond nothing.
#[cold]
fn wait_for_arguments(
    py: Python<'_>,
    state: &ProxyState,
    blocking: &Argument<'_>,
    timeout: &Argument<'_>,
) -> PyResult<Wait> {
    let blocking = match blocking {
        Argument::Given(blocking) => Some(blocking),
        Argument::Missing => None,
    };
    let timeout = match timeout {
        Argument::Given(timeout) if !timeout.is_none() => Some(timeout),
        _ => None,
    };
    match kind_of_lock(py, state)? {
        Kind::Semaphore | Kind::BoundedSemaphore => match (timeout::is_true(blocking)?, timeout) {
            (true, None) => Ok(Wait::Forever),
            (true, Some(timeout)) => timeout::wait(timeout, First::Add),
            (false, None) => Ok(Wait::No),
            (false, Some(_)) => Err(PyValueError::new_err(
                "can't specify timeout for non-blocking acquire",
            )),
        },
        _ => wait_for_lock(py, blocking, timeout),
    }
}

/// The same for a lock. Whatever is not plain is shown to a lock of the running Python first, which
/// raises what it has to say.
fn wait_for_lock(
    py: Python<'_>,
    blocking: Option<&Bound<'_, PyAny>>,
    timeout: Option<&Bound<'_, PyAny>>,
) -> PyResult<Wait> {
    let plain = match blocking {
        None => Some(true),
        Some(blocking) => blocking
            .cast_exact::<PyBool>()
            .ok()
            .map(PyBoolMethods::is_true),
    };
    match (plain, timeout) {
        (Some(true), None) => return Ok(Wait::Forever),
        (Some(false), None) => return Ok(Wait::No),
        (Some(true), Some(timeout)) => {
            if let Some(seconds) = plain_seconds(timeout) {
                return timeout::for_seconds(seconds);
            }
        }
        _ => {}
    }
    let lock = py.import("_thread")?.getattr("allocate_lock")?.call0()?;
    let acquire = lock.getattr("acquire")?;
    let truth = match blocking {
        None => PyBool::new(py, true).to_owned().into_any(),
        Some(blocking) => blocking.clone(),
    };
    match timeout {
        None => interpreter::call(&acquire, (&truth,))?,
        Some(timeout) => interpreter::call(&acquire, (&truth, timeout))?,
    };
    if !interpreter::is_true(&truth)? {
        return Ok(Wait::No);
    }
    match timeout {
        // Minus one is what locks call no time-out.
        Some(timeout) if !interpreter::equal(timeout, PyInt::new(py, -1).as_any())? => {
            timeout::wait(timeout, First::Add)
        }
        _ => Ok(Wait::Forever),
    }
}

/// A time-out that every version of Python understands alike.
fn plain_seconds(timeout: &Bound<'_, PyAny>) -> Option<f64> {
    let seconds = if let Ok(seconds) = timeout.cast_exact::<PyFloat>() {
        seconds.value()
    } else if timeout.is_exact_instance_of::<PyInt>() {
        f64::from(i32::try_from(codec::small_int(timeout)?).ok()?)
    } else {
        return None;
    };
    (0.0..=PLAIN_SECONDS).contains(&seconds).then_some(seconds)
}

/// How many permits `release` was told to give back.
#[cold]
fn permits(py: Python<'_>, state: &ProxyState, number: &Bound<'_, PyAny>) -> PyResult<u64> {
    match state.kind() {
        Kind::Semaphore | Kind::BoundedSemaphore => {}
        kind => {
            let class = if kind == Kind::RLock { "RLock" } else { "lock" };
            return Err(PyTypeError::new_err(format!(
                "{class}.release() takes no arguments (1 given)"
            )));
        }
    }
    let operator = py.import("operator")?;
    let compare = interpreter::attribute(&operator, pyo3::intern!(py, "lt"))?;
    if interpreter::is_true(&interpreter::call(&compare, (number, 1))?)? {
        return Err(PyValueError::new_err("n must be one or more"));
    }
    let number = interpreter::method(&operator, pyo3::intern!(py, "index"), (number,))?;
    number.extract()
}

/// The arguments of `acquire` as stock's proxy hands them on: no time-out unless there is one.
#[cold]
fn as_stock_passes<'py>(
    py: Python<'py>,
    blocking: &Argument<'py>,
    timeout: &Argument<'py>,
) -> PyResult<Bound<'py, PyTuple>> {
    let blocking = match blocking {
        Argument::Given(blocking) => blocking.clone(),
        Argument::Missing => PyBool::new(py, true).to_owned().into_any(),
    };
    match timeout {
        Argument::Given(timeout) if !timeout.is_none() => tuple(py, [&blocking, timeout]),
        _ => tuple(py, [&blocking]),
    }
}

#[pymethods]
impl AcquirerProxy {
    #[classattr]
    fn _exposed_(py: Python<'_>) -> PyResult<Py<PyTuple>> {
        Kind::Lock.exposed_tuple(py)
    }

    #[new]
    #[pyo3(signature = (*_args, **_kwds))]
    fn new(_args: Rest<'_, '_>, _kwds: Option<Keywords<'_, '_>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(BaseProxy::default()).add_subclass(Self)
    }

    /// Acquire the lock or a permit; return whether that was possible within the time.
    ///
    /// If the process that held it died, that is said by an `OwnerDiedWarning`; or else, when the
    /// manager was made with `owner_died="error"`, by an `OwnerDiedError` and without acquiring.
    #[pyo3(signature = (blocking=Argument::Missing, timeout=Argument::Missing),
           text_signature = "($self, blocking=True, timeout=None)")]
    fn acquire<'py>(
        slf: &Bound<'py, Self>,
        blocking: Argument<'py>,
        timeout: Argument<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "acquire");
        let arguments = || as_stock_passes(py, &blocking, &timeout);
        route(slf.as_super(), name, arguments, None, |state| {
            let wait = match (&blocking, &timeout) {
                (Argument::Missing, Argument::Missing) => Wait::Forever,
                _ => wait_for_arguments(py, state, &blocking, &timeout)?,
            };
            acquire(py, state, wait).answer(py)
        })
    }

    /// Release the lock, or so many permits of a semaphore.
    #[pyo3(signature = (n=Argument::Missing), text_signature = "($self, n=1)")]
    fn release<'py>(slf: &Bound<'py, Self>, n: Argument<'py>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "release");
        let arguments = || positional(&[&n], &PyTuple::empty(py));
        route(slf.as_super(), name, arguments, None, |state| {
            let number = match &n {
                Argument::Missing => 1,
                Argument::Given(number) => permits(py, state, number)?,
            };
            release(py, state, number).answer(py)
        })
    }

    /// Return whether nobody can acquire it without waiting.
    fn locked<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "locked");
        let none = || Ok(PyTuple::empty(py));
        route(slf.as_super(), name, none, None, |state| {
            is_locked(py, state).answer(py)
        })
    }

    fn __enter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "acquire");
        let none = || Ok(PyTuple::empty(py));
        route(slf.as_super(), name, none, None, |state| {
            acquire(py, state, Wait::Forever).answer(py)
        })
    }

    #[pyo3(signature = (exc_type, exc_val, exc_tb))]
    fn __exit__<'py>(
        slf: &Bound<'py, Self>,
        exc_type: &Bound<'py, PyAny>,
        exc_val: &Bound<'py, PyAny>,
        exc_tb: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = (exc_type, exc_val, exc_tb);
        let py = slf.py();
        let name = pyo3::intern!(py, "release");
        let none = || Ok(PyTuple::empty(py));
        route(slf.as_super(), name, none, None, |state| {
            release(py, state, 1).answer(py)
        })
    }
}
