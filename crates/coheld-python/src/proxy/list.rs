//! `ListProxy`.

use coheld_store::{List, Search, StoreError};
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{PyGenericAlias, PyList, PyString, PyTuple, PyType},
};

use super::{
    BaseProxy, Kind, ListIterator,
    argument::{Argument, Keywords, Rest, is_simple, positional},
    base::operand,
    list_operations::{append, extend, find, plain_list, remove, sort},
    route::{IntoAnswer, call_in_place, is_remote, native_state, route, simple},
    sequence::{exact_index, exact_slice, tuple},
    state::state_of,
};
use crate::{
    codec,
    copy::{self, read, write},
    errors::OrRaise,
    imported, interpreter,
};

/// A proxy of a shared list.
///
/// Has all methods of list. Items, slices, sums and copies that it returns are plain objects.
/// Compares by identity, like every proxy.
#[pyclass(extends = BaseProxy, frozen, subclass)]
pub(crate) struct ListProxy;

/// A built-in method of list that only looks.
fn on_copy<'py>(
    slf: &Bound<'py, ListProxy>,
    name: &Bound<'py, PyString>,
    arguments: Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    let given = || Ok(arguments.clone());
    route(slf.as_super(), name, given, None, |state| {
        read(slf.py(), state, name, &arguments, None)
    })
}

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
        let name = pyo3::intern!(py, "__len__");
        let none = || Ok(PyTuple::empty(py));
        route(slf.as_super(), name, none, None, |state| {
            let length = List::new(&state.referent(py)?).len().or_raise(py)?;
            Ok(usize::try_from(length)?)
        })
    }

    fn __getitem__<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "__getitem__");
        let arguments = || tuple(py, [key]);
        route(slf.as_super(), name, arguments, None, |state| {
            if let Some(index) = exact_index(key) {
                let value = List::new(&state.referent(py)?).get(index).or_raise(py)?;
                return codec::output(py, state.attachment(), value);
            }
            if let Some(slice) = exact_slice(key)? {
                let snapshot = List::new(&state.referent(py)?).slice(slice).or_raise(py)?;
                return Ok(codec::list(py, state.attachment(), &snapshot)?.into_any());
            }
            read(py, state, name, &arguments()?, None)
        })
    }

    fn __setitem__<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let py = slf.py();
        let name = pyo3::intern!(py, "__setitem__");
        let arguments = || tuple(py, [key, value]);
        route(slf.as_super(), name, arguments, None, |state| {
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
            write(py, state, name, &arguments()?, None).map(drop)
        })
    }

    fn __delitem__<'py>(slf: &Bound<'py, Self>, key: &Bound<'py, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let name = pyo3::intern!(py, "__delitem__");
        let arguments = || tuple(py, [key]);
        route(slf.as_super(), name, arguments, None, |state| {
            let referent = state.referent(py)?;
            let list = List::new(&referent);
            if let Some(index) = exact_index(key) {
                return list.delete(index, None).or_raise(py);
            }
            if let Some(slice) = exact_slice(key)? {
                return list.delete_slice(slice, None).or_raise(py);
            }
            write(py, state, name, &arguments()?, None).map(drop)
        })
    }

    fn __contains__<'py>(slf: &Bound<'py, Self>, value: &Bound<'py, PyAny>) -> PyResult<bool> {
        let py = slf.py();
        let name = pyo3::intern!(py, "__contains__");
        let arguments = || tuple(py, [value]);
        route(slf.as_super(), name, arguments, None, |state| {
            match find(py, state, value, 0, i64::MAX)? {
                Search::Found { .. } => Ok(true),
                Search::Absent => Ok(false),
                Search::Unknown => {
                    let (copy, _) = copy::of(py, state)?;
                    interpreter::contains(&copy, value)
                }
            }
        })
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (py, proxy) = (slf.py(), slf.as_super());
        match native_state(proxy)? {
            Some(_) => Ok(Bound::new(py, ListIterator::new(proxy))?.into_any()),
            None if is_remote(proxy)? => {
                interpreter::call(imported::ITERATE_REMOTE.get(py)?, (proxy,))
            }
            None => interpreter::iterate_sequence(proxy),
        }
    }

    fn __reversed__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        on_copy(slf, pyo3::intern!(py, "__reversed__"), PyTuple::empty(py))
    }

    fn __add__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let other = operand(other)?;
        on_copy(slf, pyo3::intern!(py, "__add__"), tuple(py, [&other])?)
    }

    fn __mul__<'py>(
        slf: &Bound<'py, Self>,
        times: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        on_copy(slf, pyo3::intern!(py, "__mul__"), tuple(py, [times])?)
    }

    fn __rmul__<'py>(
        slf: &Bound<'py, Self>,
        times: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        on_copy(slf, pyo3::intern!(py, "__rmul__"), tuple(py, [times])?)
    }

    fn __iadd__<'py>(slf: &Bound<'py, Self>, items: &Bound<'py, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let name = pyo3::intern!(py, "extend");
        route(
            slf.as_super(),
            name,
            || tuple(py, [items]),
            None,
            |state| extend(py, state, items),
        )
    }

    fn __imul__<'py>(slf: &Bound<'py, Self>, times: &Bound<'py, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let name = pyo3::intern!(py, "__imul__");
        let arguments = tuple(py, [times])?;
        let Some(state) = native_state(slf.as_super())? else {
            return call_in_place(slf.as_super(), "*=", name, &arguments);
        };
        if let Some(times) = exact_index(times) {
            return List::new(&state.referent(py)?).repeat(times).or_raise(py);
        }
        write(py, state, name, &arguments, None).map(drop)
    }

    /// Append object to the end of the list.
    #[pyo3(signature = (object=Argument::Missing, /, *args, **kwds),
           text_signature = "($self, object, /)")]
    fn append<'py>(
        slf: &Bound<'py, Self>,
        object: Argument<'py>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "append");
        let arguments = || positional(&[&object], args);
        route(slf.as_super(), name, arguments, kwds, |state| {
            if let (Argument::Given(value), true) = (&object, is_simple(args, kwds)) {
                return append(py, state, value).answer(py);
            }
            write(py, state, name, &arguments()?, kwds)
        })
    }

    /// Remove all items from list.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, /)")]
    fn clear<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "clear");
        simple(slf.as_super(), name, args, kwds, write, |state| {
            List::new(&state.referent(py)?)
                .clear()
                .or_raise(py)
                .answer(py)
        })
    }

    /// Return a plain list with the items.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, /)")]
    fn copy<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "copy");
        simple(slf.as_super(), name, args, kwds, read, |state| {
            Ok(copy::of(py, state)?.0)
        })
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
        let name = pyo3::intern!(py, "count");
        let arguments = || positional(&[&value], args);
        route(slf.as_super(), name, arguments, kwds, |state| {
            if let (Argument::Given(value), true) = (&value, is_simple(args, kwds))
                && let Some(word) = codec::inline(value)
                && let Some(count) = List::new(&state.referent(py)?).count(word).or_raise(py)?
            {
                return Ok(count.into_pyobject(py)?.into_any());
            }
            read(py, state, name, &arguments()?, kwds)
        })
    }

    /// Extend list by appending elements from the iterable.
    #[pyo3(signature = (iterable=Argument::Missing, /, *args, **kwds),
           text_signature = "($self, iterable, /)")]
    fn extend<'py>(
        slf: &Bound<'py, Self>,
        iterable: Argument<'py>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "extend");
        let arguments = || positional(&[&iterable], args);
        route(slf.as_super(), name, arguments, kwds, |state| {
            if let (Argument::Given(items), true) = (&iterable, is_simple(args, kwds)) {
                return extend(py, state, items).answer(py);
            }
            write(py, state, name, &arguments()?, kwds)
        })
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
        let name = pyo3::intern!(py, "index");
        let arguments = || positional(&[&value], args);
        route(slf.as_super(), name, arguments, kwds, |state| {
            if let (Argument::Given(value), true) = (&value, is_simple(args, kwds))
                && let Search::Found { index, .. } = find(py, state, value, 0, i64::MAX)?
            {
                return Ok(index.into_pyobject(py)?.into_any());
            }
            read(py, state, name, &arguments()?, kwds)
        })
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
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "insert");
        let arguments = || positional(&[&index, &object], args);
        route(slf.as_super(), name, arguments, kwds, |state| {
            if let (Argument::Given(place), Argument::Given(value), true) =
                (&index, &object, is_simple(args, kwds))
                && let Some(place) = exact_index(place)
            {
                let value = codec::encode(value, state)?;
                let referent = state.referent(py)?;
                let done = List::new(&referent).insert(place, &value.input()?);
                return done.or_raise(py).answer(py);
            }
            write(py, state, name, &arguments()?, kwds)
        })
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
        let name = pyo3::intern!(py, "pop");
        let arguments = || positional(&[&index], args);
        route(slf.as_super(), name, arguments, kwds, |state| {
            let place = match &index {
                _ if !is_simple(args, kwds) => None,
                Argument::Missing => Some(-1),
                Argument::Given(place) => exact_index(place),
            };
            let Some(place) = place else {
                return write(py, state, name, &arguments()?, kwds);
            };
            let taken = match List::new(&state.referent(py)?).pop(place) {
                Err(StoreError::Empty) => return PyList::empty(py).call_method0(name),
                taken => taken.or_raise(py)?,
            };
            codec::output(py, state.attachment(), taken)
        })
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
        let name = pyo3::intern!(py, "remove");
        let arguments = || positional(&[&value], args);
        route(slf.as_super(), name, arguments, kwds, |state| {
            if let (Argument::Given(value), true) = (&value, is_simple(args, kwds)) {
                return remove(py, state, value);
            }
            write(py, state, name, &arguments()?, kwds)
        })
    }

    /// Reverse *IN PLACE*.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, /)")]
    fn reverse<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "reverse");
        simple(slf.as_super(), name, args, kwds, write, |state| {
            List::new(&state.referent(py)?)
                .reverse()
                .or_raise(py)
                .answer(py)
        })
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
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "sort");
        route(
            slf.as_super(),
            name,
            || Ok(args.clone()),
            kwds,
            |state| {
                if !args.is_empty() {
                    PyList::empty(py).call_method(name, args.clone(), kwds)?;
                    return Err(PyTypeError::new_err("sort() takes no positional arguments"));
                }
                sort(py, state, kwds).answer(py)
            },
        )
    }

    /// Return a read-only memoryview of the element at an index, which has to be bytes.
    ///
    /// Large bytes are not copied: the view is those of the shared object, and keeps them as long
    /// as it is in use, whatever becomes of the object. A value of another class that pickles its
    /// buffers apart, as arrays of NumPy do, is returned with such views as its buffers.
    fn view<'py>(slf: &Bound<'py, Self>, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "__getitem__");
        let arguments = || tuple(py, [index]);
        let mut is_native = false;
        let value = route(
            slf.as_super(),
            name,
            arguments,
            None,
            |state| match exact_index(index) {
                Some(index) => {
                    let value = List::new(&state.referent(py)?).get(index).or_raise(py)?;
                    is_native = true;
                    codec::view(py, state.attachment(), value)
                }
                None => read(py, state, name, &arguments()?, None),
            },
        )?;
        if is_native {
            return Ok(value);
        }
        codec::viewed(value)
    }

    /// Return a proxy of the lock that belongs to this object, an RLock: the same for everybody.
    ///
    /// Hold it for what takes several steps. It keeps nobody from working on the object without it.
    fn get_lock<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        state_of(slf)?.get_lock(slf.py())
    }
}
