//! Calls of objects at the other end of a connection.

use std::time::Duration;

use coheld::{hosted::buffers, wire};
use pyo3::{
    exceptions::{PyBaseException, PyTypeError, PyValueError},
    prelude::*,
    types::{PyBytes, PyDict, PyList, PyString, PyTuple},
};

use super::{Link, RemoteState, departure};
use crate::{
    codec,
    errors::{self, Made, OrRaise},
    hosted, imported, interpreter,
    proxy::BaseProxy,
};

/// Methods whose argument may be any iterable. An iterator cannot be sent, but what it gives can.
const TAKING_ITERABLES: &[&str] = &["extend", "update", "__init__", "fromkeys", "union"];

/// A request, in the manager's serializer.
pub(super) enum Message<'py> {
    Pickled(Bound<'py, PyBytes>),
    Written(Vec<u8>),
}

impl<'py> Message<'py> {
    /// The request for a method of the object `ident`, or for a function if that is None.
    pub(super) fn new(
        link: &Bound<'py, Link>,
        serializer: wire::Serializer,
        ident: &Bound<'py, PyAny>,
        name: &Bound<'py, PyAny>,
        arguments: &Bound<'py, PyTuple>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Self> {
        let py = link.py();
        if serializer != wire::Serializer::XmlRpc
            && keywords.is_none_or(|keywords| keywords.is_empty())
            && let Some(plain) = codec::plain_request(ident, name, arguments)
        {
            return Ok(Self::Written(plain));
        }
        let none = PyDict::new(py);
        let keywords = keywords.unwrap_or(&none);
        let request = (ident, name, arguments, keywords).into_pyobject(py)?;
        if serializer == wire::Serializer::XmlRpc {
            return match codec::encode_xml(request.as_any())? {
                codec::Message::Written(bytes) => Ok(Self::Written(bytes)),
                codec::Message::Pickled(bytes, _) => Ok(Self::Pickled(bytes)),
            };
        }
        departure::dumps(request.as_any(), link.as_any()).map(Self::Pickled)
    }

    /// Done with: keeps the buffer for the next one.
    pub(super) fn end(self) {
        if let Self::Written(bytes) = self {
            buffers::keep(bytes);
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Pickled(bytes) => bytes.as_bytes(),
            Self::Written(bytes) => bytes,
        }
    }
}

/// What a manager has answered.
pub(super) struct Answer<'py> {
    pub(super) kind: Bound<'py, PyString>,
    pub(super) result: Bound<'py, PyAny>,
}

/// Reads a reply.
pub(super) fn receive<'py>(link: &Bound<'py, Link>, reply: Vec<u8>) -> PyResult<Answer<'py>> {
    let py = link.py();
    // A pickle begins with its protocol.
    let pair = if reply.starts_with(b"<") {
        codec::decode_xml(py, &reply)?
    } else {
        departure::read(py, &reply, link.as_any())?
    };
    buffers::keep(reply);
    let (kind, result) = (pair.get_item(0)?, pair.get_item(1)?);
    let kind = kind.cast_into::<PyString>();
    let kind = kind.map_err(|_| PyValueError::new_err("the manager's answer is of no kind"))?;
    Ok(Answer { kind, result })
}

/// Calls a method and returns a copy of the result, or the proxy that it gave.
pub(crate) fn call<'py>(
    proxy: &Bound<'py, BaseProxy>,
    state: &RemoteState,
    name: &Bound<'py, PyAny>,
    arguments: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
    limit: Option<Duration>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = proxy.py();
    let remote = state.remote();
    let link = state.link(py);
    remote.inherit().or_raise(py)?;
    let ident = PyString::new(py, remote.ident()).into_any();
    let serializer = remote.link().serializer();
    let request = match Message::new(link, serializer, &ident, name, arguments, keywords).made(py) {
        Err(error) if error.is_instance_of::<PyTypeError>(py) && takes_iterables(name) => {
            let Some(arguments) = without_iterators(arguments)? else {
                return Err(error);
            };
            Message::new(link, serializer, &ident, name, &arguments, keywords)?
        }
        request => request?,
    };
    let limit = limit
        .or_else(hosted::limit_of_thread)
        .or_else(|| remote.link().call_limit());
    let method = match name.cast::<PyString>() {
        Ok(name) => name.to_string_lossy().into_owned(),
        Err(_) => interpreter::repr(name)?.to_string_lossy().into_owned(),
    };
    let reply = remote.link().call(request.bytes(), &method, limit);
    request.end();
    let Answer { kind, result } = receive(link, reply.or_raise(py)?)?;
    match kind.to_str()? {
        "#RETURN" => Ok(result),
        "#PROXY" => read_proxy(proxy, state, &result),
        "#ERROR" => match result.cast_into::<PyBaseException>() {
            Ok(error) => Err(PyErr::from_value(error.into_any())),
            Err(error) => Err(PyTypeError::new_err(format!(
                "the manager has raised what is no exception: {:?}",
                error.into_inner()
            ))),
        },
        "#RAISED" => {
            let (pickle, text) = result.extract::<(Bound<'_, PyBytes>, Bound<'_, PyString>)>()?;
            Err(hosted::remote_exception(py, &pickle, &text)?)
        }
        "#TRACEBACK" => {
            // It may be that this manager has never had the object.
            remote.check().or_raise(py)?;
            Err(remote_error(&result, |text| text))
        }
        "#UNSERIALIZABLE" => Err(remote_error(&result, |text| {
            format!("Unserializable message: {text}\n")
        })),
        kind => Err(PyValueError::new_err(format!(
            "Unrecognized message type '{kind}'"
        ))),
    }
}

fn remote_error(text: &Bound<'_, PyAny>, frame: impl FnOnce(String) -> String) -> PyErr {
    match text.cast::<PyString>() {
        Ok(text) => errors::remote_error(text.py(), frame(text.to_string_lossy().into_owned())),
        Err(_) => PyTypeError::new_err(format!("the manager's report is no text: {text:?}")),
    }
}

fn takes_iterables(name: &Bound<'_, PyAny>) -> bool {
    let name = name.cast::<PyString>();
    name.is_ok_and(|name| {
        name.to_str().is_ok_and(|name| {
            TAKING_ITERABLES.contains(&name) || name.ends_with("_update") || name.contains("diff")
        })
    })
}

/// The arguments with lists in place of iterators; `None`: there are none.
fn without_iterators<'py>(
    arguments: &Bound<'py, PyTuple>,
) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let py = arguments.py();
    let mut found = false;
    let mut all = Vec::with_capacity(arguments.len());
    for argument in arguments.iter() {
        let is_iterator = !argument.is_instance_of::<BaseProxy>()
            && argument.hasattr(pyo3::intern!(py, "__next__"))?;
        if is_iterator {
            found = true;
            all.push(interpreter::call(&py.get_type::<PyList>(), (argument,))?);
        } else {
            all.push(argument);
        }
    }
    found.then(|| PyTuple::new(py, all)).transpose()
}

/// The proxy of a result that stays with its manager.
fn read_proxy<'py>(
    proxy: &Bound<'py, BaseProxy>,
    state: &RemoteState,
    result: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = proxy.py();
    let manager = state.manager(py);
    let make = imported::WIRE_PROXY.get(py)?;
    interpreter::call(
        make,
        (state.link(py), result, manager, state.serializer(py)),
    )
}

/// Return the names of the methods that an object at the other end of a connection exposes.
pub(crate) fn exposed_methods<'py>(
    proxy: &Bound<'py, BaseProxy>,
    state: &RemoteState,
) -> PyResult<Bound<'py, PyAny>> {
    let py = proxy.py();
    interpreter::call(
        imported::WIRE_METHODS.get(py)?,
        (state.link(py), state.token(py)),
    )
}
