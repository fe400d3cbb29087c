//! Frames in the format of Duck's proxies: an operation code and a payload, in msgpack.
//!
//! What is written is byte for byte what `msgpack.packb([opcode, payload], use_bin_type=True)`
//! writes, and what is read is what `msgpack.unpackb(data, raw=False)` reads, with the one
//! difference that keys of dicts may be numbers. Objects are made from the bytes and bytes from the
//! objects, with nothing in between.

mod decode;
mod encode;

use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyBytes, PyList, PyTuple},
};

/// The bytes of a frame; a plain one is one that clients and servers of Duck can read.
#[pyfunction]
#[pyo3(signature = (opcode, payload, plain=false))]
pub(crate) fn pack_frame<'py>(
    opcode: &Bound<'py, PyAny>,
    payload: &Bound<'py, PyAny>,
    plain: bool,
) -> PyResult<Bound<'py, PyBytes>> {
    let frame = encode::frame(opcode, payload, plain)?;
    Ok(PyBytes::new(opcode.py(), &frame))
}

/// The operation code and the payload of a frame.
#[pyfunction]
pub(crate) fn unpack_frame<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyTuple>> {
    let frame = decode::value(py, data)?;
    match frame.cast_exact::<PyList>() {
        Ok(pair) if pair.len() == 2 => Ok(pair.to_tuple()),
        Ok(other) => Err(PyValueError::new_err(format!(
            "a frame is an operation code and a payload, not {} values",
            other.len()
        ))),
        Err(_) => Err(PyValueError::new_err(
            "a frame is an array of an operation code and a payload",
        )),
    }
}
