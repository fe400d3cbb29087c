//! `Link`: the way to a manager that is out of reach of this process's memory.

use std::sync::Arc;

use coheld::wire;
use pyo3::{
    exceptions::PyException,
    prelude::*,
    types::{PyBytes, PyDict, PyString, PyTuple},
};

use super::{
    call::{Answer, Message, receive},
    departure::foreign_name,
};
use crate::{
    attachment::{address_to_python, authentication_string},
    errors::{Made, OrRaise},
    hosted::limit_of,
    imported, interpreter,
    proxy::{AnyState, BaseProxy, any_state_of},
    token::Token,
};

/// The way to a manager of another machine, user or container, or of the standard library.
#[pyclass(frozen, module = "coheld._coheld")]
pub(crate) struct Link {
    shared: Arc<wire::Link>,
    address: Py<PyAny>,
}

impl Link {
    pub(crate) fn of(py: Python<'_>, shared: Arc<wire::Link>) -> PyResult<Self> {
        let address = address_to_python(py, shared.address())?.unbind();
        Ok(Self { shared, address })
    }

    pub(super) fn shared(&self) -> &Arc<wire::Link> {
        &self.shared
    }
}

#[pymethods]
impl Link {
    /// The address of the manager.
    #[getter]
    fn get_address<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.address.bind(py).clone()
    }

    /// The key that the manager asks for.
    #[getter]
    fn get_authkey<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let key = PyBytes::new(py, self.shared.authkey()).into_any();
        authentication_string(&key)
    }

    /// Whether the manager is one of the standard library.
    #[getter]
    fn get_is_stock(&self) -> bool {
        self.shared.segment().is_none()
    }

    /// What the manager sends is unpickled, whatever it is: this process has chosen it.
    #[getter]
    fn get_allowed_types(&self) -> Option<()> {
        None
    }

    /// Whether the manager knows what the standard library of this Python does not.
    #[getter]
    fn get_is_coheld(&self) -> bool {
        self.shared.segment().is_some()
    }

    /// Set the seconds that calls may take which are given no limit of their own.
    fn limit_calls(&self, seconds: &Bound<'_, PyAny>) -> PyResult<()> {
        self.shared.set_call_limit(limit_of(seconds)?);
        Ok(())
    }

    /// Call a function of the manager's server; return the kind of its answer and the answer.
    #[pyo3(signature = (name, args, kwds=None, limit=None))]
    fn ask<'py>(
        slf: &Bound<'py, Self>,
        name: &Bound<'py, PyString>,
        args: &Bound<'py, PyTuple>,
        kwds: Option<Bound<'py, PyDict>>,
        limit: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let py = slf.py();
        let shared = slf.get().shared();
        let limit = limit.map(limit_of).transpose()?.flatten();
        let nobody = py.None().into_bound(py);
        let serializer = shared.own_serializer();
        let message = Message::new(slf, serializer, &nobody, name.as_any(), args, kwds.as_ref())?;
        let function = name.to_str()?;
        let reply = shared.ask(message.bytes(), function, limit);
        message.end();
        let Answer { kind, result } = receive(slf, reply.or_raise(py)?)?;
        Ok((kind.into_any(), result))
    }

    /// A token of the object with this name, holding it. Its reference has been counted by the
    /// manager, or is now.
    fn token<'py>(
        slf: &Bound<'py, Self>,
        typeid: Bound<'py, PyAny>,
        ident: String,
        counted: bool,
    ) -> PyResult<Token> {
        let py = slf.py();
        let shared = slf.get().shared();
        let remote = if counted {
            shared.adopt(ident)
        } else {
            shared.take(ident).or_raise(py)?
        };
        Token::of_remote(py, remote, typeid)
    }

    /// Whether a token of a message names an object of this manager.
    fn is_ours(&self, py: Python<'_>, token: &Bound<'_, PyAny>) -> PyResult<bool> {
        let address = token.getattr(pyo3::intern!(py, "address"))?;
        if interpreter::equal(&address, self.address.bind(py))? {
            return Ok(true);
        }
        let ident = token.getattr(pyo3::intern!(py, "id"))?;
        let ident = ident.cast::<PyString>()?.to_str()?;
        let segment = self.shared.segment();
        Ok(segment.is_some_and(|segment| wire::place_of(&segment, ident).is_some()))
    }

    /// The address and the name of a shared object, for a message to this manager.
    fn name<'py>(
        slf: &Bound<'py, Self>,
        proxy: &Bound<'py, BaseProxy>,
    ) -> PyResult<(Bound<'py, PyAny>, String)> {
        let py = slf.py();
        let this = slf.get();
        if let AnyState::Remote(state) = any_state_of(proxy)?
            && Arc::ptr_eq(state.remote().link(), &this.shared)
        {
            // This process keeps it until the answer has come.
            let ident = state.remote().ident().to_owned();
            return Ok((this.address.bind(py).clone(), ident));
        }
        foreign_name(proxy)
    }

    /// Make the proxy that a message of this manager names.
    fn rebuild<'py>(
        slf: &Bound<'py, Self>,
        func: Bound<'py, PyAny>,
        token: Bound<'py, PyAny>,
        serializer: Bound<'py, PyAny>,
        kwds: Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let rebuild = imported::WIRE_REBUILD.get(slf.py())?;
        interpreter::call(rebuild, (slf, func, token, serializer, kwds))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let address = interpreter::repr(self.address.bind(py))?;
        Ok(format!("<Link to the manager at {}>", address.to_str()?))
    }
}

/// In a child that was forked: tell all managers out of reach that this process holds what its
/// parent does.
#[pyfunction]
pub(crate) fn introduce_links(py: Python<'_>) -> PyResult<()> {
    for link in wire::Link::all() {
        link.introduce().or_raise(py)?;
    }
    Ok(())
}

/// Say goodbye to all managers out of reach: this process ends.
#[pyfunction]
pub(crate) fn leave_links(py: Python<'_>) {
    py.detach(|| wire::Link::all().iter().for_each(|link| link.leave()));
}

/// What is pickled of a proxy of an object at the other end of a connection, for any process but
/// its manager: that one reaches it by itself.
pub(crate) fn reduce<'py>(
    proxy: &Bound<'py, BaseProxy>,
    state: &super::RemoteState,
) -> PyResult<Bound<'py, PyTuple>> {
    let py = proxy.py();
    let remote = state.remote();
    let lent = remote.link().lend(remote.ident()).or_raise(py).made(py);
    match lent {
        // Who gets it will say so.
        Err(error) if error.is_instance_of::<PyException>(py) => {}
        lent => lent?,
    }
    interpreter::call(imported::REMOTE_REDUCE.get(py)?, (proxy,))?
        .cast_into()
        .map_err(Into::into)
}
