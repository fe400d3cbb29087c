//! Calls of methods of hosted referents.

use pyo3::{
    prelude::*,
    types::{PyDict, PyString, PyTuple},
};

use crate::{errors, proxy::BaseProxy};

/// Calls a method of a hosted referent and returns a copy of the result, or the proxy that it gave.
pub(crate) fn call_method<'py>(
    proxy: &Bound<'py, BaseProxy>,
    name: &Bound<'py, PyString>,
    arguments: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let _ = (arguments, keywords);
    Err(unreachable_yet(proxy.py(), name))
}

/// Has the manager process keep the content of a dict or set from now on: Python keys of any class
/// fit in there.
pub(crate) fn move_to_manager(proxy: &Bound<'_, BaseProxy>) -> PyResult<()> {
    let py = proxy.py();
    Err(unreachable_yet(py, pyo3::intern!(py, "adopt")))
}

fn unreachable_yet(py: Python<'_>, name: &Bound<'_, PyString>) -> PyErr {
    errors::coheld_error(
        py,
        format!("{name} cannot be called: no host can be reached"),
    )
}
