//! Where a method of a proxy is carried out: here, in the segment, or by the host of the referent.
//!
//! Whether a referent is hosted is known from its kind, which never changes but for dicts and sets:
//! those move to the manager process when they are given a key that has no form in the segment. So
//! only for them the kind is looked up in the segment with every call, and what finds out under the
//! lock that the referent has moved meanwhile is done again, by a call.

use coheld_shm::Referent;
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{PyBool, PyDict, PyString, PyTuple},
};

use super::{
    AnyState, BaseProxy, Kind, ProxyState, any_state_of,
    argument::{Keywords, Rest, is_simple},
};
use crate::{
    errors::{self, Made},
    hosted, interpreter,
};

/// The result of a call in the form that a slot of a class has to return.
pub(crate) trait Answer<'py>: Sized {
    /// The same as the interpreter would make of it.
    fn of(result: Bound<'py, PyAny>) -> PyResult<Self>;
}

impl<'py> Answer<'py> for Bound<'py, PyAny> {
    fn of(result: Bound<'py, PyAny>) -> PyResult<Self> {
        Ok(result)
    }
}

impl<'py> Answer<'py> for () {
    fn of(_result: Bound<'py, PyAny>) -> PyResult<Self> {
        Ok(())
    }
}

impl<'py> Answer<'py> for bool {
    fn of(result: Bound<'py, PyAny>) -> PyResult<Self> {
        interpreter::is_true(&result)
    }
}

impl<'py> Answer<'py> for usize {
    fn of(result: Bound<'py, PyAny>) -> PyResult<Self> {
        result.extract()
    }
}

/// The result of a native method as the object that a call would have returned.
pub(super) trait IntoAnswer<'py> {
    /// The object.
    fn answer(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>>;
}

impl<'py> IntoAnswer<'py> for PyResult<()> {
    #[inline]
    fn answer(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.map(|()| py.None().into_bound(py))
    }
}

impl<'py> IntoAnswer<'py> for PyResult<bool> {
    #[inline]
    fn answer(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.map(|truth| PyBool::new(py, truth).to_owned().into_any())
    }
}

impl<'py> IntoAnswer<'py> for PyResult<u64> {
    #[inline]
    fn answer(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self?.into_pyobject(py)?.into_any())
    }
}

/// Carries out a method: by `native` on a referent in the segment, else by a call of `name`.
///
/// `native` may run first and the call afterwards, if the referent turns out to have moved, or has
/// to: then `native` has changed nothing.
#[inline]
pub(crate) fn route<'py, R: Answer<'py>>(
    proxy: &Bound<'py, BaseProxy>,
    name: &Bound<'py, PyString>,
    arguments: impl FnOnce() -> PyResult<Bound<'py, PyTuple>>,
    keywords: Option<&Bound<'py, PyDict>>,
    native: impl FnOnce(&ProxyState) -> PyResult<R>,
) -> PyResult<R> {
    match native_state(proxy)? {
        Some(state) => settle(proxy, state, name, arguments, keywords, native),
        None => R::of(call(proxy, name, &arguments()?, keywords)?),
    }
}

/// The same for a method that `native` knows without any arguments; with some, `otherwise` has the
/// built-in method take or refuse them.
#[inline]
pub(super) fn simple<'py>(
    proxy: &Bound<'py, BaseProxy>,
    name: &Bound<'py, PyString>,
    arguments: Rest<'_, 'py>,
    keywords: Option<Keywords<'_, 'py>>,
    otherwise: impl FnOnce(
        Python<'py>,
        &ProxyState,
        &Bound<'py, PyString>,
        &Bound<'py, PyTuple>,
        Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>>,
    native: impl FnOnce(&ProxyState) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let given = || Ok(arguments.clone());
    route(proxy, name, given, keywords, |state| {
        if is_simple(arguments, keywords) {
            return native(state);
        }
        otherwise(proxy.py(), state, name, arguments, keywords)
    })
}

/// The same for a method without arguments of a referent that never moves.
#[inline]
pub(super) fn plain<'py>(
    proxy: &Bound<'py, BaseProxy>,
    name: &Bound<'py, PyString>,
    native: impl FnOnce(&Referent<'_>) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = proxy.py();
    match native_state(proxy)? {
        Some(state) => native(&state.referent(py)?),
        None => call(proxy, name, &PyTuple::empty(py), None),
    }
}

/// The second half of [`route`], for a referent that was native a moment ago: for methods whose
/// arguments are used up by preparing them.
#[inline]
pub(super) fn settle<'py, R: Answer<'py>>(
    proxy: &Bound<'py, BaseProxy>,
    state: &ProxyState,
    name: &Bound<'py, PyString>,
    arguments: impl FnOnce() -> PyResult<Bound<'py, PyTuple>>,
    keywords: Option<&Bound<'py, PyDict>>,
    native: impl FnOnce(&ProxyState) -> PyResult<R>,
) -> PyResult<R> {
    match native(state) {
        Err(error) => {
            has_moved(proxy, state, error)?;
            R::of(hosted::call_method(proxy, name, &arguments()?, keywords)?)
        }
        done => done,
    }
}

/// The state of a proxy whose referent is native; `None`: it is hosted, or out of reach.
#[inline]
pub(crate) fn native_state<'a>(
    proxy: &'a Bound<'_, BaseProxy>,
) -> PyResult<Option<&'a ProxyState>> {
    match any_state_of(proxy)? {
        AnyState::Segment(state) if !state.is_hosted() => Ok(Some(state)),
        AnyState::Segment(_) | AnyState::Remote(_) => Ok(None),
    }
}

/// Whether the object of a proxy may be of any class: it was registered under that of the proxy.
pub(super) fn is_of_any_class(proxy: &Bound<'_, BaseProxy>) -> PyResult<bool> {
    match any_state_of(proxy)? {
        AnyState::Segment(state) => Ok(state.kind() == Kind::Hosted),
        AnyState::Remote(_) => Ok(false),
    }
}

/// Whether the object of a proxy is reached through a connection.
pub(super) fn is_remote(proxy: &Bound<'_, BaseProxy>) -> PyResult<bool> {
    Ok(matches!(any_state_of(proxy)?, AnyState::Remote(_)))
}

/// Whether an operation in the segment failed because the referent is not there any more, or must
/// not stay there, in which case it moves; any other error is handed on.
#[cold]
pub(crate) fn has_moved(
    proxy: &Bound<'_, BaseProxy>,
    state: &ProxyState,
    error: PyErr,
) -> PyResult<()> {
    let py = proxy.py();
    if !state.kind().can_move() {
        return Err(error);
    }
    let error = error.made(py);
    if errors::is_moved(py, &error) {
        return Ok(());
    }
    if errors::is_odd_key(py, &error) {
        // Nothing has changed if this fails.
        return hosted::move_to_manager(proxy);
    }
    Err(error)
}

/// Calls a method of a hosted referent: by `_callmethod`, which a subclass may have of its own.
#[cold]
pub(crate) fn call<'py>(
    proxy: &Bound<'py, BaseProxy>,
    name: &Bound<'py, PyString>,
    arguments: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = proxy.py();
    let method = pyo3::intern!(py, "_callmethod");
    let own = interpreter::attribute(proxy.get_type().as_any(), method)?;
    if own.is(&py.get_type::<BaseProxy>().getattr(method)?) {
        return hosted::call_method(proxy, name, arguments, keywords);
    }
    match keywords {
        Some(keywords) if !keywords.is_empty() => {
            interpreter::method(proxy, method, (name, arguments, keywords))
        }
        _ => interpreter::method(proxy, method, (name, arguments)),
    }
}

/// Calls an operator in place of a hosted referent, whose result is the proxy.
#[cold]
pub(super) fn call_in_place<'py>(
    proxy: &Bound<'py, BaseProxy>,
    symbol: &str,
    name: &Bound<'py, PyString>,
    arguments: &Bound<'py, PyTuple>,
) -> PyResult<()> {
    let py = proxy.py();
    if !call(proxy, name, arguments, None)?.is(py.NotImplemented()) {
        return Ok(());
    }
    Err(PyTypeError::new_err(format!(
        "unsupported operand type(s) for {symbol}: '{}' and '{}'",
        proxy.get_type().name()?,
        arguments.get_item(0)?.get_type().name()?
    )))
}
