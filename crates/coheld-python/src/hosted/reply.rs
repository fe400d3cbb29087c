//! Replies of hosts: made of what a method returned or raised, and read by who called it.

use coheld::hosted::{Reply, ReplyKind, buffers};
use pyo3::{
    exceptions::{PyBaseException, PyException, PyRecursionError},
    prelude::*,
    types::{PyBytes, PyDict, PyString},
};

use crate::{
    codec::Serializer,
    errors::{self, Made},
    imported, interpreter,
    proxy::{BaseProxy, state_of_base},
    token::Token,
};

/// The reply for a result.
#[inline]
pub(super) fn returned(serializer: Serializer, result: &Bound<'_, PyAny>) -> PyResult<Reply> {
    match serializer.encode(result) {
        Ok(message) => Ok(message.into_reply(ReplyKind::Return)),
        Err(error) => unserializable(result.py(), error),
    }
}

/// The reply for an exception that a method raised. The end of this process, or of a thread of it,
/// is returned as the error that it is.
pub(super) fn raised(py: Python<'_>, error: PyErr) -> PyResult<Reply> {
    if !error.is_instance_of::<PyException>(py) {
        return Err(error);
    }
    // Pickled by itself, so that the text can be read where the exception cannot.
    let (pickle, leases) = match Serializer::Pickle.encode(error.value(py)) {
        Ok(pickle) => pickle.into_part(py),
        Err(error) => return unserializable(py, error),
    };
    let text = match text(py, &error).made(py) {
        Err(failure) if !failure.is_instance_of::<PyException>(py) => return Err(failure),
        text => text.unwrap_or_else(|_| plain_text(py, &error)),
    };
    let mut reply = with_text(py, &pickle, &text)?;
    reply.leases.append(leases);
    Ok(reply)
}

/// The reply for an exception, which is made, that the method has no part in.
pub(super) fn traceback(py: Python<'_>, error: &PyErr) -> PyResult<Reply> {
    if error.is_instance_of::<PyRecursionError>(py) {
        // The caller has a part in it: it may be its stack.
        return raised(py, error.clone_ref(py));
    }
    in_words(py, ReplyKind::Traceback, error)
}

/// The reply for the pickle of an exception and the text of its traceback.
fn with_text(py: Python<'_>, pickle: &Bound<'_, PyBytes>, text: &str) -> PyResult<Reply> {
    let pair = (pickle, text).into_pyobject(py)?;
    let message = Serializer::Pickle.encode(pair.as_any())?;
    Ok(message.into_reply(ReplyKind::Error))
}

fn unserializable(py: Python<'_>, error: PyErr) -> PyResult<Reply> {
    let error = error.made(py);
    if !error.is_instance_of::<PyException>(py) {
        return Err(error);
    }
    in_words(py, ReplyKind::Unserializable, &error)
}

/// The reply that consists of the text of an exception.
fn in_words(py: Python<'_>, kind: ReplyKind, error: &PyErr) -> PyResult<Reply> {
    match text(py, error).made(py) {
        Ok(text) => Ok(Reply::new(kind, text)),
        Err(failure) if !failure.is_instance_of::<PyException>(py) => Err(failure),
        Err(failure) if failure.is_instance_of::<PyRecursionError>(py) => too_deep(py, &failure),
        Err(_) => Ok(Reply::new(kind, plain_text(py, error))),
    }
}

/// The reply of a method whose caller has left so little of the stack that no reply can be made by
/// Python code: the `RecursionError` that this was. Its pickle is written here.
#[cold]
fn too_deep(py: Python<'_>, failure: &PyErr) -> PyResult<Reply> {
    let message = message(py, failure);
    let pickle = [
        b"\x80\x05cbuiltins\nRecursionError\nX".as_slice(),
        &u32::try_from(message.len())?.to_le_bytes(),
        message.as_bytes(),
        b"\x85R.",
    ];
    let pickle = PyBytes::new(py, &pickle.concat());
    with_text(py, &pickle, &plain_text(py, failure))
}

/// What `traceback.format_exc` writes.
fn text(py: Python<'_>, error: &PyErr) -> PyResult<String> {
    let format = imported::FORMAT_EXCEPTION.get(py)?;
    let arguments = (error.get_type(py), error.value(py), error.traceback(py));
    let lines = interpreter::call(format, arguments)?.extract::<Vec<Bound<'_, PyString>>>()?;
    let mut text = String::new();
    if error.traceback(py).is_none() {
        // Nothing of Python was running. The standard library's texts begin so in any case.
        text += "Traceback (most recent call last):\n";
    }
    for line in lines {
        text += &line.to_string_lossy();
    }
    Ok(text)
}

/// The same by what needs no stack: the exception alone.
#[cold]
pub(super) fn plain_text(py: Python<'_>, error: &PyErr) -> String {
    let class = error.get_type(py).fully_qualified_name();
    let class = class.map_or_else(|_| String::from("?"), |name| name.to_string());
    let message = message(py, error);
    format!("Traceback (most recent call last):\n{class}: {message}\n")
}

fn message(py: Python<'_>, error: &PyErr) -> String {
    match interpreter::str(error.value(py)) {
        Ok(message) => message.to_string_lossy().into_owned(),
        // As Python has it in its tracebacks.
        Err(_) => String::from("<exception str() failed>"),
    }
}

/// The reply that the server object has put together: what kind it is, and its content.
pub(super) fn assembled(serializer: Serializer, answer: &Bound<'_, PyAny>) -> PyResult<Reply> {
    let py = answer.py();
    let (kind, value): (Bound<'_, PyString>, Bound<'_, PyAny>) = answer.extract()?;
    match kind.to_str()? {
        "#RETURN" => returned(serializer, &value),
        "#ERROR" => raised(py, PyErr::from_value(value).made(py)),
        "#TRACEBACK" => {
            let text = value.cast::<PyString>()?.to_string_lossy();
            Ok(Reply::new(ReplyKind::Traceback, text.into_owned()))
        }
        "#PROXY" => proxied(&value),
        kind => Err(errors::coheld_error(
            py,
            format!("the host's answer is of no known kind: {kind:?}"),
        )),
    }
}

/// The reply for a result that stays with the host: the methods it exposes, its token, and the
/// class of its proxies if that can be told to the caller.
fn proxied(value: &Bound<'_, PyAny>) -> PyResult<Reply> {
    let py = value.py();
    let (exposed, token, class): (Bound<'_, PyAny>, Bound<'_, PyAny>, Bound<'_, PyAny>) =
        value.extract()?;
    let class = match Serializer::Pickle.encode(&class) {
        Ok(pickle) => Some(pickle),
        Err(error) if error.is_instance_of::<PyException>(py) => None,
        Err(error) => return Err(error),
    };
    let class = class.map(|pickle| PyBytes::new(py, &pickle));
    let reply = (exposed, token, class).into_pyobject(py)?;
    let message = Serializer::Pickle.encode(reply.as_any())?;
    Ok(message.into_reply(ReplyKind::Proxy))
}

/// What the caller gets: the result, a proxy of it, or the exception. A caller without a proxy has
/// called the server, which tells it the token and the methods.
#[inline]
pub(super) fn read<'py>(
    py: Python<'py>,
    serializer: Serializer,
    reply: Reply,
    caller: Option<&Bound<'py, BaseProxy>>,
) -> PyResult<Bound<'py, PyAny>> {
    let read = match reply.kind {
        ReplyKind::Return => serializer.decode(py, &reply.body),
        ReplyKind::Error => Err(read_exception(py, &reply.body)?),
        ReplyKind::Traceback => Err(remote_error(py, &reply.body, |text| text)),
        ReplyKind::Unserializable => Err(remote_error(py, &reply.body, |text| {
            format!("Unserializable message: {text}\n")
        })),
        ReplyKind::Proxy => read_proxy(py, &reply.body, caller),
        ReplyKind::Nested | ReplyKind::Gone => {
            let text = "the process of the object sent what is no answer\n".to_owned();
            Err(errors::remote_error(py, text))
        }
    };
    buffers::keep(reply.body);
    read
}

fn remote_error(py: Python<'_>, body: &[u8], frame: impl FnOnce(String) -> String) -> PyErr {
    let text = String::from_utf8_lossy(body).into_owned();
    errors::remote_error(py, frame(text))
}

/// The exception of a method, with the traceback of its process as the cause.
#[cold]
fn read_exception(py: Python<'_>, body: &[u8]) -> PyResult<PyErr> {
    let pair = Serializer::Pickle.decode(py, body)?;
    let (pickle, text): (Bound<'_, PyBytes>, Bound<'_, PyString>) = pair.extract()?;
    remote_exception(py, &pickle, &text)
}

/// The exception of a pickle, with the text of its traceback in another process as its cause.
#[cold]
pub(crate) fn remote_exception(
    py: Python<'_>,
    pickle: &Bound<'_, PyBytes>,
    text: &Bound<'_, PyString>,
) -> PyResult<PyErr> {
    let value = match Serializer::Pickle.decode(py, pickle.as_bytes()).made(py) {
        Ok(value) => value,
        // It may be that the stack of this process does not suffice for it.
        Err(error)
            if !error.is_instance_of::<PyException>(py)
                || error.is_instance_of::<PyRecursionError>(py) =>
        {
            return Err(error);
        }
        Err(_) => py.None().into_bound(py),
    };
    let Ok(value) = value.cast_into::<PyBaseException>() else {
        // Its class is not to be had here, or cannot be made from what it pickles.
        return Ok(errors::remote_error(py, text.to_string()));
    };
    let class = imported::REMOTE_TRACEBACK.get(py)?;
    let error = PyErr::from_value(value.into_any());
    if error.cause(py).is_none() {
        let cause = interpreter::call(class, (text,)).map_or_else(|error| error, PyErr::from_value);
        error.set_cause(py, Some(cause));
    }
    Ok(error)
}

/// The proxy of a result that stays with its host.
#[cold]
fn read_proxy<'py>(
    py: Python<'py>,
    body: &[u8],
    caller: Option<&Bound<'py, BaseProxy>>,
) -> PyResult<Bound<'py, PyAny>> {
    let parts = Serializer::Pickle.decode(py, body)?;
    let (exposed, token, class): (
        Bound<'_, PyAny>,
        Bound<'_, Token>,
        Option<Bound<'_, PyBytes>>,
    ) = parts.extract()?;
    let Some(caller) = caller else {
        return Ok((token, exposed).into_pyobject(py)?.into_any());
    };
    let state = state_of_base(caller)?;
    let manager = state.manager(py).map(|manager| manager.into_bound(py));
    let keywords = PyDict::new(py);
    keywords.set_item("exposed", exposed)?;
    keywords.set_item("manager", &manager)?;
    keywords.set_item("authkey", state.authkey(py)?)?;
    let class = match (registered(manager.as_ref(), token.get())?, class) {
        (Some(class), _) => class,
        (None, Some(pickle)) => match Serializer::Pickle.decode(py, pickle.as_bytes()).made(py) {
            Ok(class) => class,
            // Its module is not to be had in this process.
            Err(error) if error.is_instance_of::<PyException>(py) => auto_proxy(py)?,
            Err(error) => return Err(error),
        },
        (None, None) => auto_proxy(py)?,
    };
    let arguments = (token, state.serializer(py));
    interpreter::call_with(&class, arguments, Some(&keywords))
}

/// What makes proxies where nothing better is known.
pub(crate) fn auto_proxy(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    // By its name: programs put functions of their own there.
    let managers = py.import("coheld.managers")?;
    interpreter::attribute(&managers, pyo3::intern!(py, "AutoProxy"))
}

/// What makes the proxies of a typeid according to the manager object.
fn registered<'py>(
    manager: Option<&Bound<'py, PyAny>>,
    token: &Token,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some(manager) = manager else {
        return Ok(None);
    };
    let py = manager.py();
    let registry = interpreter::attribute(manager, pyo3::intern!(py, "_registry"))?;
    let typeid = token.typeid(py);
    match registry.cast::<PyDict>()?.get_item(typeid)? {
        Some(entry) => Ok(Some(entry.get_item(-1)?)),
        None => Ok(None),
    }
}
