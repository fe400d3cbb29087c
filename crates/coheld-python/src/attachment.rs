//! This process's attachments to segments, and what Python knows of them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use coheld::{
    Address, Error, Handle,
    wire::{Link, Remote},
};
use pyo3::{
    exceptions::{PyOverflowError, PyRuntimeWarning, PyTypeError, PyValueError},
    prelude::*,
    types::{PyBytes, PyString, PyTuple},
};

use crate::{
    codec::Serializer,
    errors::{self, OrRaise},
    imported, interpreter,
    proxy::kind_number,
    server::PATIENCE,
    token::{Held, Place, Token},
    wire,
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

    /// Whether no process that has the segment can take memory from under the others.
    #[getter]
    fn get_is_sealed(&self) -> bool {
        self.shared.is_sealed()
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

/// The same for links.
static KEPT_LINKS: Mutex<VecDeque<Arc<Link>>> = Mutex::new(VecDeque::new());

/// Whether this process was told that it reaches a manager by connections.
static WARNED: Mutex<bool> = Mutex::new(false);

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

/// The key of the manager at an address as far as this process knows it, else its own.
fn key_of<'py>(address: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    interpreter::call(imported::KEY_OF.get(address.py())?, (address,))
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

/// How this process reaches a manager.
pub(crate) enum Way {
    /// By the memory that it shares.
    Memory(Arc<coheld::Attachment>),
    /// By connections.
    Link(Arc<Link>),
}

/// Finds the way to a manager, with the interpreter released meanwhile.
fn way_to(
    address: &Bound<'_, PyAny>,
    authkey: &Bound<'_, PyAny>,
    serializer: &Bound<'_, PyAny>,
) -> PyResult<Way> {
    let py = address.py();
    imported::prepare(py)?;
    if let Ok(name) = serializer.cast::<PyString>()
        && !matches!(name.to_str()?, "pickle" | "xmlrpclib")
    {
        return wire::link_by(address, authkey, name).map(Way::Link);
    }
    let serializer = Serializer::from_name(serializer);
    let address = address_from_python(address)?;
    let key = key_bytes(authkey)?;
    let serializer = serializer.on_the_wire();
    let mut without = None;
    let way = py.detach(|| {
        if let Some(link) = Link::find(&address, &key, serializer) {
            return Ok(Way::Link(link));
        }
        if is_wire_wanted() {
            return Link::connect(&address, &key, serializer).map(Way::Link);
        }
        match coheld::control::connect(&address, &key, PATIENCE) {
            Ok(attachment) => Ok(Way::Memory(attachment)),
            Err(Error::Remote { .. } | Error::NotCoheld { .. }) => {
                Link::connect(&address, &key, serializer).map(Way::Link)
            }
            Err(error @ Error::OutOfReach { .. }) => {
                without = Some(error.to_string());
                Link::connect(&address, &key, serializer).map(Way::Link)
            }
            Err(error) => Err(error),
        }
    });
    if let (Ok(_), Some(why)) = (&way, without) {
        warn_once(py, &why)?;
    }
    if let Ok(Way::Link(_)) = way {
        interpreter::call(imported::NOTE_LINK.get(py)?, ())?;
    }
    if let Err(Error::AuthenticationRejected) = way {
        return Err(errors::key_rejected(py, &address));
    }
    way.or_raise(py)
}

/// Says what it costs this process to be without the memory of a manager. Once: what keeps it from
/// one keeps it from all.
fn warn_once(py: Python<'_>, why: &str) -> PyResult<()> {
    // Locked only while attached to the interpreter and not for long, as `KEPT` is.
    if std::mem::replace(
        &mut *WARNED.lock().unwrap_or_else(PoisonError::into_inner),
        true,
    ) {
        return Ok(());
    }
    let text = format!(
        "{why}. Its objects are reached through connections: each operation asks the manager \
         process, which takes tens of microseconds instead of a fraction of one, and a lock that \
         this process holds when it is killed stays taken"
    );
    interpreter::warn(&py.get_type::<PyRuntimeWarning>(), &text)
}

/// The usual serializer.
fn pickle(py: Python<'_>) -> &Bound<'_, PyAny> {
    pyo3::intern!(py, "pickle").as_any()
}

/// The environment variable with the route that this process takes to managers: `wire` for
/// connections also where there is memory to be shared.
const ROUTE_VARIABLE: &str = "COHELD_ROUTE";

fn is_wire_wanted() -> bool {
    std::env::var_os(ROUTE_VARIABLE).is_some_and(|route| route == "wire")
}

/// The attachment that a token needs, for what can be done in shared memory only.
fn attachment_of(
    py: Python<'_>,
    token: &Token,
    authkey: Option<&Bound<'_, PyAny>>,
) -> PyResult<Arc<coheld::Attachment>> {
    match way_of(py, token, authkey, pickle(py))? {
        Way::Memory(attachment) => Ok(attachment),
        Way::Link(link) => {
            let address = link.address().clone();
            Err(Error::Remote { address }).or_raise(py)
        }
    }
}

/// How this process reaches the object that a token names: by the attachment it has, or else by a
/// new one, or by a link.
fn way_of(
    py: Python<'_>,
    token: &Token,
    authkey: Option<&Bound<'_, PyAny>>,
    serializer: &Bound<'_, PyAny>,
) -> PyResult<Way> {
    if let Some(attachment) = token.segment().and_then(|id| coheld::Attachment::find(&id)) {
        return Ok(Way::Memory(attachment));
    }
    if let Some(link) = token
        .segment()
        .and_then(|id| Link::find_segment(&id, Serializer::from_name(serializer).on_the_wire()))
    {
        return Ok(Way::Link(link));
    }
    let own;
    let key = match authkey {
        Some(key) => key,
        None => {
            own = key_of(token.address(py))?;
            &own
        }
    };
    let attachment = match way_to(token.address(py), key, serializer)? {
        Way::Memory(attachment) => attachment,
        Way::Link(link) => {
            keep(&KEPT_LINKS, Arc::clone(&link));
            check_segment(py, token, link.segment(), link.address())?;
            return Ok(Way::Link(link));
        }
    };
    let segment = attachment.segment_id();
    check_segment(py, token, Some(segment), attachment.address())?;
    keep(&KEPT, Arc::clone(&attachment));
    Ok(Way::Memory(attachment))
}

/// Makes sure that a token is of the manager that has been found.
fn check_segment(
    py: Python<'_>,
    token: &Token,
    segment: Option<[u8; 16]>,
    address: &Address,
) -> PyResult<()> {
    if token.segment().is_none() || token.segment() == segment {
        return Ok(());
    }
    Err(errors::manager_gone(
        py,
        format!("the manager of this proxy is gone; another one listens at its address {address}"),
    ))
}

/// Keeps something for those who need it again soon; the oldest is let go.
fn keep<T>(kept: &Mutex<VecDeque<Arc<T>>>, thing: Arc<T>) {
    let dropped = {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.iter().any(|other| Arc::ptr_eq(other, &thing)) {
            return;
        }
        kept.push_back(thing);
        if kept.len() > KEPT_LIMIT {
            kept.pop_front()
        } else {
            None
        }
    };
    drop(dropped);
}

/// A reference to an object, of either kind.
pub(crate) enum Reached {
    /// In a segment that this process is attached to.
    Segment(Handle),
    /// At the other end of a connection.
    Remote(Remote),
}

/// A reference to the object that a token names, wherever that is.
pub(crate) fn reach(
    py: Python<'_>,
    token: &Token,
    authkey: Option<&Bound<'_, PyAny>>,
    serializer: &Bound<'_, PyAny>,
) -> PyResult<Reached> {
    let is_leased = match token.take_held() {
        Held::Handle(handle) => return Ok(Reached::Segment(handle)),
        Held::Remote(remote) => return Ok(Reached::Remote(remote)),
        Held::Lease => true,
        Held::Nothing => false,
    };
    reach_by(py, token, authkey, serializer, is_leased)
}

fn reach_by(
    py: Python<'_>,
    token: &Token,
    authkey: Option<&Bound<'_, PyAny>>,
    serializer: &Bound<'_, PyAny>,
    is_leased: bool,
) -> PyResult<Reached> {
    let attachment = match way_of(py, token, authkey, serializer)? {
        Way::Memory(attachment) => attachment,
        Way::Link(link) => {
            let ident = token.ident(py)?;
            let taken = py.detach(|| {
                if is_leased {
                    link.redeem(ident)
                } else {
                    link.take(ident)
                }
            });
            return taken.map(Reached::Remote).or_raise(py);
        }
    };
    let place = token.place_in(py, &attachment.segment_id())?;
    let handle = if is_leased {
        Handle::redeem(&attachment, place.lease())
    } else {
        Handle::acquire(&attachment, place.offset, place.generation)
    };
    check(py, handle, place).map(Reached::Segment)
}

/// A reference to the referent that a token names.
pub(crate) fn acquire(
    py: Python<'_>,
    token: &Token,
    authkey: Option<&Bound<'_, PyAny>>,
) -> PyResult<Handle> {
    match token.take_held() {
        Held::Handle(handle) => return Ok(handle),
        Held::Lease => {
            let attachment = attachment_of(py, token, authkey)?;
            let place = token.place(py)?;
            return check(py, Handle::redeem(&attachment, place.lease()), place);
        }
        Held::Nothing | Held::Remote(_) => {}
    }
    let place = token.place(py)?;
    let attachment = attachment_of(py, token, authkey)?;
    check(
        py,
        Handle::acquire(&attachment, place.offset, place.generation),
        place,
    )
}

/// A reference to the object of a token that was pickled with a lease, which ends with this.
pub(crate) fn redeem(
    py: Python<'_>,
    token: &Token,
    authkey: Option<&Bound<'_, PyAny>>,
    serializer: &Bound<'_, PyAny>,
) -> PyResult<Reached> {
    reach_by(py, token, authkey, serializer, true)
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

/// The connections to a manager that answers nothing through its memory, since it has no Python;
/// None: it does.
#[pyfunction]
pub(crate) fn link_beside<'py>(
    attachment: &Bound<'py, Attachment>,
) -> PyResult<Option<Bound<'py, wire::Link>>> {
    let py = attachment.py();
    let shared = attachment.get().shared();
    if shared.segment().manager_host().is_some() {
        return Ok(None);
    }
    let serializer = coheld::wire::Serializer::Pickle;
    let link = coheld::wire::Link::connect(shared.address(), shared.authkey(), serializer);
    let link = wire::Link::of(py, link.or_raise(py)?)?;
    Bound::new(py, link).map(Some)
}

/// Find the way to the manager at an address: an `Attachment`, or else a `Link`.
#[pyfunction]
pub(crate) fn find_manager<'py>(
    address: &Bound<'py, PyAny>,
    authkey: &Bound<'py, PyAny>,
    serializer: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = address.py();
    Ok(match way_to(address, authkey, serializer)? {
        Way::Memory(shared) => Bound::new(py, Attachment { shared })?.into_any(),
        Way::Link(shared) => Bound::new(py, wire::Link::of(py, shared)?)?.into_any(),
    })
}
