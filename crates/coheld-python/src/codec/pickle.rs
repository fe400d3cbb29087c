//! Pickling with the reducers that programs register for multiprocessing.

use std::sync::Arc;

use coheld::{Attachment, Handle};
use coheld_store::buffer::LEAST;
use pyo3::{
    buffer::PyBuffer,
    prelude::*,
    sync::PyOnceLock,
    types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PySet, PyString, PyTuple},
};

use super::{context::Encoding, make};
use crate::{errors::OrRaise, imported, interpreter};

/// The pickle protocol of stored values: the newest that every supported Python reads.
const PROTOCOL: u8 = 5;
/// Objects looked at before a value is given to the general pickler.
const PLAIN_BUDGET: usize = 64;

static INT_FROM_BYTES: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The pickle of a value that holds no proxies and that no reducer applies to, if it is small and
/// built of Python's own types only. The C function is several times faster than a Pickler object.
fn dumps_plain<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let mut budget = PLAIN_BUDGET;
    if !is_plain(value, &mut budget) {
        return Ok(None);
    }
    let py = value.py();
    let dumps = imported::DUMPS.get(py)?;
    let bytes = interpreter::call(dumps, (value, PROTOCOL))?;
    Ok(Some(bytes.cast_into()?))
}

/// Whether a value is built only of types whose pickling nobody can change.
fn is_plain(value: &Bound<'_, PyAny>, budget: &mut usize) -> bool {
    if *budget == 0 {
        return false;
    }
    *budget -= 1;
    if value.is_none()
        || value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyString>()
        || value.is_exact_instance_of::<PyFloat>()
        || value.is_exact_instance_of::<PyBool>()
        || value.is_exact_instance_of::<PyBytes>()
    {
        return true;
    }
    if let Ok(list) = value.cast_exact::<PyList>() {
        return list.len() <= *budget && list.iter().all(|item| is_plain(&item, budget));
    }
    if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        return tuple.len() <= *budget && tuple.iter().all(|item| is_plain(&item, budget));
    }
    if let Ok(dict) = value.cast_exact::<PyDict>() {
        return dict.len() <= *budget
            && dict
                .iter()
                .all(|(key, value)| is_plain(&key, budget) && is_plain(&value, budget));
    }
    if let Ok(set) = value.cast_exact::<PySet>() {
        return set.len() <= *budget && set.iter().all(|item| is_plain(&item, budget));
    }
    false
}

/// The pickle of any value, with everything in it.
pub(crate) fn dumps<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    if let Some(bytes) = dumps_plain(value)? {
        return Ok(bytes);
    }
    dump(value, |class, file| {
        interpreter::call(class, (file, PROTOCOL))
    })
}

/// The same for an object of a segment: large buffers become referents there, which the innermost
/// pickling notes, so that they are copied once.
pub(super) fn dumps_beside<'py>(
    value: &Bound<'py, PyAny>,
    attachment: &Arc<Attachment>,
) -> PyResult<Bound<'py, PyBytes>> {
    if let Some(bytes) = dumps_plain(value)? {
        return Ok(bytes);
    }
    let attachment = Arc::clone(attachment);
    dump(value, |class, file| {
        let beside = Bound::new(class.py(), Beside { attachment })?;
        interpreter::call(class, (file, PROTOCOL, true, beside))
    })
}

fn dump<'py>(
    value: &Bound<'py, PyAny>,
    pickler: impl FnOnce(&Bound<'py, PyAny>, &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let py = value.py();
    let file = imported::BYTES_IO.get(py)?.call0()?;
    let pickler = pickler(imported::FORKING_PICKLER.get(py)?, &file)?;
    interpreter::method(&pickler, pyo3::intern!(py, "dump"), (value,))?;
    Ok(file
        .call_method0(pyo3::intern!(py, "getvalue"))?
        .cast_into()?)
}

/// What the pickler asks where a buffer goes.
#[pyclass(frozen)]
struct Beside {
    attachment: Arc<Attachment>,
}

#[pymethods]
impl Beside {
    /// Whether the buffer goes into the pickle itself, because it is small or in several pieces.
    fn __call__(&self, buffer: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = buffer.py();
        let Ok(raw) = buffer.call_method0(pyo3::intern!(py, "raw")) else {
            return Ok(true);
        };
        let bytes = PyBuffer::<u8>::get(&raw)?;
        if bytes.len_bytes() < LEAST || !bytes.is_c_contiguous() {
            return Ok(true);
        }
        let start = bytes.buf_ptr().cast::<u8>();
        // SAFETY: a contiguous buffer of `len_bytes` bytes, which `bytes` keeps in use until after
        // the copy; the interpreter is attached, so no Python code changes it meanwhile.
        let content = unsafe { std::slice::from_raw_parts(start, bytes.len_bytes()) };
        let handle = Handle::of_buffer(&self.attachment, content, !bytes.readonly());
        Encoding::note_buffer(handle.or_raise(py)?);
        Ok(false)
    }
}

/// The value of a pickle.
pub(crate) fn loads<'py>(py: Python<'py>, pickle: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let loads = imported::LOADS.get(py)?;
    let pickle = make::bytes(py, pickle)?;
    interpreter::call(loads, (pickle,))
}

/// The value of a pickle with buffers beside it.
pub(super) fn loads_beside<'py>(
    py: Python<'py>,
    pickle: &[u8],
    buffers: Vec<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let loads = imported::LOADS.get(py)?;
    let pickle = make::bytes(py, pickle)?;
    let keywords = PyDict::new(py);
    keywords.set_item(pyo3::intern!(py, "buffers"), buffers)?;
    interpreter::call_with(loads, &PyTuple::new(py, [pickle])?, Some(&keywords))
}

/// An integer of any size from its two's complement, least significant byte first.
pub(crate) fn int_from_bytes<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let function = INT_FROM_BYTES.get_or_try_init(py, || {
        py.get_type::<PyInt>()
            .getattr("from_bytes")
            .map(Bound::unbind)
    })?;
    let keywords = PyDict::new(py);
    keywords.set_item(pyo3::intern!(py, "signed"), true)?;
    function.bind(py).call(
        (make::bytes(py, bytes)?, pyo3::intern!(py, "little")),
        Some(&keywords),
    )
}
