//! What a proxy knows of its referent.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use coheld::{Attachment, Handle};
use coheld_shm::Referent;
use coheld_store::{KeyHasher, kinds::referent};
use pyo3::{
    PyClass,
    exceptions::{PyAttributeError, PyTypeError},
    prelude::*,
    pyclass::boolean_struct::True,
    sync::PyOnceLock,
    types::PyString,
};

use super::{AnyState, BaseProxy, Kind, kind};
use crate::{
    attachment,
    codec::Serializer,
    errors::{self, OrRaise},
    token::Token,
};

/// The state of a proxy from its initialisation on. Everything that only some programs look at is
/// made when it is asked for.
pub(crate) struct ProxyState {
    handle: Handle,
    /// The referent of `handle`; see `referent` for its true lifetime.
    referent: Referent<'static>,
    kind: Kind,
    hasher: KeyHasher,
    auxiliary: OnceLock<u64>,
    /// `None`: the typeid that the kind stands for.
    typeid: Option<Py<PyAny>>,
    token: PyOnceLock<Py<Token>>,
    /// `None`: `'pickle'`.
    serializer: Option<Py<PyAny>>,
    authkey: PyOnceLock<Py<PyAny>>,
    /// Keeps the manager (and so its process) alive. Only held for the time of a clone.
    manager: Mutex<Option<Py<PyAny>>>,
}

impl ProxyState {
    /// The state of a proxy that holds `handle`, with everything else as by default.
    pub(crate) fn new(py: Python<'_>, handle: Handle) -> PyResult<Self> {
        let number = kind::number(&handle);
        let Some(kind) = Kind::from_number(number) else {
            let text = format!(
                "the shared object is of kind {number}, which this version does not know; use the \
                 same version of Coheld in all processes"
            );
            return Err(errors::coheld_error(py, text));
        };
        let hasher = KeyHasher::new(handle.attachment().segment().secret());
        let referent = handle.referent().or_raise(py)?;
        // SAFETY: `referent` borrows the segment that `handle` keeps alive through its attachment,
        // both of them behind an `Arc`, so moving `handle` does not move the segment. `handle` is
        // never replaced in a state, and `Self::referent` gives the borrow back its true lifetime.
        let referent = unsafe { std::mem::transmute::<Referent<'_>, Referent<'static>>(referent) };
        Ok(Self {
            handle,
            referent,
            kind,
            hasher,
            auxiliary: OnceLock::new(),
            typeid: None,
            token: PyOnceLock::new(),
            serializer: None,
            authkey: PyOnceLock::new(),
            manager: Mutex::new(None),
        })
    }

    /// The same with what the constructor of a proxy is given.
    pub(crate) fn with(
        mut self,
        py: Python<'_>,
        token: &Bound<'_, Token>,
        serializer: Option<Bound<'_, PyAny>>,
        authkey: Option<Bound<'_, PyAny>>,
        manager: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let typeid = token.get().typeid(py);
        if !is_text(typeid.bind(py), self.kind.typeid()) {
            self.typeid = Some(typeid);
        }
        self.token = PyOnceLock::new();
        let _ = self.token.set(py, token.clone().unbind());
        self.serializer = serializer.map(Bound::unbind);
        if let Some(key) = authkey {
            let _ = self
                .authkey
                .set(py, attachment::authentication_string(&key)?.unbind());
        }
        self.manager = Mutex::new(manager.map(Bound::unbind));
        Ok(self)
    }

    /// The proxy's reference to its referent.
    #[inline]
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The reference alone.
    pub(crate) fn into_handle(self) -> Handle {
        self.handle
    }

    /// The referent, to work on.
    #[inline]
    pub(crate) fn referent(&self, py: Python<'_>) -> PyResult<Referent<'_>> {
        // A forked child may have to become a member first; else this is one load.
        if self.handle.attachment().segment().own_slot().is_none() {
            return self.handle.referent().or_raise(py);
        }
        Ok(self.referent)
    }

    /// Whether the content of the referent is in another process, and not in the segment.
    #[inline]
    pub(crate) fn is_hosted(&self) -> bool {
        match self.kind {
            Kind::Hosted => true,
            // One load. Who misses a move learns of it from the operation in the segment.
            kind if kind.can_move() => self.referent.kind() == referent::HOSTED,
            _ => false,
        }
    }

    /// A proxy of the lock that belongs to the referent.
    pub(super) fn get_lock<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.refuse_hosted("get_lock")?;
        super::from_handle(py, self.handle.companion().or_raise(py)?)
    }

    /// The error for a method that only native referents have, and dicts and sets that were native.
    pub(super) fn refuse_hosted(&self, method: &str) -> PyResult<()> {
        if self.kind == Kind::Hosted {
            return Err(PyTypeError::new_err(format!(
                "{method}() needs an object in shared memory, and this one lives in the process \
                 that registered it; register a method of your own for this"
            )));
        }
        Ok(())
    }

    /// Another reference to the same referent.
    pub(crate) fn another_handle(&self) -> Handle {
        self.handle.clone()
    }

    /// The word that the kind keeps beside the content. It never changes.
    #[inline]
    pub(crate) fn auxiliary(&self, py: Python<'_>) -> PyResult<u64> {
        if let Some(auxiliary) = self.auxiliary.get() {
            return Ok(*auxiliary);
        }
        let auxiliary = self.referent(py)?.lock().or_raise(py)?.auxiliary();
        Ok(*self.auxiliary.get_or_init(|| auxiliary))
    }

    /// What kind of referent it is; of one that has moved, what it was before.
    #[inline]
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// How the segment of the referent hashes keys.
    #[inline]
    pub(crate) fn hasher(&self) -> &KeyHasher {
        &self.hasher
    }

    /// This process's attachment to the segment of the referent.
    #[inline]
    pub(crate) fn attachment(&self) -> &Arc<Attachment> {
        self.handle.attachment()
    }

    /// The identity of the segment of the referent.
    pub(crate) fn segment_id(&self) -> [u8; 16] {
        self.attachment().segment().id()
    }

    /// Whether the proxy goes under this typeid.
    pub(crate) fn has_typeid(&self, py: Python<'_>, typeid: &str) -> bool {
        match &self.typeid {
            None => self.kind.typeid() == typeid,
            Some(own) => is_text(own.bind(py), typeid),
        }
    }

    /// The typeid under which the referent was made.
    pub(crate) fn typeid<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        match &self.typeid {
            None => PyString::intern(py, self.kind.typeid()).into_any(),
            Some(own) => own.bind(py).clone(),
        }
    }

    /// The token of the referent.
    pub(crate) fn token<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Token>> {
        self.token
            .get_or_try_init(py, || {
                Py::new(py, Token::of(py, &self.handle, self.typeid(py))?)
            })
            .map(|token| token.bind(py).clone())
    }

    /// The name of the serializer.
    pub(crate) fn serializer<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        match &self.serializer {
            None => PyString::intern(py, "pickle").into_any(),
            Some(own) => own.bind(py).clone(),
        }
    }

    /// How the messages of calls are written.
    #[inline]
    pub(crate) fn message_serializer(&self, py: Python<'_>) -> Serializer {
        match &self.serializer {
            None => Serializer::Pickle,
            Some(own) => Serializer::from_name(own.bind(py)),
        }
    }

    /// The key that the manager asks for.
    pub(crate) fn authkey<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.authkey
            .get_or_try_init(py, || attachment::authkey(py, self.attachment()))
            .map(|key| key.bind(py).clone())
    }

    /// The manager object that the proxy keeps alive.
    pub(crate) fn manager(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let manager = self.manager.lock().unwrap_or_else(PoisonError::into_inner);
        manager.as_ref().map(|manager| manager.clone_ref(py))
    }

    /// Keeps another manager object alive, or none.
    pub(crate) fn set_manager(&self, manager: Option<Py<PyAny>>) {
        let old = std::mem::replace(
            &mut *self.manager.lock().unwrap_or_else(PoisonError::into_inner),
            manager,
        );
        drop(old);
    }

    /// The Python objects held, for the garbage collector.
    pub(crate) fn visit<E>(
        &self,
        mut call: impl FnMut(&Py<PyAny>) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Ok(manager) = self.manager.try_lock()
            && let Some(manager) = manager.as_ref()
        {
            return call(manager);
        }
        Ok(())
    }
}

fn is_text(object: &Bound<'_, PyAny>, text: &str) -> bool {
    object
        .cast::<PyString>()
        .is_ok_and(|object| object.to_str().is_ok_and(|own| own == text))
}

/// The state of a proxy, or of an object whose class forgot to initialise it: an `AttributeError`.
#[inline]
pub(crate) fn state_of<'a, T>(proxy: &'a Bound<'_, T>) -> PyResult<&'a ProxyState>
where
    T: PyClass<BaseType = BaseProxy, Frozen = True>,
{
    state_of_base(proxy.as_super())
}

/// The same for the base class itself. What is reached through a connection is refused.
#[inline]
pub(crate) fn state_of_base<'a>(proxy: &'a Bound<'_, BaseProxy>) -> PyResult<&'a ProxyState> {
    match proxy.get().state_opt() {
        Some(AnyState::Segment(state)) => Ok(state),
        Some(AnyState::Remote(_)) => Err(out_of_reach(proxy)),
        None => Err(uninitialised(proxy)),
    }
}

/// The error for what only processes with the memory of the manager can do.
#[cold]
fn out_of_reach(proxy: &Bound<'_, BaseProxy>) -> PyErr {
    let name = proxy.get_type().name();
    let name = name.map_or_else(|_| "proxy".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!(
        "this needs an object in shared memory, and that of this {name} is reached through a \
         connection; do it in a process of the manager's machine and user"
    ))
}

#[cold]
pub(super) fn uninitialised(proxy: &Bound<'_, BaseProxy>) -> PyErr {
    let name = proxy
        .get_type()
        .name()
        .map_or_else(|_| "?".to_owned(), |name| name.to_string());
    PyAttributeError::new_err(format!(
        "'{name}' object has no attribute '_token': call BaseProxy.__init__ first"
    ))
}
