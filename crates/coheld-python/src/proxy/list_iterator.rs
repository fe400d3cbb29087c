//! Iteration over a shared list.

use coheld_store::{List, Slice};
use pyo3::{prelude::*, types::PyList};

use super::{BaseProxy, state::state_of_base};
use crate::{codec, errors::OrRaise};

/// Items fetched at first; every further fetch takes twice as many.
const FIRST_CHUNK: i64 = 16;
/// Items fetched at most.
const LARGEST_CHUNK: i64 = 4096;

/// Iterator over a shared list.
///
/// Goes by index, so it sees what others change while it runs, exactly as the sequence protocol
/// does: items fetched ahead are used only while the list has the version they were fetched at.
#[pyclass(name = "list_iterator")]
pub(crate) struct ListIterator {
    /// `None` once the end was met, as for every iterator of Python.
    proxy: Option<Py<BaseProxy>>,
    position: i64,
    ahead: Option<Py<PyList>>,
    taken: usize,
    version: u64,
    chunk: i64,
}

impl ListIterator {
    pub(crate) fn new(proxy: &Bound<'_, BaseProxy>) -> Self {
        Self {
            proxy: Some(proxy.clone().unbind()),
            position: 0,
            ahead: None,
            taken: 0,
            version: 0,
            chunk: FIRST_CHUNK,
        }
    }
}

#[pymethods]
impl ListIterator {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(proxy) = &self.proxy else {
            return Ok(None);
        };
        let state = state_of_base(proxy.bind(py))?;
        let referent = state.referent(py)?;
        let list = List::new(&referent);
        if let Some(ahead) = &self.ahead {
            let ahead = ahead.bind(py);
            if self.taken < ahead.len() && list.version().or_raise(py)? == self.version {
                let item = ahead.get_item(self.taken)?;
                self.taken += 1;
                self.position += 1;
                return Ok(Some(item));
            }
        }
        let stop = self.position.saturating_add(self.chunk);
        let slice = Slice {
            start: Some(self.position),
            stop: Some(stop),
            step: None,
        };
        let snapshot = list.slice(slice).or_raise(py)?;
        let ahead = codec::list(py, state.attachment(), &snapshot)?;
        if ahead.is_empty() {
            self.proxy = None;
            self.ahead = None;
            return Ok(None);
        }
        self.version = snapshot.version();
        self.chunk = (self.chunk * 2).min(LARGEST_CHUNK);
        self.taken = 1;
        self.position += 1;
        let item = ahead.get_item(0)?;
        self.ahead = Some(ahead.unbind());
        Ok(Some(item))
    }

    /// An estimate of the number of items to come.
    fn __length_hint__(&self, py: Python<'_>) -> PyResult<u64> {
        let Some(proxy) = &self.proxy else {
            return Ok(0);
        };
        let length = List::new(&state_of_base(proxy.bind(py))?.referent(py)?)
            .len()
            .or_raise(py)?;
        Ok(length.saturating_sub(self.position.unsigned_abs()))
    }
}
