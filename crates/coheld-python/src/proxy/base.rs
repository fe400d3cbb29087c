//! `BaseProxy`: what all proxies have.

use std::sync::OnceLock;

use pyo3::{
    PyTraverseError, PyVisit,
    exceptions::PyException,
    prelude::*,
    types::{PyDict, PyTuple},
};

use super::{AnyState, Kind, ProxyState, QueueProxy, any_state_of, route::route};
use crate::{
    attachment::{self, Reached},
    callmethod,
    codec::Encoding,
    copy,
    errors::{Made, OrRaise},
    hosted, imported, interpreter, rebuild,
    token::Token,
    wire::{self, RemoteState},
};

/// Base of all proxies of shared objects.
///
/// A proxy names a referent that lives in shared memory and works on it directly. The results of
/// its methods are copies. Subclasses list the methods of the referent that they use in `_exposed_`
/// and reach them through `_callmethod`.
#[pyclass(frozen, subclass, weakref, dict)]
#[derive(Default)]
pub(crate) struct BaseProxy {
    state: OnceLock<AnyState>,
}

impl BaseProxy {
    /// A proxy that needs no `__init__`.
    pub(crate) fn initialised(state: AnyState) -> Self {
        Self {
            state: OnceLock::from(state),
        }
    }

    /// The state, if `__init__` has run.
    #[inline]
    pub(crate) fn state_opt(&self) -> Option<&AnyState> {
        self.state.get()
    }
}

#[pymethods]
impl BaseProxy {
    #[new]
    #[pyo3(signature = (*_args, **_kwds))]
    fn new(_args: &Bound<'_, PyTuple>, _kwds: Option<&Bound<'_, PyDict>>) -> Self {
        Self::default()
    }

    #[pyo3(signature = (token, serializer, manager=None, authkey=None, exposed=None, incref=true,
                        manager_owned=false))]
    #[expect(
        clippy::too_many_arguments,
        reason = "the signature is that of the standard library"
    )]
    fn __init__(
        slf: &Bound<'_, Self>,
        token: &Bound<'_, PyAny>,
        serializer: Bound<'_, PyAny>,
        manager: Option<Bound<'_, PyAny>>,
        authkey: Option<Bound<'_, PyAny>>,
        exposed: Option<Bound<'_, PyAny>>,
        incref: bool,
        manager_owned: bool,
    ) -> PyResult<()> {
        // References are held by process, not counted by proxy, so these say nothing here.
        let _ = (exposed, incref, manager_owned);
        let py = slf.py();
        let token = &Token::from_any(token)?;
        check_serializer(&serializer)?;
        let authkey = match (authkey, &manager) {
            (Some(key), _) => Some(key),
            (None, Some(manager)) => manager.getattr_opt("_authkey")?,
            (None, None) => None,
        };
        let state = match attachment::reach(py, token.get(), authkey.as_ref(), &serializer)? {
            Reached::Segment(handle) => {
                let state = ProxyState::new(py, handle)?;
                Kind::check_class(slf, Some(state.kind()))?;
                AnyState::Segment(state.with(py, token, Some(serializer), authkey, manager)?)
            }
            Reached::Remote(remote) => {
                if remote.link().segment().is_none() {
                    interpreter::call(imported::FOLLOW_FORKS.get(py)?, (slf,))?;
                }
                let state = RemoteState::new(py, remote, token, serializer, manager)?;
                AnyState::Remote(Box::new(state))
            }
        };
        // A second initialisation of the same proxy changes nothing.
        let _ = slf.get().state.set(state);
        Ok(())
    }

    /// The token of the referent.
    #[getter]
    fn _token<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Token>> {
        any_state_of(slf)?.token(slf.py())
    }

    /// The identity of the referent: unique among the living referents of the manager.
    #[getter]
    fn _id<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::_token(slf)?.getattr("id")
    }

    /// The manager object that this proxy keeps alive, or None.
    #[getter]
    fn _manager(slf: &Bound<'_, Self>) -> PyResult<Option<Py<PyAny>>> {
        Ok(any_state_of(slf)?.manager(slf.py()))
    }

    #[setter(_manager)]
    fn set_manager(slf: &Bound<'_, Self>, manager: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        any_state_of(slf)?.set_manager(manager.map(Bound::unbind));
        Ok(())
    }

    /// The name of the serializer.
    #[getter]
    fn _serializer<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Ok(any_state_of(slf)?.serializer(slf.py()))
    }

    /// The authentication key of the manager.
    #[getter]
    fn _authkey<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        any_state_of(slf)?.authkey(slf.py())
    }

    /// Whether the proxy lives in the manager process itself and holds no reference of its own.
    #[getter]
    fn _owned_by_manager(&self) -> bool {
        false
    }

    /// Call a method of the referent and return a copy of the result.
    ///
    /// If the referent is an object of another process, the call may take `timeout` seconds.
    #[pyo3(signature = (methodname, args=None, kwds=None, *, timeout=None))]
    fn _callmethod<'py>(
        slf: &Bound<'py, Self>,
        methodname: &Bound<'py, PyAny>,
        args: Option<&Bound<'py, PyAny>>,
        kwds: Option<&Bound<'py, PyAny>>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        callmethod::call(slf, methodname, args, kwds, timeout)
    }

    /// Return a copy of the referent.
    fn _getvalue<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        value(slf)
    }

    /// Make sure that this process can reach the object. It always can: by its memory, or by a
    /// connection that is made when it is needed, and never used again once anything went wrong.
    fn _connect(slf: &Bound<'_, Self>) -> PyResult<()> {
        any_state_of(slf).map(|_| ())
    }

    /// Nothing to do: a process holds a reference as long as one of its proxies lives.
    fn _incref(&self) {}

    /// Nothing to do: a process holds a reference as long as one of its proxies lives.
    #[staticmethod]
    #[pyo3(signature = (*_args))]
    fn _decref(_args: &Bound<'_, PyTuple>) {}

    /// In a child that was forked: have a manager of the standard library count this proxy, too.
    /// All other proxies follow every fork by themselves.
    fn _after_fork(slf: &Bound<'_, Self>) -> PyResult<()> {
        match any_state_of(slf)? {
            AnyState::Segment(_) => Ok(()),
            AnyState::Remote(state) => state.remote().inherit().or_raise(slf.py()),
        }
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        if let Some(departure) = Encoding::departure(py) {
            let reduce = imported::WIRE_REDUCE.get(py)?;
            return Ok(interpreter::call(reduce, (slf, departure))?.cast_into()?);
        }
        let state = match any_state_of(slf)? {
            AnyState::Segment(state) => state,
            AnyState::Remote(state) => return wire::reduce(slf, state),
        };
        let mut class = slf.get_type().into_any();
        // A class that was made for this proxy is made again where it arrives.
        let mut exposed = None;
        if is_auto(slf)? {
            class = hosted::auto_proxy(py)?;
            exposed = Some(interpreter::attribute(slf, pyo3::intern!(py, "_exposed_"))?);
        }
        let noted = Encoding::note(
            state.segment_id(),
            state.handle().edge_word(),
            slf.clone().into_any().unbind(),
        );
        if let Some(number) = noted {
            let (typeid, serializer) = (state.typeid(py), state.serializer(py));
            if exposed.is_some() {
                let arguments = (number, class, typeid, serializer, exposed);
                return (rebuild::edge_function(py)?, arguments).into_pyobject(py);
            }
            let arguments = (number, class, typeid, serializer);
            return (rebuild::edge_function(py)?, arguments).into_pyobject(py);
        }
        let keywords = PyDict::new(py);
        if attachment::is_spawning(py)? {
            keywords.set_item("authkey", state.authkey(py)?)?;
        }
        if let Some(exposed) = exposed {
            keywords.set_item("exposed", exposed)?;
        }
        // The referent stays alive on its way, even if this process lets go of it meanwhile.
        let lease = state.handle().lease().or_raise(py)?;
        Encoding::note_lease(state.attachment(), lease);
        keywords.set_item(rebuild::LEASE, true)?;
        let arguments = (class, state.token(py)?, state.serializer(py), keywords);
        (rebuild::function(py)?, arguments).into_pyobject(py)
    }

    #[pyo3(signature = (memo, /))]
    fn __deepcopy__<'py>(
        slf: &Bound<'py, Self>,
        memo: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = memo;
        interpreter::method(slf, pyo3::intern!(slf.py(), "_getvalue"), ())
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let py = slf.py();
        let name = slf.get_type().name()?;
        let typeid = any_state_of(slf)?.typeid(py);
        let typeid = interpreter::repr(&typeid)?;
        Ok(format!(
            "<{} object, typeid {} at {:#x}>",
            name.to_str()?,
            typeid.to_str()?,
            slf.as_ptr().addr()
        ))
    }

    fn __str__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let method = pyo3::intern!(py, "_callmethod");
        let answer = interpreter::method(slf, method, ("__repr__",));
        match answer.made(py) {
            Err(error) if error.is_instance_of::<PyException>(py) => {
                let text = interpreter::repr(slf)?.to_str()?.to_owned();
                let text = text.strip_suffix('>').unwrap_or(&text);
                let text = format!("{text}; '__str__()' failed>");
                Ok(text.into_pyobject(py)?.into_any())
            }
            answer => answer,
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.state.get() {
            Some(state) => state.visit(|object| visit.call(object)),
            None => Ok(()),
        }
    }

    fn __clear__(&self) {
        if let Some(state) = self.state.get() {
            state.set_manager(None);
        }
    }
}

/// A `KeyError` for a serializer that the standard library does not know.
fn check_serializer(serializer: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = serializer.py();
    if serializer.is(pyo3::intern!(py, "pickle")) {
        return Ok(());
    }
    imported::LISTENER_CLIENT.get(py)?.get_item(serializer)?;
    Ok(())
}

/// Whether the class of a proxy was made for the methods that its referent exposes.
pub(crate) fn is_auto(proxy: &Bound<'_, BaseProxy>) -> PyResult<bool> {
    match proxy.getattr_opt(pyo3::intern!(proxy.py(), "_isauto"))? {
        // These classes are there everywhere, whatever they are called.
        Some(_) if proxy.is_instance_of::<QueueProxy>() => Ok(false),
        Some(auto) => interpreter::is_true(&auto),
        None => Ok(false),
    }
}

/// A copy of the referent, wherever it is.
pub(crate) fn value<'py>(proxy: &Bound<'py, BaseProxy>) -> PyResult<Bound<'py, PyAny>> {
    let py = proxy.py();
    let name = pyo3::intern!(py, "#GETVALUE");
    let none = || Ok(PyTuple::empty(py));
    route(proxy, name, none, None, |state| Ok(copy::of(py, state)?.0))
}

/// An operand of an operator: a proxy stands for a copy of its referent.
pub(crate) fn operand<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    match object.cast::<BaseProxy>() {
        Ok(proxy) => value(proxy),
        Err(_) => Ok(object.clone()),
    }
}
