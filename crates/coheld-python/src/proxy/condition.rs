//! `ConditionProxy`.

use coheld_store::{Condition, StoreError, Wait};
use pyo3::{
    exceptions::PyRuntimeError,
    prelude::*,
    types::{PyFloat, PyInt, PyTuple},
};

use super::{
    AcquirerProxy, BaseProxy, Kind, ProxyState,
    acquirer::warn,
    argument::{Keywords, Rest},
    route::{IntoAnswer, native_state, route},
    timeout::{self, First},
};
use crate::{codec, errors, interpreter};

/// A proxy of a shared condition: wait for what others notify of.
///
/// Its lock is acquired and released by it as by a proxy of the lock itself.
#[pyclass(extends = AcquirerProxy, frozen, subclass)]
pub(crate) struct ConditionProxy;

fn base_of<'a, 'py>(proxy: &'a Bound<'py, ConditionProxy>) -> &'a Bound<'py, BaseProxy> {
    proxy.as_super().as_super()
}

/// The exception for an error of an operation that needs the lock.
#[cold]
fn raise(py: Python<'_>, operation: &str, error: StoreError) -> PyErr {
    match error {
        StoreError::NotOwner | StoreError::NotLocked => {
            PyRuntimeError::new_err(format!("cannot {operation} on un-acquired lock"))
        }
        error => errors::from_store(py, error),
    }
}

fn wait(py: Python<'_>, state: &ProxyState, wait: Wait) -> PyResult<bool> {
    let referent = state.referent(py)?;
    let (notified, acquired) = Condition::new(&referent)
        .wait(wait)
        .map_err(|error| raise(py, "wait", error))?;
    if let Some(process) = acquired.owner_died {
        // The caller has the lock now as before, also if the warning is an exception.
        warn(py, state, process)?;
    }
    Ok(notified)
}

/// Makes sure that the lock is held, before anything is said of the arguments.
fn check_held(py: Python<'_>, state: &ProxyState, operation: &str) -> PyResult<()> {
    let referent = state.referent(py)?;
    Condition::new(&referent)
        .notify(0)
        .map_err(|error| raise(py, operation, error))
}

fn notify(py: Python<'_>, state: &ProxyState, count: u64) -> PyResult<()> {
    let referent = state.referent(py)?;
    Condition::new(&referent)
        .notify(count)
        .map_err(|error| raise(py, "notify", error))
}

/// How many are meant by a number of waiters.
fn count(py: Python<'_>, number: &Bound<'_, PyAny>) -> PyResult<u64> {
    if number.is_exact_instance_of::<PyInt>()
        && let Some(number) = codec::small_int(number)
    {
        return Ok(u64::try_from(number).unwrap_or(0));
    }
    let operator = py.import("operator")?;
    let compare = interpreter::attribute(&operator, pyo3::intern!(py, "gt"))?;
    if !interpreter::is_true(&interpreter::call(&compare, (number, 0))?)? {
        return Ok(0);
    }
    let ceiling = interpreter::method(
        py.import("math")?.as_any(),
        pyo3::intern!(py, "ceil"),
        (number,),
    )?;
    Ok(ceiling.extract().unwrap_or(u64::MAX))
}

#[pymethods]
impl ConditionProxy {
    #[classattr]
    fn _exposed_(py: Python<'_>) -> PyResult<Py<PyTuple>> {
        Kind::Condition.exposed_tuple(py)
    }

    #[new]
    #[pyo3(signature = (*_args, **_kwds))]
    fn new(_args: Rest<'_, '_>, _kwds: Option<Keywords<'_, '_>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(BaseProxy::default())
            .add_subclass(AcquirerProxy)
            .add_subclass(Self)
    }

    /// Let go of the lock, wait for a notification and take the lock again; return whether a
    /// notification came within the time.
    #[pyo3(signature = (timeout=None))]
    fn wait<'py>(
        slf: &Bound<'py, Self>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "wait");
        let arguments = || (timeout,).into_pyobject(py);
        route(base_of(slf), name, arguments, None, |state| {
            let time = match timeout {
                None => Wait::Forever,
                Some(timeout) => match timeout::wait(timeout, First::Compare) {
                    Ok(time) => time,
                    Err(error) => {
                        check_held(py, state, "wait")?;
                        return Err(error);
                    }
                },
            };
            wait(py, state, time).answer(py)
        })
    }

    /// Wait until a function returns something true, and return that; or what it returned last when
    /// the time is over.
    #[pyo3(signature = (predicate, timeout=None))]
    fn wait_for<'py>(
        slf: &Bound<'py, Self>,
        predicate: &Bound<'py, PyAny>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, native) = (slf.py(), native_state(base_of(slf))?);
        let mut result = interpreter::call(predicate, ())?;
        let mut end = None;
        while !interpreter::is_true(&result)? {
            let end = match end {
                Some(end) => end,
                None => *end.insert(match timeout {
                    None => Wait::Forever,
                    Some(timeout) => timeout::wait(timeout, First::Add)?,
                }),
            };
            let over = match end {
                Wait::No => true,
                Wait::Until(moment) => std::time::Instant::now() >= moment,
                Wait::Forever => false,
            };
            if over {
                break;
            }
            if let (Some(state), true) = (native, slf.is_exact_instance_of::<Self>()) {
                wait(py, state, end)?;
            } else {
                // A subclass may have a way of its own to wait.
                let left = match end {
                    Wait::Until(moment) => {
                        let left = moment.saturating_duration_since(std::time::Instant::now());
                        PyFloat::new(py, left.as_secs_f64()).into_any()
                    }
                    _ => py.None().into_bound(py),
                };
                interpreter::method(slf, pyo3::intern!(py, "wait"), (left,))?;
            }
            result = interpreter::call(predicate, ())?;
        }
        Ok(result)
    }

    /// Wake up to so many of those that wait.
    #[pyo3(signature = (n=None), text_signature = "($self, n=1)")]
    fn notify<'py>(
        slf: &Bound<'py, Self>,
        n: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "notify");
        let arguments = || match n {
            None => (1,).into_pyobject(py),
            Some(number) => (number,).into_pyobject(py),
        };
        route(base_of(slf), name, arguments, None, |state| {
            let number = match n {
                None => 1,
                Some(number) => {
                    check_held(py, state, "notify")?;
                    count(py, number)?
                }
            };
            notify(py, state, number).answer(py)
        })
    }

    /// Wake all that wait.
    fn notify_all<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "notify_all");
        let none = || Ok(PyTuple::empty(py));
        route(base_of(slf), name, none, None, |state| {
            notify(py, state, u64::MAX).answer(py)
        })
    }
}
