//! The functions that pickled proxies name.

use pyo3::{
    prelude::*,
    types::{PyDict, PyType},
};

use crate::{
    attachment, codec, imported, interpreter,
    proxy::{self, Kind, ProxyState},
    token::Token,
};

/// The keyword in a pickled proxy that says that a lease travels with it.
pub(crate) const LEASE: &str = "lease";

/// `RebuildProxy`, as pickles name it.
pub(crate) fn function(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    imported::REBUILD_PROXY.get(py)
}

/// `_rebuild_edge`, as pickles inside shared values name it.
pub(crate) fn edge_function(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    imported::REBUILD_EDGE.get(py)
}

/// Unpickle a proxy: attach to the segment of its referent if need be, and take it over.
///
/// `func` is the class of the proxy or a function that makes one.
#[pyfunction]
#[pyo3(name = "RebuildProxy")]
pub(crate) fn rebuild_proxy<'py>(
    func: &Bound<'py, PyAny>,
    token: &Bound<'py, PyAny>,
    serializer: &Bound<'py, PyAny>,
    kwds: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = func.py();
    let kwds = kwds.copy()?;
    let leased = kwds.get_item(LEASE)?.is_some();
    if leased {
        kwds.del_item(LEASE)?;
    }
    let authkey = kwds.get_item("authkey")?;
    // This holds the referent until the proxy has a reference of its own.
    let reached = match token.cast::<Token>() {
        Ok(token) if leased => {
            let authkey = authkey.as_ref();
            Some(attachment::redeem(py, token.get(), authkey, serializer)?)
        }
        _ => None,
    };
    let proxy = interpreter::call_with(func, (token, serializer), Some(&kwds));
    drop(reached);
    proxy
}

/// Unpickle a proxy that lies inside a value of the same segment, as data edge `number`.
#[pyfunction]
#[pyo3(name = "_rebuild_edge", signature = (number, func, typeid, serializer, exposed=None))]
pub(crate) fn rebuild_edge<'py>(
    number: usize,
    func: &Bound<'py, PyAny>,
    typeid: &Bound<'py, PyAny>,
    serializer: &Bound<'py, PyAny>,
    exposed: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = func.py();
    let handle = codec::take_edge(number)?;
    let state = ProxyState::new(py, handle)?;
    let kind = state.kind();
    let is_builtin = func
        .cast::<PyType>()
        .is_ok_and(|class| class.is(kind.class(py)));
    if is_builtin && typeid.eq(Kind::typeid(kind))? {
        return proxy::from_state(py, state);
    }
    let token = Bound::new(py, Token::of(py, state.handle(), typeid.clone())?)?;
    let keywords = match exposed {
        None => None,
        Some(exposed) => {
            let keywords = PyDict::new(py);
            keywords.set_item("exposed", exposed)?;
            Some(keywords)
        }
    };
    let proxy = interpreter::call_with(func, (token, serializer), keywords.as_ref());
    drop(state);
    proxy
}
