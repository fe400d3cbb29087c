//! From msgpack to objects.
//!
//! The bytes may come from anybody: lengths are believed only as far as there are bytes, nesting
//! takes no stack, and objects are made only of what is there.

use pyo3::{
    IntoPyObjectExt,
    exceptions::{PyUnicodeDecodeError, PyValueError},
    prelude::*,
    types::{PyBytes, PyDict, PyList, PyString},
};
use rmp::Marker;

/// How deep values may be nested, the same as in `msgpack`.
const DEPTH: usize = 1024;

/// What one marker begins.
enum Item<'py> {
    Value(Bound<'py, PyAny>),
    Container(Kind, usize),
}

enum Kind {
    Array,
    Map,
}

/// A container that has not got all of its values yet.
struct Open {
    kind: Kind,
    /// Where its values begin, among those that are in no container yet.
    begin: usize,
    /// Where they will end. Keys count, too.
    end: usize,
}

/// The one value that all of the bytes stand for.
pub(super) fn value<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let mut rest = Rest(data);
    let mut open = Vec::<Open>::new();
    let mut values = Vec::<Bound<'py, PyAny>>::new();
    // Values that are still to come. Each takes a byte at least, so a length that promises more is
    // refused at once, and nothing is set aside for what has not come.
    let mut owed = 1_usize;
    loop {
        owed -= 1;
        match item(py, &mut rest)? {
            Item::Value(value) => values.push(value),
            Item::Container(kind, count) => {
                if open.len() == DEPTH {
                    let text = format!("nested deeper than {DEPTH} levels");
                    return Err(PyValueError::new_err(text));
                }
                owed += count;
                if owed > rest.0.len() {
                    return Err(incomplete());
                }
                let begin = values.len();
                let end = begin + count;
                open.push(Open { kind, begin, end });
            }
        }
        while let Some(full) = open.pop_if(|last| last.end == values.len()) {
            let container = close(py, &full.kind, values.drain(full.begin..))?;
            values.push(container);
        }
        if open.is_empty() {
            break;
        }
    }
    if !rest.0.is_empty() {
        let text = format!("{} bytes too many after the value", rest.0.len());
        return Err(PyValueError::new_err(text));
    }
    values.pop().ok_or_else(incomplete)
}

/// The container of all of its values.
fn close<'py>(
    py: Python<'py>,
    kind: &Kind,
    mut values: impl ExactSizeIterator<Item = Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    match kind {
        Kind::Array => PyList::new(py, values)?.into_bound_py_any(py),
        Kind::Map => {
            let dict = PyDict::new(py);
            while let (Some(key), Some(value)) = (values.next(), values.next()) {
                dict.set_item(key, value)?;
            }
            dict.into_bound_py_any(py)
        }
    }
}

fn item<'py>(py: Python<'py>, rest: &mut Rest<'_>) -> PyResult<Item<'py>> {
    let value = match Marker::from_u8(rest.u8()?) {
        Marker::FixArray(count) => return array(count.into()),
        Marker::Array16 => return array(rest.u16()?.into()),
        Marker::Array32 => return array(rest.u32()? as usize),
        Marker::FixMap(count) => return map(count.into()),
        Marker::Map16 => return map(rest.u16()?.into()),
        Marker::Map32 => return map(rest.u32()? as usize),
        Marker::Null => py.None().into_bound(py),
        Marker::False => false.into_bound_py_any(py)?,
        Marker::True => true.into_bound_py_any(py)?,
        Marker::FixPos(number) => number.into_bound_py_any(py)?,
        Marker::FixNeg(number) => number.into_bound_py_any(py)?,
        Marker::U8 => rest.u8()?.into_bound_py_any(py)?,
        Marker::U16 => rest.u16()?.into_bound_py_any(py)?,
        Marker::U32 => rest.u32()?.into_bound_py_any(py)?,
        Marker::U64 => rest.u64()?.into_bound_py_any(py)?,
        Marker::I8 => i8::from_be_bytes(rest.array()?).into_bound_py_any(py)?,
        Marker::I16 => i16::from_be_bytes(rest.array()?).into_bound_py_any(py)?,
        Marker::I32 => i32::from_be_bytes(rest.array()?).into_bound_py_any(py)?,
        Marker::I64 => i64::from_be_bytes(rest.array()?).into_bound_py_any(py)?,
        Marker::F32 => f32::from_be_bytes(rest.array()?).into_bound_py_any(py)?,
        Marker::F64 => f64::from_be_bytes(rest.array()?).into_bound_py_any(py)?,
        Marker::FixStr(length) => text(py, rest.take(length.into())?)?,
        Marker::Str8 => {
            let length = rest.u8()?.into();
            text(py, rest.take(length)?)?
        }
        Marker::Str16 => {
            let length = rest.u16()?.into();
            text(py, rest.take(length)?)?
        }
        Marker::Str32 => {
            let length = rest.u32()? as usize;
            text(py, rest.take(length)?)?
        }
        Marker::Bin8 => {
            let length = rest.u8()?.into();
            binary(py, rest.take(length)?)
        }
        Marker::Bin16 => {
            let length = rest.u16()?.into();
            binary(py, rest.take(length)?)
        }
        Marker::Bin32 => {
            let length = rest.u32()? as usize;
            binary(py, rest.take(length)?)
        }
        Marker::Ext8
        | Marker::Ext16
        | Marker::Ext32
        | Marker::FixExt1
        | Marker::FixExt2
        | Marker::FixExt4
        | Marker::FixExt8
        | Marker::FixExt16 => {
            let text = "extension types of msgpack have no meaning in a frame";
            return Err(PyValueError::new_err(text));
        }
        Marker::Reserved => {
            return Err(PyValueError::new_err("0xc1 begins no value in msgpack"));
        }
    };
    Ok(Item::Value(value))
}

fn array<'py>(count: usize) -> PyResult<Item<'py>> {
    Ok(Item::Container(Kind::Array, count))
}

fn map<'py>(count: usize) -> PyResult<Item<'py>> {
    // `count` has 32 bits at most.
    Ok(Item::Container(Kind::Map, 2 * count))
}

fn text<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(PyString::new(py, text).into_any()),
        Err(error) => Err(PyUnicodeDecodeError::new_utf8(py, bytes, error)?.into()),
    }
}

fn binary<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyAny> {
    PyBytes::new(py, bytes).into_any()
}

/// The bytes that have not been read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> PyResult<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(incomplete)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> PyResult<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk().ok_or_else(incomplete)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> PyResult<u8> {
        self.array().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> PyResult<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> PyResult<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> PyResult<u64> {
        self.array().map(u64::from_be_bytes)
    }
}

#[cold]
fn incomplete() -> PyErr {
    PyValueError::new_err("Unpack failed: incomplete input")
}
