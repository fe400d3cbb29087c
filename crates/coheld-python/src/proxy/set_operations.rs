//! What `SetProxy` does beyond one call of the store.

use coheld_store::Set;
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{PyFrozenSet, PyIterator, PyList, PySet, PyString, PyTuple},
};

use super::{
    BaseProxy, ProxyState, SetProxy,
    argument::{Keywords, Rest},
    base::operand,
    route::{IntoAnswer, call_in_place, is_of_any_class, route},
    sequence::tuple,
};
use crate::{
    copy::{read, write},
    errors::OrRaise,
    interpreter, key,
};

/// The operands of a method. Proxies count as sets; what can be iterated over only once becomes a
/// list, so that the method can be tried again.
fn operands<'py>(args: Rest<'_, 'py>) -> PyResult<Bound<'py, PyTuple>> {
    let py = args.py();
    let mut all = Vec::with_capacity(args.len());
    for other in args {
        let other = operand(&other)?;
        if other.cast::<PyIterator>().is_ok() {
            let list = py.get_type::<PyList>();
            all.push(interpreter::call(&list, (other,))?);
        } else {
            all.push(other);
        }
    }
    PyTuple::new(py, all)
}

/// A built-in method of set with an operand of which proxies count as sets.
pub(super) fn on_copy<'py>(
    slf: &Bound<'py, SetProxy>,
    method: &Bound<'py, PyString>,
    other: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    named(slf, method, &tuple(slf.py(), [other])?, None)
}

/// The same for named methods, which take any number of iterables.
pub(super) fn named<'py>(
    slf: &Bound<'py, SetProxy>,
    method: &Bound<'py, PyString>,
    args: Rest<'_, 'py>,
    kwds: Option<Keywords<'_, 'py>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = slf.py();
    let others = operands(args)?;
    let given = || Ok(others.clone());
    route(slf.as_super(), method, given, kwds, |state| {
        read(py, state, method, &others, kwds)
    })
}

/// A method that changes the set, on a copy that is then committed.
pub(super) fn named_in_place<'py>(
    slf: &Bound<'py, SetProxy>,
    method: &Bound<'py, PyString>,
    args: Rest<'_, 'py>,
    kwds: Option<Keywords<'_, 'py>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = slf.py();
    let others = operands(args)?;
    let given = || Ok(others.clone());
    route(slf.as_super(), method, given, kwds, |state| {
        write(py, state, method, &others, kwds)
    })
}

/// An operator in place, by the names of its method and of the method that does the same and
/// returns nothing. What is no set is refused, as for a plain set.
pub(super) fn operator_in_place<'py>(
    slf: &Bound<'py, SetProxy>,
    symbol: &str,
    (method, named): (&Bound<'py, PyString>, &Bound<'py, PyString>),
    other: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let (py, proxy) = (slf.py(), slf.as_super());
    let other = operand(other)?;
    let arguments = tuple(py, [&other])?;
    if is_of_any_class(proxy)? {
        return call_in_place(proxy, symbol, method, &arguments);
    }
    if !other.is_instance_of::<PySet>() && !other.is_instance_of::<PyFrozenSet>() {
        return Err(PyTypeError::new_err(format!(
            "unsupported operand type(s) for {symbol}: '{}' and '{}'",
            slf.get_type().name()?,
            other.get_type().name()?
        )));
    }
    let given = || Ok(arguments.clone());
    route(proxy, named, given, None, |state| {
        write(py, state, named, &arguments, None).map(drop)
    })
}

/// Adds all elements of several iterables, as one change.
pub(super) fn add_all<'py>(
    proxy: &Bound<'py, BaseProxy>,
    args: Rest<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = proxy.py();
    let all = PySet::empty(py)?;
    let name = pyo3::intern!(py, "update");
    interpreter::call(&all.getattr(name)?, args)?;
    let arguments = || tuple(py, [all.as_any()]);
    route(proxy, name, arguments, None, |state| {
        let keys = key::encode_all(all.iter())?;
        let keys = key::keys(py, state.hasher(), &keys)?;
        Set::new(&state.referent(py)?)
            .update(&keys)
            .or_raise(py)
            .answer(py)
    })
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
