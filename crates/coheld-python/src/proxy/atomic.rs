//! `increment` and `compare_exchange`: one value changes by what it was, safe against others.
//!
//! What fits in a word is computed under the lock, in one hold of it. Anything else goes through a
//! copy: Python's own operators decide, without any lock, and the result is stored only if nobody
//! has changed the referent meanwhile. A dict that has moved to the manager process is read and
//! written by calls, with the lock that belongs to it held: that keeps out the others that come
//! this way, but nobody who just assigns.

use coheld_shm::Referent;
use coheld_store::{Dict, Key, Lock, Output, StoreError, Updated, Value, Wait, arithmetic, word};
use pyo3::{
    exceptions::PyKeyError,
    prelude::*,
    types::{PyBool, PyInt, PyTuple},
};

use super::{BaseProxy, ProxyState, argument::Argument, route::call, state::state_of_base};
use crate::{
    attempts::Attempts,
    codec, copy,
    errors::{Made, OrRaise},
    interpreter,
    key::EncodedKey,
};

/// Where the value is.
pub(super) enum Place<'a, 'py> {
    /// The content of a `Value`.
    Value,
    /// An entry of a dict.
    Entry(Key<'a>),
    /// An entry of a dict whose key cannot be stored, but may be equal to one that is.
    Odd(&'a Bound<'py, PyAny>),
}

impl<'a, 'py> Place<'a, 'py> {
    /// The entry of a key: `encoded` is what [`crate::key::encode`] made of it.
    #[inline]
    pub(super) fn of_key(
        state: &ProxyState,
        key: &'a Bound<'py, PyAny>,
        encoded: Option<&'a EncodedKey<'py>>,
    ) -> PyResult<Self> {
        match encoded {
            Some(encoded) => Ok(Self::Entry(encoded.key(key.py(), state.hasher())?)),
            None => Ok(Self::Odd(key)),
        }
    }

    /// The new value by pure arithmetic under the lock.
    #[inline]
    fn update_word(
        &self,
        py: Python<'_>,
        referent: &Referent<'_>,
        mut change: impl FnMut(Option<u64>) -> Option<u64>,
    ) -> PyResult<Updated> {
        match self {
            Self::Value => Value::new(referent)
                .update_word(|old| change(Some(old)))
                .or_raise(py),
            Self::Entry(key) => Dict::new(referent).update_word(key, change).or_raise(py),
            Self::Odd(_) => Ok(Updated::NotInline),
        }
    }

    /// The value, if it is there, and what has to be known to replace it.
    fn look(&self, py: Python<'py>, state: &ProxyState) -> PyResult<Seen<'py>> {
        let referent = state.referent(py)?;
        // The version first: a value that is newer than it cannot be replaced by mistake.
        let (version, old) = match self {
            Self::Value => {
                let value = Value::new(&referent);
                let version = value.version().or_raise(py)?;
                (version, Some(value.get().or_raise(py)?))
            }
            Self::Entry(key) => {
                let dict = Dict::new(&referent);
                let version = dict.version().or_raise(py)?;
                (version, dict.get(key).or_raise(py)?)
            }
            Self::Odd(key) => {
                let (copy, version) = copy::of(py, state)?;
                let old = if interpreter::contains(&copy, key)? {
                    let get = pyo3::intern!(py, "__getitem__");
                    Some(interpreter::method(&copy, get, (key,))?)
                } else {
                    None
                };
                return Ok(Seen { old, version, copy });
            }
        };
        let old = match old {
            Some(old) => Some(codec::output(py, state.attachment(), old)?),
            None => None,
        };
        let copy = py.None().into_bound(py);
        Ok(Seen { old, version, copy })
    }

    /// Replaces the value that was seen. False: somebody has changed the referent since.
    fn replace(
        &self,
        py: Python<'py>,
        state: &ProxyState,
        seen: &Seen<'py>,
        new: &Bound<'py, PyAny>,
    ) -> PyResult<bool> {
        if let Self::Odd(key) = self {
            let set = pyo3::intern!(py, "__setitem__");
            interpreter::method(&seen.copy, set, (key, new))?;
            return copy::commit(py, state, &seen.copy, seen.version);
        }
        let value = codec::encode(new, state)?;
        let referent = state.referent(py)?;
        let done = match self {
            Self::Entry(key) => Dict::new(&referent).insert_if(key, &value.input()?, seen.version),
            Self::Value | Self::Odd(_) => {
                Value::new(&referent).set_if(&value.input()?, seen.version)
            }
        };
        match done {
            Err(StoreError::Changed) => Ok(false),
            done => done.or_raise(py).map(|()| true),
        }
    }
}

/// A value as it was at one version of the referent.
struct Seen<'py> {
    /// The value, if there was one.
    old: Option<Bound<'py, PyAny>>,
    version: u64,
    /// The whole dict, or None.
    copy: Bound<'py, PyAny>,
}

/// Replaces the value by the sum of it and `by`, and returns the sum. `initial` stands for a value
/// that is missing.
#[inline]
pub(super) fn increment<'py>(
    py: Python<'py>,
    state: &ProxyState,
    place: &Place<'_, 'py>,
    by: &Argument<'py>,
    initial: &Argument<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let in_word = |argument: &Argument<'py>, default| match argument {
        Argument::Given(object) => codec::inline(object),
        Argument::Missing => word::from_int(default),
    };
    if let Some(step) = in_word(by, 1) {
        let first = in_word(initial, 0);
        let referent = state.referent(py)?;
        let add = |old: Option<u64>| arithmetic::add(old.or(first)?, step);
        if let Updated::Stored { new, .. } = place.update_word(py, &referent, add)? {
            return codec::output(py, state.attachment(), Output::Word(new));
        }
    }
    increment_copy(py, state, place, by, initial)
}

fn given_or<'py>(py: Python<'py>, argument: &Argument<'py>, default: i64) -> Bound<'py, PyAny> {
    match argument {
        Argument::Given(object) => object.clone(),
        Argument::Missing => PyInt::new(py, default).into_any(),
    }
}

#[cold]
fn increment_copy<'py>(
    py: Python<'py>,
    state: &ProxyState,
    place: &Place<'_, 'py>,
    by: &Argument<'py>,
    initial: &Argument<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let by = given_or(py, by, 1);
    let mut attempts = Attempts::many(state.referent(py)?);
    loop {
        let seen = place.look(py, state)?;
        let sum = match &seen.old {
            Some(old) => interpreter::add(old, &by)?,
            None => interpreter::add(&given_or(py, initial, 0), &by)?,
        };
        if place.replace(py, state, &seen, &sum)? {
            return Ok(sum);
        }
        attempts.again_or_raise(py, "increment")?;
    }
}

/// Replaces the value by `new` if it is equal to `old`. Whether it was; a missing one is not.
#[inline]
pub(super) fn compare_exchange<'py>(
    py: Python<'py>,
    state: &ProxyState,
    place: &Place<'_, 'py>,
    old: &Bound<'py, PyAny>,
    new: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyBool>> {
    let answer = |answer| Ok(PyBool::new(py, answer).to_owned());
    if let (Some(old), Some(new)) = (codec::inline(old), codec::inline(new)) {
        let referent = state.referent(py)?;
        let exchange = |found: Option<u64>| arithmetic::equal(found?, old).then_some(new);
        match place.update_word(py, &referent, exchange)? {
            Updated::Stored { .. } => return answer(true),
            Updated::Unchanged { .. } => return answer(false),
            Updated::NotInline => {}
        }
    }
    answer(compare_exchange_copy(py, state, place, old, new)?)
}

#[cold]
fn compare_exchange_copy<'py>(
    py: Python<'py>,
    state: &ProxyState,
    place: &Place<'_, 'py>,
    old: &Bound<'py, PyAny>,
    new: &Bound<'py, PyAny>,
) -> PyResult<bool> {
    let mut attempts = Attempts::many(state.referent(py)?);
    loop {
        let seen = place.look(py, state)?;
        match &seen.old {
            Some(found) if interpreter::equal(found, old)? => {}
            _ => return Ok(false),
        }
        if place.replace(py, state, &seen, new)? {
            return Ok(true);
        }
        attempts.again_or_raise(py, "compare_exchange")?;
    }
}

/// [`increment`] of an entry of a dict that has moved to the manager process.
#[cold]
pub(super) fn increment_moved<'py>(
    proxy: &Bound<'py, BaseProxy>,
    key: &Bound<'py, PyAny>,
    by: &Argument<'py>,
    initial: &Argument<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = proxy.py();
    let by = given_or(py, by, 1);
    locked(proxy, || {
        let old = match called_value(proxy, key)? {
            Some(old) => old,
            None => given_or(py, initial, 0),
        };
        let sum = interpreter::add(&old, &by)?;
        call_set(proxy, key, &sum)?;
        Ok(sum)
    })
}

/// [`compare_exchange`] of such an entry.
#[cold]
pub(super) fn compare_exchange_moved<'py>(
    proxy: &Bound<'py, BaseProxy>,
    key: &Bound<'py, PyAny>,
    old: &Bound<'py, PyAny>,
    new: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyBool>> {
    let py = proxy.py();
    let exchanged = locked(proxy, || match called_value(proxy, key)? {
        Some(found) if interpreter::equal(&found, old)? => call_set(proxy, key, new).map(|()| true),
        _ => Ok(false),
    })?;
    Ok(PyBool::new(py, exchanged).to_owned())
}

/// Does something while this thread has the lock that belongs to the referent.
fn locked<T>(proxy: &Bound<'_, BaseProxy>, work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    let py = proxy.py();
    let companion = state_of_base(proxy)?.handle().companion().or_raise(py)?;
    let referent = companion.referent().or_raise(py)?;
    let lock = Lock::new(&referent);
    // Whoever died with it has changed the value or has not: there is nothing to warn of.
    match lock.acquire(Wait::Forever) {
        Err(StoreError::OwnerDied { .. }) => lock.acquire(Wait::Forever),
        acquired => acquired,
    }
    .or_raise(py)?;
    let done = work();
    lock.release().or_raise(py)?;
    done
}

fn called_value<'py>(
    proxy: &Bound<'py, BaseProxy>,
    key: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = proxy.py();
    let arguments = PyTuple::new(py, [key])?;
    match call(proxy, pyo3::intern!(py, "__getitem__"), &arguments, None).made(py) {
        Err(error) if error.is_instance_of::<PyKeyError>(py) => Ok(None),
        found => found.map(Some),
    }
}

fn call_set<'py>(
    proxy: &Bound<'py, BaseProxy>,
    key: &Bound<'py, PyAny>,
    value: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let py = proxy.py();
    let arguments = PyTuple::new(py, [key, value])?;
    call(proxy, pyo3::intern!(py, "__setitem__"), &arguments, None).map(drop)
}
