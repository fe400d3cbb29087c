//! Times in seconds, as `threading` and `queue` take them.

use std::time::Duration;

use coheld_store::Wait;
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyBool, PyFloat, PyInt},
};

use crate::{codec, interpreter};

/// What the standard library does with a time-out first. It decides which `TypeError` it is when
/// the time-out is no number.
#[derive(Clone, Copy)]
pub(super) enum First {
    /// `timeout > 0`; if not, there is no wait, and not a number is not above zero.
    Compare,
    /// `now + timeout`.
    Add,
}

/// How long to wait for a time-out; `None` is for ever, and so is what no clock can count.
pub(super) fn wait(timeout: &Bound<'_, PyAny>, first: First) -> PyResult<Wait> {
    if timeout.is_none() {
        return Ok(Wait::Forever);
    }
    if let Some(seconds) = number(timeout) {
        return match first {
            First::Compare if seconds.is_nan() => Ok(Wait::No),
            _ => for_seconds(seconds),
        };
    }
    let py = timeout.py();
    let operator = py.import("operator")?;
    let sum = match first {
        First::Compare => {
            let compare = interpreter::attribute(&operator, pyo3::intern!(py, "gt"))?;
            if !interpreter::is_true(&interpreter::call(&compare, (timeout, 0))?)? {
                return Ok(Wait::No);
            }
            timeout.clone()
        }
        First::Add => {
            let add = interpreter::attribute(&operator, pyo3::intern!(py, "add"))?;
            interpreter::call(&add, (0.0, timeout))?
        }
    };
    for_seconds(interpreter::float(&sum)?)
}

/// The value of a `float` or `int`; an int beyond the floats is as good as infinity.
fn number(timeout: &Bound<'_, PyAny>) -> Option<f64> {
    if let Ok(seconds) = timeout.cast::<PyFloat>() {
        return Some(seconds.value());
    }
    if timeout.is_exact_instance_of::<PyInt>() || timeout.is_exact_instance_of::<PyBool>() {
        let Some(seconds) = codec::small_int(timeout) else {
            return timeout.lt(0).ok().map(|negative| {
                if negative {
                    f64::NEG_INFINITY
                } else {
                    f64::INFINITY
                }
            });
        };
        #[expect(
            clippy::cast_precision_loss,
            reason = "so much precision in so long a time is not missed"
        )]
        return Some(seconds as f64);
    }
    None
}

/// How long to wait for so many seconds from now on.
pub(super) fn for_seconds(seconds: f64) -> PyResult<Wait> {
    if seconds.is_nan() {
        return Err(PyValueError::new_err("Invalid value NaN (not a number)"));
    }
    if seconds <= 0.0 {
        return Ok(Wait::No);
    }
    Ok(Duration::try_from_secs_f64(seconds).map_or(Wait::Forever, Wait::for_duration))
}

/// The same for a time-out that must not be negative, as `queue` wants it.
pub(super) fn wait_not_negative(timeout: &Bound<'_, PyAny>) -> PyResult<Wait> {
    let negative = match number(timeout) {
        Some(seconds) => seconds < 0.0,
        None if timeout.is_none() => false,
        None => {
            let py = timeout.py();
            let operator = py.import("operator")?;
            let compare = interpreter::attribute(&operator, pyo3::intern!(py, "lt"))?;
            interpreter::is_true(&interpreter::call(&compare, (timeout, 0))?)?
        }
    };
    if negative {
        return Err(PyValueError::new_err(
            "'timeout' must be a non-negative number",
        ));
    }
    wait(timeout, First::Add)
}

/// Whether an argument is true; what is not given is.
pub(super) fn is_true(argument: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
    match argument {
        None => Ok(true),
        Some(argument) => match argument.cast_exact::<PyBool>() {
            Ok(truth) => Ok(truth.is_true()),
            Err(_) => interpreter::is_true(argument),
        },
    }
}
