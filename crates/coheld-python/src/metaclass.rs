//! Giving a class another metaclass, for as long as Coheld stands in for the standard library.

use pyo3::{
    exceptions::PyTypeError,
    ffi,
    prelude::*,
    types::{PyString, PyType},
};

use crate::interpreter;

/// In `__flags__`: the class was allocated, and its instances own a reference of it.
const ALLOCATED: u64 = 1 << 9;
/// In `__flags__`: nothing about the class can be changed.
const IMMUTABLE: u64 = 1 << 8;

/// Give a class that Python code made the metaclass `metaclass`; return the one it had.
///
/// Python allows that by `__class__ = ...` for all objects but those whose present class is
/// immutable, as `type` is. What it checks otherwise is checked here.
#[pyfunction]
#[pyo3(signature = (class, metaclass, /))]
pub(crate) fn set_metaclass<'py>(
    class: &Bound<'py, PyType>,
    metaclass: &Bound<'py, PyType>,
) -> PyResult<Bound<'py, PyType>> {
    let py = class.py();
    let plain = py.get_type::<PyType>();
    let former = class.get_type();
    let is_changeable = flags(class)? & (ALLOCATED | IMMUTABLE) == ALLOCATED;
    if !is_changeable || !metaclass.is_subclass(&plain)? {
        return Err(PyTypeError::new_err(format!(
            "{class:?} cannot be given the metaclass {metaclass:?}"
        )));
    }
    if form(metaclass)? != form(&plain)? || form(&former)? != form(&plain)? {
        return Err(PyTypeError::new_err(format!(
            "the metaclasses {metaclass:?} and {former:?} are not of the same form as type"
        )));
    }
    let (new_is_allocated, former_was) = (flags(metaclass)?, flags(&former)?);
    let object = class.as_ptr();
    let new = if new_is_allocated & ALLOCATED == 0 {
        metaclass.as_ptr()
    } else {
        // The reference that the class is going to own.
        metaclass.clone().into_ptr()
    };
    // SAFETY: `object` is alive, and as an allocated class it is nobody's constant. Its class
    // becomes one whose instances have the same size and the same parts. The interpreter is
    // attached, and no Python code runs between the checks and this.
    unsafe {
        (*object).ob_type = new.cast();
    }
    // SAFETY: `object` is a class. The interpreter forgets what it has cached about it.
    unsafe { ffi::PyType_Modified(object.cast()) };
    if former_was & ALLOCATED != 0 {
        // SAFETY: until now the class owned this reference, as an instance of an allocated class.
        drop(unsafe { Bound::from_owned_ptr(py, former.as_ptr()) });
    }
    Ok(former)
}

/// What tells how the instances of a class are laid out.
fn form(class: &Bound<'_, PyType>) -> PyResult<[i64; 4]> {
    let py = class.py();
    let number = |name: &Bound<'_, PyString>| interpreter::attribute(class, name)?.extract::<i64>();
    Ok([
        number(pyo3::intern!(py, "__basicsize__"))?,
        number(pyo3::intern!(py, "__itemsize__"))?,
        number(pyo3::intern!(py, "__dictoffset__"))?,
        number(pyo3::intern!(py, "__weakrefoffset__"))?,
    ])
}

fn flags(class: &Bound<'_, PyType>) -> PyResult<u64> {
    interpreter::attribute(class, pyo3::intern!(class.py(), "__flags__"))?.extract()
}
