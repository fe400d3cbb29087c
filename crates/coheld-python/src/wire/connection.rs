//! `Connection`: what a thread that serves a client reads from and writes to.

use std::sync::{Mutex, PoisonError};

use coheld::{
    hosted::buffers,
    wire::{self, Membership, Patience},
};
use pyo3::{
    buffer::PyBuffer,
    exceptions::{PyEOFError, PyOSError},
    prelude::*,
    types::PyBytes,
};

use super::departure;
use crate::{attachment::address_to_python, codec, errors::OrRaise};

/// A connection to a client, with the methods of `multiprocessing.connection.Connection` for bytes.
#[pyclass(frozen, subclass, module = "coheld._coheld")]
pub(crate) struct Connection {
    /// Taken out while a thread uses it: nobody waits for a lock that is held over input or output.
    wire: Mutex<Option<wire::Connection>>,
    /// What makes the client one of Coheld.
    membership: Option<Membership>,
    descriptor: i32,
}

impl Connection {
    pub(super) fn new(wire: wire::Connection, membership: Option<Membership>) -> Self {
        Self {
            descriptor: wire.descriptor(),
            wire: Mutex::new(Some(wire)),
            membership,
        }
    }

    /// On whose account the references of this client are.
    pub(super) fn client(&self) -> wire::Client {
        match &self.membership {
            None => wire::Client::Stock,
            Some(membership) => wire::Client::Session(membership.session()),
        }
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<wire::Connection>> {
        self.wire.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Uses the connection. After an error it is of no more use, and closed.
    fn with<T>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut wire::Connection) -> Result<T, coheld::Error>,
    ) -> PyResult<T> {
        let taken = self.slot().take();
        let Some(mut wire) = taken else {
            return Err(PyOSError::new_err(
                "the connection is closed, or another thread is using it",
            ));
        };
        let done = work(&mut wire).or_raise(py)?;
        *self.slot() = Some(wire);
        Ok(done)
    }
}

#[pymethods]
impl Connection {
    /// Receive a message. EOFError: the client has gone.
    fn recv_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        match self.with(py, |wire| wire.receive(Patience::default()))? {
            Some(message) => Ok(PyBytes::new(py, &message)),
            None => Err(PyEOFError::new_err(())),
        }
    }

    /// Receive a message and make the object of it; whether it was a pickle, and the object, or
    /// else the message. EOFError: the client has gone.
    ///
    /// `arrival` is what makes proxies of the names in it: see `coheld._wire`.
    fn recv_pickle<'py>(
        &self,
        py: Python<'py>,
        arrival: &Bound<'py, PyAny>,
    ) -> PyResult<(bool, Bound<'py, PyAny>)> {
        let received = self.with(py, |wire| wire.receive(Patience::default()))?;
        let message = received.ok_or_else(|| PyEOFError::new_err(()))?;
        let is_pickle = !message.starts_with(b"<");
        let object = if is_pickle {
            departure::read(py, &message, arrival)?
        } else {
            PyBytes::new(py, &message).into_any()
        };
        buffers::keep(message);
        Ok((is_pickle, object))
    }

    /// Send an object, if it consists of nothing but plain values; whether it does.
    fn send_plain(&self, object: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Some(message) = codec::plain_value(object) else {
            return Ok(false);
        };
        let sent = self.with(object.py(), |wire| wire.send(&message, Patience::default()));
        buffers::keep(message);
        sent.map(|()| true)
    }

    /// Send a message.
    fn send_bytes(&self, py: Python<'_>, buffer: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(bytes) = buffer.cast::<PyBytes>() {
            return self.with(py, |wire| wire.send(bytes.as_bytes(), Patience::default()));
        }
        let bytes = PyBuffer::<u8>::get(buffer)?.to_vec(py)?;
        self.with(py, |wire| wire.send(&bytes, Patience::default()))
    }

    /// Close the connection.
    fn close(&self) {
        let closed = self.slot().take();
        drop(closed);
    }

    /// Whether the connection is closed.
    #[getter]
    fn closed(&self) -> bool {
        self.slot().is_none()
    }

    /// The number of the file descriptor.
    fn fileno(&self) -> i32 {
        self.descriptor
    }

    /// Whether the client is one of Coheld, which counts its own references.
    #[getter]
    fn is_session(&self) -> bool {
        self.membership.is_some()
    }

    /// The address by which the client has reached this process, or None: that of the listener.
    #[getter]
    fn own_address<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let address = self.slot().as_ref().and_then(wire::Connection::own_address);
        match address {
            Some(address) => Ok(Some(address_to_python(py, &address.into())?)),
            None => Ok(None),
        }
    }
}
