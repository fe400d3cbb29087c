//! Calls of methods of hosted referents.

use std::time::Duration;

use coheld::hosted::{self, Reply, ReplyKind, Request};
use pyo3::{
    prelude::*,
    types::{PyDict, PyString, PyTuple},
};

use super::{
    limit, limit_of, reply,
    serving::{EXPOSED, ODD_NAME, take_interruption},
};
use crate::{
    attachment::Attachment,
    codec::Serializer,
    errors::OrRaise,
    proxy::{self, AnyState, BaseProxy, Kind, any_state_of, state_of_base},
    wire,
};

/// Calls a method of a hosted referent and returns a copy of the result, or the proxy that it gave.
#[inline]
pub(crate) fn call_method<'py>(
    proxy: &Bound<'py, BaseProxy>,
    name: &Bound<'py, PyString>,
    arguments: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    call_within(proxy, name, arguments, keywords, None)
}

/// The same with a limit to how long it may take; without, that of the thread or of the manager.
pub(crate) fn call_within<'py>(
    proxy: &Bound<'py, BaseProxy>,
    name: &Bound<'py, PyString>,
    arguments: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
    limit: Option<Duration>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = proxy.py();
    let state = match any_state_of(proxy)? {
        AnyState::Segment(state) => state,
        AnyState::Remote(state) => {
            return wire::call(proxy, state, name, arguments, keywords, limit);
        }
    };
    let serializer = state.message_serializer(py);
    let body = serializer.encode_arguments(arguments, keywords)?;
    let request = request(serializer, name.to_str()?, &body);
    let limit = limit.or_else(limit::of_thread);
    let answer = hosted::call(state.handle(), &request, limit);
    body.keep();
    read(py, serializer, answer, Some(proxy))
}

/// What the caller gets. If it is in the process of the host, it may have been interrupted.
#[inline]
fn read<'py>(
    py: Python<'py>,
    serializer: Serializer,
    answer: Result<Reply, coheld::Error>,
    caller: Option<&Bound<'py, BaseProxy>>,
) -> PyResult<Bound<'py, PyAny>> {
    let answer = answer.or_raise(py)?;
    if answer.kind == ReplyKind::Traceback
        && let Some(error) = take_interruption()
    {
        return Err(error);
    }
    reply::read(py, serializer, answer, caller)
}

/// Calls what is no name of a method, for the error that the host makes of it.
#[cold]
pub(crate) fn call_odd_name<'py>(
    proxy: &Bound<'py, BaseProxy>,
    name: &Bound<'py, PyAny>,
    arguments: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
    limit: Option<Duration>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = proxy.py();
    let mut all = vec![name.clone()];
    all.extend(arguments.iter());
    let all = PyTuple::new(py, all)?;
    call_within(
        proxy,
        &PyString::intern(py, ODD_NAME),
        &all,
        keywords,
        limit,
    )
}

/// Return the names of the methods of a shared object that its proxies can call.
#[pyfunction]
pub(crate) fn exposed_methods<'py>(proxy: &Bound<'py, BaseProxy>) -> PyResult<Bound<'py, PyAny>> {
    let py = proxy.py();
    let state = match any_state_of(proxy)? {
        AnyState::Segment(state) => state,
        AnyState::Remote(state) => return wire::exposed_methods(proxy, state),
    };
    if state.kind() != Kind::Hosted {
        return Ok(state.kind().exposed_tuple(py)?.into_bound(py).into_any());
    }
    call_method(
        proxy,
        &PyString::intern(py, EXPOSED),
        &PyTuple::empty(py),
        None,
    )
}

/// Call a function of the manager's server in the manager process.
#[pyfunction]
#[pyo3(signature = (attachment, name, args=None, kwds=None, serializer=None, limit=None))]
pub(crate) fn call_manager<'py>(
    attachment: &Bound<'py, Attachment>,
    name: &str,
    args: Option<Bound<'py, PyTuple>>,
    kwds: Option<Bound<'py, PyDict>>,
    serializer: Option<&Bound<'py, PyAny>>,
    limit: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = attachment.py();
    let serializer = serializer.map_or(Serializer::Pickle, Serializer::from_name);
    let limit = limit.map(limit_of).transpose()?.flatten();
    let args = args.unwrap_or_else(|| PyTuple::empty(py));
    let attachment = attachment.get().shared();
    server_function(attachment, name, &args, kwds.as_ref(), serializer, limit)
}

fn server_function<'py>(
    attachment: &std::sync::Arc<coheld::Attachment>,
    name: &str,
    arguments: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
    serializer: Serializer,
    limit: Option<Duration>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = arguments.py();
    let body = serializer.encode_arguments(arguments, keywords)?;
    let request = request(serializer, name, &body);
    let limit = limit.or_else(limit::of_thread);
    let answer = hosted::call_manager(attachment, &request, limit);
    body.keep();
    read(py, serializer, answer, None)
}

fn request<'a>(serializer: Serializer, name: &'a str, body: &'a [u8]) -> Request<'a> {
    let mut request = Request::new(name, body);
    if serializer == Serializer::XmlRpc {
        request.flags |= Request::XMLRPC;
    }
    request
}

/// Has the manager process keep the content of a dict or set from now on, where Python keys of any
/// class fit in.
pub(crate) fn move_to_manager(proxy: &Bound<'_, BaseProxy>) -> PyResult<()> {
    let py = proxy.py();
    let state = state_of_base(proxy)?;
    // Not the proxy itself: its class may be one that the manager process does not know.
    let plain = proxy::from_handle(py, state.another_handle())?;
    let arguments = PyTuple::new(py, [plain])?;
    let attachment = state.attachment();
    server_function(
        attachment,
        "adopt",
        &arguments,
        None,
        Serializer::Pickle,
        None,
    )
    .map(|_| ())
}
