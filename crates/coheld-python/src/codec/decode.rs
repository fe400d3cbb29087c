//! Values of the segment as Python objects. Always copies.

use std::sync::Arc;

use coheld::{Attachment, Handle};
use coheld_shm::Lease;
use coheld_store::{
    Extent, Output, OutputRef, Snapshot, key,
    kinds::block as kind,
    word::{self as words, Scalar},
};
use pyo3::{
    IntoPyObjectExt,
    exceptions::PyTypeError,
    prelude::*,
    types::{PyBytes, PyDict, PyFloat, PyInt, PyList, PyMemoryView, PyString},
};

use super::{
    context::{Decoding, adopt},
    encode::inline,
    make, pickle,
};
use crate::{
    buffer::Bytes,
    errors::{self, OrRaise},
    proxy::{self, BaseProxy},
};

/// The object of a word that holds its value.
#[inline]
pub(crate) fn word(py: Python<'_>, word: u64) -> PyResult<Bound<'_, PyAny>> {
    // The most frequent kind, without the way through a `Scalar`.
    if let Some(value) = words::to_int(word) {
        return value.into_bound_py_any(py);
    }
    other_word(py, word)
}

fn other_word(py: Python<'_>, word: u64) -> PyResult<Bound<'_, PyAny>> {
    match words::decode(word).or_raise(py)? {
        Scalar::Integer(value) => value.into_bound_py_any(py),
        Scalar::Str(text) => Ok(make::string(py, text.as_str().or_raise(py)?)?.into_any()),
        Scalar::None => Ok(py.None().into_bound(py)),
        Scalar::Bool(truth) => truth.into_bound_py_any(py),
        Scalar::Float(value) => Ok(PyFloat::new(py, value).into_any()),
        Scalar::Bytes(bytes) => Ok(make::bytes(py, bytes.as_bytes())?.into_any()),
        Scalar::Empty | Scalar::Block(_) | Scalar::Edge(_) => {
            Err(damaged(py, "a word without a value stands for a value"))
        }
    }
}

#[cold]
fn damaged(py: Python<'_>, what: &'static str) -> PyErr {
    errors::from_store(py, coheld_store::StoreError::Corrupted(what))
}

/// How an object gets the buffers that lie beside its pickle.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As memory of its own.
    Copies,
    /// As they lie in the segment, read-only.
    Views,
}

/// The handles of proxies, and the buffers behind the others.
type Apart<'py> = (Vec<Option<Handle>>, Vec<Bound<'py, PyAny>>);

/// Tells what is beside a pickle apart.
fn apart(py: Python<'_>, handles: Vec<Option<Handle>>, form: Form) -> PyResult<Apart<'_>> {
    let (mut proxies, mut buffers) = (Vec::with_capacity(handles.len()), Vec::new());
    for handle in handles {
        let extent = match &handle {
            Some(handle) => handle.bytes().or_raise(py)?,
            None => None,
        };
        match (handle, extent) {
            (Some(handle), Some(extent)) if form == Form::Views => {
                buffers.push(shown(py, handle, extent)?.into_any());
            }
            (Some(handle), Some(extent)) => {
                let segment = handle.attachment().segment();
                let (offset, length) = (extent.offset, extent.count);
                buffers.push(if handle.is_changeable().or_raise(py)? {
                    make::bytearray_of_segment(py, segment, offset, length)?.into_any()
                } else {
                    make::bytes_of_segment(py, segment, offset, length)?.into_any()
                });
            }
            (handle, _) => proxies.push(handle),
        }
    }
    Ok((proxies, buffers))
}

/// A view of the bytes of a referent.
fn shown(py: Python<'_>, handle: Handle, extent: Extent) -> PyResult<Bound<'_, PyMemoryView>> {
    PyMemoryView::from(Bound::new(py, Bytes::new(handle, extent))?.as_any())
}

/// The object of a block that was copied out, with the handles of its edges.
fn block<'py>(
    py: Python<'py>,
    kind: u8,
    bytes: &[u8],
    edges: Vec<Option<Handle>>,
    form: Form,
) -> PyResult<Bound<'py, PyAny>> {
    match kind {
        kind::STR => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(make::string(py, text)?.into_any()),
            Err(_) => Err(damaged(py, "a text is not UTF-8")),
        },
        kind::BYTES => Ok(make::bytes(py, bytes)?.into_any()),
        kind::PICKLE => {
            if edges.is_empty() {
                return pickle::loads(py, bytes);
            }
            let (edges, buffers) = apart(py, edges, form)?;
            let _decoding = Decoding::begin(edges);
            if buffers.is_empty() {
                return pickle::loads(py, bytes);
            }
            pickle::loads_beside(py, bytes, buffers)
        }
        kind::BIGINT => pickle::int_from_bytes(py, bytes),
        kind::FLOAT => match bytes.try_into() {
            Ok(bytes) => Ok(PyFloat::new(py, f64::from_le_bytes(bytes)).into_any()),
            Err(_) => Err(damaged(py, "a float has a wrong length")),
        },
        kind::STR_SURROGATE => {
            make::bytes(py, bytes)?.call_method1("decode", ("utf-8", "surrogatepass"))
        }
        kind::KEY => pickle::loads(py, key::original_pickle(bytes).or_raise(py)?),
        _ => Err(damaged(py, "a value is of an unknown kind")),
    }
}

/// The object of a data edge.
fn edge<'py>(
    py: Python<'py>,
    attachment: &Arc<Attachment>,
    lease: Lease,
) -> PyResult<Bound<'py, PyAny>> {
    of_handle(py, Handle::redeem(attachment, lease).or_raise(py)?)
}

/// What a data edge by itself stands for: a proxy, or bytes that are a referent of their own.
fn of_handle(py: Python<'_>, handle: Handle) -> PyResult<Bound<'_, PyAny>> {
    let Some(extent) = handle.bytes().or_raise(py)? else {
        return proxy::from_handle(py, handle);
    };
    let segment = handle.attachment().segment();
    let bytes = make::bytes_of_segment(py, segment, extent.offset, extent.count)?;
    Ok(bytes.into_any())
}

/// One value of the segment without a copy of its large buffers: of bytes, and of an object that
/// pickles its buffers apart, those in the segment.
pub(crate) fn view<'py>(
    py: Python<'py>,
    attachment: &Arc<Attachment>,
    value: Output,
) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Output::Edge(lease) => {
            let handle = Handle::redeem(attachment, lease).or_raise(py)?;
            match handle.bytes().or_raise(py)? {
                Some(extent) => Ok(shown(py, handle, extent)?.into_any()),
                None => Err(no_bytes(&proxy::from_handle(py, handle)?)),
            }
        }
        Output::Block { kind, bytes, edges } if kind == kind::PICKLE => {
            block(py, kind, &bytes, adopt(attachment, &edges), Form::Views)
        }
        value => viewed(output(py, attachment, value)?),
    }
}

/// The same of a value that is no longer in the segment: of bytes a view, of any other object that
/// can have buffers itself.
pub(crate) fn viewed(value: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
    if value.is_exact_instance_of::<PyBytes>() {
        return Ok(PyMemoryView::from(&value)?.into_any());
    }
    let is_scalar = inline(&value).is_some()
        || value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyFloat>()
        || value.is_exact_instance_of::<PyString>();
    if is_scalar || value.is_instance_of::<BaseProxy>() {
        return Err(no_bytes(&value));
    }
    Ok(value)
}

#[cold]
fn no_bytes(value: &Bound<'_, PyAny>) -> PyErr {
    match value.get_type().name() {
        Ok(name) => PyTypeError::new_err(format!(
            "there is nothing to view in a value of type '{name}': that takes bytes, or an \\
             object with buffers"
        )),
        Err(error) => error,
    }
}

/// The object of one value that was copied out.
#[inline]
pub(crate) fn output<'py>(
    py: Python<'py>,
    attachment: &Arc<Attachment>,
    value: Output,
) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Output::Word(value) => word(py, value),
        Output::Block { kind, bytes, edges } => {
            block(py, kind, &bytes, adopt(attachment, &edges), Form::Copies)
        }
        Output::Edge(lease) => edge(py, attachment, lease),
    }
}

/// All values of a snapshot, in order.
pub(crate) fn values<'py>(
    py: Python<'py>,
    attachment: &Arc<Attachment>,
    snapshot: &Snapshot,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    if !snapshot.leases().is_empty() {
        return values_with_edges(py, attachment, snapshot);
    }
    let mut values = make::room(snapshot.len())?;
    for value in snapshot.iter() {
        values.push(without_edges(py, value)?);
    }
    Ok(values)
}

/// The object of one value of a snapshot that holds no references.
#[inline]
fn without_edges<'py>(py: Python<'py>, value: OutputRef<'_>) -> PyResult<Bound<'py, PyAny>> {
    match value {
        OutputRef::Word(value) => word(py, value),
        OutputRef::Block { kind, bytes, .. } => block(py, kind, bytes, Vec::new(), Form::Copies),
        OutputRef::Edge(_) => Err(damaged(py, "a reference has no lease")),
    }
}

/// The same when proxies are among the values or inside them.
fn values_with_edges<'py>(
    py: Python<'py>,
    attachment: &Arc<Attachment>,
    snapshot: &Snapshot,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let handles = |value: &OutputRef<'_>| match value {
        OutputRef::Word(_) => Vec::new(),
        OutputRef::Block { edges, .. } => adopt(attachment, edges),
        OutputRef::Edge(lease) => adopt(attachment, &[*lease]),
    };
    let adopted: Vec<_> = snapshot
        .iter()
        .map(|value| (handles(&value), value))
        .collect();
    let mut values = make::room(adopted.len())?;
    for (mut handles, value) in adopted {
        values.push(match value {
            OutputRef::Word(value) => word(py, value)?,
            OutputRef::Block { kind, bytes, .. } => block(py, kind, bytes, handles, Form::Copies)?,
            OutputRef::Edge(lease) => match handles.pop().flatten() {
                Some(handle) => of_handle(py, handle)?,
                // Once more, for its error.
                None => edge(py, attachment, lease)?,
            },
        });
    }
    Ok(values)
}

/// All values of a snapshot as a list.
pub(crate) fn list<'py>(
    py: Python<'py>,
    attachment: &Arc<Attachment>,
    snapshot: &Snapshot,
) -> PyResult<Bound<'py, PyList>> {
    if let Some(words) = snapshot.words() {
        return make::list(py, words.len(), words.iter().map(|&value| word(py, value)));
    }
    let values = values(py, attachment, snapshot)?;
    make::list(py, values.len(), values.into_iter().map(Ok))
}

/// The keys and values of a snapshot, which alternate in it, as a dict.
pub(crate) fn dict<'py>(
    py: Python<'py>,
    attachment: &Arc<Attachment>,
    snapshot: &Snapshot,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = make::dict(py, snapshot.len() / 2)?;
    if let Some(words) = snapshot.words() {
        for pair in words.chunks_exact(2) {
            dict.set_item(word(py, pair[0])?, word(py, pair[1])?)?;
        }
    } else if snapshot.leases().is_empty() {
        let mut values = snapshot.iter();
        while let (Some(key), Some(value)) = (values.next(), values.next()) {
            dict.set_item(without_edges(py, key)?, without_edges(py, value)?)?;
        }
    } else {
        let mut values = values_with_edges(py, attachment, snapshot)?.into_iter();
        while let (Some(key), Some(value)) = (values.next(), values.next()) {
            dict.set_item(key, value)?;
        }
    }
    Ok(dict)
}
