//! What `ListProxy` does beyond one call of the store.

use coheld_store::{List, Search, StoreError};
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyDict, PyList},
};

use super::{ProxyState, argument::Keywords};
use crate::{attempts::Attempts, codec, copy, errors::OrRaise, interpreter};

/// `list.append`.
pub(super) fn append(py: Python<'_>, state: &ProxyState, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let value = codec::encode(value, state)?;
    List::new(&state.referent(py)?)
        .append(&value.input()?)
        .or_raise(py)
}

/// The items of any iterable, with the error of `list.extend` for what is none.
pub(super) fn plain_list<'py>(items: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(items.py());
    interpreter::method(&list, pyo3::intern!(items.py(), "extend"), (items,))?;
    Ok(list)
}

/// Appends all items of any iterable, as one change.
pub(super) fn extend(py: Python<'_>, state: &ProxyState, items: &Bound<'_, PyAny>) -> PyResult<()> {
    let items = plain_list(items)?;
    let values = copy::encode_all(state, items.iter())?;
    let inputs = codec::inputs(&values)?;
    List::new(&state.referent(py)?)
        .extend(&inputs, None)
        .or_raise(py)
}

/// Where `value` is first, if that is known without Python's `==`.
pub(super) fn find(
    py: Python<'_>,
    state: &ProxyState,
    value: &Bound<'_, PyAny>,
    start: i64,
    stop: i64,
) -> PyResult<Search> {
    match codec::inline(value) {
        Some(word) => List::new(&state.referent(py)?)
            .find(word, start, stop)
            .or_raise(py),
        None => Ok(Search::Unknown),
    }
}

/// Removes the first item equal to `value`.
pub(super) fn remove<'py>(
    py: Python<'py>,
    state: &ProxyState,
    value: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let mut attempts = Attempts::new(state.referent(py)?);
    loop {
        let Some((index, version)) = locate(py, state, value)? else {
            return PyList::empty(py).call_method1(pyo3::intern!(py, "remove"), (value,));
        };
        match List::new(&state.referent(py)?).delete(index.cast_signed(), Some(version)) {
            Err(StoreError::Changed) => attempts.again_or_raise(py, "remove")?,
            done => return done.or_raise(py).map(|()| py.None().into_bound(py)),
        }
    }
}

/// Where `value` is first, and the version of the list in which it is there.
fn locate(
    py: Python<'_>,
    state: &ProxyState,
    value: &Bound<'_, PyAny>,
) -> PyResult<Option<(u64, u64)>> {
    match find(py, state, value, 0, i64::MAX)? {
        Search::Found { index, version } => return Ok(Some((index, version))),
        Search::Absent => return Ok(None),
        Search::Unknown => {}
    }
    let (copy, version) = copy::of(py, state)?;
    for (index, item) in (0..).zip(copy.cast::<PyList>()?.iter()) {
        if interpreter::equal(&item, value)? {
            return Ok(Some((index, version)));
        }
    }
    Ok(None)
}

/// Sorts: computes the order on a copy and moves the items, whatever they are, accordingly.
pub(super) fn sort<'py>(
    py: Python<'py>,
    state: &ProxyState,
    keywords: Option<Keywords<'_, 'py>>,
) -> PyResult<()> {
    let key = match keywords {
        None => None,
        Some(keywords) => keywords.get_item("key")?.filter(|key| !key.is_none()),
    };
    let options = PyDict::new(py);
    if let Some(keywords) = keywords {
        options.update(keywords.as_mapping())?;
    }
    let mut attempts = Attempts::new(state.referent(py)?);
    loop {
        let (copy, version) = copy::of(py, state)?;
        let items = copy.cast_into::<PyList>()?;
        let keys = match &key {
            None => items,
            Some(function) => {
                let keys = items
                    .iter()
                    .map(|item| interpreter::call(function, (item,)));
                PyList::new(py, keys.collect::<PyResult<Vec<_>>>()?)?
            }
        };
        options.set_item("key", keys.getattr(pyo3::intern!(py, "__getitem__"))?)?;
        let order = PyList::new(py, 0..keys.len())?;
        interpreter::call_with(
            &order.getattr(pyo3::intern!(py, "sort"))?,
            (),
            Some(&options),
        )?;
        let order: Vec<u32> = order.extract()?;
        match List::new(&state.referent(py)?).permute(&order, Some(version)) {
            Err(StoreError::Changed) => {
                if !attempts.again(py)? {
                    // What CPython says of a key function that changes the list.
                    return Err(PyValueError::new_err("list modified during sort"));
                }
            }
            done => return done.or_raise(py),
        }
    }
}
