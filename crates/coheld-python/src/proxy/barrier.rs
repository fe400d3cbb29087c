//! `BarrierProxy`.

use coheld_store::{Barrier, Passage, Wait};
use pyo3::{
    exceptions::PyAttributeError,
    prelude::*,
    sync::PyOnceLock,
    types::{PyString, PyTuple},
};

use super::{
    BaseProxy, Kind, ProxyState,
    argument::{Keywords, Rest},
    describe::unserializable,
    route::{IntoAnswer, call, native_state, plain, route},
    sequence::tuple,
    timeout::{self, First},
};
use crate::{codec, errors::OrRaise, interpreter};

/// A proxy of a shared barrier: parties wait until all of them have come.
///
/// The action of the barrier, if it has one, is called by the party that comes last, in its
/// process.
#[pyclass(extends = BaseProxy, frozen, subclass)]
#[derive(Default)]
pub(crate) struct BarrierProxy {
    /// Action and default time-out, once they have been read; they never change.
    configuration: PyOnceLock<Option<(Py<PyAny>, Py<PyAny>)>>,
}

impl BarrierProxy {
    /// Action and default time-out, if there are any.
    pub(crate) fn configuration(
        &self,
        py: Python<'_>,
        state: &ProxyState,
    ) -> PyResult<Option<&(Py<PyAny>, Py<PyAny>)>> {
        let read = || {
            let output = Barrier::new(&state.referent(py)?)
                .configuration()
                .or_raise(py)?;
            let object = codec::output(py, state.attachment(), output)?;
            if object.is_none() {
                return Ok(None);
            }
            object.extract().map(Some)
        };
        self.configuration
            .get_or_try_init(py, read)
            .map(Option::as_ref)
    }
}

/// An attribute of the referent, by `_callmethod('__getattribute__', (name,))`.
pub(crate) fn attribute<'py>(
    py: Python<'py>,
    state: &ProxyState,
    arguments: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    let (name,) = arguments.extract::<(Bound<'py, PyString>,)>()?;
    let referent = state.referent(py)?;
    let barrier = Barrier::new(&referent);
    match name.to_str()? {
        "parties" => Ok(barrier
            .parties()
            .or_raise(py)?
            .into_pyobject(py)?
            .into_any()),
        "n_waiting" => Ok(barrier
            .waiting()
            .or_raise(py)?
            .into_pyobject(py)?
            .into_any()),
        "broken" => {
            let broken = barrier.is_broken().or_raise(py)?;
            Ok(broken.into_pyobject(py)?.to_owned().into_any())
        }
        "wait" | "abort" | "reset" => Err(unserializable(py, state)),
        name => Err(PyAttributeError::new_err(format!(
            "'Barrier' object has no attribute '{name}'"
        ))),
    }
}

/// The value of a property.
fn get<'py>(
    slf: &Bound<'py, BarrierProxy>,
    name: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = slf.py();
    let method = pyo3::intern!(py, "__getattribute__");
    let arguments = tuple(py, [name.as_any()])?;
    let given = || Ok(arguments.clone());
    route(slf.as_super(), method, given, None, |state| {
        attribute(py, state, &arguments)
    })
}

#[pymethods]
impl BarrierProxy {
    #[classattr]
    fn _exposed_(py: Python<'_>) -> PyResult<Py<PyTuple>> {
        Kind::Barrier.exposed_tuple(py)
    }

    #[new]
    #[pyo3(signature = (*_args, **_kwds))]
    fn new(_args: Rest<'_, '_>, _kwds: Option<Keywords<'_, '_>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(BaseProxy::default()).add_subclass(Self::default())
    }

    /// Wait until all parties have come; return a number from 0 on, another one for each of them.
    ///
    /// Without a time-out that of the barrier counts. When the time is over for one party, the
    /// barrier is broken for all.
    #[pyo3(signature = (timeout=None))]
    fn wait<'py>(
        slf: &Bound<'py, Self>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let Some(state) = native_state(slf.as_super())? else {
            let arguments = (timeout,).into_pyobject(py)?;
            return call(slf.as_super(), pyo3::intern!(py, "wait"), &arguments, None);
        };
        let referent = state.referent(py)?;
        let configuration = slf.get().configuration(py, state)?;
        let wait = match (timeout, configuration) {
            (Some(timeout), _) => timeout::wait(timeout, First::Add)?,
            (None, Some((_, timeout))) => timeout::wait(timeout.bind(py), First::Add)?,
            (None, None) => Wait::Forever,
        };
        let mut action = match configuration {
            Some((action, _)) if interpreter::is_true(action.bind(py))? => {
                let action = action.bind(py);
                Some(move || interpreter::call(action, ()).map(drop))
            }
            _ => None,
        };
        let action = action
            .as_mut()
            .map(|action| action as &mut dyn FnMut() -> PyResult<()>);
        match Barrier::new(&referent).wait(wait, action).or_raise(py)? {
            Passage::Passed(number) => Ok(number).answer(py),
            Passage::Failed(error) => Err(error),
        }
    }

    /// Break the barrier: whoever waits or comes gets a `BrokenBarrierError`.
    fn abort<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        plain(slf.as_super(), pyo3::intern!(py, "abort"), |referent| {
            Barrier::new(referent).abort().or_raise(py).answer(py)
        })
    }

    /// Make the barrier as new: whoever waits gets a `BrokenBarrierError`.
    fn reset<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        plain(slf.as_super(), pyo3::intern!(py, "reset"), |referent| {
            Barrier::new(referent).reset().or_raise(py).answer(py)
        })
    }

    /// How many parties have to come.
    #[getter]
    fn parties<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        get(slf, pyo3::intern!(slf.py(), "parties"))
    }

    /// How many parties wait.
    #[getter]
    fn n_waiting<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        get(slf, pyo3::intern!(slf.py(), "n_waiting"))
    }

    /// Whether the barrier is broken.
    #[getter]
    fn broken<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        get(slf, pyo3::intern!(slf.py(), "broken"))
    }
}
