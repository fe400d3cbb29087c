//! Pickles of plain values, written and read without `pickle`: `None`, booleans, integers, floats,
//! text, bytes, and tuples of them.
//!
//! They are real pickles, so either side may leave a value to `pickle`: the writer what it does not
//! know, and the reader every pickle with anything else in it.

use coheld::hosted::buffers;
use pyo3::{
    IntoPyObjectExt,
    prelude::*,
    types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyString, PyTuple},
};

use super::{encode::small_int, make};

/// How deep tuples may be nested; deeper ones are left to `pickle`.
const DEPTH: usize = 16;

/// The protocol that a pickle says it is of: the first with short texts.
const PROTOCOL: u8 = 4;
/// The newest protocol whose pickles are read.
const NEWEST: u8 = 5;

/// The codes of `pickletools`.
mod code {
    pub(super) const BINBYTES: u8 = b'B';
    pub(super) const BINFLOAT: u8 = b'G';
    pub(super) const BININT: u8 = b'J';
    pub(super) const BININT1: u8 = b'K';
    pub(super) const BININT2: u8 = b'M';
    pub(super) const BINPUT: u8 = b'q';
    pub(super) const BINUNICODE: u8 = b'X';
    pub(super) const EMPTY_DICT: u8 = b'}';
    pub(super) const EMPTY_TUPLE: u8 = b')';
    pub(super) const FRAME: u8 = 0x95;
    pub(super) const LONG1: u8 = 0x8a;
    pub(super) const MARK: u8 = b'(';
    pub(super) const MEMOIZE: u8 = 0x94;
    pub(super) const NEWFALSE: u8 = 0x89;
    pub(super) const NEWTRUE: u8 = 0x88;
    pub(super) const NONE: u8 = b'N';
    pub(super) const PROTO: u8 = 0x80;
    pub(super) const SHORT_BINBYTES: u8 = b'C';
    pub(super) const SHORT_BINUNICODE: u8 = 0x8c;
    pub(super) const STOP: u8 = b'.';
    pub(super) const TUPLE: u8 = b't';
    pub(super) const TUPLE1: u8 = 0x85;
    pub(super) const TUPLE2: u8 = 0x86;
    pub(super) const TUPLE3: u8 = 0x87;
}

/// The pickle of a value, if it is plain; in a buffer to be kept.
pub(crate) fn value(value: &Bound<'_, PyAny>) -> Option<Vec<u8>> {
    written(|pickle| {
        write(value, pickle, DEPTH)?;
        pickle.push(code::STOP);
        Some(())
    })
}

/// The pickle of a pair of arguments and no keywords, if the arguments are plain; in a buffer to be
/// kept.
pub(super) fn arguments(arguments: &Bound<'_, PyTuple>) -> Option<Vec<u8>> {
    written(|pickle| {
        write(arguments, pickle, DEPTH)?;
        pickle.extend([code::EMPTY_DICT, code::TUPLE2, code::STOP]);
        Some(())
    })
}

/// The pickle of a request to a manager without keywords, if the rest of it is plain; in a buffer
/// to be kept.
pub(crate) fn request(
    ident: &Bound<'_, PyAny>,
    name: &Bound<'_, PyAny>,
    arguments: &Bound<'_, PyTuple>,
) -> Option<Vec<u8>> {
    written(|pickle| {
        pickle.push(code::MARK);
        write(ident, pickle, DEPTH)?;
        write(name, pickle, DEPTH)?;
        write(arguments, pickle, DEPTH)?;
        pickle.extend([code::EMPTY_DICT, code::TUPLE, code::STOP]);
        Some(())
    })
}

#[inline]
fn written(write: impl FnOnce(&mut Vec<u8>) -> Option<()>) -> Option<Vec<u8>> {
    let mut pickle = buffers::spare();
    pickle.extend([code::PROTO, PROTOCOL]);
    if write(&mut pickle).is_some() {
        return Some(pickle);
    }
    buffers::keep(pickle);
    None
}

fn write(value: &Bound<'_, PyAny>, pickle: &mut Vec<u8>, depth: usize) -> Option<()> {
    if value.is_exact_instance_of::<PyInt>() {
        write_int(small_int(value)?, pickle);
    } else if let Ok(text) = value.cast_exact::<PyString>() {
        let codes = [code::SHORT_BINUNICODE, code::BINUNICODE];
        // Lone surrogates are no UTF-8.
        write_bytes(text.to_str().ok()?.as_bytes(), codes, pickle)?;
    } else if value.is_none() {
        pickle.push(code::NONE);
    } else if let Ok(truth) = value.cast_exact::<PyBool>() {
        let truth = truth.is_true();
        pickle.push(if truth { code::NEWTRUE } else { code::NEWFALSE });
    } else if let Ok(number) = value.cast_exact::<PyFloat>() {
        pickle.push(code::BINFLOAT);
        pickle.extend(number.value().to_be_bytes());
    } else if let Ok(bytes) = value.cast_exact::<PyBytes>() {
        let codes = [code::SHORT_BINBYTES, code::BINBYTES];
        write_bytes(bytes.as_bytes(), codes, pickle)?;
    } else {
        write_tuple(value.cast_exact::<PyTuple>().ok()?, pickle, depth)?;
    }
    Some(())
}

fn write_int(number: i64, pickle: &mut Vec<u8>) {
    if let Ok(number) = u8::try_from(number) {
        pickle.extend([code::BININT1, number]);
    } else if let Ok(number) = u16::try_from(number) {
        pickle.push(code::BININT2);
        pickle.extend(number.to_le_bytes());
    } else if let Ok(number) = i32::try_from(number) {
        pickle.push(code::BININT);
        pickle.extend(number.to_le_bytes());
    } else {
        pickle.extend([code::LONG1, 8]);
        pickle.extend(number.to_le_bytes());
    }
}

/// Text or bytes: the first code is for lengths of one byte, the second for those of four.
fn write_bytes(bytes: &[u8], [short, long]: [u8; 2], pickle: &mut Vec<u8>) -> Option<()> {
    if let Ok(length) = u8::try_from(bytes.len()) {
        pickle.extend([short, length]);
    } else {
        let length = u32::try_from(bytes.len()).ok()?;
        // Without the memory, `pickle` gets to raise the MemoryError.
        pickle.try_reserve(bytes.len() + 64).ok()?;
        pickle.push(long);
        pickle.extend(length.to_le_bytes());
    }
    pickle.extend_from_slice(bytes);
    Some(())
}

fn write_tuple(tuple: &Bound<'_, PyTuple>, pickle: &mut Vec<u8>, depth: usize) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    let closing = match tuple.len() {
        0 => code::EMPTY_TUPLE,
        1 => code::TUPLE1,
        2 => code::TUPLE2,
        3 => code::TUPLE3,
        _ => {
            pickle.push(code::MARK);
            code::TUPLE
        }
    };
    for item in tuple.iter_borrowed() {
        write(&item, pickle, depth)?;
    }
    pickle.push(closing);
    Some(())
}

/// The value of a pickle, if there is nothing in it but what the writer writes.
pub(crate) fn read<'py>(py: Python<'py>, pickle: &[u8]) -> PyResult<Option<Bound<'py, PyAny>>> {
    let mut reader = Reader {
        py,
        rest: pickle,
        stack: Vec::with_capacity(8),
        marks: Vec::new(),
    };
    loop {
        match reader.step()? {
            Step::More => {}
            Step::Unknown => return Ok(None),
            Step::Done(value) => return Ok(Some(value)),
        }
    }
}

enum Step<'py> {
    More,
    /// Something that only `pickle` knows, or no pickle at all.
    Unknown,
    Done(Bound<'py, PyAny>),
}

struct Reader<'a, 'py> {
    py: Python<'py>,
    rest: &'a [u8],
    stack: Vec<Bound<'py, PyAny>>,
    /// How many values were on the stack at each open mark.
    marks: Vec<usize>,
}

impl<'a, 'py> Reader<'a, 'py> {
    fn step(&mut self) -> PyResult<Step<'py>> {
        let value = match self.byte() {
            Some(code::PROTO) => return Ok(self.skip_if(|reader| Some(reader.byte()? <= NEWEST))),
            Some(code::FRAME) => return Ok(self.skip_if(|reader| Some(reader.take(8)?.len() == 8))),
            Some(code::BINPUT) => return Ok(self.skip_if(|reader| Some(reader.byte().is_some()))),
            // Numbers of values that nothing refers to again: reading such a reference gives up.
            Some(code::MEMOIZE) => return Ok(Step::More),
            Some(code::MARK) => {
                self.marks.push(self.stack.len());
                return Ok(Step::More);
            }
            Some(code::STOP) => {
                return Ok(match (self.stack.pop(), self.marks.is_empty()) {
                    (Some(value), true) if self.stack.is_empty() => Step::Done(value),
                    _ => Step::Unknown,
                });
            }
            Some(code) => self.value(code)?,
            None => None,
        };
        Ok(match value {
            Some(value) => {
                self.stack.push(value);
                Step::More
            }
            None => Step::Unknown,
        })
    }

    fn value(&mut self, code: u8) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = self.py;
        let value = match code {
            code::NONE => py.None().into_bound(py),
            code::NEWTRUE => true.into_bound_py_any(py)?,
            code::NEWFALSE => false.into_bound_py_any(py)?,
            code::BININT1 | code::BININT2 | code::BININT | code::LONG1 => {
                let Some(number) = self.int(code) else {
                    return Ok(None);
                };
                number.into_bound_py_any(py)?
            }
            code::BINFLOAT => match self.take(8).map(<[u8; 8]>::try_from) {
                Some(Ok(bytes)) => PyFloat::new(py, f64::from_be_bytes(bytes)).into_any(),
                _ => return Ok(None),
            },
            code::SHORT_BINUNICODE | code::BINUNICODE => {
                let bytes = self.sized(code == code::SHORT_BINUNICODE);
                let Some(Ok(text)) = bytes.map(std::str::from_utf8) else {
                    return Ok(None);
                };
                make::string(py, text)?.into_any()
            }
            code::SHORT_BINBYTES | code::BINBYTES => {
                let Some(bytes) = self.sized(code == code::SHORT_BINBYTES) else {
                    return Ok(None);
                };
                make::bytes(py, bytes)?.into_any()
            }
            code::EMPTY_DICT => PyDict::new(py).into_any(),
            code::EMPTY_TUPLE => PyTuple::empty(py).into_any(),
            code::TUPLE1 | code::TUPLE2 | code::TUPLE3 => {
                let length = usize::from(code - code::TUPLE1) + 1;
                let first = self.stack.len().checked_sub(length);
                return self.tuple(first);
            }
            code::TUPLE => {
                let first = self.marks.pop();
                return self.tuple(first);
            }
            _ => return Ok(None),
        };
        Ok(Some(value))
    }

    fn tuple(&mut self, first: Option<usize>) -> PyResult<Option<Bound<'py, PyAny>>> {
        // A mark inside of the tuple stays open.
        let Some(first) = first.filter(|&first| {
            first <= self.stack.len() && self.marks.last().is_none_or(|&mark| mark <= first)
        }) else {
            return Ok(None);
        };
        let tuple = PyTuple::new(self.py, self.stack.drain(first..))?;
        Ok(Some(tuple.into_any()))
    }

    fn int(&mut self, code: u8) -> Option<i64> {
        match code {
            code::BININT1 => Some(self.byte()?.into()),
            code::BININT2 => Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?).into()),
            code::BININT => Some(i32::from_le_bytes(self.take(4)?.try_into().ok()?).into()),
            _ => {
                let length = self.byte()?;
                let bytes = self.take(length.into())?;
                let negative = *bytes.last()? >= 0x80;
                let mut number = [if negative { 0xff } else { 0 }; 8];
                number.get_mut(..bytes.len())?.copy_from_slice(bytes);
                Some(i64::from_le_bytes(number))
            }
        }
    }

    fn sized(&mut self, short: bool) -> Option<&'a [u8]> {
        let length = if short {
            u32::from(self.byte()?)
        } else {
            u32::from_le_bytes(self.take(4)?.try_into().ok()?)
        };
        self.take(usize::try_from(length).ok()?)
    }

    fn skip_if(&mut self, condition: impl FnOnce(&mut Self) -> Option<bool>) -> Step<'py> {
        match condition(self) {
            Some(true) => Step::More,
            _ => Step::Unknown,
        }
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }
}
