//! A Python object, ready to be stored.

use coheld::Handle;
use coheld_store::{Input, buffer::LEAST, kinds::block, word};
use pyo3::{
    ffi,
    prelude::*,
    types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyMemoryView, PyString},
};

use super::{
    context::{Encoding, Kept},
    pickle,
};
use crate::{
    buffer,
    errors::OrRaise,
    proxy::{AnyState, BaseProxy, ProxyState},
};

/// A pickle, the proxies in it, and the buffers beside it.
pub(crate) struct Pickled<'py> {
    bytes: Bound<'py, PyBytes>,
    /// One word for each proxy, in the order of their numbers in the pickle, then one for each
    /// buffer in the order in which the pickle asks for them.
    edges: Vec<u64>,
    /// What holds the referents until the value is stored.
    _kept: Kept,
}

/// A Python object in the form in which it is stored. Owns or keeps alive what it refers to. Small,
/// since there are as many at once as a list or dict has values.
pub(crate) enum Encoded<'py> {
    /// The value fits in a word.
    Word(u64),
    /// Text, as UTF-8.
    Str(Bound<'py, PyString>),
    /// Bytes.
    Bytes(Bound<'py, PyBytes>),
    /// An integer that does not fit in a word, in two's complement.
    BigInt(Box<[u8]>),
    /// Anything else of which the block had to be made.
    Block(u8, Box<[u8]>),
    /// A pickle and the proxies in it.
    Pickle(Box<Pickled<'py>>),
    /// One of the built-in proxies, stored as a data edge.
    Edge {
        /// The word of the edge.
        word: u64,
        /// The proxy; it holds the referent until the value is stored.
        _proxy: Bound<'py, PyAny>,
    },
    /// Bytes that are a referent of their own, stored as a data edge.
    Buffer(Handle),
}

impl Encoded<'_> {
    /// The value as the store takes it.
    #[inline]
    pub(crate) fn input(&self) -> PyResult<Input<'_>> {
        Ok(match self {
            Self::Word(word) => Input::Word(*word),
            Self::Str(text) => Input::Block {
                kind: block::STR,
                bytes: text.to_str()?.as_bytes(),
                edges: &[],
            },
            Self::Bytes(bytes) => Input::Block {
                kind: block::BYTES,
                bytes: bytes.as_bytes(),
                edges: &[],
            },
            Self::BigInt(bytes) => Input::big_int(bytes),
            Self::Block(kind, bytes) => Input::Block {
                kind: *kind,
                bytes,
                edges: &[],
            },
            Self::Pickle(pickled) => Input::Block {
                kind: block::PICKLE,
                bytes: pickled.bytes.as_bytes(),
                edges: &pickled.edges,
            },
            Self::Edge { word, .. } => Input::Edge(*word),
            Self::Buffer(handle) => Input::Edge(handle.edge_word()),
        })
    }
}

/// The store's form of several values.
pub(crate) fn inputs<'a>(values: &'a [Encoded<'_>]) -> PyResult<Vec<Input<'a>>> {
    let mut inputs = Vec::with_capacity(values.len());
    for value in values {
        inputs.push(value.input()?);
    }
    Ok(inputs)
}

/// A word or text, which no Python code is needed for; `None` for all other objects.
#[inline]
pub(crate) fn encode_simple<'py>(value: &Bound<'py, PyAny>) -> Option<Encoded<'py>> {
    if let Some(word) = inline(value) {
        return Some(Encoded::Word(word));
    }
    let text = value.cast_exact::<PyString>().ok()?;
    text.to_str().is_ok().then(|| Encoded::Str(text.clone()))
}

/// The word of an object whose value fits in one.
#[inline]
pub(crate) fn inline(value: &Bound<'_, PyAny>) -> Option<u64> {
    if value.is_exact_instance_of::<PyInt>() {
        return word::from_int(small_int(value)?);
    }
    if let Ok(text) = value.cast_exact::<PyString>() {
        // A lone surrogate leaves an error behind, which `to_str` has taken.
        return word::from_str(text.to_str().ok()?);
    }
    if value.is_none() {
        return Some(word::NONE);
    }
    if let Ok(truth) = value.cast_exact::<PyBool>() {
        return Some(word::from_bool(truth.is_true()));
    }
    if let Ok(number) = value.cast_exact::<PyFloat>() {
        return word::from_float(number.value());
    }
    if let Ok(bytes) = value.cast_exact::<PyBytes>() {
        return word::from_bytes(bytes.as_bytes());
    }
    None
}

/// The value of an exact `int`, if it has at most 64 bits.
#[inline]
pub(crate) fn small_int(value: &Bound<'_, PyAny>) -> Option<i64> {
    let mut overflow = 0;
    // SAFETY: `value` is an exact int, so this neither runs Python code nor sets an exception;
    // `overflow` is a valid place for the answer.
    let number = unsafe { ffi::PyLong_AsLongLongAndOverflow(value.as_ptr(), &raw mut overflow) };
    (overflow == 0).then_some(number)
}

/// Any object, for the referent behind `state`: proxies into the same segment become data edges.
#[inline]
pub(crate) fn encode<'py>(value: &Bound<'py, PyAny>, state: &ProxyState) -> PyResult<Encoded<'py>> {
    if let Some(word) = inline(value) {
        return Ok(Encoded::Word(word));
    }
    encode_block(value, state)
}

fn encode_block<'py>(value: &Bound<'py, PyAny>, state: &ProxyState) -> PyResult<Encoded<'py>> {
    if let Ok(text) = value.cast_exact::<PyString>() {
        return encode_text(text);
    }
    if let Ok(bytes) = value.cast_exact::<PyBytes>() {
        if bytes.as_bytes().len() < LEAST {
            return Ok(Encoded::Bytes(bytes.clone()));
        }
        let handle = Handle::of_bytes(state.attachment(), bytes.as_bytes());
        return Ok(Encoded::Buffer(handle.or_raise(value.py())?));
    }
    if let Ok(view) = value.cast_exact::<PyMemoryView>()
        && let Some(handle) = buffer::shown_by(view, state)?
    {
        return Ok(Encoded::Buffer(handle));
    }
    if value.is_exact_instance_of::<PyInt>() {
        return Ok(Encoded::BigInt(int_bytes(value)?));
    }
    if let Ok(number) = value.cast_exact::<PyFloat>() {
        return Ok(Encoded::Block(
            block::FLOAT,
            number.value().to_le_bytes().into(),
        ));
    }
    let segment = state.segment_id();
    if let Some(word) = direct_edge(value, segment) {
        return Ok(Encoded::Edge {
            word,
            _proxy: value.clone(),
        });
    }
    let encoding = Encoding::begin(segment);
    let bytes = pickle::dumps_beside(value, state.attachment())?;
    let (edges, kept) = encoding.finish();
    Ok(Encoded::Pickle(Box::new(Pickled {
        bytes,
        edges,
        _kept: kept,
    })))
}

/// Text of any length; lone surrogates have no UTF-8 and take the form Python calls
/// `surrogatepass`.
pub(crate) fn encode_text<'py>(text: &Bound<'py, PyString>) -> PyResult<Encoded<'py>> {
    if text.to_str().is_ok() {
        return Ok(Encoded::Str(text.clone()));
    }
    Ok(Encoded::Block(block::STR_SURROGATE, surrogate_bytes(text)?))
}

/// The bytes of text that has lone surrogates.
pub(crate) fn surrogate_bytes(text: &Bound<'_, PyString>) -> PyResult<Box<[u8]>> {
    let bytes = text
        .call_method1(
            pyo3::intern!(text.py(), "encode"),
            ("utf-8", "surrogatepass"),
        )?
        .cast_into::<PyBytes>()?;
    Ok(bytes.as_bytes().into())
}

/// The shortest two's complement of an exact `int`, least significant byte first.
pub(crate) fn int_bytes(value: &Bound<'_, PyAny>) -> PyResult<Box<[u8]>> {
    let py = value.py();
    let bits: usize = value
        .call_method0(pyo3::intern!(py, "bit_length"))?
        .extract()?;
    let keywords = PyDict::new(py);
    keywords.set_item(pyo3::intern!(py, "signed"), true)?;
    let arguments = (bits / 8 + 1, pyo3::intern!(py, "little"));
    let bytes = value
        .call_method(pyo3::intern!(py, "to_bytes"), arguments, Some(&keywords))?
        .cast_into::<PyBytes>()?;
    Ok(bytes.as_bytes().into())
}

/// The edge of an object that is exactly one of the built-in proxies into this segment, under the
/// typeid that its class stands for. All others are pickled, which keeps their class.
fn direct_edge(value: &Bound<'_, PyAny>, segment: [u8; 16]) -> Option<u64> {
    let proxy = value.cast::<BaseProxy>().ok()?;
    let Some(AnyState::Segment(state)) = proxy.get().state_opt() else {
        return None;
    };
    let kind = state.kind();
    (value.get_type().is(kind.class(value.py()))
        && state.has_typeid(value.py(), kind.typeid())
        && state.segment_id() == segment)
        .then(|| state.handle().edge_word())
}
