//! `EventProxy`.

use coheld_store::{Event, Wait};
use pyo3::{prelude::*, types::PyTuple};

use super::{
    BaseProxy, Kind,
    argument::{Keywords, Rest},
    route::{IntoAnswer, plain, route},
    timeout::{self, First},
};
use crate::errors::OrRaise;

/// A proxy of a shared event: a flag that can be waited for.
#[pyclass(extends = BaseProxy, frozen, subclass)]
pub(crate) struct EventProxy;

#[pymethods]
impl EventProxy {
    #[classattr]
    fn _exposed_(py: Python<'_>) -> PyResult<Py<PyTuple>> {
        Kind::Event.exposed_tuple(py)
    }

    #[new]
    #[pyo3(signature = (*_args, **_kwds))]
    fn new(_args: Rest<'_, '_>, _kwds: Option<Keywords<'_, '_>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(BaseProxy::default()).add_subclass(Self)
    }

    /// Return whether the flag is set.
    fn is_set<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        plain(slf.as_super(), pyo3::intern!(py, "is_set"), |referent| {
            Event::new(referent).is_set().or_raise(py).answer(py)
        })
    }

    /// Set the flag and wake all that wait for it.
    fn set<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        plain(slf.as_super(), pyo3::intern!(py, "set"), |referent| {
            Event::new(referent).set().or_raise(py).answer(py)
        })
    }

    /// Take the flag back.
    fn clear<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        plain(slf.as_super(), pyo3::intern!(py, "clear"), |referent| {
            Event::new(referent).clear().or_raise(py).answer(py)
        })
    }

    /// Wait until the flag is set; return whether it was within the time.
    #[pyo3(signature = (timeout=None))]
    fn wait<'py>(
        slf: &Bound<'py, Self>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "wait");
        let arguments = || (timeout,).into_pyobject(py);
        route(slf.as_super(), name, arguments, None, |state| {
            let referent = state.referent(py)?;
            let event = Event::new(&referent);
            if event.is_set().or_raise(py)? {
                return Ok(true).answer(py);
            }
            let wait = match timeout {
                None => Wait::Forever,
                Some(timeout) => timeout::wait(timeout, First::Compare)?,
            };
            event.wait(wait).or_raise(py).answer(py)
        })
    }
}
