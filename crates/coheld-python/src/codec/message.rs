//! Arguments and results on their way to a host and back.

use std::ops::Deref;

use coheld::hosted::{Leases, Reply, ReplyKind, buffers};
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    sync::PyOnceLock,
    types::{PyBytes, PyDict, PyString, PyTuple},
};

use super::{
    context::{Encoding, NOWHERE},
    pickle, plain,
};
use crate::interpreter;

/// How the values of a call are written. The name is that of the manager's serializer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Serializer {
    Pickle,
    XmlRpc,
}

/// The bytes of a message, wherever they are.
pub(crate) enum Message<'py> {
    Written(Vec<u8>),
    Pickled(Bound<'py, PyBytes>, Leases),
}

impl Deref for Message<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Written(bytes) => bytes,
            Self::Pickled(bytes, _) => bytes.as_bytes(),
        }
    }
}

impl<'py> Message<'py> {
    /// The bytes as a reply.
    pub(crate) fn into_reply(self, kind: ReplyKind) -> Reply {
        match self {
            Self::Written(bytes) => Reply::new(kind, bytes),
            Self::Pickled(bytes, leases) => {
                let mut buffer = buffers::spare();
                buffer.extend_from_slice(bytes.as_bytes());
                let mut reply = Reply::new(kind, buffer);
                reply.leases = leases;
                reply
            }
        }
    }

    /// The bytes and the leases, as a part of another message.
    pub(crate) fn into_part(self, py: Python<'py>) -> (Bound<'py, PyBytes>, Leases) {
        match self {
            Self::Written(bytes) => (PyBytes::new(py, &bytes), Leases::new()),
            Self::Pickled(bytes, leases) => (bytes, leases),
        }
    }

    /// Has the buffer used again.
    pub(crate) fn keep(self) {
        if let Self::Written(bytes) = self {
            buffers::keep(bytes);
        }
    }
}

static XML_DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static XML_LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

impl Serializer {
    /// The serializer that a proxy or manager names.
    pub(crate) fn from_name(name: &Bound<'_, PyAny>) -> Self {
        let text = name.cast::<PyString>();
        if text.is_ok_and(|text| text.to_str().is_ok_and(|text| text == "xmlrpclib")) {
            Self::XmlRpc
        } else {
            Self::Pickle
        }
    }

    /// The same for a link.
    pub(crate) fn on_the_wire(self) -> coheld::wire::Serializer {
        match self {
            Self::Pickle => coheld::wire::Serializer::Pickle,
            Self::XmlRpc => coheld::wire::Serializer::XmlRpc,
        }
    }

    /// The arguments of a call. What cannot be pickled is an exception here, before anything is
    /// sent.
    #[inline]
    pub(crate) fn encode_arguments<'py>(
        self,
        arguments: &Bound<'py, PyTuple>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Message<'py>> {
        let keywords = keywords.filter(|keywords| !keywords.is_empty());
        if self == Self::Pickle
            && keywords.is_none()
            && let Some(bytes) = plain::arguments(arguments)
        {
            return Ok(Message::Written(bytes));
        }
        let py = arguments.py();
        let keywords = keywords.cloned().unwrap_or_else(|| PyDict::new(py));
        let pair = (arguments, keywords).into_pyobject(py)?;
        self.encode_other(pair.as_any())
    }

    /// The arguments of a call, as they were encoded.
    #[inline]
    pub(crate) fn decode_arguments<'py>(
        self,
        py: Python<'py>,
        message: &[u8],
    ) -> PyResult<(Bound<'py, PyTuple>, Option<Bound<'py, PyDict>>)> {
        let pair = self.decode(py, message)?;
        // XML has lists only.
        let (arguments, keywords) = (pair.get_item(0)?, pair.get_item(1)?);
        let arguments = match arguments.cast_into_exact::<PyTuple>() {
            Ok(tuple) => tuple,
            Err(error) => {
                let class = py.get_type::<PyTuple>();
                interpreter::call(&class, (error.into_inner(),))?.cast_into()?
            }
        };
        let keywords = keywords
            .cast_into::<PyDict>()
            .map_err(|_| PyTypeError::new_err("the keyword arguments of a call are no dict"))?;
        Ok((arguments, Some(keywords).filter(|all| !all.is_empty())))
    }

    /// A result.
    #[inline]
    pub(crate) fn encode<'py>(self, value: &Bound<'py, PyAny>) -> PyResult<Message<'py>> {
        if self == Self::Pickle
            && let Some(bytes) = plain::value(value)
        {
            return Ok(Message::Written(bytes));
        }
        self.encode_other(value)
    }

    #[cold]
    fn encode_other<'py>(self, value: &Bound<'py, PyAny>) -> PyResult<Message<'py>> {
        if self == Self::XmlRpc {
            return encode_xml(value);
        }
        let encoding = Encoding::begin(NOWHERE);
        let pickled = pickle::dumps(value);
        let leases = encoding.take_leases();
        match pickled {
            Ok(bytes) => Ok(Message::Pickled(bytes, leases)),
            Err(error) => {
                leases.give_back();
                Err(error)
            }
        }
    }

    /// The value of a message.
    #[inline]
    pub(crate) fn decode<'py>(
        self,
        py: Python<'py>,
        message: &[u8],
    ) -> PyResult<Bound<'py, PyAny>> {
        if self == Self::XmlRpc {
            return decode_xml(py, message);
        }
        match plain::read(py, message)? {
            Some(value) => Ok(value),
            None => pickle::loads(py, message),
        }
    }
}

/// As `multiprocessing.connection` writes XML.
pub(crate) fn encode_xml<'py>(value: &Bound<'py, PyAny>) -> PyResult<Message<'py>> {
    let py = value.py();
    let dumps = XML_DUMPS.import(py, "xmlrpc.client", "dumps")?;
    let nothing = py.None();
    let arguments = ((value,), &nothing, &nothing, &nothing, true);
    let text = interpreter::call(dumps, arguments)?.cast_into::<PyString>()?;
    Ok(Message::Written(text.to_str()?.as_bytes().to_vec()))
}

/// As `multiprocessing.connection` reads XML.
pub(crate) fn decode_xml<'py>(py: Python<'py>, message: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let loads = XML_LOADS.import(py, "xmlrpc.client", "loads")?;
    let text = PyString::from_bytes(py, message)?;
    let (values, _) =
        interpreter::call(loads, (text,))?.extract::<(Bound<'py, PyTuple>, Bound<'py, PyAny>)>()?;
    values.get_item(0)
}
