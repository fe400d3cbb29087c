//! What `DictProxy` does beyond one call of the store.

use coheld_store::{Dict, Key};
use pyo3::{
    exceptions::PyKeyError,
    prelude::*,
    types::{PyDict, PyString, PyTuple},
};

use super::{
    BaseProxy, DictProxy, ProxyState,
    argument::{Keywords, Rest},
    base::operand,
    route::{call, route, settle},
    sequence::tuple,
};
use crate::{
    codec,
    copy::{self, read},
    errors::{self, Made, OrRaise},
    interpreter, key,
};

/// The error for a key that is not there.
#[cold]
pub(super) fn missing(key: &Bound<'_, PyAny>) -> PyErr {
    // A tuple has to be wrapped, or it would be taken for the arguments.
    PyKeyError::new_err((key.clone().unbind(),))
}

/// The value of a key that can be stored, if it is there.
pub(super) fn look_up<'py>(
    py: Python<'py>,
    state: &ProxyState,
    key: &Key<'_>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match Dict::new(&state.referent(py)?).get(key).or_raise(py)? {
        Some(value) => codec::output(py, state.attachment(), value).map(Some),
        None => Ok(None),
    }
}

/// Takes over all pairs of a plain dict, as one change.
pub(super) fn update<'py>(
    proxy: &Bound<'py, BaseProxy>,
    state: &ProxyState,
    content: &Bound<'py, PyDict>,
) -> PyResult<()> {
    let py = proxy.py();
    let name = pyo3::intern!(py, "update");
    let arguments = || tuple(py, [content.as_any()]);
    settle(proxy, state, name, arguments, None, |state| {
        let content = copy::encode_pairs(state, content)?;
        let pairs = key::pairs(py, state.hasher(), &content)?;
        Dict::new(&state.referent(py)?).update(&pairs).or_raise(py)
    })
}

/// `|` with either operand first.
pub(super) fn union<'py>(
    slf: &Bound<'py, DictProxy>,
    name: &Bound<'py, PyString>,
    other: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = slf.py();
    let arguments = tuple(py, [&operand(other)?])?;
    let given = || Ok(arguments.clone());
    route(slf.as_super(), name, given, None, |state| {
        read(py, state, name, &arguments, None)
    })
}

/// An iterator over the keys of a hosted dict, as they are now.
pub(super) fn iterate_hosted<'py>(proxy: &Bound<'py, BaseProxy>) -> PyResult<Bound<'py, PyAny>> {
    let py = proxy.py();
    let none = PyTuple::empty(py);
    let keys = match call(proxy, pyo3::intern!(py, "keys"), &none, None).made(py) {
        // It may be another mapping, whose keys cannot be sent or are not exposed.
        Err(error) if errors::is_remote(py, &error) => {
            call(proxy, pyo3::intern!(py, "__iter__"), &none, None)?
        }
        keys => keys?,
    };
    Ok(interpreter::iterate(&keys)?.into_any())
}

/// What `dict.method(*args, **kwds)` makes of an empty dict.
pub(super) fn from_empty<'py>(
    py: Python<'py>,
    method: &Bound<'py, PyString>,
    args: Rest<'_, 'py>,
    kwds: Option<Keywords<'_, 'py>>,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let method = dict.getattr(method)?;
    interpreter::call_with(&method, args, kwds)?;
    Ok(dict)
}
