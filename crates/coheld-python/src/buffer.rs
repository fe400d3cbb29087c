//! Memory of a segment as the buffer of a Python object, which `memoryview` and NumPy take.
//!
//! The exporting object keeps its referent by its handle, and the mapping by the handle's
//! attachment; Python keeps the object as long as a buffer of it is in use.

use std::ffi::c_int;

use coheld::{Attachment, Handle};
use coheld_store::Extent;
use pyo3::{exceptions::PyBufferError, ffi, prelude::*, types::PyMemoryView};

use crate::{errors::OrRaise, proxy::ProxyState};

/// The bytes that a buffer shows.
pub(crate) struct Span {
    /// Offset of the first byte.
    pub(crate) offset: u64,
    /// Number of items.
    pub(crate) count: u64,
    /// Bytes of an item.
    pub(crate) item_size: u8,
    /// The letter of the items in the language of `struct`.
    pub(crate) format: u8,
    /// Whether nobody may store into it.
    pub(crate) read_only: bool,
}

/// The bytes of a value of a shared object, which never change. A view of a value is one of this.
#[pyclass(frozen, name = "SharedBytes", module = "coheld._coheld")]
pub(crate) struct Bytes {
    handle: Handle,
    extent: Extent,
}

impl Bytes {
    /// The bytes of the referent of a handle, which lie there.
    pub(crate) fn new(handle: Handle, extent: Extent) -> Self {
        Self { handle, extent }
    }
}

#[pymethods]
impl Bytes {
    unsafe fn __getbuffer__(
        slf: &Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let Self { handle, extent } = slf.get();
        let span = Span {
            offset: extent.offset,
            count: extent.count,
            item_size: 1,
            format: b'B',
            read_only: true,
        };
        let owner = slf.clone().into_any();
        // SAFETY: `view` is what the interpreter passes to `bf_getbuffer`.
        unsafe { fill(owner, handle.attachment(), &span, view, flags) }
    }

    unsafe fn __releasebuffer__(&self, view: *mut ffi::Py_buffer) {
        // SAFETY: the interpreter releases what `__getbuffer__` has filled in, once.
        unsafe { release(view) };
    }
}

/// Another reference to the bytes that a view shows, if they are those of a value of the segment of
/// `state`, and all of them: then the view can be stored as it is.
pub(crate) fn shown_by(
    view: &Bound<'_, PyMemoryView>,
    state: &ProxyState,
) -> PyResult<Option<Handle>> {
    let py = view.py();
    let owner = view.getattr(pyo3::intern!(py, "obj"))?;
    let Ok(bytes) = owner.cast_exact::<Bytes>() else {
        return Ok(None);
    };
    let Bytes { handle, extent } = bytes.get();
    let is_plain = view.getattr(pyo3::intern!(py, "format"))?.eq("B")?
        && view.getattr(pyo3::intern!(py, "ndim"))?.eq(1)?
        && view.getattr(pyo3::intern!(py, "strides"))?.eq((1,))?
        && view
            .getattr(pyo3::intern!(py, "nbytes"))?
            .eq(extent.count)?;
    let is_here = handle.attachment().segment_id() == state.segment_id();
    Ok((is_plain && is_here).then(|| handle.clone()))
}

/// What a `Py_buffer` points to besides the bytes.
struct Shape {
    count: ffi::Py_ssize_t,
    stride: ffi::Py_ssize_t,
    format: [u8; 2],
}

/// Where a buffer without bytes begins: somewhere that is not null.
static NOTHING: u64 = 0;

/// Fills in what Python asks a buffer for. `owner` keeps the referent with these bytes.
///
/// # Safety
///
/// `view` points to a `Py_buffer`, as the interpreter passes it to `bf_getbuffer`.
pub(crate) unsafe fn fill(
    owner: Bound<'_, PyAny>,
    attachment: &Attachment,
    span: &Span,
    view: *mut ffi::Py_buffer,
    flags: c_int,
) -> PyResult<()> {
    // SAFETY: the caller passes a valid `Py_buffer`, which nobody else uses yet.
    let view = unsafe { &mut *view };
    view.obj = std::ptr::null_mut();
    if span.read_only && flags & ffi::PyBUF_WRITABLE == ffi::PyBUF_WRITABLE {
        return Err(PyBufferError::new_err(
            "a value of a shared object is never changed in place: its view is read-only",
        ));
    }
    let length = span.count.saturating_mul(u64::from(span.item_size));
    let start = match length {
        0 => std::ptr::from_ref(&NOTHING).cast_mut().cast(),
        length => {
            let segment = attachment.segment();
            segment.address(span.offset, length).or_raise(owner.py())?
        }
    };
    let shape = Box::new(Shape {
        count: ffi::Py_ssize_t::try_from(span.count)?,
        stride: ffi::Py_ssize_t::from(span.item_size),
        format: [span.format, 0],
    });
    view.len = ffi::Py_ssize_t::try_from(length)?;
    view.buf = start.cast();
    view.itemsize = shape.stride;
    view.readonly = c_int::from(span.read_only);
    view.ndim = 1;
    view.suboffsets = std::ptr::null_mut();
    let shape = Box::into_raw(shape);
    // SAFETY: `shape` has just been a box, nobody else knows it, and only `release` makes a box of
    // it again.
    let parts = unsafe { &mut *shape };
    let Shape {
        count,
        stride,
        format,
    } = parts;
    let asked = |flag: c_int| flags & flag == flag;
    let or_null = |flag, part: &mut ffi::Py_ssize_t| {
        if asked(flag) {
            std::ptr::from_mut(part)
        } else {
            std::ptr::null_mut()
        }
    };
    view.shape = or_null(ffi::PyBUF_ND, count);
    view.strides = or_null(ffi::PyBUF_STRIDES, stride);
    view.format = if asked(ffi::PyBUF_FORMAT) {
        format.as_mut_ptr().cast()
    } else {
        std::ptr::null_mut()
    };
    view.internal = shape.cast();
    view.obj = owner.into_ptr();
    Ok(())
}

/// Frees what `fill` has made.
///
/// # Safety
///
/// `view` is one that `fill` has filled in, and is released for the first time.
pub(crate) unsafe fn release(view: *mut ffi::Py_buffer) {
    // SAFETY: the caller passes the `Py_buffer` that `fill` was given.
    let shape: *mut Shape = unsafe { (*view).internal }.cast();
    if !shape.is_null() {
        // SAFETY: `fill` made the pointer of a box, and it is released once.
        drop(unsafe { Box::from_raw(shape) });
    }
}
