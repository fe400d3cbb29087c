//! `Token`: the name of a referent, as proxies carry it.

use std::sync::{Mutex, PoisonError};

use coheld::Handle;
use coheld_shm::{Lease, word};
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyString, PyTuple},
};

use crate::{attachment, errors, interpreter, proxy::{Kind, kind_number}};

/// Names a shared object: its type, the address of its manager and its identity there.
///
/// `text` is the same on one line of printable text, to be handed to programs in other languages.
#[pyclass(frozen, subclass)]
pub(crate) struct Token {
    typeid: Py<PyAny>,
    address: Py<PyAny>,
    id: Py<PyAny>,
    segment: Option<[u8; 16]>,
    /// The reference of whoever created the referent, until the first proxy takes it over.
    held: Mutex<Option<Handle>>,
}

/// Where a referent lies in its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) kind: u8,
    pub(crate) offset: u64,
    pub(crate) generation: u32,
}

/// Offsets are below two to this power.
const OFFSET_BITS: u32 = 48;
const GENERATION_BITS: u32 = 32;

impl Place {
    /// The text that stands for the place: as in the standard library, a number in hexadecimal.
    pub(crate) fn text(self) -> String {
        let number = u128::from(self.kind) << (OFFSET_BITS + GENERATION_BITS)
            | u128::from(self.generation) << OFFSET_BITS
            | u128::from(self.offset);
        format!("{number:x}")
    }

    /// The lease that travels with a pickled proxy of the referent.
    pub(crate) fn lease(self) -> Lease {
        Lease::counted(word::of_edge(self.offset, self.generation))
    }

    fn parse(text: &str) -> Option<Self> {
        let number = u128::from_str_radix(text, 16).ok()?;
        Some(Self {
            kind: u8::try_from(number >> (OFFSET_BITS + GENERATION_BITS)).ok()?,
            generation: (number >> OFFSET_BITS) as u32,
            offset: number as u64 & ((1 << OFFSET_BITS) - 1),
        })
    }
}

impl Token {
    /// The token of the referent that `handle` holds.
    pub(crate) fn of(py: Python<'_>, handle: &Handle, typeid: Bound<'_, PyAny>) -> PyResult<Self> {
        let place = Place {
            kind: kind_number(py, handle)?,
            offset: handle.offset(),
            generation: handle.generation(),
        };
        Ok(Self {
            typeid: typeid.unbind(),
            address: attachment::address(py, handle.attachment())?.unbind(),
            id: PyString::new(py, &place.text()).into_any().unbind(),
            segment: Some(handle.attachment().segment().id()),
            held: Mutex::new(None),
        })
    }

    /// The token of a new referent, holding it.
    pub(crate) fn holding(
        py: Python<'_>,
        handle: Handle,
        typeid: Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let mut token = Self::of(py, &handle, typeid)?;
        token.held = Mutex::new(Some(handle));
        Ok(token)
    }

    /// The reference of whoever created the referent, once.
    pub(crate) fn take_held(&self) -> Option<Handle> {
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// The typeid.
    pub(crate) fn typeid(&self, py: Python<'_>) -> Py<PyAny> {
        self.typeid.clone_ref(py)
    }

    /// The address of the manager.
    pub(crate) fn address<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.address.bind(py)
    }

    /// The identity of the segment, if the token says it.
    pub(crate) fn segment(&self) -> Option<[u8; 16]> {
        self.segment
    }

    /// Where the referent lies.
    pub(crate) fn place(&self, py: Python<'_>) -> PyResult<Place> {
        let id = self.id.bind(py);
        id.cast::<PyString>()
            .ok()
            .and_then(|id| Place::parse(id.to_str().ok()?))
            .filter(|place| Kind::from_number(place.kind).is_some())
            .ok_or_else(|| {
                errors::referent_gone(
                    py,
                    format!(
                        "the token has the id {id:?}, which no shared object of Coheld has; \
                         hand tokens on unchanged"
                    ),
                )
            })
    }
}

#[pymethods]
impl Token {
    #[new]
    #[pyo3(signature = (typeid, address, id, segment=None))]
    fn new(
        typeid: Bound<'_, PyAny>,
        address: Bound<'_, PyAny>,
        id: Bound<'_, PyAny>,
        segment: Option<&str>,
    ) -> PyResult<Self> {
        let segment = match segment {
            None => None,
            Some(text) => Some(
                (text.len() == 32)
                    .then(|| u128::from_str_radix(text, 16).ok())
                    .flatten()
                    .map(u128::to_be_bytes)
                    .ok_or_else(|| {
                        PyValueError::new_err(format!(
                            "{text:?} is not the name of a segment: it has 32 hexadecimal digits"
                        ))
                    })?,
            ),
        };
        Ok(Self {
            typeid: typeid.unbind(),
            address: address.unbind(),
            id: id.unbind(),
            segment,
            held: Mutex::new(None),
        })
    }

    /// The name under which the type is registered with the manager.
    #[getter]
    fn get_typeid(&self, py: Python<'_>) -> Py<PyAny> {
        self.typeid.clone_ref(py)
    }

    /// The address of the manager.
    #[getter]
    fn get_address(&self, py: Python<'_>) -> Py<PyAny> {
        self.address.clone_ref(py)
    }

    /// The identity of the referent: unique among the living referents of the manager.
    #[getter]
    fn get_id(&self, py: Python<'_>) -> Py<PyAny> {
        self.id.clone_ref(py)
    }

    /// The identity of the segment in hexadecimal, or None.
    #[getter]
    fn get_segment(&self) -> Option<String> {
        self.segment
            .map(|id| format!("{:032x}", u128::from_be_bytes(id)))
    }

    /// The token as one line of printable text, for programs in any language.
    #[getter]
    fn get_text(&self, py: Python<'_>) -> PyResult<String> {
        attachment::token_text(py, self)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let py = slf.py();
        let this = slf.get();
        let text = |object: &Py<PyAny>| interpreter::repr(object.bind(py));
        Ok(format!(
            "{}(typeid={}, address={}, id={})",
            slf.get_type().name()?.to_str()?,
            text(&this.typeid)?.to_str()?,
            text(&this.address)?.to_str()?,
            text(&this.id)?.to_str()?
        ))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        let this = slf.get();
        let state = (&this.typeid, &this.address, &this.id, this.get_segment());
        (slf.get_type(), state).into_pyobject(py)
    }
}
