//! Where the object of a proxy is.

use coheld::hosted;
use pyo3::prelude::*;

use crate::{
    attachment::Attachment,
    errors::OrRaise,
    proxy::{AnyState, BaseProxy, any_state_of},
};

/// This process's attachment to the segment of a proxy; None: its memory is out of reach.
#[pyfunction]
pub(crate) fn attachment_of(proxy: &Bound<'_, BaseProxy>) -> PyResult<Option<Attachment>> {
    match any_state_of(proxy)? {
        AnyState::Segment(state) => Ok(Some(Attachment::of(state.attachment()))),
        AnyState::Remote(_) => Ok(None),
    }
}

/// Whether the process that has the object of a proxy lives and takes calls. Asks the kernel, not
/// that process. What is in shared memory, or at the other end of a connection, counts as living.
#[pyfunction]
pub(crate) fn host_lives(proxy: &Bound<'_, BaseProxy>) -> PyResult<bool> {
    match any_state_of(proxy)? {
        AnyState::Segment(state) if state.is_hosted() => {
            hosted::lives(state.handle()).or_raise(proxy.py())
        }
        AnyState::Segment(_) | AnyState::Remote(_) => Ok(true),
    }
}
