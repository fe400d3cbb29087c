//! This process's attachments to segments, and what Python knows of them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use coheld::{Address, Handle};
use pyo3::{
    exceptions::{PyOverflowError, PyTypeError, PyValueError},
    prelude::*,
    types::{PyBytes, PyString, PyTuple},
};

use crate::{
    errors::{self, OrRaise},
    imported, interpreter,
    proxy::kind_number,
    server::PATIENCE,
    token::{Held, Place, Token},
};

/// This process's attachment to the segment of a manager.
#[pyclass(frozen, module = "coheld._coheld")]
pub(crate) struct Attachment {
    shared: Arc<coheld::Attachment>,
}

impl Attachment {
    /// What Python gets of an attachment.
    pub(crate) fn of(shared: &Arc<coheld::Attachment>) -> Self {
        let shared = Arc::clone(shared);
        Self { shared }
    }

    /// The attachment itself.
    pub(crate) fn shared(&self) -> &Arc<coheld::Attachment> {
        &self.shared
    }
}

#[pymethods]
impl Attachment {
    /// The address of the manager.
    #[getter]
    fn get_address<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        address(py, &self.shared)
    }

    /// The identity of the segment in hexadecimal.
    #[getter]
    fn get_segment(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.shared.segment_id()))
    }
}

/// How many segments to stay attached to without a manager object or proxy in this process. A pool
/// worker gets a proxy with each of its tasks, and drops it with each.
const KEPT_LIMIT: usize = 8;

/// Attachments made for proxies that came from other processes; the oldest are let go.
///
/// Locked only while attached to the interpreter and never for long, so a fork never finds it
/// locked by another thread.
static KEPT: Mutex<VecDeque<Arc<coheld::Attachment>>> = Mutex::new(VecDeque::new());

/// Whether this thread is starting a child process of multiprocessing right now.
pub(crate) fn is_spawning(py: Python<'_>) -> PyResult<bool> {
    let function = imported::SPAWNING.get(py)?;
    Ok(!interpreter::call(function, ())?.is_none())
}

/// Bytes as a key that is pickled for children only.
pub(crate) fn authentication_string<'py>(key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let class = imported::AUTHENTICATION_STRING.get(key.py())?;
    interpreter::call(class, (key,))
}

/// The key of this process, which its children inherit.
fn process_key(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let function = imported::CURRENT_PROCESS.get(py)?;
    let process = interpreter::call(function, ())?;
    interpreter::attribute(&process, pyo3::intern!(py, "authkey"))
}

/// The key that an attachment was made with.
pub(crate) fn authkey(py: Python<'_>, attachment: &Arc<coheld::Attachment>) -> PyResult<Py<PyAny>> {
    let key = PyBytes::new(py, attachment.authkey()).into_any();
    authentication_string(&key).map(Bound::unbind)
}

/// An address in the form in which Python names it: text for a path, bytes for an abstract name, a
/// tuple for host and port.
pub(crate) fn address_to_python<'py>(
    py: Python<'py>,
    address: &Address,
) -> PyResult<Bound<'py, PyAny>> {
    match address {
        // The same as `os.fsdecode`, without running Python code.
        Address::Path(path) => Ok(path.as_os_str().into_pyobject(py)?.into_any()),
        Address::Abstract(name) => {
            let name = [b"\0", name.as_slice()].concat();
            Ok(PyBytes::new(py, &name).into_any())
        }
        Address::Tcp { host, port } => Ok((host, port).into_pyobject(py)?.into_any()),
    }
}

/// The address of the manager of an attachment.
pub(crate) fn address<'py>(
    py: Python<'py>,
    attachment: &Arc<coheld::Attachment>,
) -> PyResult<Bound<'py, PyAny>> {
    address_to_python(py, attachment.address())
}

/// An address from the form in which Python names it.
pub(crate) fn address_from_python(address: &Bound<'_, PyAny>) -> PyResult<Address> {
    let py = address.py();
    if let Ok(pair) = address.cast::<PyTuple>() {
        return tcp_from_python(pair);
    }
    let bytes = if address.is_instance_of::<PyString>() {
        let os = py.import("os")?;
        interpreter::method(&os, pyo3::intern!(py, "fsencode"), (address,))?
    } else {
        address.clone()
    };
    let Ok(bytes) = bytes.cast::<PyBytes>() else {
        // As the standard library does.
        return Err(PyValueError::new_err(format!(
            "the address {address:?} is neither the path of a Unix socket nor an abstract name \
             nor a pair of host and port"
        )));
    };
    Address::from_bytes(bytes.as_bytes()).or_raise(py)
}

/// Host and port from a tuple.
fn tcp_from_python(pair: &Bound<'_, PyTuple>) -> PyResult<Address> {
    let parts = pair.extract::<(String, i64)>();
    let (host, port) = parts.map_err(|_| {
        PyTypeError::new_err(format!(
            "the address {pair:?} is not a pair of a host, as text, and a port, as a number"
        ))
    })?;
    // Of the type and in the words of the socket module.
    let port = u16::try_from(port)
        .map_err(|_| PyOverflowError::new_err("the port of an address must be 0-65535"))?;
    Ok(Address::Tcp { host, port })
}

/// The bytes of a key.
pub(crate) fn key_bytes(key: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    Ok(key.cast::<PyBytes>()?.as_bytes().to_vec())
}

/// Connects to a manager, with the interpreter released meanwhile.
fn attach(
    py: Python<'_>,
    address: &Bound<'_, PyAny>,
    authkey: &Bound<'_, PyAny>,
) -> PyResult<Arc<coheld::Attachment>> {
    imported::prepare(py)?;
    let address = address_from_python(address)?;
    let key = key_bytes(authkey)?;
    py.detach(|| coheld::control::connect(&address, &key, PATIENCE))
        .or_raise(py)
}

/// The attachment that a token needs: the one this process has, or else a new one.
fn attachment_of(
    py: Python<'_>,
    token: &Token,
    authkey: Option<&Bound<'_, PyAny>>,
) -> PyResult<Arc<coheld::Attachment>> {
    if let Some(attachment) = token.segment().and_then(|id| coheld::Attachment::find(&id)) {
        return Ok(attachment);
    }
    let own;
    let key = match authkey {
        Some(key) => key,
        None => {
            own = process_key(py)?;
            &own
        }
    };
    let attachment = attach(py, token.address(py), key)?;
    if token
        .segment()
        .is_some_and(|id| id != attachment.segment_id())
    {
        return Err(errors::manager_gone(
            py,
            format!(
                "the manager of this proxy is gone; another one listens at its address {}",
                attachment.address()
            ),
        ));
    }
    let dropped = {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(Arc::clone(&attachment));
        if kept.len() > KEPT_LIMIT {
            kept.pop_front()
        } else {
            None
        }
    };
    drop(dropped);
    Ok(attachment)
}

/// A reference to the referent that a token names.
pub(crate) fn acquire(
    py: Python<'_>,
    token: &Token,
    authkey: Option<&Bound<'_, PyAny>>,
) -> PyResult<Handle> {
    match token.take_held() {
        Held::Handle(handle) => return Ok(handle),
        Held::Lease => return redeem(py, token, authkey),
        Held::Nothing => {}
    }
    let place = token.place(py)?;
    let attachment = attachment_of(py, token, authkey)?;
    check(
        py,
        Handle::acquire(&attachment, place.offset, place.generation),
        place,
    )
}

/// The same for a token that was pickled with a lease, which ends with this.
pub(crate) fn redeem(
    py: Python<'_>,
    token: &Token,
    authkey: Option<&Bound<'_, PyAny>>,
) -> PyResult<Handle> {
    let place = token.place(py)?;
    let attachment = attachment_of(py, token, authkey)?;
    check(py, Handle::redeem(&attachment, place.lease()), place)
}

/// Makes sure that a handle is of the referent that was meant.
fn check(py: Python<'_>, handle: Result<Handle, coheld::Error>, place: Place) -> PyResult<Handle> {
    use coheld_shm::Error;
    match handle {
        Ok(handle)
            if handle.generation() == place.generation
                && (handle.kind() == place.kind || kind_number(&handle) == place.kind) =>
        {
            Ok(handle)
        }
        // The token is wrong, not the segment.
        Ok(_) | Err(coheld::Error::Shm(Error::Corrupted { .. })) => {
            errors::gone(py, place.offset, place.generation)
        }
        Err(error) => Err(error).or_raise(py),
    }
}

/// A token as one line of text, with a lease for whoever uses it first.
pub(crate) fn token_text(py: Python<'_>, token: &Token) -> PyResult<String> {
    let place = token.place(py)?;
    let attachment = attachment_of(py, token, None)?;
    let handle = Handle::acquire(&attachment, place.offset, place.generation).or_raise(py)?;
    Ok(handle.token().or_raise(py)?.to_string())
}

/// Attach to the segment of the manager at an address.
#[pyfunction]
pub(crate) fn connect(
    address: &Bound<'_, PyAny>,
    authkey: &Bound<'_, PyAny>,
) -> PyResult<Attachment> {
    Ok(Attachment {
        shared: attach(address.py(), address, authkey)?,
    })
}
