//! From objects to msgpack.

use std::ffi::CStr;

use pyo3::{
    exceptions::{PyOverflowError, PyTypeError, PyValueError},
    intern,
    prelude::*,
    types::{
        PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMemoryView, PyString,
        PyTuple,
    },
};
use rmp::encode::{self, ByteBuf};

use crate::interpreter;

/// How deep values may be nested, the same as in `msgpack`; it also ends at a list that contains
/// itself.
const DEPTH: usize = 1024;

/// An operation code and a payload. If it is `plain`, every reader takes it: `msgpack` writes keys
/// and depths that it does not read, and whoever waits for such a frame in Duck waits for ever.
pub(super) fn frame(
    opcode: &Bound<'_, PyAny>,
    payload: &Bound<'_, PyAny>,
    plain: bool,
) -> PyResult<Vec<u8>> {
    let mut out = ByteBuf::with_capacity(64);
    encode::write_array_len(&mut out, 2).map_err(impossible)?;
    write(opcode, &mut out, plain)?;
    write(payload, &mut out, plain)?;
    Ok(out.into_vec())
}

/// Writes a value with everything in it. It keeps a stack of its own: that of a thread may be
/// small.
fn write(value: &Bound<'_, PyAny>, out: &mut ByteBuf, plain: bool) -> PyResult<()> {
    let depth = if plain { DEPTH - 1 } else { DEPTH };
    let mut open: Vec<Open<'_>> = begin(value, out)?.into_iter().collect();
    while let Some(innermost) = open.last_mut() {
        let Some(next) = innermost.next(plain)? else {
            open.pop();
            continue;
        };
        if open.len() == depth {
            return Err(PyValueError::new_err("recursion limit exceeded."));
        }
        open.extend(begin(&next, out)?);
    }
    Ok(())
}

/// A container that has been begun.
struct Open<'py> {
    values: Values<'py>,
    /// The number of the value that comes next.
    next: usize,
    /// How many were promised.
    count: usize,
    /// The value whose key has been written.
    waiting: Option<Bound<'py, PyAny>>,
}

enum Values<'py> {
    List(Bound<'py, PyList>),
    Tuple(Bound<'py, PyTuple>),
    Pairs(Bound<'py, PyList>),
}

impl<'py> Open<'py> {
    fn new(values: Values<'py>, count: usize) -> Self {
        Open {
            values,
            next: 0,
            count,
            waiting: None,
        }
    }

    /// The value that is to be written next; an error if one that was promised is gone.
    fn next(&mut self, plain: bool) -> PyResult<Option<Bound<'py, PyAny>>> {
        if let Some(value) = self.waiting.take() {
            return Ok(Some(value));
        }
        if self.next == self.count {
            return Ok(None);
        }
        let index = self.next;
        self.next += 1;
        Ok(Some(match &self.values {
            Values::List(list) => list.get_item(index)?,
            Values::Tuple(tuple) => tuple.get_item(index)?,
            Values::Pairs(pairs) => {
                let (key, value) = pairs
                    .get_item(index)?
                    .extract::<(Bound<'_, _>, Bound<'_, _>)>()?;
                if plain && !is_text(&key) {
                    return Err(odd_key(&key));
                }
                self.waiting = Some(value);
                key
            }
        }))
    }
}

fn is_text(key: &Bound<'_, PyAny>) -> bool {
    key.is_instance_of::<PyString>() || key.is_instance_of::<PyBytes>()
}

#[cold]
fn odd_key(key: &Bound<'_, PyAny>) -> PyErr {
    PyTypeError::new_err(format!(
        "in a frame the keys of dicts are of type 'str' or 'bytes', not '{}'",
        kind(key)
    ))
}

/// Writes a value, or the beginning of a container, of one of the types that have a form.
fn begin<'py>(value: &Bound<'py, PyAny>, out: &mut ByteBuf) -> PyResult<Option<Open<'py>>> {
    if let Ok(text) = value.cast::<PyString>() {
        let text = text.to_str()?;
        encode::write_str_len(out, length(text.len())?).map_err(impossible)?;
        out.as_mut_vec().extend(text.as_bytes());
    } else if value.is_none() {
        encode::write_nil(out).map_err(impossible)?;
    } else if let Ok(truth) = value.cast::<PyBool>() {
        encode::write_bool(out, truth.is_true()).map_err(impossible)?;
    } else if let Ok(number) = value.cast::<PyInt>() {
        integer(number, out)?;
    } else if let Ok(list) = value.cast_exact::<PyList>() {
        return array(Values::List(list.clone()), list.len(), out);
    } else if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        return array(Values::Tuple(tuple.clone()), tuple.len(), out);
    } else if let Ok(dict) = value.cast_exact::<PyDict>() {
        // A copy: what is further in may run Python code that changes this one.
        return map(dict.items(), out);
    } else if let Ok(number) = value.cast::<PyFloat>() {
        encode::write_f64(out, number.value()).map_err(impossible)?;
    } else if let Ok(bytes) = value.cast::<PyBytes>() {
        binary(bytes.as_bytes(), out)?;
    } else {
        return seldom(value, out);
    }
    Ok(None)
}

/// What is left: subclasses of containers, which may have an order of their own, and buffers.
fn seldom<'py>(value: &Bound<'py, PyAny>, out: &mut ByteBuf) -> PyResult<Option<Open<'py>>> {
    if let Ok(bytes) = value.cast::<PyByteArray>() {
        binary(&bytes.to_vec(), out)?;
    } else if value.is_instance_of::<PyDict>() {
        let pairs = interpreter::method(value, intern!(value.py(), "items"), ())?;
        return map(listed(&pairs)?, out);
    } else if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        let list = listed(value)?;
        let count = list.len();
        return array(Values::List(list), count, out);
    } else if let Ok(view) = value.cast::<PyMemoryView>() {
        let bytes = interpreter::call(&value.py().get_type::<PyBytes>(), (view,))?;
        binary(bytes.cast::<PyBytes>()?.as_bytes(), out)?;
    } else {
        let message = format!("can not serialize '{}' object", kind(value));
        return Err(PyTypeError::new_err(message));
    }
    Ok(None)
}

/// `list(values)`.
fn listed<'py>(values: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    let list = interpreter::call(&values.py().get_type::<PyList>(), (values,))?;
    Ok(list.cast_into::<PyList>()?)
}

fn array<'py>(values: Values<'py>, count: usize, out: &mut ByteBuf) -> PyResult<Option<Open<'py>>> {
    encode::write_array_len(out, length(count)?).map_err(impossible)?;
    Ok(Some(Open::new(values, count)))
}

fn map<'py>(pairs: Bound<'py, PyList>, out: &mut ByteBuf) -> PyResult<Option<Open<'py>>> {
    let count = pairs.len();
    encode::write_map_len(out, length(count)?).map_err(impossible)?;
    Ok(Some(Open::new(Values::Pairs(pairs), count)))
}

fn integer(number: &Bound<'_, PyInt>, out: &mut ByteBuf) -> PyResult<()> {
    if let Ok(number) = number.extract::<i64>() {
        encode::write_sint(out, number).map_err(impossible)?;
    } else if let Ok(number) = number.extract::<u64>() {
        encode::write_uint(out, number).map_err(impossible)?;
    } else {
        return Err(PyOverflowError::new_err("Integer value out of range"));
    }
    Ok(())
}

fn binary(bytes: &[u8], out: &mut ByteBuf) -> PyResult<()> {
    encode::write_bin_len(out, length(bytes.len())?).map_err(impossible)?;
    out.as_mut_vec().extend(bytes);
    Ok(())
}

/// A length as the format has it.
fn length(length: usize) -> PyResult<u32> {
    u32::try_from(length)
        .map_err(|_| PyValueError::new_err(format!("{length} items or bytes are too many")))
}

/// The error for a buffer in memory that cannot be written to, which there is none of.
fn impossible(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// The name of an object's type, as errors of Python have it.
fn kind(value: &Bound<'_, PyAny>) -> String {
    let kind = value.get_type_ptr();
    // SAFETY: `value` keeps its type alive, so `kind` points to a type object.
    let name = unsafe { (*kind).tp_name };
    // SAFETY: `tp_name` of a type that is ready is a string that ends in a zero byte and lives as
    // long as the type.
    let name = unsafe { CStr::from_ptr(name) };
    name.to_string_lossy().into_owned()
}
