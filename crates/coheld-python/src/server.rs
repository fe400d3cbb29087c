//! The manager process's server, and what clients ask of it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use coheld::{
    SegmentOptions,
    control::{self, Stopper},
};
use pyo3::{exceptions::PyRuntimeError, prelude::*};

use crate::{
    attachment::{Attachment, address_from_python, address_to_python, key_bytes},
    errors::OrRaise,
    hosted::limit_of,
    imported,
    wire::{References, Service},
};

/// How long a manager may take to answer. It does nothing else, so this is for stopped machines.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Makes a segment and hands it to the processes that know the key.
#[pyclass(frozen, module = "coheld._coheld")]
pub(crate) struct Server {
    idle: Mutex<Option<control::Server>>,
    attachment: Arc<coheld::Attachment>,
    stopper: Stopper,
}

#[pymethods]
impl Server {
    /// Listen at an address. A segment grows up to `capacity` bytes. To acquire what a dead process
    /// held is an error or a warning. Calls of objects of other processes may take `call_timeout`
    /// seconds.
    #[new]
    #[pyo3(signature = (address, authkey, capacity=None, owner_died_is_error=false,
                        call_timeout=None))]
    fn new(
        address: &Bound<'_, PyAny>,
        authkey: &Bound<'_, PyAny>,
        capacity: Option<u64>,
        owner_died_is_error: bool,
        call_timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let py = address.py();
        imported::prepare(py)?;
        let address = address_from_python(address)?;
        let key = key_bytes(authkey)?;
        let mut options = SegmentOptions {
            owner_died_is_error,
            ..SegmentOptions::default()
        };
        if let Some(capacity) = capacity {
            options.capacity = capacity;
        }
        let limit = call_timeout.map(limit_of).transpose()?.flatten();
        let server = py
            .detach(|| control::Server::bind(address, &key, &options))
            .or_raise(py)?;
        let attachment = Arc::clone(server.attachment());
        let limit = limit.filter(|&limit| limit != Duration::MAX);
        attachment.segment().set_call_limit(limit);
        Ok(Self {
            stopper: server.stopper(),
            idle: Mutex::new(Some(server)),
            attachment,
        })
    }

    /// Where it listens.
    #[getter]
    fn get_address<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        address_to_python(py, self.attachment.address())
    }

    /// This process's attachment to the segment.
    #[getter]
    fn get_attachment(&self) -> Attachment {
        Attachment::of(&self.attachment)
    }

    /// Have `serve` end with a process: the parent of this one, or any other. The caller of the
    /// latter makes sure afterwards that it has not ended meanwhile.
    fn end_with(&self, py: Python<'_>, process: u32, is_parent: bool) -> PyResult<()> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(server) = idle.as_mut() else {
            return Err(served_already());
        };
        if is_parent {
            server.end_with_parent(process)
        } else {
            server.end_with(process)
        }
        .or_raise(py)
    }

    /// Have `function` serve each client at the other end of a connection, on a thread of its own:
    /// it is called with the `Connection`.
    fn serve_clients(&self, references: &References, function: Py<PyAny>) -> PyResult<()> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(server) = idle.as_ref() else {
            return Err(served_already());
        };
        server.serve_clients(Arc::new(Service::new(references, function)));
        Ok(())
    }

    /// Serve until stopped, or until the process given to `end_with` has ended.
    fn serve(&self, py: Python<'_>) -> PyResult<()> {
        let server = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(server) = server else {
            return Err(served_already());
        };
        py.detach(|| server.serve()).or_raise(py).map(|_| ())
    }

    /// Give the address back, without having served.
    fn close(&self, py: Python<'_>) {
        let server = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        py.detach(|| drop(server));
    }

    /// Have `serve` end soon; from any thread.
    fn stop(&self) {
        self.stopper.stop();
    }
}

fn served_already() -> PyErr {
    PyRuntimeError::new_err("this server has served already")
}

/// Ask whether a manager with this key listens at an address.
#[pyfunction]
pub(crate) fn ping(address: &Bound<'_, PyAny>, authkey: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = address.py();
    let (address, key) = (address_from_python(address)?, key_bytes(authkey)?);
    py.detach(|| control::ping(&address, &key, PATIENCE))
        .or_raise(py)
}

/// Ask the manager at an address to stop.
#[pyfunction]
pub(crate) fn request_shutdown(
    address: &Bound<'_, PyAny>,
    authkey: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let py = address.py();
    let (address, key) = (address_from_python(address)?, key_bytes(authkey)?);
    py.detach(|| control::shutdown(&address, &key, PATIENCE))
        .or_raise(py)
}
