//! Indices, slices and arguments, as far as they need no Python code to be understood.

use coheld_store::Slice;
use pyo3::{
    prelude::*,
    types::{PyInt, PySlice, PyString, PyTuple},
};

use crate::codec;

/// An exact `int` as an index; `None`: the general case.
#[inline]
pub(super) fn exact_index(key: &Bound<'_, PyAny>) -> Option<i64> {
    if key.is_exact_instance_of::<PyInt>() {
        codec::small_int(key)
    } else {
        None
    }
}

/// A slice whose parts are `int` or `None`; `None`: the general case.
pub(super) fn exact_slice(key: &Bound<'_, PyAny>) -> PyResult<Option<Slice>> {
    if key.cast_exact::<PySlice>().is_err() {
        return Ok(None);
    }
    let py = key.py();
    let part = |name: &Bound<'_, PyString>| -> PyResult<Option<Option<i64>>> {
        let part = key.getattr(name)?;
        if part.is_none() {
            return Ok(Some(None));
        }
        if !part.is_exact_instance_of::<PyInt>() {
            return Ok(None);
        }
        // As Python does: an index beyond the machine's is as good as the largest one.
        let saturated = codec::small_int(&part).map_or_else(
            || part.lt(0).map(|low| if low { i64::MIN } else { i64::MAX }),
            Ok,
        )?;
        Ok(Some(Some(saturated)))
    };
    let start = part(pyo3::intern!(py, "start"))?;
    let stop = part(pyo3::intern!(py, "stop"))?;
    let step = part(pyo3::intern!(py, "step"))?;
    let (Some(start), Some(stop), Some(step)) = (start, stop, step) else {
        return Ok(None);
    };
    Ok(Some(Slice { start, stop, step }))
}

/// A tuple of arguments.
pub(super) fn tuple<'py, const N: usize>(
    py: Python<'py>,
    items: [&Bound<'py, PyAny>; N],
) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, items)
}
