//! What `SetProxy` does beyond one call of the store.

use coheld_store::Set;
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{PyFrozenSet, PySet, PyString, PyTuple},
};

use super::{
    ProxyState, SetProxy,
    argument::{Keywords, Rest},
    base::operand,
    sequence::tuple,
    state::state_of,
};
use crate::{
    copy::{read, write},
    errors::OrRaise,
    interpreter, key,
};

/// A built-in method of set with operands of which proxies count as sets.
pub(super) fn on_copy<'py>(
    slf: &Bound<'py, SetProxy>,
    method: &Bound<'py, PyString>,
    other: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = slf.py();
    let other = operand(other)?;
    read(py, state_of(slf)?, method, &tuple(py, [&other])?, None)
}

/// The same for named methods, which take any number of iterables.
pub(super) fn named<'py>(
    slf: &Bound<'py, SetProxy>,
    method: &Bound<'py, PyString>,
    args: Rest<'_, 'py>,
    kwds: Option<Keywords<'_, 'py>>,
) -> PyResult<Bound<'py, PyAny>> {
    let others = args
        .iter()
        .map(|other| operand(&other))
        .collect::<PyResult<Vec<_>>>()?;
    let py = slf.py();
    read(py, state_of(slf)?, method, &PyTuple::new(py, others)?, kwds)
}

/// A method that changes the set, on a copy that is then committed.
pub(super) fn named_in_place<'py>(
    slf: &Bound<'py, SetProxy>,
    method: &Bound<'py, PyString>,
    args: Rest<'_, 'py>,
    kwds: Option<Keywords<'_, 'py>>,
) -> PyResult<()> {
    let others = args
        .iter()
        .map(|other| operand(&other))
        .collect::<PyResult<Vec<_>>>()?;
    let py = slf.py();
    write(py, state_of(slf)?, method, &PyTuple::new(py, others)?, kwds).map(|_| ())
}

/// An operator in place. What is no set is refused, as for a plain set.
pub(super) fn operator_in_place<'py>(
    slf: &Bound<'py, SetProxy>,
    symbol: &str,
    method: &Bound<'py, PyString>,
    other: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = slf.py();
    let other = operand(other)?;
    if !other.is_instance_of::<PySet>() && !other.is_instance_of::<PyFrozenSet>() {
        return Err(PyTypeError::new_err(format!(
            "unsupported operand type(s) for {symbol}: '{}' and '{}'",
            slf.get_type().name()?,
            other.get_type().name()?
        )));
    }
    write(py, state_of(slf)?, method, &tuple(py, [&other])?, None).map(|_| ())
}

/// Adds all elements of several iterables, as one change.
pub(super) fn add_all<'py>(
    py: Python<'py>,
    state: &ProxyState,
    args: Rest<'_, 'py>,
) -> PyResult<()> {
    let all = PySet::empty(py)?;
    let method = all.getattr(pyo3::intern!(py, "update"))?;
    interpreter::call(&method, args)?;
    let keys = key::encode_all(all.iter())?;
    let keys = key::keys(py, state.hasher(), &keys)?;
    Set::new(&state.referent(py)?).update(&keys).or_raise(py)
}

/// Takes an element out; whether it was there. `None`: it is not of a type that can be stored.
pub(super) fn take(
    py: Python<'_>,
    state: &ProxyState,
    element: &Bound<'_, PyAny>,
) -> PyResult<Option<bool>> {
    let Some(encoded) = key::encode(element)? else {
        return Ok(None);
    };
    let key = encoded.key(py, state.hasher())?;
    Set::new(&state.referent(py)?)
        .discard(&key)
        .or_raise(py)
        .map(Some)
}
