//! `ArrayProxy`.

use std::ffi::c_int;

use coheld_store::{Array, IndexProblem, StoreError};
use pyo3::{
    exceptions::{PyAttributeError, PyBufferError},
    ffi,
    prelude::*,
    types::{PyBytes, PyFloat, PyInt, PyString, PyTuple},
};

use super::{
    AnyState, BaseProxy, Kind, ProxyState, any_state_of,
    argument::{Keywords, Rest},
    route::route,
    sequence::{exact_index, exact_slice, tuple},
    state::state_of,
};
use crate::{
    buffer::{self, Span},
    codec,
    copy::{read, write},
    errors::{self, OrRaise},
    imported, interpreter,
};

/// A proxy of a shared array of numbers or characters.
///
/// Items come back as Python objects, slices as `array.array`.
#[pyclass(extends = BaseProxy, frozen, subclass)]
pub(crate) struct ArrayProxy;

/// A plain `array.array` of the items in `bytes`.
pub(crate) fn copy<'py>(
    py: Python<'py>,
    array: &Array<'_>,
    bytes: &[u8],
) -> PyResult<Bound<'py, PyAny>> {
    plain(py, array.typecode().or_raise(py)?, bytes)
}

fn plain<'py>(py: Python<'py>, typecode: u8, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let mut text = [0; 4];
    let typecode = char::from(typecode).encode_utf8(&mut text);
    let class = imported::ARRAY.get(py)?;
    class.call1((
        PyString::intern(py, typecode),
        codec::make::bytes(py, bytes)?,
    ))
}

/// The exception for an error of the array.
#[cold]
fn raise(py: Python<'_>, error: StoreError) -> PyErr {
    match error {
        StoreError::Index(problem) => errors::index_error("array", problem),
        error => errors::from_store(py, error),
    }
}

/// Typecode and size of the items, which never change.
#[inline]
fn shape(py: Python<'_>, state: &ProxyState) -> PyResult<(u8, u8)> {
    let auxiliary = state.auxiliary(py)?;
    Ok((auxiliary as u8, (auxiliary >> 8) as u8))
}

/// What machine items of a typecode are.
#[derive(Clone, Copy)]
enum Item {
    Signed,
    Unsigned,
    Float,
    /// Left to `array.array`.
    Other,
}

const fn item_of(typecode: u8) -> Item {
    match typecode {
        b'b' | b'h' | b'i' | b'l' | b'q' => Item::Signed,
        b'B' | b'H' | b'I' | b'L' | b'Q' => Item::Unsigned,
        b'f' | b'd' => Item::Float,
        _ => Item::Other,
    }
}

/// The Python object of one item.
fn decode(py: Python<'_>, typecode: u8, size: u8, raw: u64) -> PyResult<Bound<'_, PyAny>> {
    let unused = 64 - 8 * u32::from(size.clamp(1, 8));
    Ok(match (item_of(typecode), size) {
        (Item::Signed, _) => ((raw << unused).cast_signed() >> unused)
            .into_pyobject(py)?
            .into_any(),
        (Item::Unsigned, _) => raw.into_pyobject(py)?.into_any(),
        (Item::Float, 4) => PyFloat::new(py, f64::from(f32::from_bits(raw as u32))).into_any(),
        (Item::Float, _) => PyFloat::new(py, f64::from_bits(raw)).into_any(),
        (Item::Other, _) => {
            let bytes = raw.to_le_bytes();
            plain(py, typecode, &bytes[..usize::from(size.clamp(1, 8))])?.get_item(0)?
        }
    })
}

/// The item for a Python object. What is not plainly in range is left to `array.array`, which
/// converts it or raises.
fn encode(py: Python<'_>, typecode: u8, size: u8, value: &Bound<'_, PyAny>) -> PyResult<u64> {
    let bits = 8 * u32::from(size.clamp(1, 8));
    match item_of(typecode) {
        Item::Signed if value.is_exact_instance_of::<PyInt>() => {
            if let Some(number) = codec::small_int(value) {
                let unused = 64 - bits;
                if number << unused >> unused == number {
                    return Ok(number.cast_unsigned() << unused >> unused);
                }
            }
        }
        Item::Unsigned if value.is_exact_instance_of::<PyInt>() => {
            let number = codec::small_int(value).and_then(|number| u64::try_from(number).ok());
            if let Some(number) = number
                && (bits == 64 || number >> bits == 0)
            {
                return Ok(number);
            }
        }
        Item::Float => {
            if let (Ok(number), 8) = (value.cast_exact::<PyFloat>(), size) {
                return Ok(number.value().to_bits());
            }
        }
        _ => {}
    }
    let array = plain(py, typecode, &[])?;
    interpreter::method(&array, pyo3::intern!(py, "append"), (value,))?;
    let bytes = array
        .call_method0(pyo3::intern!(py, "tobytes"))?
        .cast_into::<PyBytes>()?;
    let mut raw = [0; 8];
    raw[..bytes.as_bytes().len()].copy_from_slice(bytes.as_bytes());
    Ok(u64::from_le_bytes(raw))
}

fn set(py: Python<'_>, state: &ProxyState, index: i64, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let referent = state.referent(py)?;
    let array = Array::new(&referent);
    let (typecode, size) = shape(py, state)?;
    match encode(py, typecode, size, value) {
        Ok(raw) => array.set(index, raw).map_err(|error| raise(py, error)),
        // Like array.array, complain of the index first.
        Err(error) => match array.get(index) {
            Err(StoreError::Index(_)) => Err(errors::index_error("array", IndexProblem::Assign)),
            _ => Err(error),
        },
    }
}

/// The items of an exact `array.array` with the typecode of this array, which can be assigned to a
/// slice without a look at the others; `None`: the general case.
fn items_of<'py>(
    py: Python<'py>,
    state: &ProxyState,
    value: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    if !value.get_type().is(imported::ARRAY.get(py)?) {
        return Ok(None);
    }
    let (typecode, _) = shape(py, state)?;
    let given = value.getattr(pyo3::intern!(py, "typecode"))?;
    if given.cast::<PyString>()?.to_str()?.as_bytes() != [typecode] {
        return Ok(None);
    }
    let bytes = value.call_method0(pyo3::intern!(py, "tobytes"))?;
    Ok(Some(bytes.cast_into()?))
}

/// What the items are in the language of `struct`, as `array.array` tells it.
const fn format_of(typecode: u8, item_size: u8) -> u8 {
    match (typecode, item_size) {
        (b'u', 4) => b'w',
        _ => typecode,
    }
}

#[pymethods]
impl ArrayProxy {
    /// The items themselves, for `memoryview` and NumPy: who stores into them stores into the array
    /// of everybody, without its lock.
    unsafe fn __getbuffer__(
        slf: &Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let py = slf.py();
        let state = match any_state_of(slf.as_super())? {
            AnyState::Segment(state) => state,
            AnyState::Remote(_) => {
                return Err(PyBufferError::new_err(
                    "the items of this array are in the memory of another machine, user or \
                     container, which a view cannot reach; array[:] is a copy of them",
                ));
            }
        };
        let extent = Array::new(&state.referent(py)?).extent().or_raise(py)?;
        let span = Span {
            offset: extent.offset,
            count: extent.count,
            item_size: extent.item_size,
            format: format_of(extent.typecode, extent.item_size),
            read_only: false,
        };
        let owner = slf.clone().into_any();
        // SAFETY: `view` is what the interpreter passes to `bf_getbuffer`.
        unsafe { buffer::fill(owner, state.attachment(), &span, view, flags) }
    }

    unsafe fn __releasebuffer__(&self, view: *mut ffi::Py_buffer) {
        // SAFETY: the interpreter releases what `__getbuffer__` has filled in, once.
        unsafe { buffer::release(view) };
    }

    #[classattr]
    fn _exposed_(py: Python<'_>) -> PyResult<Py<PyTuple>> {
        Kind::Array.exposed_tuple(py)
    }

    #[new]
    #[pyo3(signature = (*_args, **_kwds))]
    fn new(_args: Rest<'_, '_>, _kwds: Option<Keywords<'_, '_>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(BaseProxy::default()).add_subclass(Self)
    }

    fn __len__(slf: &Bound<'_, Self>) -> PyResult<usize> {
        let py = slf.py();
        let name = pyo3::intern!(py, "__len__");
        let none = || Ok(PyTuple::empty(py));
        route(slf.as_super(), name, none, None, |state| {
            let length = Array::new(&state.referent(py)?).len().or_raise(py)?;
            Ok(usize::try_from(length)?)
        })
    }

    fn __getitem__<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "__getitem__");
        let arguments = || tuple(py, [key]);
        route(slf.as_super(), name, arguments, None, |state| {
            let referent = state.referent(py)?;
            let array = Array::new(&referent);
            if let Some(index) = exact_index(key) {
                let (typecode, size) = shape(py, state)?;
                let raw = array.get(index).map_err(|error| raise(py, error))?;
                return decode(py, typecode, size, raw);
            }
            if let Some(slice) = exact_slice(key)? {
                return copy(py, &array, &array.slice(slice).or_raise(py)?);
            }
            read(py, state, name, &arguments()?, None)
        })
    }

    fn __setitem__<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let py = slf.py();
        let name = pyo3::intern!(py, "__setitem__");
        let arguments = || tuple(py, [key, value]);
        route(slf.as_super(), name, arguments, None, |state| {
            if let Some(index) = exact_index(key) {
                return set(py, state, index, value);
            }
            if let Some(bytes) = items_of(py, state, value)?
                && let Some(slice) = exact_slice(key)?
                // No items for a slice with another step: `array.array` deletes it.
                && (slice.is_contiguous() || !bytes.as_bytes().is_empty())
            {
                let array = &state.referent(py)?;
                return match Array::new(array).set_slice(slice, bytes.as_bytes(), None) {
                    // The words for this are those of `array.array`.
                    Err(StoreError::SliceSize { .. } | StoreError::ZeroStep) => {
                        read(py, state, name, &arguments()?, None).map(drop)
                    }
                    done => done.or_raise(py),
                };
            }
            write(py, state, name, &arguments()?, None).map(drop)
        })
    }

    fn __delitem__(_slf: &Bound<'_, Self>, _key: &Bound<'_, PyAny>) -> PyResult<()> {
        // The standard library's proxy has no such method.
        Err(PyAttributeError::new_err("__delitem__"))
    }

    /// Return a proxy of the lock that belongs to this object, an RLock: the same for everybody.
    ///
    /// Hold it for what takes several steps. It keeps nobody from working on the object without it.
    fn get_lock<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        state_of(slf)?.get_lock(slf.py())
    }
}
