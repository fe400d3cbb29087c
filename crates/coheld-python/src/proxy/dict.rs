//! `DictProxy`.

use coheld_store::{Dict, Input, Key};
use pyo3::{
    exceptions::PyKeyError,
    prelude::*,
    types::{PyBool, PyDict, PyGenericAlias, PyList, PyString, PyTuple, PyType},
};

use super::{
    BaseProxy, DictIterator, Kind, ProxyState,
    argument::{Argument, Keywords, Rest, is_simple, positional},
    atomic::{self, Place},
    base::operand,
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

#[cold]
fn missing(key: &Bound<'_, PyAny>) -> PyErr {
    // A tuple has to be wrapped, or it would be taken for the arguments.
    PyKeyError::new_err((key.clone().unbind(),))
}

/// The value of a key that can be stored, if it is there.
fn look_up<'py>(
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
fn update(py: Python<'_>, state: &ProxyState, content: &Bound<'_, PyDict>) -> PyResult<()> {
    let content = copy::encode_pairs(state, content)?;
    let pairs = key::pairs(py, state.hasher(), &content)?;
    Dict::new(&state.referent(py)?).update(&pairs).or_raise(py)
}

/// What `dict.method(*args, **kwds)` makes of an empty dict.
fn from_empty<'py>(
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
        let length = Dict::new(&state_of(slf)?.referent(py)?)
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
        let Some(encoded) = key::encode(key)? else {
            return read(
                py,
                state,
                pyo3::intern!(py, "__getitem__"),
                &tuple(py, [key])?,
                None,
            );
        };
        match look_up(py, state, &encoded.key(py, state.hasher())?)? {
            Some(value) => Ok(value),
            None => Err(missing(key)),
        }
    }

    fn __setitem__<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let py = slf.py();
        let state = state_of(slf)?;
        let Some(encoded) = key::encode(key)? else {
            let arguments = tuple(py, [key, value])?;
            let method = pyo3::intern!(py, "__setitem__");
            return write(py, state, method, &arguments, None).map(|_| ());
        };
        let value = codec::encode(value, state)?;
        let key = encoded.key(py, state.hasher())?;
        Dict::new(&state.referent(py)?)
            .insert(&key, &value.input()?)
            .or_raise(py)
    }

    fn __delitem__<'py>(slf: &Bound<'py, Self>, key: &Bound<'py, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let state = state_of(slf)?;
        let Some(encoded) = key::encode(key)? else {
            let method = pyo3::intern!(py, "__delitem__");
            return write(py, state, method, &tuple(py, [key])?, None).map(|_| ());
        };
        let stored = encoded.key(py, state.hasher())?;
        let found = Dict::new(&state.referent(py)?)
            .delete(&stored)
            .or_raise(py)?;
        if found { Ok(()) } else { Err(missing(key)) }
    }

    fn __contains__<'py>(slf: &Bound<'py, Self>, key: &Bound<'py, PyAny>) -> PyResult<bool> {
        let py = slf.py();
        let state = state_of(slf)?;
        let Some(encoded) = key::encode(key)? else {
            let (copy, _) = copy::of(py, state)?;
            return interpreter::contains(&copy, key);
        };
        let key = encoded.key(py, state.hasher())?;
        Dict::new(&state.referent(py)?).contains(&key).or_raise(py)
    }

    fn __iter__(slf: &Bound<'_, Self>) -> PyResult<DictIterator> {
        DictIterator::new(slf.as_super())
    }

    fn __reversed__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::keys(slf, &PyTuple::empty(slf.py()), None)?.call_method0("__reversed__")
    }

    fn __or__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let other = operand(other)?;
        read(
            py,
            state_of(slf)?,
            pyo3::intern!(py, "__or__"),
            &tuple(py, [&other])?,
            None,
        )
    }

    fn __ror__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let other = operand(other)?;
        read(
            py,
            state_of(slf)?,
            pyo3::intern!(py, "__ror__"),
            &tuple(py, [&other])?,
            None,
        )
    }

    fn __ior__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let other = operand(other)?;
        let arguments = tuple(py, [&other])?;
        let content = from_empty(py, pyo3::intern!(py, "__ior__"), &arguments, None)?;
        update(py, state_of(slf)?, &content)
    }

    /// Remove all items from the dict.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, /)")]
    fn clear<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<()> {
        let py = slf.py();
        let state = state_of(slf)?;
        if is_simple(args, kwds) {
            return Dict::new(&state.referent(py)?).clear().or_raise(py);
        }
        write(py, state, pyo3::intern!(py, "clear"), args, kwds).map(|_| ())
    }

    /// Return a plain dict with the items.
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

    /// Return a new plain dict with keys from iterable and values set to value.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, iterable, value=None, /)")]
    fn fromkeys<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        state_of(slf)?;
        let method = PyDict::new(py).getattr(pyo3::intern!(py, "fromkeys"))?;
        interpreter::call_with(&method, args, kwds)
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
        let state = state_of(slf)?;
        if let (Argument::Given(wanted), true) = (&key, is_simple(args, kwds))
            && let Some(encoded) = key::encode(wanted)?
        {
            let found = look_up(py, state, &encoded.key(py, state.hasher())?)?;
            return Ok(match (found, default) {
                (Some(value), _) | (None, Argument::Given(value)) => value,
                (None, Argument::Missing) => py.None().into_bound(py),
            });
        }
        let arguments = positional(&[&key, &default], args)?;
        read(py, state, pyo3::intern!(py, "get"), &arguments, kwds)
    }

    /// Return a list of the (key, value) pairs.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, /)")]
    fn items<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let state = state_of(slf)?;
        if !is_simple(args, kwds) {
            return read(py, state, pyo3::intern!(py, "items"), args, kwds);
        }
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
    }

    /// Return a list of the keys.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, /)")]
    fn keys<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let state = state_of(slf)?;
        if !is_simple(args, kwds) {
            return read(py, state, pyo3::intern!(py, "keys"), args, kwds);
        }
        let snapshot = Dict::new(&state.referent(py)?)
            .snapshot_keys()
            .or_raise(py)?;
        Ok(codec::list(py, state.attachment(), &snapshot)?.into_any())
    }

    /// Return a list of the values.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, /)")]
    fn values<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let state = state_of(slf)?;
        if !is_simple(args, kwds) {
            return read(py, state, pyo3::intern!(py, "values"), args, kwds);
        }
        let snapshot = Dict::new(&state.referent(py)?)
            .snapshot_values()
            .or_raise(py)?;
        Ok(codec::list(py, state.attachment(), &snapshot)?.into_any())
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
        let state = state_of(slf)?;
        if let (Argument::Given(wanted), true) = (&key, is_simple(args, kwds))
            && let Some(encoded) = key::encode(wanted)?
        {
            let stored = encoded.key(py, state.hasher())?;
            return match (
                Dict::new(&state.referent(py)?)
                    .remove(&stored)
                    .or_raise(py)?,
                default,
            ) {
                (Some(value), _) => codec::output(py, state.attachment(), value),
                (None, Argument::Given(default)) => Ok(default),
                (None, Argument::Missing) => Err(missing(wanted)),
            };
        }
        let arguments = positional(&[&key, &default], args)?;
        write(py, state, pyo3::intern!(py, "pop"), &arguments, kwds)
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
        let state = state_of(slf)?;
        if !is_simple(args, kwds) {
            return write(py, state, pyo3::intern!(py, "popitem"), args, kwds);
        }
        match Dict::new(&state.referent(py)?).pop_last().or_raise(py)? {
            Some((key, value)) => {
                // The value first: only it can hold references, which must not be forgotten.
                let value = codec::output(py, state.attachment(), value)?;
                let key = codec::output(py, state.attachment(), key)?;
                Ok((key, value).into_pyobject(py)?.into_any())
            }
            None => PyDict::new(py).call_method0(pyo3::intern!(py, "popitem")),
        }
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
        let state = state_of(slf)?;
        if let (Argument::Given(wanted), true) = (&key, is_simple(args, kwds))
            && let Some(encoded) = key::encode(wanted)?
        {
            let stored = encoded.key(py, state.hasher())?;
            let referent = state.referent(py)?;
            let dict = Dict::new(&referent);
            let (found, default) = match default {
                Argument::Missing => (
                    dict.set_default(&stored, &Input::NONE),
                    py.None().into_bound(py),
                ),
                Argument::Given(default) => {
                    let value = codec::encode(&default, state)?;
                    (dict.set_default(&stored, &value.input()?), default)
                }
            };
            return match found.or_raise(py)? {
                Some(value) => codec::output(py, state.attachment(), value),
                None => Ok(default),
            };
        }
        let arguments = positional(&[&key, &default], args)?;
        write(py, state, pyo3::intern!(py, "setdefault"), &arguments, kwds)
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
        let state = state_of(slf)?;
        let encoded = key::encode(key)?;
        let place = Place::of_key(state, key, encoded.as_ref())?;
        atomic::increment(slf.py(), state, &place, &by, &initial)
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
        let state = state_of(slf)?;
        let encoded = key::encode(key)?;
        let place = Place::of_key(state, key, encoded.as_ref())?;
        atomic::compare_exchange(slf.py(), state, &place, old, new)
    }

    /// Update the dict from a mapping or an iterable of pairs, and from keyword arguments.
    ///
    /// All pairs arrive as one change.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, other=(), /, **kwds)")]
    fn update<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<()> {
        let py = slf.py();
        let state = state_of(slf)?;
        let content = match (args.len(), kwds) {
            // The one dict given is not changed, so it need not be copied.
            (1, None) if args.get_item(0)?.is_exact_instance_of::<PyDict>() => {
                args.get_item(0)?.cast_into::<PyDict>()?
            }
            _ => from_empty(py, pyo3::intern!(py, "update"), args, kwds)?,
        };
        update(py, state, &content)
    }

    /// Return a proxy of the lock that belongs to this object, an RLock: the same for everybody.
    ///
    /// Hold it for what takes several steps. It keeps nobody from working on the object without it.
    fn get_lock<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        state_of(slf)?.get_lock(slf.py())
    }
}
