//! Python objects as keys of dicts, sets and namespaces.
//!
//! Keys meet by value across processes (`1 == 1.0 == True`), so only types whose equality is known
//! without running code can be keys in the segment: scalars and tuples of them. A dict or set that
//! is given any other key moves to the manager process, see `proxy::route`.

use coheld_store::{CanonicalBuilder, Input, Key, KeyHasher, TupleKey, kinds::block};
use pyo3::{
    exceptions::PyRecursionError,
    prelude::*,
    types::{PyBool, PyBytes, PyFloat, PyInt, PyString, PyTuple},
};

use crate::{
    codec::{self, Encoded},
    errors::{self, OrRaise},
    interpreter,
};

/// A Python object as a key; owns what the key refers to.
pub(crate) enum EncodedKey<'py> {
    /// A scalar.
    Scalar(Encoded<'py>),
    /// A tuple of scalars and such tuples.
    Tuple(Box<TupleKey>),
}

impl EncodedKey<'_> {
    /// The key as the store takes it.
    #[inline]
    pub(crate) fn key(&self, py: Python<'_>, hasher: &KeyHasher) -> PyResult<Key<'_>> {
        match self {
            Self::Scalar(Encoded::Word(word)) => Key::from_word(*word, hasher).or_raise(py),
            Self::Scalar(Encoded::Str(text)) => Ok(Key::str(text.to_str()?, hasher)),
            Self::Scalar(value) => Key::from_input(&value.input()?, hasher).or_raise(py),
            Self::Tuple(tuple) => Ok(Key::from_tuple(tuple, hasher)),
        }
    }
}

/// The key for a Python object; `None` for an object that cannot be stored as a key, which may
/// still be equal to one that is.
#[inline]
pub(crate) fn encode<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<EncodedKey<'py>>> {
    if let Some(word) = codec::inline(object) {
        return Ok(Some(EncodedKey::Scalar(Encoded::Word(word))));
    }
    encode_block(object)
}

fn encode_block<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<EncodedKey<'py>>> {
    if let Ok(text) = object.cast_exact::<PyString>() {
        return codec::encode_text(text).map(EncodedKey::Scalar).map(Some);
    }
    if let Ok(bytes) = object.cast_exact::<PyBytes>() {
        return Ok(Some(EncodedKey::Scalar(Encoded::Bytes(bytes.clone()))));
    }
    if object.is_exact_instance_of::<PyInt>() {
        let bytes = codec::int_bytes(object)?;
        return Ok(Some(EncodedKey::Scalar(Encoded::BigInt(bytes))));
    }
    if let Ok(number) = object.cast_exact::<PyFloat>() {
        let bytes = number.value().to_le_bytes().into();
        return Ok(Some(EncodedKey::Scalar(Encoded::Block(
            block::FLOAT,
            bytes,
        ))));
    }
    if let Ok(tuple) = object.cast_exact::<PyTuple>() {
        let mut builder = CanonicalBuilder::new();
        if !push_tuple(&mut builder, tuple, 0)? {
            return Ok(None);
        }
        let original = codec::dumps(object)?;
        let key = builder.finish(original.as_bytes()).or_raise(object.py())?;
        return Ok(Some(EncodedKey::Tuple(Box::new(key))));
    }
    Ok(None)
}

/// Tuples within tuples that a key may have: fewer than CPython's pickler gives up at.
const DEPTH_LIMIT: u32 = 1_000;

/// The canonical form of a tuple; false if something in it cannot be stored in a key.
fn push_tuple(
    builder: &mut CanonicalBuilder,
    tuple: &Bound<'_, PyTuple>,
    depth: u32,
) -> PyResult<bool> {
    if depth == DEPTH_LIMIT {
        return Err(PyRecursionError::new_err(format!(
            "a key of tuples nested deeper than {DEPTH_LIMIT} levels"
        )));
    }
    builder.begin_tuple(tuple.len());
    for item in tuple.iter() {
        if !push(builder, &item, depth)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn push(builder: &mut CanonicalBuilder, item: &Bound<'_, PyAny>, depth: u32) -> PyResult<bool> {
    if let Ok(text) = item.cast_exact::<PyString>() {
        match text.to_str() {
            Ok(text) => builder.str(text.as_bytes()),
            Err(_) => builder.str(&codec::surrogate_bytes(text)?),
        }
    } else if let Ok(truth) = item.cast_exact::<PyBool>() {
        builder.bool(truth.is_true());
    } else if item.is_exact_instance_of::<PyInt>() {
        match codec::small_int(item) {
            Some(value) => builder.int(value),
            None => builder.big_int(&codec::int_bytes(item)?),
        }
    } else if let Ok(number) = item.cast_exact::<PyFloat>() {
        builder.float(number.value());
    } else if let Ok(bytes) = item.cast_exact::<PyBytes>() {
        builder.bytes(bytes.as_bytes());
    } else if item.is_none() {
        builder.none();
    } else if let Ok(tuple) = item.cast_exact::<PyTuple>() {
        return push_tuple(builder, tuple, depth + 1);
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// The key of an object that has to be stored as one.
pub(crate) fn encode_to_store<'py>(object: &Bound<'py, PyAny>) -> PyResult<EncodedKey<'py>> {
    match encode(object)? {
        Some(key) => Ok(key),
        None => Err(unsupported(object)),
    }
}

/// The keys of several objects that have to be stored.
pub(crate) fn encode_all<'py>(
    objects: impl IntoIterator<Item = Bound<'py, PyAny>>,
) -> PyResult<Vec<EncodedKey<'py>>> {
    objects
        .into_iter()
        .map(|object| encode_to_store(&object))
        .collect()
}

/// What storing an object as a key raises: what `hash` does, or pickling, or else that it cannot be
/// done in the segment.
#[cold]
fn unsupported(object: &Bound<'_, PyAny>) -> PyErr {
    // Nothing is to move for a key that could not be sent to where it moves. That is found out by a
    // pickle of its own: the one that is sent is made later, where the method is called.
    let trial = codec::Encoding::begin_trial();
    let tried = interpreter::hash(object).and_then(|()| codec::dumps(object).map(drop));
    drop(trial);
    if let Err(error) = tried {
        return error;
    }
    let name = object
        .get_type()
        .fully_qualified_name()
        .map_or_else(|_| String::from("?"), |name| name.to_string());
    errors::odd_key(format!(
        "a key of type '{name}' cannot be kept in shared memory: there, keys are None, bool, int, \
         float, str, bytes and tuples of them; use one of these as the key (for instance its name \
         or its value)"
    ))
}

/// The store's form of several pairs of keys and values.
pub(crate) fn pairs<'a>(
    py: Python<'_>,
    hasher: &KeyHasher,
    pairs: &'a [(EncodedKey<'_>, Encoded<'_>)],
) -> PyResult<Vec<(Key<'a>, Input<'a>)>> {
    let mut all = Vec::with_capacity(pairs.len());
    for (key, value) in pairs {
        all.push((key.key(py, hasher)?, value.input()?));
    }
    Ok(all)
}

/// The store's form of several keys.
pub(crate) fn keys<'a>(
    py: Python<'_>,
    hasher: &KeyHasher,
    keys: &'a [EncodedKey<'_>],
) -> PyResult<Vec<Key<'a>>> {
    let mut all = Vec::with_capacity(keys.len());
    for key in keys {
        all.push(key.key(py, hasher)?);
    }
    Ok(all)
}
