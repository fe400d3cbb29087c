//! Answering calls: the frequent case here, everything else by the server object in Python.

use std::{
    cell::RefCell,
    sync::{Mutex, PoisonError},
};

use coheld::{
    Error,
    hosted::{Reply, ReplyKind, Request, Serve},
};
use pyo3::{
    exceptions::{PyAttributeError, PyException, PyKeyboardInterrupt},
    prelude::*,
    types::{PyDict, PyString, PyTuple},
};

use super::{
    entry::{Entry, Table},
    reply, thread,
};
use crate::{codec::Serializer, errors::Made, interpreter};

/// The name of a method that every object has: its result are the names of those that it exposes.
pub(super) const EXPOSED: &str = "#EXPOSED";

/// The name of a method whose name is no text, which is the first argument: nothing has such a
/// method, but the error tells what the object is.
pub(super) const ODD_NAME: &str = "#ODD_NAME";

thread_local! {
    /// The `KeyboardInterrupt` that ended the last call which this thread answered to itself: it
    /// was Ctrl-C, and the caller is to have no reply but that.
    static INTERRUPTION: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// The `KeyboardInterrupt` that ended the call which this thread has just answered to itself.
pub(super) fn take_interruption() -> Option<PyErr> {
    INTERRUPTION.with_borrow_mut(Option::take)
}

/// What answers the calls of a host.
pub(super) struct Serving {
    /// Answers what is not in the table, and whatever is not answered here. None: stopped.
    server: Mutex<Option<Py<PyAny>>>,
    pub(super) table: Table,
}

impl Serving {
    pub(super) fn new(server: Py<PyAny>) -> Self {
        Self {
            server: Mutex::new(Some(server)),
            table: Table::default(),
        }
    }

    /// Lets go of the server.
    pub(super) fn stop(&self) {
        let server = self
            .server
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(server);
    }

    fn server<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        Some(server.as_ref()?.bind(py).clone())
    }

    fn try_answer(&self, py: Python<'_>, request: &Request<'_>) -> PyResult<Reply> {
        let serializer = if request.flags & Request::XMLRPC == 0 {
            Serializer::Pickle
        } else {
            Serializer::XmlRpc
        };
        let (arguments, keywords) = serializer.decode_arguments(py, request.body)?;
        let name = PyString::intern(py, request.method);
        if request.object == 0 {
            return self.server_function(serializer, &name, &arguments, keywords);
        }
        let Some(entry) = self.table.get(request.object) else {
            return Ok(unknown(request.object));
        };
        if request.method == EXPOSED {
            let exposed = entry.exposed.bind(py).iter().collect::<Vec<_>>();
            return reply::returned(serializer, PyTuple::new(py, exposed)?.as_any());
        }
        if request.method == ODD_NAME {
            let (name, rest) = (arguments.get_item(0)?, arguments.get_slice(1, usize::MAX));
            return self.answer_slowly(serializer, &entry, &name, &rest, keywords);
        }
        if !entry.is_simple(&name)? {
            return self.answer_slowly(serializer, &entry, name.as_any(), &arguments, keywords);
        }
        let method = match interpreter::attribute(entry.object.bind(py), &name) {
            Ok(method) => method,
            Err(error) if error.is_instance_of::<PyAttributeError>(py) => {
                return self.answer_slowly(serializer, &entry, name.as_any(), &arguments, keywords);
            }
            Err(error) => return Err(error),
        };
        match interpreter::call_with(&method, arguments, keywords.as_ref()) {
            Ok(result) => {
                let reply = reply::returned(serializer, &result);
                interpreter::let_go(result);
                reply
            }
            Err(error) => reply::raised(py, error),
        }
    }

    /// Answers a call. What is no answer of the method (Ctrl-C, say) is a text for the caller, and
    /// is also returned.
    fn answer_or_end(&self, py: Python<'_>, request: &Request<'_>) -> (Reply, Option<PyErr>) {
        let error = match self.try_answer(py, request) {
            Ok(reply) => return (reply, None),
            Err(error) => error.made(py),
        };
        match reply::traceback(py, &error) {
            Ok(reply) => (reply, Some(error)),
            // Not even the traceback could be written.
            Err(later) => {
                let later = later.made(py);
                let reply = Reply::new(ReplyKind::Traceback, reply::plain_text(py, &later));
                let is_end = !error.is_instance_of::<PyException>(py);
                (reply, Some(if is_end { error } else { later }))
            }
        }
    }

    /// A function of the server itself.
    fn server_function(
        &self,
        serializer: Serializer,
        name: &Bound<'_, PyString>,
        arguments: &Bound<'_, PyTuple>,
        keywords: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Reply> {
        let py = name.py();
        let Some(server) = self.server(py) else {
            return Ok(stopped());
        };
        let keywords = keywords.unwrap_or_else(|| PyDict::new(py));
        let function = pyo3::intern!(py, "call_function");
        let result = interpreter::method(&server, function, (name, arguments, keywords))?;
        reply::returned(serializer, &result)
    }

    /// A method that is not exposed or not there, or whose result stays here.
    fn answer_slowly(
        &self,
        serializer: Serializer,
        entry: &Entry,
        name: &Bound<'_, PyAny>,
        arguments: &Bound<'_, PyTuple>,
        keywords: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Reply> {
        let py = name.py();
        let Some(server) = self.server(py) else {
            return Ok(stopped());
        };
        let all = (
            entry.place.text(),
            &entry.object,
            &entry.exposed,
            &entry.method_to_typeid,
            name,
            arguments,
            keywords.unwrap_or_else(|| PyDict::new(py)),
        );
        let answer = interpreter::method(&server, pyo3::intern!(py, "answer_slowly"), all)?;
        reply::assembled(serializer, &answer)
    }
}

impl Entry {
    /// Whether a method may be called and its result is to be sent back.
    #[inline]
    fn is_simple(&self, name: &Bound<'_, PyString>) -> PyResult<bool> {
        let py = name.py();
        if !self.exposed.bind(py).contains(name)? {
            return Ok(false);
        }
        match &self.method_to_typeid {
            None => Ok(true),
            Some(methods) => Ok(!methods.bind(py).contains(name)?),
        }
    }
}

#[cold]
fn unknown(number: u64) -> Reply {
    Reply::new(
        ReplyKind::Traceback,
        format!(
            "Traceback (most recent call last):\nKeyError: 'no object has the number {number} \
             any more'\n"
        ),
    )
}

#[cold]
fn stopped() -> Reply {
    Reply::new(ReplyKind::Traceback, "this host has been stopped\n")
}

impl Serve for Serving {
    fn answer(&self, request: &Request<'_>) -> Reply {
        Python::attach(|py| {
            let (reply, end) = self.answer_or_end(py, request);
            if let Some(error) = end {
                // And with it the frames that it went through, and what they hold.
                interpreter::let_go(error.into_value(py).into_bound(py).into_any());
            }
            reply
        })
    }

    fn answer_here(&self, request: &Request<'_>) -> Reply {
        Python::attach(|py| {
            drop(take_interruption());
            let (reply, end) = self.answer_or_end(py, request);
            let interruption = end.filter(|end| end.is_instance_of::<PyKeyboardInterrupt>(py));
            INTERRUPTION.with_borrow_mut(|slot| *slot = interruption);
            reply
        })
    }

    fn released(&self, number: u64) {
        Python::attach(|_| drop(self.table.remove(number)));
    }

    fn spawn(&self, work: Box<dyn FnOnce() + Send>) -> Result<(), Error> {
        Python::attach(|py| thread::start(py, work)).map_err(|error| Error::Refused {
            reason: error.to_string(),
        })
    }
}
