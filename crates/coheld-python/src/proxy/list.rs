//! `ListProxy`.

use coheld_store::{List, Search, StoreError};
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{PyGenericAlias, PyList, PyTuple, PyType},
};

use super::{
    BaseProxy, Kind, ListIterator,
    argument::{Argument, Keywords, Rest, is_simple, positional},
    base::operand,
    list_operations::{append, extend, find, plain_list, remove, sort},
    sequence::{exact_index, exact_slice, tuple},
    state::state_of,
};
use crate::{
    codec,
    copy::{self, read, write},
    errors::OrRaise,
    interpreter,
};

/// A proxy of a shared list.
///
/// Has all methods of list. Items, slices, sums and copies that it returns are plain objects.
/// Compares by identity, like every proxy.
#[pyclass(extends = BaseProxy, frozen, subclass)]
pub(crate) struct ListProxy;

#[pymethods]
impl ListProxy {
    #[classattr]
    fn _exposed_(py: Python<'_>) -> PyResult<Py<PyTuple>> {
        Kind::List.exposed_tuple(py)
    }

    #[new]
    #[pyo3(signature = (*_args, **_kwds))]
    fn new(_args: Rest<'_, '_>, _kwds: Option<Keywords<'_, '_>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(BaseProxy::default()).add_subclass(Self)
    }

    #[classmethod]
    fn __class_getitem__<'py>(
        class: &Bound<'py, PyType>,
        item: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyGenericAlias>> {
        PyGenericAlias::new(class.py(), class.as_any(), item)
    }

    fn __len__(slf: &Bound<'_, Self>) -> PyResult<usize> {
        let py = slf.py();
        let length = List::new(&state_of(slf)?.referent(py)?)
            .len()
            .or_raise(py)?;
        Ok(usize::try_from(length)?)
    }

    fn __getitem__<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let state = state_of(slf)?;
        if let Some(index) = exact_index(key) {
            let value = List::new(&state.referent(py)?).get(index).or_raise(py)?;
            return codec::output(py, state.attachment(), value);
        }
        if let Some(slice) = exact_slice(key)? {
            let snapshot = List::new(&state.referent(py)?).slice(slice).or_raise(py)?;
            return Ok(codec::list(py, state.attachment(), &snapshot)?.into_any());
        }
        read(
            py,
            state,
            pyo3::intern!(py, "__getitem__"),
            &tuple(py, [key])?,
            None,
        )
    }

    fn __setitem__<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let py = slf.py();
        let state = state_of(slf)?;
        if let Some(index) = exact_index(key) {
            let value = codec::encode(value, state)?;
            return List::new(&state.referent(py)?)
                .set(index, &value.input()?)
                .or_raise(py);
        }
        if let Some(slice) = exact_slice(key)?
            && let Ok(items) = interpreter::iterate(value)
        {
            let items = plain_list(&items)?;
            let values = copy::encode_all(state, items.iter())?;
            let inputs = codec::inputs(&values)?;
            return List::new(&state.referent(py)?)
                .set_slice(slice, &inputs, None)
                .or_raise(py);
        }
        write(
            py,
            state,
            pyo3::intern!(py, "__setitem__"),
            &tuple(py, [key, value])?,
            None,
        )
        .map(|_| ())
    }

    fn __delitem__<'py>(slf: &Bound<'py, Self>, key: &Bound<'py, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let state = state_of(slf)?;
        if let Some(index) = exact_index(key) {
            return List::new(&state.referent(py)?)
                .delete(index, None)
                .or_raise(py);
        }
        if let Some(slice) = exact_slice(key)? {
            return List::new(&state.referent(py)?)
                .delete_slice(slice, None)
                .or_raise(py);
        }
        write(
            py,
            state,
            pyo3::intern!(py, "__delitem__"),
            &tuple(py, [key])?,
            None,
        )
        .map(|_| ())
    }

    fn __contains__(slf: &Bound<'_, Self>, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = slf.py();
        let state = state_of(slf)?;
        match find(py, state, value, 0, i64::MAX)? {
            Search::Found { .. } => Ok(true),
            Search::Absent => Ok(false),
            Search::Unknown => {
                let (copy, _) = copy::of(py, state)?;
                interpreter::contains(&copy, value)
            }
        }
    }

    fn __iter__(slf: &Bound<'_, Self>) -> PyResult<ListIterator> {
        state_of(slf)?;
        Ok(ListIterator::new(slf.as_super()))
    }

    fn __reversed__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        read(
            py,
            state_of(slf)?,
            pyo3::intern!(py, "__reversed__"),
            &PyTuple::empty(py),
            None,
        )
    }

    fn __add__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let other = operand(other)?;
        read(
            py,
            state_of(slf)?,
            pyo3::intern!(py, "__add__"),
            &tuple(py, [&other])?,
            None,
        )
    }

    fn __mul__<'py>(
        slf: &Bound<'py, Self>,
        times: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        read(
            py,
            state_of(slf)?,
            pyo3::intern!(py, "__mul__"),
            &tuple(py, [times])?,
            None,
        )
    }

    fn __rmul__<'py>(
        slf: &Bound<'py, Self>,
        times: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        read(
            py,
            state_of(slf)?,
            pyo3::intern!(py, "__rmul__"),
            &tuple(py, [times])?,
            None,
        )
    }

    fn __iadd__(slf: &Bound<'_, Self>, items: &Bound<'_, PyAny>) -> PyResult<()> {
        extend(slf.py(), state_of(slf)?, items)
    }

    fn __imul__<'py>(slf: &Bound<'py, Self>, times: &Bound<'py, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let state = state_of(slf)?;
        if let Some(times) = exact_index(times) {
            return List::new(&state.referent(py)?).repeat(times).or_raise(py);
        }
        write(
            py,
            state,
            pyo3::intern!(py, "__imul__"),
            &tuple(py, [times])?,
            None,
        )
        .map(|_| ())
    }

    /// Append object to the end of the list.
    #[pyo3(signature = (object=Argument::Missing, /, *args, **kwds),
           text_signature = "($self, object, /)")]
    fn append<'py>(
        slf: &Bound<'py, Self>,
        object: Argument<'py>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<()> {
        let py = slf.py();
        let state = state_of(slf)?;
        if let (Argument::Given(value), true) = (&object, is_simple(args, kwds)) {
            return append(py, state, value);
        }
        let arguments = positional(&[&object], args)?;
        write(py, state, pyo3::intern!(py, "append"), &arguments, kwds).map(|_| ())
    }

    /// Remove all items from list.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, /)")]
    fn clear<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<()> {
        let py = slf.py();
        let state = state_of(slf)?;
        if is_simple(args, kwds) {
            return List::new(&state.referent(py)?).clear().or_raise(py);
        }
        write(py, state, pyo3::intern!(py, "clear"), args, kwds).map(|_| ())
    }

    /// Return a plain list with the items.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, /)")]
    fn copy<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let state = state_of(slf)?;
        if is_simple(args, kwds) {
            return Ok(copy::of(py, state)?.0);
        }
        read(py, state, pyo3::intern!(py, "copy"), args, kwds)
    }

    /// Return number of occurrences of value.
    #[pyo3(signature = (value=Argument::Missing, /, *args, **kwds),
           text_signature = "($self, value, /)")]
    fn count<'py>(
        slf: &Bound<'py, Self>,
        value: Argument<'py>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let state = state_of(slf)?;
        if let (Argument::Given(value), true) = (&value, is_simple(args, kwds))
            && let Some(word) = codec::inline(value)
            && let Some(count) = List::new(&state.referent(py)?).count(word).or_raise(py)?
        {
            return Ok(count.into_pyobject(py)?.into_any());
        }
        let arguments = positional(&[&value], args)?;
        read(py, state, pyo3::intern!(py, "count"), &arguments, kwds)
    }

    /// Extend list by appending elements from the iterable.
    #[pyo3(signature = (iterable=Argument::Missing, /, *args, **kwds),
           text_signature = "($self, iterable, /)")]
    fn extend<'py>(
        slf: &Bound<'py, Self>,
        iterable: Argument<'py>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<()> {
        let py = slf.py();
        let state = state_of(slf)?;
        if let (Argument::Given(items), true) = (&iterable, is_simple(args, kwds)) {
            return extend(py, state, items);
        }
        let arguments = positional(&[&iterable], args)?;
        write(py, state, pyo3::intern!(py, "extend"), &arguments, kwds).map(|_| ())
    }

    /// Return first index of value.
    ///
    /// Raises ValueError if the value is not present.
    #[pyo3(signature = (value=Argument::Missing, /, *args, **kwds),
           text_signature = "($self, value, start=0, stop=sys.maxsize, /)")]
    fn index<'py>(
        slf: &Bound<'py, Self>,
        value: Argument<'py>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let state = state_of(slf)?;
        if let (Argument::Given(value), true) = (&value, is_simple(args, kwds))
            && let Search::Found { index, .. } = find(py, state, value, 0, i64::MAX)?
        {
            return Ok(index.into_pyobject(py)?.into_any());
        }
        let arguments = positional(&[&value], args)?;
        read(py, state, pyo3::intern!(py, "index"), &arguments, kwds)
    }

    /// Insert object before index.
    #[pyo3(signature = (index=Argument::Missing, object=Argument::Missing, /, *args, **kwds),
           text_signature = "($self, index, object, /)")]
    fn insert<'py>(
        slf: &Bound<'py, Self>,
        index: Argument<'py>,
        object: Argument<'py>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<()> {
        let py = slf.py();
        let state = state_of(slf)?;
        if let (Argument::Given(place), Argument::Given(value), true) =
            (&index, &object, is_simple(args, kwds))
            && let Some(place) = exact_index(place)
        {
            let value = codec::encode(value, state)?;
            let referent = state.referent(py)?;
            return List::new(&referent)
                .insert(place, &value.input()?)
                .or_raise(py);
        }
        let arguments = positional(&[&index, &object], args)?;
        write(py, state, pyo3::intern!(py, "insert"), &arguments, kwds).map(|_| ())
    }

    /// Remove and return item at index (default last).
    ///
    /// Raises IndexError if list is empty or index is out of range.
    #[pyo3(signature = (index=Argument::Missing, /, *args, **kwds),
           text_signature = "($self, index=-1, /)")]
    fn pop<'py>(
        slf: &Bound<'py, Self>,
        index: Argument<'py>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let state = state_of(slf)?;
        if is_simple(args, kwds) {
            let place = match &index {
                Argument::Missing => Some(-1),
                Argument::Given(place) => exact_index(place),
            };
            if let Some(place) = place {
                let taken = match List::new(&state.referent(py)?).pop(place) {
                    Err(StoreError::Empty) => {
                        return PyList::empty(py).call_method0(pyo3::intern!(py, "pop"));
                    }
                    taken => taken.or_raise(py)?,
                };
                return codec::output(py, state.attachment(), taken);
            }
        }
        let arguments = positional(&[&index], args)?;
        write(py, state, pyo3::intern!(py, "pop"), &arguments, kwds)
    }

    /// Remove first occurrence of value.
    ///
    /// Raises ValueError if the value is not present.
    #[pyo3(signature = (value=Argument::Missing, /, *args, **kwds),
           text_signature = "($self, value, /)")]
    fn remove<'py>(
        slf: &Bound<'py, Self>,
        value: Argument<'py>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let state = state_of(slf)?;
        if let (Argument::Given(value), true) = (&value, is_simple(args, kwds)) {
            return remove(py, state, value);
        }
        let arguments = positional(&[&value], args)?;
        write(py, state, pyo3::intern!(py, "remove"), &arguments, kwds)
    }

    /// Reverse *IN PLACE*.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, /)")]
    fn reverse<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<()> {
        let py = slf.py();
        let state = state_of(slf)?;
        if is_simple(args, kwds) {
            return List::new(&state.referent(py)?).reverse().or_raise(py);
        }
        write(py, state, pyo3::intern!(py, "reverse"), args, kwds).map(|_| ())
    }

    /// Sort the list in ascending order and return None.
    ///
    /// The sort is in-place and stable. The key function runs in the calling process and need not
    /// be picklable. If a comparison fails, the list is left as it was.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, /, *, key=None, reverse=False)")]
    fn sort<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<()> {
        let py = slf.py();
        let state = state_of(slf)?;
        if !args.is_empty() {
            PyList::empty(py).call_method(pyo3::intern!(py, "sort"), args.clone(), kwds)?;
            return Err(PyTypeError::new_err("sort() takes no positional arguments"));
        }
        sort(py, state, kwds)
    }

    /// Return a proxy of the lock that belongs to this object, an RLock: the same for everybody.
    ///
    /// Hold it for what takes several steps. It keeps nobody from working on the object without it.
    fn get_lock<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        state_of(slf)?.get_lock(slf.py())
    }
}
