//! `Token`: the name of a referent, as proxies carry it.

use std::sync::{Mutex, PoisonError};

pub(crate) use coheld::token::Place;

use coheld::{
    Handle,
    wire::{self, Remote},
};
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyString, PyTuple},
};

use crate::{
    attachment,
    codec::Encoding,
    errors::{self, OrRaise},
    imported, interpreter,
    proxy::{Kind, kind_number},
};

/// Names a shared object: its type, the address of its manager and its identity there.
///
/// `text` is the same on one line of printable text, to be handed to programs in other languages.
#[pyclass(frozen, subclass)]
pub(crate) struct Token {
    typeid: Py<PyAny>,
    address: Py<PyAny>,
    id: Py<PyAny>,
    segment: Option<[u8; 16]>,
    held: Mutex<Held>,
}

/// The reference that a token brings along, until the first proxy takes it over.
#[derive(Default)]
pub(crate) enum Held {
    /// None (any more).
    #[default]
    Nothing,
    /// That of whoever created the referent.
    Handle(Handle),
    /// A lease, in a process that was not attached to the segment when it got the token.
    Lease,
    /// A reference to an object that is reached through a connection.
    Remote(Remote),
}

/// Where the referent lies that `handle` holds. Of one that has moved it is what it was before.
pub(crate) fn place_of(handle: &Handle) -> Place {
    Place {
        kind: kind_number(handle),
        offset: handle.offset(),
        generation: handle.generation(),
    }
}

impl Token {
    /// The token of the referent that `handle` holds.
    pub(crate) fn of(py: Python<'_>, handle: &Handle, typeid: Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self {
            typeid: typeid.unbind(),
            address: attachment::address(py, handle.attachment())?.unbind(),
            id: PyString::new(py, &place_of(handle).text())
                .into_any()
                .unbind(),
            segment: Some(handle.attachment().segment().id()),
            held: Mutex::default(),
        })
    }

    /// The token of a new referent, holding it.
    pub(crate) fn holding(
        py: Python<'_>,
        handle: Handle,
        typeid: Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let mut token = Self::of(py, &handle, typeid)?;
        token.held = Mutex::new(Held::Handle(handle));
        Ok(token)
    }

    /// The reference that the token brought along, once.
    pub(crate) fn take_held(&self) -> Held {
        std::mem::take(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has a lease travel with the pickle that is being made, if the token keeps its referent
    /// alive: it may be gone itself when the pickle is read.
    fn lease_for_pickle(&self, py: Python<'_>) -> PyResult<bool> {
        let held = self.take_held();
        match &held {
            Held::Nothing => Ok(false),
            Held::Lease => Ok(true),
            Held::Handle(handle) => {
                let lease = handle.lease().or_raise(py);
                if let Ok(lease) = &lease {
                    Encoding::note_lease(handle.attachment(), *lease);
                }
                *self.held.lock().unwrap_or_else(PoisonError::into_inner) = held;
                lease.map(|_| true)
            }
            Held::Remote(remote) => {
                let lent = py.detach(|| remote.link().lend(remote.ident()));
                *self.held.lock().unwrap_or_else(PoisonError::into_inner) = held;
                lent.or_raise(py).map(|()| false)
            }
        }
    }

    /// The token of an object at the other end of a connection, holding it.
    pub(crate) fn of_remote(
        py: Python<'_>,
        remote: Remote,
        typeid: Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        Ok(Self {
            typeid: typeid.unbind(),
            address: attachment::address_to_python(py, remote.link().address())?.unbind(),
            id: PyString::new(py, remote.ident()).into_any().unbind(),
            segment: None,
            held: Mutex::new(Held::Remote(remote)),
        })
    }

    /// The token that an object is, or stands for: one of the standard library names the same.
    pub(crate) fn from_any<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Self>> {
        let py = object.py();
        if let Ok(token) = object.cast::<Self>() {
            return Ok(token.clone());
        }
        if !object.is_instance(imported::STOCK_TOKEN.get(py)?)? {
            let name = object.get_type().name()?.to_string();
            return Err(PyTypeError::new_err(format!(
                "a proxy is made from a coheld.managers.Token, not from a '{name}'"
            )));
        }
        let part = |name| object.getattr(name);
        Bound::new(
            py,
            Self::new(part("typeid")?, part("address")?, part("id")?, None, false)?,
        )
    }

    /// The name of the object for those who reach it through a connection.
    pub(crate) fn ident(&self, py: Python<'_>) -> PyResult<String> {
        match self.segment {
            Some(segment) => Ok(wire::ident(&segment, self.place(py)?)),
            None => Ok(self.id.bind(py).cast::<PyString>()?.to_str()?.to_owned()),
        }
    }

    /// Where the object lies in this segment, whichever way the token names it.
    pub(crate) fn place_in(&self, py: Python<'_>, segment: &[u8; 16]) -> PyResult<Place> {
        let id = self.id.bind(py).cast::<PyString>();
        let on_the_wire = id.ok().and_then(|id| id.to_str().ok());
        match on_the_wire.and_then(|id| wire::place_of(segment, id)) {
            Some(place) if self.segment.is_none() => Ok(place),
            _ => self.place(py),
        }
    }

    /// Takes over the lease that came with the pickle of the token.
    fn redeem(&self, py: Python<'_>) -> PyResult<()> {
        let place = self.place(py)?;
        let attachment = self.segment.and_then(|id| coheld::Attachment::find(&id));
        let held = match attachment.map(|attachment| Handle::redeem(&attachment, place.lease())) {
            None => Held::Lease,
            Some(Ok(handle)) => Held::Handle(handle),
            // It has run out. What is gone is reported to whoever uses it.
            Some(Err(_)) => Held::Nothing,
        };
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = held;
        Ok(())
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
    #[pyo3(signature = (typeid, address, id, segment=None, leased=false))]
    fn new(
        typeid: Bound<'_, PyAny>,
        address: Bound<'_, PyAny>,
        id: Bound<'_, PyAny>,
        segment: Option<&str>,
        leased: bool,
    ) -> PyResult<Self> {
        let py = typeid.py();
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
        let token = Self {
            typeid: typeid.unbind(),
            address: address.unbind(),
            id: id.unbind(),
            segment,
            held: Mutex::default(),
        };
        if leased {
            token.redeem(py)?;
        }
        Ok(token)
    }

    /// The token that a line of text is, see `text`; of a program in any language.
    #[staticmethod]
    fn parse(py: Python<'_>, text: &str) -> PyResult<Self> {
        let named = text.parse::<coheld::Token>().or_raise(py)?;
        let kind = Kind::from_number(named.kind).ok_or_else(|| {
            PyValueError::new_err(format!(
                "not a usable token: shared objects of the kind {} are of another version of \
                 Coheld",
                named.kind
            ))
        })?;
        let place = Place {
            kind: named.kind,
            offset: named.offset,
            generation: named.generation,
        };
        let token = Self {
            typeid: PyString::new(py, kind.typeid()).into_any().unbind(),
            address: attachment::address_to_python(py, &named.address)?.unbind(),
            id: PyString::new(py, &place.text()).into_any().unbind(),
            segment: Some(named.segment_id),
            held: Mutex::default(),
        };
        token.redeem(py)?;
        Ok(token)
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
        let (typeid, address, id) = (&this.typeid, &this.address, &this.id);
        let segment = this.get_segment();
        if this.lease_for_pickle(py)? {
            let state = (typeid, address, id, segment, true);
            return (slf.get_type(), state).into_pyobject(py);
        }
        (slf.get_type(), (typeid, address, id, segment)).into_pyobject(py)
    }
}
