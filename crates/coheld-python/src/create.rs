//! New shared objects, from plain ones.

use std::sync::Arc;

use coheld::{Attachment, Handle};
use coheld_store::{Array, Dict, List, Namespace, Set, Value, kinds::referent};
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{PyBytes, PyDict, PyList, PySet, PyString, PyTuple},
};

use crate::{
    attachment, codec, copy,
    errors::{self, Made, OrRaise},
    hosted, interpreter, key,
    proxy::{self, BaseProxy, ProxyState},
    token::Token,
};

/// Copy a plain object into the segment; return the token of the new referent.
///
/// The referent lives until the token goes, and then as long as anybody has a proxy of it.
#[pyfunction]
pub(crate) fn create(
    attachment: &Bound<'_, attachment::Attachment>,
    typeid: Bound<'_, PyAny>,
    object: &Bound<'_, PyAny>,
) -> PyResult<Token> {
    let py = object.py();
    let target = attachment.get().shared();
    let state = if let Ok(list) = object.cast::<PyList>() {
        create_list(py, target, list)?
    } else if let Ok(dict) = object.cast::<PyDict>() {
        create_dict(py, target, dict)?
    } else if let Ok(set) = object.cast::<PySet>() {
        create_set(py, target, set)?
    } else {
        create_other(py, target, object)?
    };
    Token::holding(py, state.into_handle(), typeid)
}

/// A new, empty referent.
fn empty(
    py: Python<'_>,
    attachment: &Arc<Attachment>,
    kind: u8,
    auxiliary: u64,
) -> PyResult<ProxyState> {
    ProxyState::new(
        py,
        Handle::create(attachment, kind, auxiliary).or_raise(py)?,
    )
}

fn create_list(
    py: Python<'_>,
    attachment: &Arc<Attachment>,
    list: &Bound<'_, PyList>,
) -> PyResult<ProxyState> {
    let state = empty(py, attachment, referent::LIST, 0)?;
    if !list.is_empty() {
        let values = copy::encode_all(&state, list.iter())?;
        let inputs = codec::inputs(&values)?;
        List::new(&state.referent(py)?)
            .extend(&inputs, None)
            .or_raise(py)?;
    }
    Ok(state)
}

fn create_dict(
    py: Python<'_>,
    attachment: &Arc<Attachment>,
    dict: &Bound<'_, PyDict>,
) -> PyResult<ProxyState> {
    let state = empty(py, attachment, referent::DICT, 0)?;
    if !dict.is_empty() {
        let filled = copy::encode_pairs(&state, dict).and_then(|content| {
            let pairs = key::pairs(py, state.hasher(), &content)?;
            Dict::new(&state.referent(py)?)
                .replace(&pairs, None)
                .or_raise(py)
        });
        or_by_call(&state, filled, dict)?;
    }
    Ok(state)
}

fn create_set(
    py: Python<'_>,
    attachment: &Arc<Attachment>,
    set: &Bound<'_, PySet>,
) -> PyResult<ProxyState> {
    let state = empty(py, attachment, referent::SET, 0)?;
    if !set.is_empty() {
        let filled = key::encode_all(set.iter()).and_then(|keys| {
            let keys = key::keys(py, state.hasher(), &keys)?;
            Set::new(&state.referent(py)?).update(&keys).or_raise(py)
        });
        or_by_call(&state, filled, set)?;
    }
    Ok(state)
}

/// What a new dict or set begins with, if some of it has no form in the segment: the empty referent
/// moves to the manager process and is filled there.
fn or_by_call(
    state: &ProxyState,
    filled: PyResult<()>,
    content: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let py = content.py();
    match filled.made(py) {
        Err(error) if errors::is_odd_key(py, &error) => {}
        done => return done,
    }
    let proxy = proxy::from_handle(py, state.another_handle())?.cast_into::<BaseProxy>()?;
    hosted::move_to_manager(&proxy)?;
    let arguments = PyTuple::new(py, [content])?;
    hosted::call_method(&proxy, pyo3::intern!(py, "update"), &arguments, None).map(drop)
}

/// A namespace, value or array, by the name of its class.
fn create_other(
    py: Python<'_>,
    attachment: &Arc<Attachment>,
    object: &Bound<'_, PyAny>,
) -> PyResult<ProxyState> {
    let class = object.get_type();
    let name = class.name()?;
    let attribute = |name| interpreter::attribute(object, &PyString::intern(py, name));
    match name.to_str()? {
        "Namespace" => {
            let attributes = attribute("__dict__")?.cast_into::<PyDict>()?;
            let state = empty(py, attachment, referent::NAMESPACE, 0)?;
            let content = copy::encode_pairs(&state, &attributes)?;
            let pairs = key::pairs(py, state.hasher(), &content)?;
            Namespace::new(&state.referent(py)?)
                .update(&pairs)
                .or_raise(py)?;
            Ok(state)
        }
        "Value" => {
            let auxiliary = proxy::auxiliary_of_value(&attribute("_typecode")?)?;
            let state = empty(py, attachment, referent::VALUE, auxiliary)?;
            let content = copy::encode_all(&state, [attribute("_value")?])?;
            if let [content] = content.as_slice() {
                Value::new(&state.referent(py)?)
                    .set(&content.input()?)
                    .or_raise(py)?;
            }
            Ok(state)
        }
        "array" => {
            let typecode = attribute("typecode")?.cast_into::<PyString>()?;
            let typecode = typecode.to_str()?.as_bytes()[0];
            let size: u8 = attribute("itemsize")?.extract()?;
            let auxiliary = Array::auxiliary(typecode, size);
            let state = empty(py, attachment, referent::ARRAY, auxiliary)?;
            let bytes = object.call_method0("tobytes")?.cast_into::<PyBytes>()?;
            Array::new(&state.referent(py)?)
                .replace(bytes.as_bytes())
                .or_raise(py)?;
            Ok(state)
        }
        name => Err(PyTypeError::new_err(format!(
            "an object of type '{name}' has no form of its own in shared memory: \
             share a list, dict, set, Namespace, Value or Array"
        ))),
    }
}
