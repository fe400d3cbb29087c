//! Arguments of methods that take whatever the built-in type takes.
//!
//! The proxies' methods accept any arguments, like stock's, and leave it to the built-in method to
//! refuse them; so the messages are always those of the running Python. The common call is told
//! apart without building a tuple.

use std::convert::Infallible;

use pyo3::{
    prelude::*,
    types::{PyDict, PyTuple},
};

/// The rest of a method's positional arguments.
pub(crate) type Rest<'a, 'py> = &'a Bound<'py, PyTuple>;
/// The keyword arguments of a method.
pub(crate) type Keywords<'a, 'py> = &'a Bound<'py, PyDict>;

/// An optional positional argument; `None` of Python counts as given.
pub(crate) enum Argument<'py> {
    /// Not given.
    Missing,
    /// Given.
    Given(Bound<'py, PyAny>),
}

impl<'a, 'py> FromPyObject<'a, 'py> for Argument<'py> {
    type Error = Infallible;

    #[inline]
    fn extract(object: Borrowed<'a, 'py, PyAny>) -> Result<Self, Infallible> {
        Ok(Self::Given(object.to_owned()))
    }
}

/// All positional arguments of a call, given the first few by themselves.
pub(crate) fn positional<'py>(
    first: &[&Argument<'py>],
    rest: Rest<'_, 'py>,
) -> PyResult<Bound<'py, PyTuple>> {
    let given = first.iter().filter_map(|argument| match argument {
        Argument::Given(object) => Some(object.clone()),
        Argument::Missing => None,
    });
    let all: Vec<_> = given.chain(rest.iter()).collect();
    PyTuple::new(rest.py(), all)
}

/// Whether a call has nothing beyond its named positional arguments.
#[inline]
pub(crate) fn is_simple(rest: Rest<'_, '_>, keywords: Option<Keywords<'_, '_>>) -> bool {
    rest.is_empty() && keywords.is_none_or(PyDictMethods::is_empty)
}
