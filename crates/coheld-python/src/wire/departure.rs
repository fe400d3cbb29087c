//! Messages in the form of the standard library, in which proxies are named as it names them.

use coheld::{hosted::buffers, wire};
use coheld_wire::pickle::{Graph, Node, Term};
use pyo3::{prelude::*, types::PyBytes};

use crate::{
    attachment,
    codec::{self, Encoding},
    errors::{self, OrRaise},
    imported, interpreter,
    proxy::{AnyState, BaseProxy, any_state_of},
    token::place_of,
};

/// Return the pickle of a message to another machine or to a process without Coheld.
///
/// `departure` is asked for the names of the proxies in it: see `coheld._wire`.
#[pyfunction]
#[pyo3(name = "dumps_wire")]
pub(crate) fn dumps<'py>(
    value: &Bound<'py, PyAny>,
    departure: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyBytes>> {
    let py = value.py();
    if let Some(bytes) = codec::plain_value(value) {
        let pickled = PyBytes::new(py, &bytes);
        buffers::keep(bytes);
        return Ok(pickled);
    }
    let encoding = Encoding::begin_departure(departure.clone().unbind());
    let pickled = codec::dumps(value);
    let has_proxies = encoding.has_departed();
    drop(encoding);
    match pickled {
        Ok(pickled) if has_proxies => with_names_of_stock(&pickled),
        pickled => pickled,
    }
}

/// The module by which the standard library's own classes are pickled while Coheld stands in for
/// them, or where there is none of that name: nobody else has it.
const STAND_IN: &str = "coheld._stock";
/// Their real module.
const STOCK: &str = "multiprocessing.managers";

/// The same pickle with the standard library's classes under their names there.
fn with_names_of_stock<'py>(pickled: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyBytes>> {
    let py = pickled.py();
    let bytes = pickled.as_bytes();
    let mut windows = bytes.windows(STAND_IN.len());
    if !windows.any(|window| window == STAND_IN.as_bytes()) {
        return Ok(pickled.clone());
    }
    let failed = |error: &dyn std::error::Error| {
        errors::coheld_error(py, format!("a message cannot be written: {error}"))
    };
    let graph = Graph::read(bytes).map_err(|error| failed(&error))?;
    let renamed = graph.extract_with(graph.root(), &mut |number| match graph[number] {
        Node::Global(STAND_IN, name) => Some(Term::global(STOCK, name)),
        _ => None,
    });
    let renamed = renamed.map_err(|error| failed(&error))?;
    Ok(PyBytes::new(py, &renamed))
}

/// Return the address and the name of a shared object for processes that do not know its manager
/// yet. It is kept for some minutes for whoever asks for it by that name.
#[pyfunction]
pub(crate) fn foreign_name<'py>(
    proxy: &Bound<'py, BaseProxy>,
) -> PyResult<(Bound<'py, PyAny>, String)> {
    let py = proxy.py();
    let state = match any_state_of(proxy)? {
        AnyState::Segment(state) => state,
        AnyState::Remote(state) => {
            let remote = state.remote();
            let lent = py.detach(|| remote.link().lend(remote.ident()));
            lent.or_raise(py)?;
            let address = attachment::address_to_python(py, remote.link().address())?;
            return Ok((address, remote.ident().to_owned()));
        }
    };
    let handle = state.handle();
    handle.lease().or_raise(py)?;
    let ident = wire::ident(&state.segment_id(), place_of(handle));
    Ok((attachment::address(py, handle.attachment())?, ident))
}

/// Return the message of a pickle that another machine or a process without Coheld has sent.
///
/// `arrival` is what makes proxies of the names in it: see `coheld._wire`.
#[pyfunction]
#[pyo3(name = "loads_wire")]
pub(crate) fn loads<'py>(
    pickle: &Bound<'py, PyBytes>,
    arrival: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = pickle.py();
    match codec::read_plain(py, pickle.as_bytes())? {
        Some(value) => Ok(value),
        None => unpickle(pickle, arrival),
    }
}

/// The same for bytes that are none of Python's.
pub(super) fn read<'py>(
    py: Python<'py>,
    pickle: &[u8],
    arrival: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    match codec::read_plain(py, pickle)? {
        Some(value) => Ok(value),
        None => unpickle(&PyBytes::new(py, pickle), arrival),
    }
}

fn unpickle<'py>(
    pickle: &Bound<'py, PyBytes>,
    arrival: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = pickle.py();
    let file = imported::BYTES_IO.get(py)?.call1((pickle,))?;
    let unpickler = interpreter::call(imported::WIRE_UNPICKLER.get(py)?, (file, arrival))?;
    interpreter::method(&unpickler, pyo3::intern!(py, "load"), ())
}
