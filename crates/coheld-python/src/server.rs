//! The manager process's server, and what clients ask of it.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use coheld::{
    SegmentOptions,
    control::{self, Stopper},
};
use pyo3::{exceptions::PyRuntimeError, prelude::*};

use crate::{
    attachment::{address_from_python, address_to_python, key_bytes},
    errors::OrRaise,
};

/// How long a manager may take to answer. It does nothing else, so this is for stopped machines.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Makes a segment and hands it to the processes that know the key.
#[pyclass(frozen, module = "coheld._coheld")]
pub(crate) struct Server {
    idle: Mutex<Option<control::Server>>,
    address: coheld::Address,
    stopper: Stopper,
}

#[pymethods]
impl Server {
    /// Listen at an address. A segment grows up to `capacity` bytes. To acquire what a dead process
    /// held is an error or a warning.
    #[new]
    #[pyo3(signature = (address, authkey, capacity=None, owner_died_is_error=false))]
    fn new(
        address: &Bound<'_, PyAny>,
        authkey: &Bound<'_, PyAny>,
        capacity: Option<u64>,
        owner_died_is_error: bool,
    ) -> PyResult<Self> {
        let py = address.py();
        let address = address_from_python(address)?;
        let key = key_bytes(authkey)?;
        let mut options = SegmentOptions {
            owner_died_is_error,
            ..SegmentOptions::default()
        };
        if let Some(capacity) = capacity {
            options.capacity = capacity;
        }
        let server = py
            .detach(|| control::Server::bind(address, &key, &options))
            .or_raise(py)?;
        Ok(Self {
            stopper: server.stopper(),
            address: server.address().clone(),
            idle: Mutex::new(Some(server)),
        })
    }

    /// Where it listens.
    #[getter]
    fn get_address<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        address_to_python(py, &self.address)
    }

    /// Serve until stopped, or until the process `parent`, the parent of this one, has ended.
    #[pyo3(signature = (parent=None))]
    fn serve(&self, py: Python<'_>, parent: Option<u32>) -> PyResult<()> {
        let server = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(mut server) = server else {
            return Err(PyRuntimeError::new_err("this server has served already"));
        };
        py.detach(|| {
            if let Some(parent) = parent {
                server.end_with_parent(parent)?;
            }
            server.serve()
        })
        .or_raise(py)
        .map(|_| ())
    }

    /// Listen no longer, if `serve` has not been called; end the segment with it.
    fn close(&self, py: Python<'_>) {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        py.detach(|| drop(idle));
    }

    /// Have `serve` end soon; from any thread.
    fn stop(&self) {
        self.stopper.stop();
    }
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
