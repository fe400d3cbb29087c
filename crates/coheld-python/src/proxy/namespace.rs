//! `NamespaceProxy`.

use coheld_store::{Key, Namespace};
use pyo3::{
    exceptions::PyAttributeError,
    ffi,
    prelude::*,
    types::{PyDict, PyString, PyTuple, PyType},
};

use super::{
    BaseProxy, Kind, ProxyState,
    argument::{Keywords, Rest},
    route::{native_state, route},
    sequence::tuple,
    state::state_of,
};
use crate::{
    codec,
    errors::{self, Made, OrRaise},
    imported, interpreter,
};

/// A proxy of a shared namespace: an object whose public attributes are shared.
///
/// Attributes whose name begins with an underscore belong to the proxy itself.
#[pyclass(extends = BaseProxy, frozen, subclass)]
pub(crate) struct NamespaceProxy;

/// A plain `multiprocessing.managers.Namespace` without attributes.
fn empty(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let class = imported::NAMESPACE.get(py)?;
    interpreter::call(class, ())
}

/// A plain `multiprocessing.managers.Namespace` with these attributes.
pub(crate) fn copy<'py>(
    py: Python<'py>,
    attributes: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let namespace = empty(py)?;
    namespace
        .getattr("__dict__")?
        .cast::<PyDict>()?
        .update(attributes.as_mapping())?;
    Ok(namespace)
}

/// The name of an attribute as a key.
fn key<'a>(py: Python<'_>, state: &ProxyState, name: &'a Bound<'_, PyString>) -> PyResult<Key<'a>> {
    let text = name.to_str()?;
    match coheld_store::word::from_str(text) {
        Some(word) => Key::from_word(word, state.hasher()).or_raise(py),
        None => Ok(Key::str(text, state.hasher())),
    }
}

fn find<'py>(
    py: Python<'py>,
    state: &ProxyState,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let key = key(py, state, name)?;
    match Namespace::new(&state.referent(py)?)
        .get(&key)
        .or_raise(py)?
    {
        Some(value) => codec::output(py, state.attachment(), value).map(Some),
        None => Ok(None),
    }
}

fn get<'py>(
    py: Python<'py>,
    state: &ProxyState,
    name: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    match find(py, state, name)? {
        Some(value) => Ok(value),
        // What any namespace has, or else the error of the running Python.
        None => empty(py)?.getattr(name),
    }
}

fn set<'py>(
    py: Python<'py>,
    state: &ProxyState,
    name: &Bound<'py, PyString>,
    value: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let value = codec::encode(value, state)?;
    let key = key(py, state, name)?;
    Namespace::new(&state.referent(py)?)
        .set(&key, &value.input()?)
        .or_raise(py)
}

fn delete<'py>(py: Python<'py>, state: &ProxyState, name: &Bound<'py, PyString>) -> PyResult<()> {
    let key = key(py, state, name)?;
    let found = Namespace::new(&state.referent(py)?)
        .delete(&key)
        .or_raise(py)?;
    if found {
        Ok(())
    } else {
        empty(py)?.delattr(name)
    }
}

/// `__getattribute__`, `__setattr__` or `__delattr__`, called by name.
pub(crate) fn method<'py>(
    py: Python<'py>,
    state: &ProxyState,
    name: &str,
    arguments: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    let attribute = |index| -> PyResult<Bound<'py, PyString>> {
        Ok(arguments.get_item(index)?.cast_into::<PyString>()?)
    };
    let none = || py.None().into_bound(py);
    match (name, arguments.len()) {
        ("__getattribute__", 1) => get(py, state, &attribute(0)?),
        ("__setattr__", 2) => {
            set(py, state, &attribute(0)?, &arguments.get_item(1)?).map(|()| none())
        }
        ("__delattr__", 1) => delete(py, state, &attribute(0)?).map(|()| none()),
        ("__getattribute__" | "__setattr__" | "__delattr__", _) => {
            empty(py)?.getattr(name)?.call1(arguments)
        }
        _ => Err(errors::remote_error(
            py,
            format!("AttributeError: 'Namespace' object has no method {name:?}\n"),
        )),
    }
}

/// Whether an attribute belongs to the proxy and not to the referent.
fn is_local(name: &Bound<'_, PyString>) -> PyResult<bool> {
    Ok(match name.to_str() {
        Ok(text) => text.starts_with('_'),
        Err(_) => false,
    })
}

fn generic_get<'py>(
    proxy: &Bound<'py, NamespaceProxy>,
    name: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: both are live objects, as `Bound` says.
    let found = unsafe { ffi::PyObject_GenericGetAttr(proxy.as_ptr(), name.as_ptr()) };
    // SAFETY: a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(proxy.py(), found) }
}

fn generic_set(
    proxy: &Bound<'_, NamespaceProxy>,
    name: &Bound<'_, PyString>,
    value: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let value = value.map_or(std::ptr::null_mut(), Bound::as_ptr);
    // SAFETY: all are live objects, as `Bound` says; null as the value means deletion.
    let status = unsafe { ffi::PyObject_GenericSetAttr(proxy.as_ptr(), name.as_ptr(), value) };
    if status == 0 {
        Ok(())
    } else {
        Err(PyErr::fetch(proxy.py()))
    }
}

/// Makes the method that looks up shared attributes known as `__getattr__`, for subclasses that
/// call it. Assigned in the usual way it would also take the place of the faster slot.
pub(crate) fn show_getattr(class: &Bound<'_, PyType>) -> PyResult<()> {
    let py = class.py();
    let method = class.getattr("_shared_attribute")?;
    // SAFETY: `class` is a live type object.
    let dict = unsafe { (*class.as_type_ptr()).tp_dict };
    // SAFETY: a type made at run time has a dict as long as it lives; the dict takes its own
    // reference to `method`.
    let status =
        unsafe { ffi::PyDict_SetItemString(dict, c"__getattr__".as_ptr(), method.as_ptr()) };
    if status != 0 {
        return Err(PyErr::fetch(py));
    }
    // SAFETY: `class` is a live type object; this only drops what is cached of its attributes.
    unsafe { ffi::PyType_Modified(class.as_type_ptr()) };
    Ok(())
}

/// An attribute that is there without asking `__getattr__`.
#[inline]
fn attribute<'py>(
    proxy: &Bound<'py, NamespaceProxy>,
    name: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    // A subclass may have attributes and methods of its own.
    if is_local(name)? || !proxy.is_exact_instance_of::<NamespaceProxy>() {
        return generic_get(proxy, name);
    }
    let Some(state) = native_state(proxy.as_super())? else {
        return Err(PyAttributeError::new_err(()));
    };
    match find(proxy.py(), state, name)? {
        Some(value) => Ok(value),
        // The methods that are ours; a shared attribute of that name comes first.
        None if name == "get_lock" || name == "view" => generic_get(proxy, name),
        None => Err(PyAttributeError::new_err(())),
    }
}

#[pymethods]
impl NamespaceProxy {
    #[classattr]
    fn _exposed_(py: Python<'_>) -> PyResult<Py<PyTuple>> {
        Kind::Namespace.exposed_tuple(py)
    }

    #[new]
    #[pyo3(signature = (*_args, **_kwds))]
    fn new(_args: Rest<'_, '_>, _kwds: Option<Keywords<'_, '_>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(BaseProxy::default()).add_subclass(Self)
    }

    fn __getattribute__<'py>(
        slf: &Bound<'py, Self>,
        name: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        // `PyO3` looks at the error, to ask `__getattr__` next if it is an `AttributeError`.
        attribute(slf, name).made(slf.py())
    }

    fn __getattr__<'py>(
        slf: &Bound<'py, Self>,
        name: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if is_local(name)? {
            return generic_get(slf, name);
        }
        let py = slf.py();
        let method = pyo3::intern!(py, "__getattribute__");
        let arguments = || tuple(py, [name.as_any()]);
        route(slf.as_super(), method, arguments, None, |state| {
            get(py, state, name)
        })
    }

    /// Return a shared attribute.
    #[pyo3(signature = (name, /))]
    fn _shared_attribute<'py>(
        slf: &Bound<'py, Self>,
        name: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::__getattr__(slf, name)
    }

    fn __setattr__<'py>(
        slf: &Bound<'py, Self>,
        name: &Bound<'py, PyString>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        if is_local(name)? {
            return generic_set(slf, name, Some(value));
        }
        let py = slf.py();
        let method = pyo3::intern!(py, "__setattr__");
        let arguments = || tuple(py, [name.as_any(), value]);
        route(slf.as_super(), method, arguments, None, |state| {
            set(py, state, name, value)
        })
    }

    fn __delattr__<'py>(slf: &Bound<'py, Self>, name: &Bound<'py, PyString>) -> PyResult<()> {
        if is_local(name)? {
            return generic_set(slf, name, None);
        }
        let py = slf.py();
        let method = pyo3::intern!(py, "__delattr__");
        let arguments = || tuple(py, [name.as_any()]);
        route(slf.as_super(), method, arguments, None, |state| {
            delete(py, state, name)
        })
    }

    /// Return a read-only memoryview of an attribute, which has to be bytes.
    ///
    /// Large bytes are not copied: the view is those of the shared object, and keeps them as long
    /// as it is in use, whatever becomes of the object. A value of another class that pickles its
    /// buffers apart, as arrays of NumPy do, is returned with such views as its buffers.
    fn view<'py>(
        slf: &Bound<'py, Self>,
        name: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let Some(state) = native_state(slf.as_super())? else {
            return codec::viewed(slf.getattr(name)?);
        };
        let key = key(py, state, name)?;
        let found = Namespace::new(&state.referent(py)?)
            .get(&key)
            .or_raise(py)?;
        match found {
            Some(value) => codec::view(py, state.attachment(), value),
            // For the error of an attribute that is not there.
            None => codec::viewed(get(py, state, name)?),
        }
    }

    /// Return a proxy of the lock that belongs to this object, an RLock: the same for everybody.
    ///
    /// Hold it for what takes several steps. It keeps nobody from working on the object without it.
    fn get_lock<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        state_of(slf)?.get_lock(slf.py())
    }
}
