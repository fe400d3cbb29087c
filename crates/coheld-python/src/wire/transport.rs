//! Connections that a program makes itself: by an entry of `listener_client`.

use std::{sync::Arc, time::Instant};

use coheld::{
    Address, Error,
    wire::{Dial, Link, Patience, Transport},
};
use pyo3::{
    exceptions::{PyBrokenPipeError, PyConnectionResetError, PyEOFError},
    prelude::*,
    types::{PyBytes, PyString},
};

use crate::{
    attachment::{address_from_python, key_bytes},
    errors::{Made, OrRaise},
    host, imported, interpreter,
};

/// Calls a function of Python for each connection.
struct Dialer {
    function: Py<PyAny>,
    address: Address,
}

/// A connection object of Python.
struct Conversation {
    connection: Py<PyAny>,
    address: Address,
}

/// The link to the manager at an address, over connections of the entry `name`.
pub(crate) fn link(
    address: &Bound<'_, PyAny>,
    authkey: &Bound<'_, PyAny>,
    name: &Bound<'_, PyString>,
) -> PyResult<Arc<Link>> {
    let py = address.py();
    let (place, key) = (address_from_python(address)?, key_bytes(authkey)?);
    let scheme = name.to_str()?;
    if let Some(link) = Link::find_by(scheme, &place, &key) {
        return Ok(link);
    }
    let function = interpreter::call(imported::DIALER.get(py)?, (name, address, authkey))?.unbind();
    let dialer = Arc::new(Dialer {
        function,
        address: place.clone(),
    });
    Link::connect_by(dialer, scheme, &place, &key).or_raise(py)
}

/// The error of the layer below that makes this exception appear again.
fn stash(py: Python<'_>, error: PyErr, address: &Address) -> Error {
    if error.is_instance_of::<PyBrokenPipeError>(py)
        || error.is_instance_of::<PyConnectionResetError>(py)
        || error.is_instance_of::<PyEOFError>(py)
    {
        return Error::Stopped {
            address: address.clone(),
        };
    }
    host::raise_later(error);
    coheld_shm::Error::Interrupted.into()
}

impl Dial for Dialer {
    fn dial(&self) -> Result<Box<dyn Transport>, Error> {
        Python::attach(|py| {
            let made = interpreter::call(self.function.bind(py), ()).made(py);
            let connection = made.map_err(|error| stash(py, error, &self.address))?;
            let conversation: Box<dyn Transport> = Box::new(Conversation {
                connection: connection.unbind(),
                address: self.address.clone(),
            });
            Ok(conversation)
        })
    }
}

impl Conversation {
    fn method<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'py, PyString>,
        arguments: impl IntoPyObject<'py, Target = pyo3::types::PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        interpreter::method(self.connection.bind(py), name, arguments).made(py)
    }

    fn poll(&self, py: Python<'_>, seconds: f64) -> PyResult<bool> {
        let answer = self.method(py, pyo3::intern!(py, "poll"), (seconds,))?;
        interpreter::is_true(&answer)
    }

    fn read(&self, py: Python<'_>, patience: Patience) -> PyResult<Option<Vec<u8>>> {
        if let Some(deadline) = patience.deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            if !self.poll(py, left.as_secs_f64())? {
                return Ok(None);
            }
        }
        let bytes = self.method(py, pyo3::intern!(py, "recv_bytes"), ())?;
        Ok(Some(bytes.cast::<PyBytes>()?.as_bytes().to_vec()))
    }
}

impl Transport for Conversation {
    fn send(&mut self, message: &[u8]) -> Result<(), Error> {
        Python::attach(|py| {
            let message = PyBytes::new(py, message);
            let sent = self.method(py, pyo3::intern!(py, "send_bytes"), (message,));
            sent.map(drop)
                .map_err(|error| stash(py, error, &self.address))
        })
    }

    fn receive(&mut self, patience: Patience) -> Result<Option<Vec<u8>>, Error> {
        Python::attach(|py| match self.read(py, patience) {
            Ok(Some(message)) => Ok(Some(message)),
            Ok(None) => Err(Error::TimedOut {
                address: self.address.clone(),
            }),
            Err(error) if error.is_instance_of::<PyEOFError>(py) => Ok(None),
            Err(error) => Err(stash(py, error, &self.address)),
        })
    }

    fn is_stale(&self) -> bool {
        // What cannot be asked is of no use either.
        Python::attach(|py| self.poll(py, 0.0).unwrap_or(true))
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        let _ = Python::try_attach(|py| {
            let _ = self.method(py, pyo3::intern!(py, "close"), ());
        });
    }
}
