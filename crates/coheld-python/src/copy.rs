//! Copies of whole referents: what runs when a method has no form of its own in the segment.
//!
//! The built-in method works on a copy, so that its results and its messages are those of the
//! running Python. What it did to the copy is committed as a whole, and only if nobody has changed
//! the referent meanwhile; else everything is done again.

use coheld_store::{Array, Dict, List, Namespace, Set, StoreError, Value};
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{PyBytes, PyDict, PyInt, PyList, PySet, PySlice, PyString, PyTuple},
};

use crate::{
    attempts::Attempts,
    codec::{self, Encoded},
    errors::OrRaise,
    interpreter,
    key::{self, EncodedKey},
    proxy::{self, BaseProxy, Kind, ProxyState},
};

/// A copy of the referent and the version it had.
pub(crate) fn of<'py>(py: Python<'py>, state: &ProxyState) -> PyResult<(Bound<'py, PyAny>, u64)> {
    let referent = state.referent(py)?;
    let attachment = state.attachment();
    Ok(match state.kind() {
        Kind::List => {
            let snapshot = List::new(&referent).snapshot().or_raise(py)?;
            (
                codec::list(py, attachment, &snapshot)?.into_any(),
                snapshot.version(),
            )
        }
        Kind::Dict => {
            let snapshot = Dict::new(&referent).snapshot_items().or_raise(py)?;
            (
                codec::dict(py, attachment, &snapshot)?.into_any(),
                snapshot.version(),
            )
        }
        Kind::Set => {
            let snapshot = Set::new(&referent).snapshot().or_raise(py)?;
            let copy = PySet::empty(py)?;
            for value in codec::values(py, attachment, &snapshot)? {
                copy.add(value)?;
            }
            (copy.into_any(), snapshot.version())
        }
        Kind::Namespace => {
            let snapshot = Namespace::new(&referent).snapshot_items().or_raise(py)?;
            let attributes = codec::dict(py, attachment, &snapshot)?;
            (
                proxy::copy_of_namespace(py, &attributes)?,
                snapshot.version(),
            )
        }
        Kind::Value => {
            let value = Value::new(&referent);
            let version = value.version().or_raise(py)?;
            let content = codec::output(py, attachment, value.get().or_raise(py)?)?;
            (proxy::copy_of_value(py, state, &content)?, version)
        }
        Kind::Array => {
            let array = Array::new(&referent);
            let version = array.version().or_raise(py)?;
            (
                proxy::copy_of_array(py, &array, &array.to_bytes().or_raise(py)?)?,
                version,
            )
        }
        // No version: nothing of it can be committed.
        Kind::Hosted => (proxy::value(&hosted(py, state)?)?, 0),
        _ => return Err(proxy::unserializable(py, state)),
    })
}

/// Whether a copy of the referent contains `item`.
#[cold]
pub(crate) fn contains(
    py: Python<'_>,
    state: &ProxyState,
    item: &Bound<'_, PyAny>,
) -> PyResult<bool> {
    let (copy, _) = of(py, state)?;
    interpreter::contains(&copy, item)
}

/// The text that `str` makes of the referent.
pub(crate) fn text(py: Python<'_>, state: &ProxyState) -> PyResult<String> {
    if state.kind().is_waited_for() {
        return proxy::describe(py, state);
    }
    if state.is_hosted() {
        let none = PyTuple::empty(py);
        let proxy = hosted(py, state)?;
        let text = proxy::call(&proxy, pyo3::intern!(py, "__str__"), &none, None)?;
        return Ok(interpreter::str(&text)?.to_string());
    }
    let (copy, _) = of(py, state)?;
    Ok(interpreter::str(&copy)?.to_string())
}

/// A proxy to call a hosted referent by.
fn hosted<'py>(py: Python<'py>, state: &ProxyState) -> PyResult<Bound<'py, BaseProxy>> {
    Ok(proxy::from_handle(py, state.another_handle())?.cast_into()?)
}

/// The result of a method on a copy; the referent does not change.
pub(crate) fn read<'py>(
    py: Python<'py>,
    state: &ProxyState,
    method: &Bound<'py, PyString>,
    arguments: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let (copy, _) = of(py, state)?;
    call_method(&copy, method, arguments, keywords)
}

/// The result of a method of a plain object.
fn call_method<'py>(
    object: &Bound<'py, PyAny>,
    method: &Bound<'py, PyString>,
    arguments: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let method = object.getattr(method)?;
    interpreter::call_with(&method, arguments, keywords)
}

/// The result of a method that changes the referent, if it does not raise.
pub(crate) fn write<'py>(
    py: Python<'py>,
    state: &ProxyState,
    method: &Bound<'py, PyString>,
    arguments: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let arguments = &with_plain_index(state, method, arguments)?;
    let mut attempts = Attempts::new(state.referent(py)?);
    loop {
        let (copy, version) = of(py, state)?;
        let result = call_method(&copy, method, arguments, keywords)?;
        if commit(py, state, &copy, version)? {
            return Ok(result);
        }
        attempts.again_or_raise(py, method.to_str()?)?;
    }
}

/// Methods whose first argument is an index, a slice or a number.
const INDEXED: &[&str] = &["__setitem__", "__delitem__", "__imul__", "insert", "pop"];

/// The arguments with the index as a plain number. An object's `__index__` is called once, as by
/// the built-in method, however often that has to be tried.
fn with_plain_index<'py>(
    state: &ProxyState,
    method: &Bound<'py, PyString>,
    arguments: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyTuple>> {
    let indexed = matches!(state.kind(), Kind::List | Kind::Array)
        && INDEXED.contains(&method.to_str()?)
        && !arguments.is_empty();
    if !indexed {
        return Ok(arguments.clone());
    }
    let py = arguments.py();
    let mut all: Vec<_> = arguments.iter().collect();
    all[0] = match all[0].cast::<PySlice>() {
        Err(_) => plain_index(&all[0])?,
        Ok(slice) => {
            let part = |name| plain_index(&slice.getattr(name)?);
            let parts = (part("start")?, part("stop")?, part("step")?);
            py.get_type::<PySlice>().call1(parts)?
        }
    };
    PyTuple::new(py, all)
}

fn plain_index<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    if object.is_exact_instance_of::<PyInt>() {
        return Ok(object.clone());
    }
    let class = object.get_type();
    if !class.hasattr("__index__")? {
        return Ok(object.clone());
    }
    let operator = object.py().import("operator")?;
    interpreter::method(&operator, pyo3::intern!(object.py(), "index"), (object,))
}

/// Makes the referent what the copy is now. False: somebody has changed it since `version`.
pub(crate) fn commit(
    py: Python<'_>,
    state: &ProxyState,
    copy: &Bound<'_, PyAny>,
    version: u64,
) -> PyResult<bool> {
    let referent = state.referent(py)?;
    let hasher = state.hasher();
    let done = match state.kind() {
        Kind::List => {
            let values = encode_all(state, copy.cast::<PyList>()?.iter())?;
            let inputs = codec::inputs(&values)?;
            List::new(&referent).replace(&inputs, Some(version))
        }
        Kind::Dict => {
            let content = encode_pairs(state, copy.cast::<PyDict>()?)?;
            let pairs = key::pairs(py, hasher, &content)?;
            Dict::new(&referent).replace(&pairs, Some(version))
        }
        Kind::Set => {
            let keys = key::encode_all(copy.cast::<PySet>()?.iter())?;
            let keys = key::keys(py, hasher, &keys)?;
            Set::new(&referent).replace(&keys, Some(version))
        }
        Kind::Array => {
            let bytes = copy.call_method0("tobytes")?;
            let bytes = bytes.cast::<PyBytes>()?;
            Array::new(&referent).set_slice(
                coheld_store::Slice::FULL,
                bytes.as_bytes(),
                Some(version),
            )
        }
        _ => {
            return Err(PyTypeError::new_err(format!(
                "a shared {} is changed attribute by attribute",
                state.kind().typeid()
            )));
        }
    };
    match done {
        Ok(()) => Ok(true),
        Err(StoreError::Changed) => Ok(false),
        Err(error) => Err(error).or_raise(py),
    }
}

/// Several values, ready to be stored.
pub(crate) fn encode_all<'py>(
    state: &ProxyState,
    values: impl IntoIterator<Item = Bound<'py, PyAny>>,
) -> PyResult<Vec<Encoded<'py>>> {
    let values = values.into_iter();
    let mut encoded = Vec::with_capacity(values.size_hint().0);
    for value in values {
        encoded.push(codec::encode(&value, state)?);
    }
    Ok(encoded)
}

/// The content of a dict, ready to be stored.
pub(crate) fn encode_pairs<'py>(
    state: &ProxyState,
    content: &Bound<'py, PyDict>,
) -> PyResult<Vec<(EncodedKey<'py>, Encoded<'py>)>> {
    if let Some(pairs) = encode_simple_pairs(content) {
        return Ok(pairs);
    }
    // All of them first: pickling a value may run code that changes the dict.
    let all: Vec<_> = content.iter().collect();
    // The keys before the values: one of them may mean that no value is needed in this form.
    let mut keys = Vec::with_capacity(all.len());
    for (key, _) in &all {
        keys.push(key::encode_to_store(key)?);
    }
    let mut pairs = Vec::with_capacity(all.len());
    for (key, (_, value)) in keys.into_iter().zip(&all) {
        pairs.push((key, codec::encode(value, state)?));
    }
    Ok(pairs)
}

/// The same if no Python code is needed for any of them.
fn encode_simple_pairs<'py>(
    content: &Bound<'py, PyDict>,
) -> Option<Vec<(EncodedKey<'py>, Encoded<'py>)>> {
    let mut pairs = Vec::with_capacity(content.len());
    for (key, value) in content.iter() {
        let key = EncodedKey::Scalar(codec::encode_simple(&key)?);
        pairs.push((key, codec::encode_simple(&value)?));
    }
    Some(pairs)
}
