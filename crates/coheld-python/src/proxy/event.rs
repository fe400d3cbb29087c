//! `EventProxy`.

use coheld_store::{Event, Wait};
use pyo3::{prelude::*, types::PyTuple};

use super::{
    BaseProxy, Kind,
    argument::{Keywords, Rest},
    state::state_of,
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
    fn is_set(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let py = slf.py();
        let referent = state_of(slf)?.referent(py)?;
        Event::new(&referent).is_set().or_raise(py)
    }

    /// Set the flag and wake all that wait for it.
    fn set(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let referent = state_of(slf)?.referent(py)?;
        Event::new(&referent).set().or_raise(py)
    }

    /// Take the flag back.
    fn clear(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let referent = state_of(slf)?.referent(py)?;
        Event::new(&referent).clear().or_raise(py)
    }

    /// Wait until the flag is set; return whether it was within the time.
    #[pyo3(signature = (timeout=None))]
    fn wait(slf: &Bound<'_, Self>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        let py = slf.py();
        let referent = state_of(slf)?.referent(py)?;
        let event = Event::new(&referent);
        if event.is_set().or_raise(py)? {
            return Ok(true);
        }
        let wait = match timeout {
            None => Wait::Forever,
            Some(timeout) => timeout::wait(timeout, First::Compare)?,
        };
        event.wait(wait).or_raise(py)
    }
}
