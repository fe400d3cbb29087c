//! Threads of the host, as Python knows them.

use std::sync::{Mutex, PoisonError};

use pyo3::{prelude::*, types::PyDict};

use crate::{imported, interpreter};

/// Work that a thread of Python does: its target.
#[pyclass(frozen, module = "coheld._coheld")]
struct Work {
    work: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

#[pymethods]
impl Work {
    fn __call__(&self) {
        let work = self
            .work
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(work) = work {
            work();
        }
    }
}

/// Starts a daemon thread for `work`. It is one of `threading`, so that methods find it there: in
/// `current_thread()` and with its locals.
pub(crate) fn start(py: Python<'_>, work: Box<dyn FnOnce() + Send>) -> PyResult<()> {
    let work = Mutex::new(Some(work));
    let keywords = PyDict::new(py);
    keywords.set_item("target", Bound::new(py, Work { work })?)?;
    keywords.set_item("daemon", true)?;
    let class = imported::THREAD.get(py)?;
    let thread = interpreter::call_with(class, (), Some(&keywords))?;
    interpreter::method(&thread, pyo3::intern!(py, "start"), ())?;
    Ok(())
}
