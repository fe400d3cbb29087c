//! What a proxy knows of an object that it reaches through a connection.

use std::sync::{Arc, Mutex, PoisonError};

use coheld::wire::Remote;
use pyo3::{prelude::*, types::PyBytes};

use super::Link;
use crate::{attachment, token::Token};

/// The state of a proxy of an object whose manager is out of reach of this process's memory.
pub(crate) struct RemoteState {
    remote: Remote,
    link: Py<Link>,
    token: Py<Token>,
    serializer: Py<PyAny>,
    authkey: Py<PyAny>,
    /// Keeps the manager object alive. Only held for the time of a clone.
    manager: Mutex<Option<Py<PyAny>>>,
}

impl RemoteState {
    pub(crate) fn new(
        py: Python<'_>,
        remote: Remote,
        token: &Bound<'_, Token>,
        serializer: Bound<'_, PyAny>,
        manager: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let key = PyBytes::new(py, remote.link().authkey()).into_any();
        let link = Py::new(py, Link::of(py, Arc::clone(remote.link()))?)?;
        Ok(Self {
            remote,
            link,
            token: token.clone().unbind(),
            serializer: serializer.unbind(),
            authkey: attachment::authentication_string(&key)?.unbind(),
            manager: Mutex::new(manager.map(Bound::unbind)),
        })
    }

    /// The proxy's reference to the object.
    pub(crate) fn remote(&self) -> &Remote {
        &self.remote
    }

    /// The way to the manager.
    pub(crate) fn link<'a, 'py>(&'a self, py: Python<'py>) -> &'a Bound<'py, Link> {
        self.link.bind(py)
    }

    /// The token of the object.
    pub(crate) fn token<'py>(&self, py: Python<'py>) -> Bound<'py, Token> {
        self.token.bind(py).clone()
    }

    /// The name of the serializer.
    pub(crate) fn serializer<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.serializer.bind(py).clone()
    }

    /// The key that the manager asks for.
    pub(crate) fn authkey<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.authkey.bind(py).clone()
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
    pub(crate) fn visit<E>(&self, call: impl FnOnce(&Py<PyAny>) -> Result<(), E>) -> Result<(), E> {
        match self.manager.try_lock() {
            Ok(manager) => manager.as_ref().map_or(Ok(()), call),
            Err(_) => Ok(()),
        }
    }
}
