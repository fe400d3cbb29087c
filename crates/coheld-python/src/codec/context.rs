//! The proxies inside a value that is being pickled or unpickled by this thread.
//!
//! A proxy inside a pickled value is a data edge. The pickle holds only its number; the edges
//! themselves lie beside the pickle, where the memory layer finds them without reading pickles.

use std::{cell::RefCell, sync::Arc};

use coheld::{Attachment, Handle, hosted::Leases};
use coheld_shm::Lease;
use pyo3::{exceptions::PyRuntimeError, prelude::*};

/// What one pickling has met so far.
struct Pickling {
    /// None: all.
    segment: Option<[u8; 16]>,
    edges: Vec<u64>,
    /// What proxies travel with that are no edges.
    leases: Leases,
    /// What names the proxies, for a message in the form of the standard library.
    departure: Option<Py<PyAny>>,
    /// Whether it has been asked.
    has_departed: bool,
    /// The proxies behind the edges. They keep their referents alive until the value is stored.
    proxies: Vec<Py<PyAny>>,
    /// Buffers of objects that lie beside the pickle.
    buffers: Vec<Handle>,
}

/// What keeps the edges of a pickle until it is stored.
pub(crate) struct Kept {
    _proxies: Vec<Py<PyAny>>,
    _buffers: Vec<Handle>,
}

/// What one unpickling may still take.
struct Unpickling {
    handles: Vec<Option<Handle>>,
}

/// No segment: proxies inside a message travel with leases, also when the message is made by a
/// reducer in the middle of the pickling of a shared value.
pub(super) const NOWHERE: [u8; 16] = [0; 16];

thread_local! {
    /// Innermost last: a reducer may itself store values in other referents.
    static PICKLING: RefCell<Vec<Pickling>> = const { RefCell::new(Vec::new()) };
    static UNPICKLING: RefCell<Vec<Unpickling>> = const { RefCell::new(Vec::new()) };
}

/// A pickling that collects edges, from `begin` until it is finished or dropped.
pub(crate) struct Encoding(());

impl Encoding {
    /// Starts to collect the proxies into the segment with this identity.
    pub(crate) fn begin(segment: [u8; 16]) -> Self {
        Self::begin_any(Some(segment), None)
    }

    /// Starts a pickling in which `departure` is asked for the names of the proxies.
    pub(crate) fn begin_departure(departure: Py<PyAny>) -> Self {
        Self::begin_any(Some(NOWHERE), Some(departure))
    }

    /// Starts a pickling that nobody will read: the proxies in it are not on their way anywhere.
    pub(crate) fn begin_trial() -> Self {
        Self::begin_any(None, None)
    }

    fn begin_any(segment: Option<[u8; 16]>, departure: Option<Py<PyAny>>) -> Self {
        PICKLING.with_borrow_mut(|stack| {
            stack.push(Pickling {
                segment,
                edges: Vec::new(),
                leases: Leases::new(),
                departure,
                has_departed: false,
                proxies: Vec::new(),
                buffers: Vec::new(),
            });
        });
        Self(())
    }

    /// The edges met, those of proxies before those of buffers, and what keeps them alive.
    pub(crate) fn finish(self) -> (Vec<u64>, Kept) {
        PICKLING.with_borrow_mut(|stack| {
            let mut edges = Vec::new();
            let (mut proxies, mut buffers) = (Vec::new(), Vec::new());
            if let Some(top) = stack.last_mut() {
                edges = std::mem::take(&mut top.edges);
                proxies = std::mem::take(&mut top.proxies);
                buffers = std::mem::take(&mut top.buffers);
            }
            edges.extend(buffers.iter().map(Handle::edge_word));
            let kept = Kept {
                _proxies: proxies,
                _buffers: buffers,
            };
            (edges, kept)
        })
    }

    /// Notes a buffer that lies beside the innermost pickle.
    pub(crate) fn note_buffer(handle: Handle) {
        PICKLING.with_borrow_mut(|stack| {
            if let Some(top) = stack.last_mut() {
                top.buffers.push(handle);
            }
        });
    }

    /// The leases noted.
    pub(crate) fn take_leases(&self) -> Leases {
        PICKLING.with_borrow_mut(|stack| {
            let top = stack.last_mut();
            top.map_or_else(Leases::new, |top| std::mem::take(&mut top.leases))
        })
    }

    /// Notes a lease that travels with the pickle, for the case that nobody reads it.
    pub(crate) fn note_lease(attachment: &Arc<Attachment>, lease: Lease) {
        PICKLING.with_borrow_mut(|stack| {
            if let Some(top) = stack.last_mut() {
                top.leases.add(attachment, lease);
            }
        });
    }

    /// What names the proxies of the innermost pickling, if that is not for here.
    pub(crate) fn departure(py: Python<'_>) -> Option<Py<PyAny>> {
        PICKLING.with_borrow_mut(|stack| {
            let top = stack.last_mut()?;
            let departure = top.departure.as_ref()?.clone_ref(py);
            top.has_departed = true;
            Some(departure)
        })
    }

    /// Whether there are proxies in what has been pickled.
    pub(crate) fn has_departed(&self) -> bool {
        PICKLING.with_borrow(|stack| stack.last().is_some_and(|top| top.has_departed))
    }

    /// Notes a proxy met by the innermost pickling. `None`: no pickling, or for another segment.
    pub(crate) fn note(segment: [u8; 16], edge: u64, proxy: Py<PyAny>) -> Option<usize> {
        PICKLING.with_borrow_mut(|stack| {
            let top = stack.last_mut()?;
            if top.segment.is_some_and(|other| other != segment) {
                return None;
            }
            top.edges.push(edge);
            top.proxies.push(proxy);
            Some(top.edges.len() - 1)
        })
    }
}

impl Drop for Encoding {
    fn drop(&mut self) {
        // Dropped after the borrow: letting go of a proxy may run Python code.
        drop(PICKLING.with_borrow_mut(Vec::pop));
    }
}

/// An unpickling that hands out the handles of the edges beside the pickle.
pub(crate) struct Decoding(());

impl Decoding {
    /// Starts to hand out `handles`, by number.
    pub(crate) fn begin(handles: Vec<Option<Handle>>) -> Self {
        UNPICKLING.with_borrow_mut(|stack| stack.push(Unpickling { handles }));
        Self(())
    }
}

impl Drop for Decoding {
    fn drop(&mut self) {
        // Dropped after the borrow: the last handle of a referent may have to wait for a lock.
        drop(UNPICKLING.with_borrow_mut(Vec::pop));
    }
}

/// Makes the references read with a value this process's own. None may be forgotten on the way, so
/// this comes before anything else that could fail; what cannot be had is missed when it is asked
/// for.
pub(crate) fn adopt(attachment: &Arc<Attachment>, leases: &[Lease]) -> Vec<Option<Handle>> {
    leases
        .iter()
        .map(|lease| Handle::redeem(attachment, *lease).ok())
        .collect()
}

/// The handle for edge `number` of the value that this thread is unpickling.
pub(crate) fn take_edge(number: usize) -> PyResult<Handle> {
    let handle =
        UNPICKLING.with_borrow_mut(|stack| stack.last_mut()?.handles.get_mut(number)?.take());
    handle.ok_or_else(|| {
        PyRuntimeError::new_err(
            "a proxy pickled into a shared value can only be read through that value; \
             pickle the proxy itself with pickle.dumps outside of a reducer",
        )
    })
}
