//! How long calls may take.
#![allow(clippy::disallowed_types, reason = "a note of one thread about itself")]

use std::{cell::Cell, time::Duration};

use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::PyString,
};

use crate::interpreter;

thread_local! {
    /// The limit of the calls of this thread that are given none of their own.
    static LIMIT: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// The limit for a number of seconds. None is no limit of its own, infinity is for ever.
pub(crate) fn limit_of(seconds: &Bound<'_, PyAny>) -> PyResult<Option<Duration>> {
    if seconds.is_none() {
        return Ok(None);
    }
    if seconds.is_instance_of::<PyString>() {
        // Which `float` would read.
        return Err(PyTypeError::new_err(format!(
            "the seconds of a call are a number, not {seconds:?}"
        )));
    }
    let number = interpreter::float(seconds)?;
    if number.is_nan() || number < 0.0 {
        return Err(PyValueError::new_err(format!(
            "a call cannot have {number} seconds: give a number from 0 on, infinity for as long as \
             it takes, or None for the limit of the thread or the manager"
        )));
    }
    Ok(Some(
        Duration::try_from_secs_f64(number).unwrap_or(Duration::MAX),
    ))
}

/// The limit of a call that was given none of its own.
pub(crate) fn of_thread() -> Option<Duration> {
    LIMIT.get()
}

/// Set the seconds that calls of this thread may take, None for the manager's default; return what
/// was set before.
#[pyfunction]
pub(crate) fn call_limit(seconds: &Bound<'_, PyAny>) -> PyResult<Option<f64>> {
    let before = LIMIT.replace(limit_of(seconds)?);
    Ok(before.map(|limit| match limit {
        Duration::MAX => f64::INFINITY,
        limit => limit.as_secs_f64(),
    }))
}
