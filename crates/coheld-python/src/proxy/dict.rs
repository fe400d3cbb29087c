//! `DictProxy`.

use coheld_store::{Dict, Input};
use pyo3::{
    prelude::*,
    types::{PyBool, PyDict, PyGenericAlias, PyList, PyTuple, PyType},
};

use super::{
    BaseProxy, DictIterator, Kind,
    argument::{Argument, Keywords, Rest, is_simple, positional},
    atomic::{self, Place},
    base::operand,
    dict_operations::{from_empty, iterate_hosted, look_up, missing, union, update},
    route::{
        IntoAnswer, call, call_in_place, has_moved, is_of_any_class, native_state, route, simple,
    },
    sequence::tuple,
    state::state_of,
};
use crate::{
    codec,
    copy::{self, read, write},
    errors::OrRaise,
    interpreter, key,
};

/// A proxy of a shared dict, which keeps the order of insertion.
///
/// Has all methods of dict; keys, values and items are lists. Values that it returns are copies: a
/// changed copy has to be assigned again. Compares by identity, like every proxy.
#[pyclass(extends = BaseProxy, frozen, subclass)]
pub(crate) struct DictProxy;

#[pymethods]
impl DictProxy {
    #[classattr]
    fn _exposed_(py: Python<'_>) -> PyResult<Py<PyTuple>> {
        Kind::Dict.exposed_tuple(py)
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
            let length = Dict::new(&state.referent(py)?).len().or_raise(py)?;
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
            let Some(encoded) = key::encode(key)? else {
                return read(py, state, name, &arguments()?, None);
            };
            match look_up(py, state, &encoded.key(py, state.hasher())?)? {
                Some(value) => Ok(value),
                None => Err(missing(key)),
            }
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
            let Some(encoded) = key::encode(key)? else {
                return write(py, state, name, &arguments()?, None).map(drop);
            };
            let value = codec::encode(value, state)?;
            let key = encoded.key(py, state.hasher())?;
            Dict::new(&state.referent(py)?)
                .insert(&key, &value.input()?)
                .or_raise(py)
        })
    }

    fn __delitem__<'py>(slf: &Bound<'py, Self>, key: &Bound<'py, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let name = pyo3::intern!(py, "__delitem__");
        let arguments = || tuple(py, [key]);
        route(slf.as_super(), name, arguments, None, |state| {
            let Some(encoded) = key::encode(key)? else {
                return write(py, state, name, &arguments()?, None).map(drop);
            };
            let stored = encoded.key(py, state.hasher())?;
            let found = Dict::new(&state.referent(py)?)
                .delete(&stored)
                .or_raise(py)?;
            if found { Ok(()) } else { Err(missing(key)) }
        })
    }

    fn __contains__<'py>(slf: &Bound<'py, Self>, key: &Bound<'py, PyAny>) -> PyResult<bool> {
        let py = slf.py();
        let name = pyo3::intern!(py, "__contains__");
        let arguments = || tuple(py, [key]);
        route(slf.as_super(), name, arguments, None, |state| {
            let Some(encoded) = key::encode(key)? else {
                return copy::contains(py, state, key);
            };
            let key = encoded.key(py, state.hasher())?;
            Dict::new(&state.referent(py)?).contains(&key).or_raise(py)
        })
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (py, proxy) = (slf.py(), slf.as_super());
        if let Some(state) = native_state(proxy)? {
            match DictIterator::new(proxy) {
                Ok(iterator) => return Ok(Bound::new(py, iterator)?.into_any()),
                Err(error) => has_moved(proxy, state, error)?,
            }
        }
        iterate_hosted(proxy)
    }

    fn __reversed__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "__reversed__");
        if is_of_any_class(slf.as_super())? {
            return call(slf.as_super(), name, &PyTuple::empty(py), None);
        }
        // A list of keys, also of a dict that has moved: an iterator cannot be sent.
        let keys = Self::keys(slf, &PyTuple::empty(py), None)?;
        interpreter::method(&keys, name, ())
    }

    fn __or__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        union(slf, pyo3::intern!(py, "__or__"), other)
    }

    fn __ror__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        union(slf, pyo3::intern!(py, "__ror__"), other)
    }

    fn __ior__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<()> {
        let (py, proxy) = (slf.py(), slf.as_super());
        let arguments = tuple(py, [&operand(other)?])?;
        let name = pyo3::intern!(py, "__ior__");
        match native_state(proxy)? {
            Some(state) => update(proxy, state, &from_empty(py, name, &arguments, None)?),
            // The same, without the whole dict as an answer.
            None if !is_of_any_class(proxy)? => {
                call(proxy, pyo3::intern!(py, "update"), &arguments, None).map(drop)
            }
            None => call_in_place(proxy, "|=", name, &arguments),
        }
    }

    /// Remove all items from the dict.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, /)")]
    fn clear<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "clear");
        simple(slf.as_super(), name, args, kwds, write, |state| {
            Dict::new(&state.referent(py)?)
                .clear()
                .or_raise(py)
                .answer(py)
        })
    }

    /// Return a plain dict with the items.
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

    /// Return a new plain dict with keys from iterable and values set to value.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, iterable, value=None, /)")]
    fn fromkeys<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "fromkeys");
        if is_of_any_class(slf.as_super())? {
            return call(slf.as_super(), name, args, kwds);
        }
        interpreter::call_with(&PyDict::new(py).getattr(name)?, args, kwds)
    }

    /// Return the value for key if key is in the dict, else default.
    #[pyo3(signature = (key=Argument::Missing, default=Argument::Missing, /, *args, **kwds),
           text_signature = "($self, key, default=None, /)")]
    fn get<'py>(
        slf: &Bound<'py, Self>,
        key: Argument<'py>,
        default: Argument<'py>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "get");
        let arguments = || positional(&[&key, &default], args);
        route(slf.as_super(), name, arguments, kwds, |state| {
            if let (Argument::Given(wanted), true) = (&key, is_simple(args, kwds))
                && let Some(encoded) = key::encode(wanted)?
            {
                let found = look_up(py, state, &encoded.key(py, state.hasher())?)?;
                return Ok(match (found, &default) {
                    (Some(value), _) => value,
                    (None, Argument::Given(value)) => value.clone(),
                    (None, Argument::Missing) => py.None().into_bound(py),
                });
            }
            read(py, state, name, &arguments()?, kwds)
        })
    }

    /// Return a list of the (key, value) pairs.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, /)")]
    fn items<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "items");
        simple(slf.as_super(), name, args, kwds, read, |state| {
            let snapshot = Dict::new(&state.referent(py)?)
                .snapshot_items()
                .or_raise(py)?;
            let values = codec::values(py, state.attachment(), &snapshot)?;
            let mut pairs = Vec::with_capacity(values.len() / 2);
            let mut values = values.into_iter();
            while let (Some(key), Some(value)) = (values.next(), values.next()) {
                pairs.push((key, value));
            }
            Ok(PyList::new(py, pairs)?.into_any())
        })
    }

    /// Return a list of the keys.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, /)")]
    fn keys<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "keys");
        simple(slf.as_super(), name, args, kwds, read, |state| {
            let snapshot = Dict::new(&state.referent(py)?)
                .snapshot_keys()
                .or_raise(py)?;
            Ok(codec::list(py, state.attachment(), &snapshot)?.into_any())
        })
    }

    /// Return a list of the values.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, /)")]
    fn values<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "values");
        simple(slf.as_super(), name, args, kwds, read, |state| {
            let snapshot = Dict::new(&state.referent(py)?)
                .snapshot_values()
                .or_raise(py)?;
            Ok(codec::list(py, state.attachment(), &snapshot)?.into_any())
        })
    }

    /// Remove specified key and return the corresponding value.
    ///
    /// If the key is not found, return the default if given; otherwise, raise a KeyError.
    #[pyo3(signature = (key=Argument::Missing, default=Argument::Missing, /, *args, **kwds),
           text_signature = "($self, key, default=<unrepresentable>, /)")]
    fn pop<'py>(
        slf: &Bound<'py, Self>,
        key: Argument<'py>,
        default: Argument<'py>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "pop");
        let arguments = || positional(&[&key, &default], args);
        route(slf.as_super(), name, arguments, kwds, |state| {
            if let (Argument::Given(wanted), true) = (&key, is_simple(args, kwds))
                && let Some(encoded) = key::encode(wanted)?
            {
                let stored = encoded.key(py, state.hasher())?;
                let taken = Dict::new(&state.referent(py)?).remove(&stored);
                return match (taken.or_raise(py)?, &default) {
                    (Some(value), _) => codec::output(py, state.attachment(), value),
                    (None, Argument::Given(default)) => Ok(default.clone()),
                    (None, Argument::Missing) => Err(missing(wanted)),
                };
            }
            write(py, state, name, &arguments()?, kwds)
        })
    }

    /// Remove and return the last (key, value) pair as a tuple.
    ///
    /// Raises KeyError if the dict is empty.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, /)")]
    fn popitem<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "popitem");
        simple(slf.as_super(), name, args, kwds, write, |state| {
            match Dict::new(&state.referent(py)?).pop_last().or_raise(py)? {
                Some((key, value)) => {
                    // The value first: only it can hold references, which must not get lost.
                    let value = codec::output(py, state.attachment(), value)?;
                    let key = codec::output(py, state.attachment(), key)?;
                    Ok((key, value).into_pyobject(py)?.into_any())
                }
                None => PyDict::new(py).call_method0(name),
            }
        })
    }

    /// Insert key with a value of default if key is not in the dict.
    ///
    /// Return the value for key if key is in the dict, else default.
    #[pyo3(signature = (key=Argument::Missing, default=Argument::Missing, /, *args, **kwds),
           text_signature = "($self, key, default=None, /)")]
    fn setdefault<'py>(
        slf: &Bound<'py, Self>,
        key: Argument<'py>,
        default: Argument<'py>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "setdefault");
        let arguments = || positional(&[&key, &default], args);
        route(slf.as_super(), name, arguments, kwds, |state| {
            if let (Argument::Given(wanted), true) = (&key, is_simple(args, kwds))
                && let Some(encoded) = key::encode(wanted)?
            {
                let stored = encoded.key(py, state.hasher())?;
                let referent = state.referent(py)?;
                let dict = Dict::new(&referent);
                let (found, default) = match &default {
                    Argument::Missing => (
                        dict.set_default(&stored, &Input::NONE),
                        py.None().into_bound(py),
                    ),
                    Argument::Given(default) => {
                        let value = codec::encode(default, state)?;
                        let found = dict.set_default(&stored, &value.input()?);
                        (found, default.clone())
                    }
                };
                return match found.or_raise(py)? {
                    Some(value) => codec::output(py, state.attachment(), value),
                    None => Ok(default),
                };
            }
            write(py, state, name, &arguments()?, kwds)
        })
    }

    /// Add to the value of key, as `value + by` does, and return the sum.
    ///
    /// If key is not in the dict, its value is initial before. Safe against other processes and
    /// threads: no increment is lost.
    #[pyo3(signature = (key, /, by=Argument::Missing, initial=Argument::Missing),
           text_signature = "($self, key, /, by=1, initial=0)")]
    fn increment<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        by: Argument<'py>,
        initial: Argument<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let proxy = slf.as_super();
        state_of(slf)?.refuse_hosted("increment")?;
        if let Some(state) = native_state(proxy)? {
            let encoded = key::encode(key)?;
            let place = Place::of_key(state, key, encoded.as_ref())?;
            match atomic::increment(slf.py(), state, &place, &by, &initial) {
                Err(error) => has_moved(proxy, state, error)?,
                done => return done,
            }
        }
        atomic::increment_moved(proxy, key, &by, &initial)
    }

    /// Replace the value of key by new if it is equal to old. Return whether it was.
    ///
    /// A key that is not in the dict has no value that could be equal. Safe against other processes
    /// and threads: of several that expect the same old value, one succeeds.
    #[pyo3(signature = (key, /, old, new))]
    fn compare_exchange<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        old: &Bound<'py, PyAny>,
        new: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBool>> {
        let proxy = slf.as_super();
        state_of(slf)?.refuse_hosted("compare_exchange")?;
        if let Some(state) = native_state(proxy)? {
            let encoded = key::encode(key)?;
            let place = Place::of_key(state, key, encoded.as_ref())?;
            match atomic::compare_exchange(slf.py(), state, &place, old, new) {
                Err(error) => has_moved(proxy, state, error)?,
                done => return done,
            }
        }
        atomic::compare_exchange_moved(proxy, key, old, new)
    }

    /// Update the dict from a mapping or an iterable of pairs, and from keyword arguments.
    ///
    /// All pairs arrive as one change.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, other=(), /, **kwds)")]
    fn update<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, proxy) = (slf.py(), slf.as_super());
        let name = pyo3::intern!(py, "update");
        let Some(state) = native_state(proxy)? else {
            if is_of_any_class(slf.as_super())? {
                return call(proxy, name, args, kwds);
            }
            // Also what cannot be pickled can be taken from.
            let content = from_empty(py, name, args, kwds)?;
            return call(proxy, name, &tuple(py, [content.as_any()])?, None);
        };
        let content = match (args.len(), kwds) {
            // The one dict given is not changed, so it need not be copied.
            (1, None) if args.get_item(0)?.is_exact_instance_of::<PyDict>() => {
                args.get_item(0)?.cast_into::<PyDict>()?
            }
            _ => from_empty(py, name, args, kwds)?,
        };
        update(proxy, state, &content).answer(py)
    }

    /// Return a read-only memoryview of the value of a key, which has to be bytes.
    ///
    /// Large bytes are not copied: the view is those of the shared object, and keeps them as long
    /// as it is in use, whatever becomes of the object. A value of another class that pickles its
    /// buffers apart, as arrays of NumPy do, is returned with such views as its buffers.
    fn view<'py>(slf: &Bound<'py, Self>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "__getitem__");
        let arguments = || tuple(py, [key]);
        let mut is_native = false;
        let value = route(slf.as_super(), name, arguments, None, |state| {
            let Some(encoded) = key::encode(key)? else {
                return read(py, state, name, &arguments()?, None);
            };
            let key_here = encoded.key(py, state.hasher())?;
            match Dict::new(&state.referent(py)?)
                .get(&key_here)
                .or_raise(py)?
            {
                Some(value) => {
                    is_native = true;
                    codec::view(py, state.attachment(), value)
                }
                None => Err(missing(key)),
            }
        })?;
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
