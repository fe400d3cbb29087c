//! Iteration over the keys of a shared dict.

use coheld_store::Dict;
use pyo3::{exceptions::PyRuntimeError, prelude::*, types::PyList};

use super::{BaseProxy, state::state_of_base};
use crate::{
    codec,
    errors::{self, Made, OrRaise},
};

/// Iterator over the keys of a shared dict, from a snapshot of them.
///
/// Raises RuntimeError if keys come or go meanwhile, like the iterator of a plain dict.
#[pyclass(name = "dict_keyiterator")]
pub(crate) struct DictIterator {
    /// `None` once the end was met or the dict has changed.
    proxy: Option<Py<BaseProxy>>,
    keys: Py<PyList>,
    next: usize,
    version: u64,
    /// Whether anything in the dict has changed since the start.
    changed: bool,
    /// Whether changes can be noticed: not once the dict has moved to another process.
    watching: bool,
}

impl DictIterator {
    pub(crate) fn new(proxy: &Bound<'_, BaseProxy>) -> PyResult<Self> {
        let py = proxy.py();
        let state = state_of_base(proxy)?;
        let snapshot = Dict::new(&state.referent(py)?)
            .snapshot_keys()
            .or_raise(py)?;
        Ok(Self {
            keys: codec::list(py, state.attachment(), &snapshot)?.unbind(),
            proxy: Some(proxy.clone().unbind()),
            next: 0,
            version: snapshot.version(),
            changed: false,
            watching: true,
        })
    }

    /// Looks whether the keys are still those of the snapshot.
    fn check(&mut self, py: Python<'_>, proxy: &Py<BaseProxy>) -> PyResult<()> {
        if !self.watching {
            return Ok(());
        }
        let state = state_of_base(proxy.bind(py))?;
        let referent = state.referent(py)?;
        let dict = Dict::new(&referent);
        let (size, version) = match dict.size_and_version().or_raise(py) {
            Err(error) => return self.stop_watching(py, error),
            Ok(found) => found,
        };
        if version == self.version {
            return Ok(());
        }
        self.changed = true;
        self.version = version;
        if usize::try_from(size)? == self.keys.bind(py).len() {
            // New values for the same keys are allowed; `finish` looks at the keys themselves.
            return Ok(());
        }
        self.proxy = None;
        Err(PyRuntimeError::new_err(
            "dictionary changed size during iteration",
        ))
    }

    /// A dict that has moved is iterated to the end of the snapshot; other errors are handed on.
    fn stop_watching(&mut self, py: Python<'_>, error: PyErr) -> PyResult<()> {
        let error = error.made(py);
        if !errors::is_moved(py, &error) {
            return Err(error);
        }
        self.watching = false;
        Ok(())
    }

    /// After the last key: an error if others have taken the place of some.
    fn finish(&mut self, py: Python<'_>, proxy: &Py<BaseProxy>) -> PyResult<()> {
        self.proxy = None;
        if !self.changed || !self.watching {
            return Ok(());
        }
        let state = state_of_base(proxy.bind(py))?;
        let snapshot = match Dict::new(&state.referent(py)?).snapshot_keys().or_raise(py) {
            Err(error) => return self.stop_watching(py, error),
            Ok(snapshot) => snapshot,
        };
        let now = codec::list(py, state.attachment(), &snapshot)?;
        if now.eq(self.keys.bind(py))? {
            return Ok(());
        }
        Err(PyRuntimeError::new_err(
            "dictionary keys changed during iteration",
        ))
    }
}

#[pymethods]
impl DictIterator {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(proxy) = self.proxy.as_ref().map(|proxy| proxy.clone_ref(py)) else {
            return Ok(None);
        };
        self.check(py, &proxy)?;
        let keys = self.keys.bind(py);
        if self.next >= keys.len() {
            self.finish(py, &proxy)?;
            return Ok(None);
        }
        let key = keys.get_item(self.next)?;
        self.next += 1;
        Ok(Some(key))
    }

    /// An estimate of the number of keys to come.
    fn __length_hint__(&self, py: Python<'_>) -> usize {
        match &self.proxy {
            Some(_) => self.keys.bind(py).len() - self.next,
            None => 0,
        }
    }
}
