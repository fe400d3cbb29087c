//! What a proxy knows of its object, wherever that is.

use pyo3::prelude::*;

use super::{BaseProxy, ProxyState, state::uninitialised};
use crate::{token::Token, wire::RemoteState};

/// The state of a proxy from its initialisation on.
#[allow(
    clippy::large_enum_variant,
    reason = "the usual case is the large one, and nothing is to stand between it and its proxy"
)]
pub(crate) enum AnyState {
    /// Its referent is in a segment that this process is attached to.
    Segment(ProxyState),
    /// Its object is reached through a connection.
    Remote(Box<RemoteState>),
}

impl AnyState {
    /// The token of the object.
    pub(crate) fn token<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Token>> {
        match self {
            Self::Segment(state) => state.token(py),
            Self::Remote(state) => Ok(state.token(py)),
        }
    }

    /// The typeid under which the object was made.
    pub(crate) fn typeid<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        match self {
            Self::Segment(state) => state.typeid(py),
            Self::Remote(state) => state.token(py).get().typeid(py).into_bound(py),
        }
    }

    /// The name of the serializer.
    pub(crate) fn serializer<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        match self {
            Self::Segment(state) => state.serializer(py),
            Self::Remote(state) => state.serializer(py),
        }
    }

    /// The key that the manager asks for.
    pub(crate) fn authkey<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::Segment(state) => state.authkey(py),
            Self::Remote(state) => Ok(state.authkey(py)),
        }
    }

    /// The manager object that the proxy keeps alive.
    pub(crate) fn manager(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        match self {
            Self::Segment(state) => state.manager(py),
            Self::Remote(state) => state.manager(py),
        }
    }

    /// Keeps another manager object alive, or none.
    pub(crate) fn set_manager(&self, manager: Option<Py<PyAny>>) {
        match self {
            Self::Segment(state) => state.set_manager(manager),
            Self::Remote(state) => state.set_manager(manager),
        }
    }

    /// The Python objects held, for the garbage collector.
    pub(crate) fn visit<E>(&self, call: impl FnMut(&Py<PyAny>) -> Result<(), E>) -> Result<(), E> {
        match self {
            Self::Segment(state) => state.visit(call),
            Self::Remote(state) => state.visit(call),
        }
    }
}

/// The state of a proxy, or of an object whose class forgot to initialise it: an `AttributeError`.
#[inline]
pub(crate) fn any_state_of<'a>(proxy: &'a Bound<'_, BaseProxy>) -> PyResult<&'a AnyState> {
    match proxy.get().state_opt() {
        Some(state) => Ok(state),
        None => Err(uninitialised(proxy)),
    }
}
