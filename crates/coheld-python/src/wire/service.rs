//! Threads of Python for clients that ask for more than the memory.

use std::sync::Arc;

use coheld::wire::{NewClient, References, ServeClient};
use pyo3::prelude::*;

use super::Connection;
use crate::{errors::Made, hosted, interpreter};

/// Has a function of Python serve each client, on a thread of its own.
pub(crate) struct Service {
    references: Arc<References>,
    /// Called with the `Connection`.
    function: Py<PyAny>,
}

impl Service {
    pub(crate) fn new(references: &super::References, function: Py<PyAny>) -> Self {
        let references = Arc::clone(references.shared());
        Self {
            references,
            function,
        }
    }

    fn start(&self, py: Python<'_>, client: NewClient) -> PyResult<()> {
        let membership = client.introduction.map(|introduction| {
            self.references
                .join(introduction, client.connection.is_nearby())
        });
        let connection = Bound::new(py, Connection::new(client.connection, membership))?.unbind();
        let function = self.function.clone_ref(py);
        let work = move || {
            // The thread is one of Python's, and attached already.
            Python::attach(|py| {
                let answer = interpreter::call(function.bind(py), (connection,));
                if let Err(error) = answer.made(py) {
                    error.write_unraisable(py, None);
                }
            });
        };
        hosted::start_thread(py, Box::new(work))
    }
}

impl ServeClient for Service {
    fn serve(&self, client: NewClient) {
        let started = Python::try_attach(|py| self.start(py, client));
        if let Some(Err(error)) = started {
            Python::attach(|py| error.write_unraisable(py, None));
        }
    }

    fn sweep(&self) {
        self.references.sweep();
    }
}
