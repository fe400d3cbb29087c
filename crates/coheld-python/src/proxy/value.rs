//! `ValueProxy`.

use coheld_store::{Value, word};
use pyo3::{
    prelude::*,
    types::{PyBool, PyGenericAlias, PyString, PyTuple, PyType},
};

use super::{
    BaseProxy, Kind, ProxyState,
    argument::{Argument, Keywords, Rest, is_simple, positional},
    atomic::{self, Place},
    route::{IntoAnswer, route},
    sequence::tuple,
    state::state_of,
};
use crate::{codec, errors::OrRaise, imported, interpreter};

/// A proxy of a shared value of any type.
#[pyclass(extends = BaseProxy, frozen, subclass)]
pub(crate) struct ValueProxy;

/// First character of a stored typecode that names a built-in type.
const BUILTIN: char = '\u{1}';
/// First character of a stored typecode that stands for a type of ctypes, by its own code.
const CTYPES: char = '\u{2}';

/// What the segment keeps of a typecode, which is only shown: text of up to seven bytes, or a
/// built-in type or simple type of ctypes.
pub(crate) fn auxiliary(typecode: &Bound<'_, PyAny>) -> PyResult<u64> {
    if let Ok(text) = typecode.cast::<PyString>() {
        return Ok(text
            .to_str()
            .ok()
            .and_then(word::from_str)
            .unwrap_or(word::NONE));
    }
    let Ok(class) = typecode.cast::<PyType>() else {
        return Ok(word::NONE);
    };
    let text = if class.module()?.to_str()? == "builtins" {
        format!("{BUILTIN}{}", class.name()?)
    } else {
        match class.getattr_opt("_type_")? {
            Some(code) if code.is_instance_of::<PyString>() => format!("{CTYPES}{code}"),
            _ => return Ok(word::NONE),
        }
    };
    Ok(word::from_str(&text).unwrap_or(word::NONE))
}

/// The typecode that `auxiliary` has kept; `None` for what it could not keep.
fn typecode(py: Python<'_>, auxiliary: u64) -> PyResult<Bound<'_, PyAny>> {
    let none = || py.None().into_bound(py);
    let Ok(word::Scalar::Str(text)) = word::decode(auxiliary) else {
        return Ok(none());
    };
    let text = text.as_str().or_raise(py)?;
    if let Some(name) = text.strip_prefix(BUILTIN) {
        return Ok(py
            .import("builtins")?
            .getattr_opt(name)?
            .unwrap_or_else(none));
    }
    if let Some(code) = text.strip_prefix(CTYPES) {
        let module = py.import("ctypes")?;
        for name in module.dir()? {
            let candidate = module.getattr(name.cast::<PyString>()?)?;
            if let Some(own) = candidate.getattr_opt("_type_")?
                && own.eq(code)?
            {
                return Ok(candidate);
            }
        }
        return Ok(none());
    }
    Ok(PyString::new(py, text).into_any())
}

/// A new `multiprocessing.managers.Value`.
fn make<'py>(
    py: Python<'py>,
    typecode: &Bound<'py, PyAny>,
    content: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let class = imported::VALUE.get(py)?;
    interpreter::call(class, (typecode, content))
}

/// A plain `multiprocessing.managers.Value` with a content.
pub(crate) fn copy<'py>(
    py: Python<'py>,
    state: &ProxyState,
    content: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let auxiliary = state.auxiliary(py)?;
    make(py, &typecode(py, auxiliary)?, content)
}

/// A plain value, which refuses arguments as the standard library does.
fn plain(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let none = py.None().into_bound(py);
    make(py, &none, &none)
}

fn get<'py>(py: Python<'py>, state: &ProxyState) -> PyResult<Bound<'py, PyAny>> {
    let value = Value::new(&state.referent(py)?).get().or_raise(py)?;
    codec::output(py, state.attachment(), value)
}

fn set(py: Python<'_>, state: &ProxyState, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let value = codec::encode(value, state)?;
    Value::new(&state.referent(py)?)
        .set(&value.input()?)
        .or_raise(py)
}

#[pymethods]
impl ValueProxy {
    #[classattr]
    fn _exposed_(py: Python<'_>) -> PyResult<Py<PyTuple>> {
        Kind::Value.exposed_tuple(py)
    }

    #[new]
    #[pyo3(signature = (*_args, **_kwds))]
    fn new(_args: Rest<'_, '_>, _kwds: Option<Keywords<'_, '_>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(BaseProxy::default()).add_subclass(Self)
    }

    #[classmethod]
    fn __class_getitem__<'py>(
        class: &Bound<'py, PyType>,
        item: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyGenericAlias>> {
        PyGenericAlias::new(class.py(), class.as_any(), item)
    }

    /// Return the value.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, /)")]
    fn get<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "get");
        route(
            slf.as_super(),
            name,
            || Ok(args.clone()),
            kwds,
            |state| {
                if is_simple(args, kwds) {
                    return get(py, state);
                }
                interpreter::call_with(&plain(py)?.getattr(name)?, args, kwds)
            },
        )
    }

    /// Replace the value.
    #[pyo3(signature = (value=Argument::Missing, *args, **kwds),
           text_signature = "($self, value)")]
    fn set<'py>(
        slf: &Bound<'py, Self>,
        value: Argument<'py>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "set");
        let arguments = || positional(&[&value], args);
        route(slf.as_super(), name, arguments, kwds, |state| {
            if let (Argument::Given(value), true) = (&value, is_simple(args, kwds)) {
                return set(py, state, value).answer(py);
            }
            interpreter::call_with(&plain(py)?.getattr(name)?, &arguments()?, kwds)
        })
    }

    /// Add to the value, as `value + by` does, and return the sum.
    ///
    /// Safe against other processes and threads: no increment is lost.
    #[pyo3(signature = (by=Argument::Missing), text_signature = "($self, by=1)")]
    fn increment<'py>(slf: &Bound<'py, Self>, by: Argument<'py>) -> PyResult<Bound<'py, PyAny>> {
        let state = state_of(slf)?;
        state.refuse_hosted("increment")?;
        atomic::increment(slf.py(), state, &Place::Value, &by, &Argument::Missing)
    }

    /// Replace the value by new if it is equal to old. Return whether it was.
    ///
    /// Safe against other processes and threads: of several that expect the same old value, one
    /// succeeds.
    #[pyo3(signature = (old, new))]
    fn compare_exchange<'py>(
        slf: &Bound<'py, Self>,
        old: &Bound<'py, PyAny>,
        new: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBool>> {
        let state = state_of(slf)?;
        state.refuse_hosted("compare_exchange")?;
        atomic::compare_exchange(slf.py(), state, &Place::Value, old, new)
    }

    /// The value.
    #[getter]
    fn get_value<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let none = || Ok(PyTuple::empty(py));
        route(
            slf.as_super(),
            pyo3::intern!(py, "get"),
            none,
            None,
            |state| get(py, state),
        )
    }

    #[setter]
    fn set_value<'py>(slf: &Bound<'py, Self>, value: &Bound<'py, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let arguments = || tuple(py, [value]);
        let name = pyo3::intern!(py, "set");
        route(slf.as_super(), name, arguments, None, |state| {
            set(py, state, value)
        })
    }

    /// Return a read-only memoryview of the value, which has to be bytes.
    ///
    /// Large bytes are not copied: the view is those of the shared object, and keeps them as long
    /// as it is in use, whatever becomes of the object. A value of another class that pickles its
    /// buffers apart, as arrays of NumPy do, is returned with such views as its buffers.
    fn view<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let none = || Ok(PyTuple::empty(py));
        let mut is_native = false;
        let value = route(
            slf.as_super(),
            pyo3::intern!(py, "get"),
            none,
            None,
            |state| {
                let value = Value::new(&state.referent(py)?).get().or_raise(py)?;
                is_native = true;
                codec::view(py, state.attachment(), value)
            },
        )?;
        if is_native {
            return Ok(value);
        }
        codec::viewed(value)
    }

    /// Return a proxy of the lock that belongs to this object, an RLock: the same for everybody.
    ///
    /// Hold it for what takes several steps. It keeps nobody from working on the object without it.
    fn get_lock<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        state_of(slf)?.get_lock(slf.py())
    }
}
