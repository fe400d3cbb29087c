//! Calls into Python code, from which a thread may never come back.
//!
//! When the main thread ends, CPython up to 3.13 ends the daemon threads: each by `pthread_exit`,
//! as soon as it wants the interpreter again, which is between any two instructions of Python code.
//! That unwinds the stack, through our frames too: destructors would run without holding the
//! interpreter, and `PyO3` would take the unwinding for a panic and abort the process. `PyO3` keeps
//! threads from this only where they wait (`HangThread` in `pyo3-ffi`). All other functions of
//! Python are declared there as ones that never unwind, which alone is reason for an abort. So
//! whatever may run instructions of Python goes through this module.

use std::{
    ffi::{CString, c_char, c_int},
    hint, mem, thread,
    time::Duration,
};

use pyo3::{
    BoundObject,
    ffi::{self, Py_hash_t, Py_ssize_t, PyObject},
    prelude::*,
    types::{PyDict, PyFloat, PyIterator, PyString, PyTuple},
};

/// Dropped only by unwinding. If no panic is the cause, the interpreter has ended this thread: it
/// stays here until the process ends, and no destructor further out runs.
struct Hang;

impl Drop for Hang {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        loop {
            thread::sleep(Duration::from_secs(3600));
        }
    }
}

type Object = *mut PyObject;

/// Calls a function of Python under another type, which says that it may unwind. The compiler must
/// not find out which function it is, or it would know better; so there is the black box.
macro_rules! run {
    ($function:path as fn($($kind:ty),*) -> $answer:ty, $($argument:expr),*) => {{
        let known: unsafe extern "C" fn($($kind),*) -> $answer = $function;
        // SAFETY: the two types differ only in whether the function may unwind.
        let function = hint::black_box(unsafe {
            mem::transmute::<
                unsafe extern "C" fn($($kind),*) -> $answer,
                unsafe extern "C-unwind" fn($($kind),*) -> $answer,
            >(known)
        });
        let guard = Hang;
        // SAFETY: the arguments are borrowed from objects that outlive the call, or null where
        // Python allows for it; that they are `Bound` shows that the interpreter is attached.
        let answer = unsafe { function($($argument),*) };
        mem::forget(guard);
        answer
    }};
}

/// The object of a new reference, or the exception that is set.
fn owned(py: Python<'_>, object: Object) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: as the functions called here answer: a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, object) }
}

/// The truth of a number that is negative when an exception is set.
fn truth(py: Python<'_>, answer: c_int) -> PyResult<bool> {
    if answer < 0 {
        return Err(PyErr::fetch(py));
    }
    Ok(answer != 0)
}

/// `callable(*arguments)`.
pub(crate) fn call<'py>(
    callable: &Bound<'py, PyAny>,
    arguments: impl IntoPyObject<'py, Target = PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    call_with(callable, arguments, None)
}

/// `callable(*arguments, **keywords)`.
pub(crate) fn call_with<'py>(
    callable: &Bound<'py, PyAny>,
    arguments: impl IntoPyObject<'py, Target = PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = callable.py();
    let arguments = arguments.into_pyobject(py).map_err(Into::into)?.into_any();
    let keywords = keywords.map_or(std::ptr::null_mut(), Bound::as_ptr);
    let answer = run!(
        ffi::PyObject_Call as fn(Object, Object, Object) -> Object,
        callable.as_ptr(),
        arguments.as_ptr(),
        keywords
    );
    let_go(arguments.into_bound());
    owned(py, answer)
}

/// Lets go of an object, which may have its `__del__` run.
pub(crate) fn let_go(object: Bound<'_, PyAny>) {
    let object = object.into_ptr();
    run!(ffi::Py_DecRef as fn(Object) -> (), object);
}

/// `object.name(*arguments)`.
pub(crate) fn method<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
    arguments: impl IntoPyObject<'py, Target = PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    call(&attribute(object, name)?, arguments)
}

/// `object.name`.
pub(crate) fn attribute<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    let answer = run!(
        ffi::PyObject_GetAttr as fn(Object, Object) -> Object,
        object.as_ptr(),
        name.as_ptr()
    );
    owned(object.py(), answer)
}

/// `iter(object)`.
pub(crate) fn iterate<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyIterator>> {
    let answer = run!(
        ffi::PyObject_GetIter as fn(Object) -> Object,
        object.as_ptr()
    );
    Ok(owned(object.py(), answer)?.cast_into()?)
}

/// `iter(object)` for a class with no `__iter__`: its items by index, until there are no more.
pub(crate) fn iterate_sequence<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: `object` is live, as `Bound` says; this takes a reference to it and runs no code.
    let iterator = unsafe { ffi::PySeqIter_New(object.as_ptr()) };
    owned(object.py(), iterator)
}

/// `item in container`.
pub(crate) fn contains(container: &Bound<'_, PyAny>, item: &Bound<'_, PyAny>) -> PyResult<bool> {
    let answer = run!(
        ffi::PySequence_Contains as fn(Object, Object) -> c_int,
        container.as_ptr(),
        item.as_ptr()
    );
    truth(container.py(), answer)
}

/// `one is other or one == other`.
pub(crate) fn equal(one: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
    let answer = run!(
        ffi::PyObject_RichCompareBool as fn(Object, Object, c_int) -> c_int,
        one.as_ptr(),
        other.as_ptr(),
        ffi::Py_EQ
    );
    truth(one.py(), answer)
}

/// Whether `object` is true.
pub(crate) fn is_true(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let answer = run!(ffi::PyObject_IsTrue as fn(Object) -> c_int, object.as_ptr());
    truth(object.py(), answer)
}

/// `float(object)`.
pub(crate) fn float(object: &Bound<'_, PyAny>) -> PyResult<f64> {
    let answer = run!(ffi::PyNumber_Float as fn(Object) -> Object, object.as_ptr());
    Ok(owned(object.py(), answer)?.cast_into::<PyFloat>()?.value())
}

/// `warnings.warn(text, category)` on behalf of the Python code that called us.
pub(crate) fn warn(category: &Bound<'_, PyAny>, text: &str) -> PyResult<()> {
    let text = CString::new(text)?;
    let answer = run!(
        ffi::PyErr_WarnEx as fn(Object, *const c_char, Py_ssize_t) -> c_int,
        category.as_ptr(),
        text.as_ptr(),
        1
    );
    truth(category.py(), answer).map(|_| ())
}

/// `one + other`.
pub(crate) fn add<'py>(
    one: &Bound<'py, PyAny>,
    other: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let answer = run!(
        ffi::PyNumber_Add as fn(Object, Object) -> Object,
        one.as_ptr(),
        other.as_ptr()
    );
    owned(one.py(), answer)
}

/// `hash(object)`, for its exception.
pub(crate) fn hash(object: &Bound<'_, PyAny>) -> PyResult<()> {
    let answer = run!(
        ffi::PyObject_Hash as fn(Object) -> Py_hash_t,
        object.as_ptr()
    );
    if answer == -1 {
        return Err(PyErr::fetch(object.py()));
    }
    Ok(())
}

/// `repr(object)`.
pub(crate) fn repr<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
    let answer = run!(ffi::PyObject_Repr as fn(Object) -> Object, object.as_ptr());
    Ok(owned(object.py(), answer)?.cast_into()?)
}

/// `str(object)`.
pub(crate) fn str<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
    let answer = run!(ffi::PyObject_Str as fn(Object) -> Object, object.as_ptr());
    Ok(owned(object.py(), answer)?.cast_into()?)
}
