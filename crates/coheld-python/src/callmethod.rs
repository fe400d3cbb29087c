//! `_callmethod`: any method of the referent, by name.

use pyo3::{
    exceptions::PyAttributeError,
    prelude::*,
    types::{PyDict, PyString, PyTuple},
};

use crate::{
    copy,
    errors::{self, Made},
    hosted, interpreter,
    proxy::{self, AnyState, BaseProxy, Kind, ProxyState, any_state_of},
    wire,
};

/// Methods whose proxy form returns the proxy; by name they return a copy, like stock's.
const IN_PLACE: &[&str] = &["__imul__", "__ior__", "__iand__", "__isub__", "__ixor__"];

/// Methods of our proxies that the built-in types do not have.
const NATIVE_ONLY: &[&str] = &["increment", "compare_exchange"];

/// What can be called of everything, as of stock's server.
const FALLBACK: &[&str] = &["__str__", "__repr__", "#GETVALUE"];

/// The first line of every traceback.
const TRACEBACK: &str = "Traceback (most recent call last):\n";

/// Calls a method of the referent and returns a copy of the result. Only a call of another process
/// is subject to the time-out: what is done in the segment does not take long.
pub(crate) fn call<'py>(
    proxy: &Bound<'py, BaseProxy>,
    name: &Bound<'py, PyAny>,
    arguments: Option<&Bound<'py, PyAny>>,
    keywords: Option<&Bound<'py, PyAny>>,
    timeout: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = proxy.py();
    let limit = timeout.map(hosted::limit_of).transpose()?.flatten();
    let arguments = match arguments {
        None => PyTuple::empty(py),
        Some(arguments) => match arguments.cast_exact::<PyTuple>() {
            Ok(tuple) => tuple.clone(),
            Err(_) => {
                let class = py.get_type::<PyTuple>();
                interpreter::call(&class, (arguments,))?.cast_into()?
            }
        },
    };
    let keywords = match keywords {
        None => None,
        Some(keywords) => Some(keywords.cast::<PyDict>()?),
    };
    let state = match any_state_of(proxy)? {
        AnyState::Segment(state) => state,
        AnyState::Remote(state) => {
            return wire::call(proxy, state, name, &arguments, keywords, limit);
        }
    };
    let Ok(name) = name.cast::<PyString>() else {
        if state.kind() == Kind::Hosted {
            return hosted::call_odd_name(proxy, name, &arguments, keywords, limit);
        }
        return Err(not_exposed(proxy, state, name, None));
    };
    if state.kind() == Kind::Hosted {
        return hosted::call_within(proxy, name, &arguments, keywords, limit);
    }
    if !state.is_hosted() {
        match native(proxy, state, name, &arguments, keywords) {
            Err(error) => proxy::has_moved(proxy, state, error)?,
            done => return done,
        }
    }
    // A dict or set that has moved. Its host lets anything be called.
    let text = name.to_str()?;
    if NATIVE_ONLY.contains(&text) {
        return exposed(proxy, state, text, &arguments, keywords);
    }
    if !is_exposed(proxy, state, text)? && !FALLBACK.contains(&text) {
        return Err(not_exposed(proxy, state, name.as_any(), None));
    }
    hosted::call_within(proxy, name, &arguments, keywords, limit)
}

/// The same for a native referent.
fn native<'py>(
    proxy: &Bound<'py, BaseProxy>,
    state: &ProxyState,
    name: &Bound<'py, PyString>,
    arguments: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = proxy.py();
    let text = name.to_str()?;
    if is_exposed(proxy, state, text)? {
        return exposed(proxy, state, text, arguments, keywords);
    }
    match text {
        "#GETVALUE" => Ok(copy::of(py, state)?.0),
        "__repr__" | "__str__" if state.kind().is_waited_for() => {
            Ok(PyString::new(py, &proxy::describe(py, state)?).into_any())
        }
        "__repr__" => {
            let (copy, _) = copy::of(py, state)?;
            Ok(interpreter::repr(&copy)?.into_any())
        }
        "__str__" => {
            let (copy, _) = copy::of(py, state)?;
            Ok(interpreter::str(&copy)?.into_any())
        }
        _ => Err(not_exposed(proxy, state, name.as_any(), None)),
    }
}

/// Whether the class of the proxy, or else the kind of the referent, lets a method be called.
fn is_exposed(proxy: &Bound<'_, BaseProxy>, state: &ProxyState, name: &str) -> PyResult<bool> {
    let py = proxy.py();
    match proxy.getattr_opt(pyo3::intern!(py, "_exposed_"))? {
        Some(exposed) if !exposed.is_none() => {
            interpreter::contains(&exposed, PyString::new(py, name).as_any())
        }
        _ => Ok(state.kind().exposed().contains(&name)),
    }
}

fn exposed<'py>(
    proxy: &Bound<'py, BaseProxy>,
    state: &ProxyState,
    name: &str,
    arguments: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = proxy.py();
    let kind = state.kind();
    let name_object = PyString::new(py, name);
    if kind == Kind::Namespace {
        return proxy::namespace_method(py, state, name, arguments);
    }
    if kind == Kind::Barrier && name == "__getattribute__" {
        return proxy::attribute_of_barrier(py, state, arguments);
    }
    if IN_PLACE.contains(&name) {
        return copy::write(py, state, &name_object, arguments, keywords);
    }
    if !kind.exposed().contains(&name) && kind.is_waited_for() {
        return Err(not_exposed(proxy, state, name_object.as_any(), None));
    }
    if !kind.exposed().contains(&name) {
        // A method that changes the referent is always among those of the kind.
        let result = copy::read(py, state, &name_object, arguments, keywords).made(py);
        return match result {
            Err(error)
                if error.is_instance_of::<PyAttributeError>(py)
                    && copy::of(py, state)?.0.getattr_opt(name)?.is_none() =>
            {
                Err(not_exposed(proxy, state, name_object.as_any(), Some(error)))
            }
            result => result,
        };
    }
    // A proxy of another class than the kind's own has the kind's methods through one that is.
    let class = kind.class(py);
    let target = if proxy.is_instance(&class)? {
        proxy.clone().into_any()
    } else {
        proxy::from_handle(py, state.another_handle())?
    };
    let mut all = vec![target];
    all.extend(arguments.iter());
    let method = class.getattr(name)?;
    let arguments = PyTuple::new(py, all)?;
    interpreter::call_with(&method, &arguments, keywords)
}

/// The error that stock's server sends back for a method that may not be called.
fn not_exposed(
    proxy: &Bound<'_, BaseProxy>,
    state: &ProxyState,
    name: &Bound<'_, PyAny>,
    cause: Option<PyErr>,
) -> PyErr {
    let py = proxy.py();
    let quoted = match interpreter::repr(name) {
        Ok(quoted) => quoted.to_string(),
        Err(error) => return error,
    };
    let first = match cause {
        Some(error) => error.to_string(),
        None => {
            let exposed = match proxy.getattr_opt("_exposed_") {
                Ok(Some(exposed)) => exposed
                    .try_iter()
                    .and_then(Iterator::collect::<PyResult<Vec<_>>>),
                _ => state
                    .kind()
                    .exposed()
                    .iter()
                    .map(|name| Ok(PyString::new(py, name).into_any()))
                    .collect(),
            };
            let exposed = match exposed.and_then(|all| pyo3::types::PySet::new(py, all)?.repr()) {
                Ok(text) => text.to_string(),
                Err(error) => return error,
            };
            format!(
                "AttributeError: method {quoted} of {} object is not in exposed={exposed}",
                state.kind().class_text()
            )
        }
    };
    errors::remote_error(
        py,
        format!(
            "{TRACEBACK}{first}\n\nDuring handling of the above exception, another exception \
             occurred:\n\n{TRACEBACK}KeyError: {quoted}\n"
        ),
    )
}
