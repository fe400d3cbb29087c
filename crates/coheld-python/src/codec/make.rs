//! New Python objects whose size comes from the data: without memory they are `MemoryError`.
//!
//! PyO3's own constructors panic when an allocation fails.

use std::ffi::c_char;

use coheld_shm::Segment;
use pyo3::{
    exceptions::PyMemoryError,
    ffi,
    prelude::*,
    types::{PyByteArray, PyBytes, PyDict, PyList, PyString},
};

use crate::errors;

/// A `bytes` object.
pub(crate) fn bytes<'py>(py: Python<'py>, content: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let length = ffi::Py_ssize_t::try_from(content.len())?;
    // SAFETY: `content` is valid for `length` bytes, which are copied.
    let object = unsafe { ffi::PyBytes_FromStringAndSize(content.as_ptr().cast(), length) };
    // SAFETY: a new reference, or null with an exception set.
    let object = unsafe { Bound::from_owned_ptr_or_err(py, object)? };
    Ok(object.cast_into()?)
}

/// Where the bytes at a place of a segment are in this process, and how many, as Python has it.
fn place(
    py: Python<'_>,
    segment: &Segment,
    offset: u64,
    length: u64,
) -> PyResult<(*const c_char, ffi::Py_ssize_t)> {
    let size = ffi::Py_ssize_t::try_from(length)?;
    let start = segment.address(offset, length);
    let start = start.map_err(|error| errors::from_shm(py, &error))?;
    Ok((start.cast_const().cast(), size))
}

/// The bytes at a place of a segment, which nobody changes any more, as a `bytes` object: by one
/// copy.
pub(crate) fn bytes_of_segment<'py>(
    py: Python<'py>,
    segment: &Segment,
    offset: u64,
    length: u64,
) -> PyResult<Bound<'py, PyBytes>> {
    let (start, size) = place(py, segment, offset, length)?;
    // SAFETY: `place` has checked that `size` bytes from `start` on are mapped; they are copied.
    let object = unsafe { ffi::PyBytes_FromStringAndSize(start, size) };
    // SAFETY: a new reference, or null with an exception set.
    let object = unsafe { Bound::from_owned_ptr_or_err(py, object)? };
    Ok(object.cast_into()?)
}

/// The same as a `bytearray`.
pub(crate) fn bytearray_of_segment<'py>(
    py: Python<'py>,
    segment: &Segment,
    offset: u64,
    length: u64,
) -> PyResult<Bound<'py, PyByteArray>> {
    let (start, size) = place(py, segment, offset, length)?;
    // SAFETY: `place` has checked that `size` bytes from `start` on are mapped; they are copied.
    let object = unsafe { ffi::PyByteArray_FromStringAndSize(start, size) };
    // SAFETY: a new reference, or null with an exception set.
    let object = unsafe { Bound::from_owned_ptr_or_err(py, object)? };
    Ok(object.cast_into()?)
}

/// A `str` object.
pub(crate) fn string<'py>(py: Python<'py>, content: &str) -> PyResult<Bound<'py, PyString>> {
    PyString::from_bytes(py, content.as_bytes())
}

/// A `list` object of values that are made one by one; no Python code runs meanwhile.
pub(crate) fn list<'py>(
    py: Python<'py>,
    length: usize,
    values: impl Iterator<Item = PyResult<Bound<'py, PyAny>>>,
) -> PyResult<Bound<'py, PyList>> {
    let size = ffi::Py_ssize_t::try_from(length)?;
    // SAFETY: the interpreter is attached, as `py` shows.
    let list = unsafe { ffi::PyList_New(size) };
    // SAFETY: a new list of `length` empty places, or null with an exception set.
    let list = unsafe { Bound::from_owned_ptr_or_err(py, list)? };
    let list = list.cast_into::<PyList>()?;
    for (index, value) in (0..size).zip(values) {
        let value = value?;
        // SAFETY: `index` is below the length the list was made with, nobody else has seen the
        // list yet, and the reference to `value` moves into it. An early return leaves empty
        // places behind, which the list's deallocation allows for.
        unsafe { ffi::PyList_SET_ITEM(list.as_ptr(), index, value.into_ptr()) };
    }
    Ok(list)
}

/// An empty `dict` with room for `entries`, where Python has a function for that.
pub(crate) fn dict(py: Python<'_>, entries: usize) -> PyResult<Bound<'_, PyDict>> {
    #[cfg(not(Py_3_14))]
    {
        // SAFETY: CPython up to 3.13, which alone has this compiled, exports it as
        // `PyObject *_PyDict_NewPresized(Py_ssize_t)`; a build without it does not load.
        unsafe extern "C" {
            // Exported by CPython since 3.3, but in no public header from 3.13 on.
            #[link_name = "_PyDict_NewPresized"]
            fn new_presized(entries: ffi::Py_ssize_t) -> *mut ffi::PyObject;
        }
        let entries = ffi::Py_ssize_t::try_from(entries)?;
        // SAFETY: the interpreter is attached, as `py` shows, and any number may be asked for.
        let dict = unsafe { new_presized(entries) };
        // SAFETY: a new reference, or null with an exception set.
        let dict = unsafe { Bound::from_owned_ptr_or_err(py, dict)? };
        Ok(dict.cast_into()?)
    }
    #[cfg(Py_3_14)]
    {
        let _ = entries;
        Ok(PyDict::new(py))
    }
}

/// Private room for `length` things.
pub(crate) fn room<T>(length: usize) -> PyResult<Vec<T>> {
    let mut room = Vec::new();
    room.try_reserve_exact(length)
        .map_err(|_| PyMemoryError::new_err(format!("no memory for a copy of {length} values")))?;
    Ok(room)
}
