//! `Host`: a process's objects that others may call.

use std::sync::Arc;

use coheld::{Handle, hosted};
use coheld_store::{Hosted, StoreError};
use pyo3::{
    exceptions::PyKeyError,
    prelude::*,
    types::{PyDict, PyFrozenSet, PyString, PyTuple},
};

use super::{entry::Entry, serving::Serving};
use crate::{
    attachment::Attachment,
    attempts::Attempts,
    copy,
    errors::OrRaise,
    proxy::{BaseProxy, state_of_base},
    token::{Place, Token, place_of},
};

/// Has objects of this process whose methods other processes call through proxies.
///
/// `server.call_function(name, args, kwds)` is called for functions of the host itself, and
/// `server.answer_slowly(ident, object, exposed, method_to_typeid, method, args, kwds)` for methods
/// that are not exposed or not there, or whose results stay here. It returns the kind of the reply
/// and its content: `('#RETURN', result)`, `('#ERROR', exception)`, `('#TRACEBACK', text)` or
/// `('#PROXY', (exposed, token, class of its proxies))`.
#[pyclass(frozen, module = "coheld._coheld")]
pub(crate) struct Host {
    host: Arc<hosted::Host>,
    serving: Arc<Serving>,
}

#[pymethods]
impl Host {
    #[new]
    #[pyo3(signature = (attachment, server, as_manager=true))]
    fn new(
        attachment: &Bound<'_, Attachment>,
        server: Py<PyAny>,
        as_manager: bool,
    ) -> PyResult<Self> {
        let serving = Arc::new(Serving::new(server));
        let serve: Arc<dyn hosted::Serve> = Arc::<Serving>::clone(&serving);
        let host = hosted::Host::start(attachment.get().shared(), serve, as_manager);
        let host = host.or_raise(attachment.py())?;
        Ok(Self { host, serving })
    }

    /// Share an object of this process; return the token of its referent, which holds it. The same
    /// object under the same typeid has the same referent as long as anybody refers to it.
    #[pyo3(signature = (object, typeid, exposed, method_to_typeid=None))]
    fn publish(
        &self,
        object: Bound<'_, PyAny>,
        typeid: Bound<'_, PyString>,
        exposed: &Bound<'_, PyAny>,
        method_to_typeid: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Token> {
        let py = object.py();
        let table = &self.serving.table;
        let mut exposed_names = None;
        loop {
            let former = table.find(&object, typeid.to_str()?);
            if let Some((_, place)) = former
                // Else the last reference has gone, and the object is about to be dropped.
                && let Ok(handle) =
                    Handle::acquire(self.host.attachment(), place.offset, place.generation)
            {
                return Token::holding(py, handle, typeid.into_any());
            }
            let exposed = match exposed_names.take() {
                Some(names) => names,
                None => frozen(exposed)?,
            };
            let (number, handle) = self.host.publish().or_raise(py)?;
            let entry = Entry {
                object: object.clone().unbind(),
                typeid: typeid.to_str()?.to_owned(),
                exposed,
                method_to_typeid: method_to_typeid.clone().map(Bound::unbind),
                place: place_of(&handle),
            };
            match table.insert(number, entry, former.map(|(number, _)| number)) {
                Ok(()) => return Token::holding(py, handle, typeid.into_any()),
                // Another thread was faster; what was made here goes.
                Err(entry) => exposed_names = Some(entry.exposed.clone_ref(py)),
            }
        }
    }

    /// Keep the content of a shared dict or set in this process from now on. Its proxies go on as
    /// before, and it can have keys of any class.
    fn adopt(&self, proxy: &Bound<'_, BaseProxy>) -> PyResult<()> {
        let py = proxy.py();
        let state = state_of_base(proxy)?;
        if state.is_hosted() {
            return Ok(());
        }
        let mut attempts = Attempts::many(state.referent(py)?);
        loop {
            let (object, version) = copy::of(py, state)?;
            // Which methods a proxy may call is looked up in its process, as before.
            let exposed = frozen(object.get_type().dir()?.as_any())?;
            let number = self.host.next_number();
            let entry = Entry {
                object: object.unbind(),
                typeid: state.kind().typeid().to_owned(),
                exposed,
                method_to_typeid: None,
                place: place_of(state.handle()),
            };
            drop(self.serving.table.insert(number, entry, None));
            match self.host.adopt(state.handle(), number, version) {
                Ok(()) => return Ok(()),
                Err(error) => {
                    drop(self.serving.table.remove(number));
                    match error {
                        coheld::Error::Store(StoreError::Moved) => return Ok(()),
                        coheld::Error::Store(StoreError::Changed) => {
                            attempts.again_or_raise(py, "moving to another process")?;
                        }
                        error => return Err(error).or_raise(py),
                    }
                }
            }
        }
    }

    /// The object with this id: itself, the names it exposes, and the typeids of the methods whose
    /// results stay here.
    fn entry<'py>(&self, py: Python<'py>, ident: &str) -> PyResult<Bound<'py, PyTuple>> {
        let all = self.serving.table.all();
        let place = Place::parse(ident);
        let entry = place.and_then(|place| all.iter().find(|entry| entry.place.is_at(place)));
        let Some(entry) = entry else {
            return Err(PyKeyError::new_err(ident.to_owned()));
        };
        entry.for_python(py)
    }

    /// The object of a proxy, as by `entry`, if it is in this process and called here.
    fn own_entry<'py>(
        &self,
        proxy: &Bound<'py, BaseProxy>,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let py = proxy.py();
        let state = state_of_base(proxy)?;
        if !state.is_hosted() {
            return Ok(None);
        }
        let referent = state.referent(py)?;
        let (place, number) = Hosted::new(&referent).place().or_raise(py)?;
        if place != self.host.place() {
            return Ok(None);
        }
        let entry = self.serving.table.get(number);
        entry.map(|entry| entry.for_python(py)).transpose()
    }

    /// All objects that somebody refers to: as by `entry`, by their ids.
    fn objects<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let objects = PyDict::new(py);
        for entry in self.serving.table.all() {
            objects.set_item(entry.place.text(), entry.for_python(py)?)?;
        }
        Ok(objects)
    }

    /// Let go of all objects and of the server. Calls under way fail at their callers.
    fn stop(&self) {
        self.host.stop();
        self.serving.stop();
    }
}

impl Entry {
    fn for_python<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        (&self.object, &self.exposed, &self.method_to_typeid).into_pyobject(py)
    }
}

fn frozen(names: &Bound<'_, PyAny>) -> PyResult<Py<PyFrozenSet>> {
    let py = names.py();
    let names: Vec<Bound<'_, PyAny>> = names.try_iter()?.collect::<PyResult<_>>()?;
    PyFrozenSet::new(py, names).map(Bound::unbind)
}
