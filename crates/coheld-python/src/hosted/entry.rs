//! The objects that a host has published.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use pyo3::{
    prelude::*,
    types::{PyDict, PyFrozenSet},
};

use crate::{interpreter, token::Place};

/// An object and what of it may be called.
pub(super) struct Entry {
    pub(super) object: Py<PyAny>,
    /// The name under which its class is registered.
    pub(super) typeid: String,
    /// The names of the methods that may be called.
    pub(super) exposed: Py<PyFrozenSet>,
    /// The methods whose results stay here, and the typeid of the proxies of these.
    pub(super) method_to_typeid: Option<Py<PyDict>>,
    /// Its referent.
    pub(super) place: Place,
}

impl Entry {
    /// Two publications of one object under one typeid are one.
    fn identity(&self) -> Identity {
        (self.object.as_ptr().addr(), self.typeid.clone())
    }
}

impl Drop for Entry {
    /// Wherever the last one lets go: at a table, or in the middle of a call.
    fn drop(&mut self) {
        // Without an interpreter there is nothing to be run.
        let _ = Python::try_attach(|py| {
            let object = mem::replace(&mut self.object, py.None());
            interpreter::let_go(object.into_bound(py));
        });
    }
}

type Identity = (usize, String);

/// The objects of a host, by number.
///
/// Locked only while attached to the interpreter, for moments in which nothing of Python runs or is
/// dropped: so a fork never finds it locked, and no thread waits for the interpreter inside.
#[derive(Default)]
pub(super) struct Table {
    content: Mutex<Content>,
}

#[derive(Default)]
struct Content {
    entries: HashMap<u64, Arc<Entry>>,
    numbers: HashMap<Identity, u64>,
}

impl Table {
    fn with<R>(&self, work: impl FnOnce(&mut Content) -> R) -> R {
        work(&mut self.content.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The object with a number.
    #[inline]
    pub(super) fn get(&self, number: u64) -> Option<Arc<Entry>> {
        self.with(|content| content.entries.get(&number).cloned())
    }

    /// The number and the place of an object that is published under a typeid already.
    pub(super) fn find(&self, object: &Bound<'_, PyAny>, typeid: &str) -> Option<(u64, Place)> {
        let identity = (object.as_ptr().addr(), typeid.to_owned());
        self.with(|content| {
            let number = content.numbers.get(&identity)?;
            Some((*number, content.entries.get(number)?.place))
        })
    }

    /// Enters an object, of which there was the number `former` when it was looked up. If another
    /// thread has entered it since, it is returned.
    pub(super) fn insert(
        &self,
        number: u64,
        entry: Entry,
        former: Option<u64>,
    ) -> Result<(), Entry> {
        self.with(|content| {
            let identity = entry.identity();
            let current = content.numbers.get(&identity).copied();
            if current.is_some() && current != former {
                return Err(entry);
            }
            content.numbers.insert(identity, number);
            content.entries.insert(number, Arc::new(entry));
            Ok(())
        })
    }

    /// Forgets an object. It is returned, to be dropped where its `__del__` may do anything.
    pub(super) fn remove(&self, number: u64) -> Option<Arc<Entry>> {
        self.with(|content| {
            let entry = content.entries.remove(&number)?;
            let identity = entry.identity();
            if content.numbers.get(&identity) == Some(&number) {
                content.numbers.remove(&identity);
            }
            Some(entry)
        })
    }

    /// All objects.
    pub(super) fn all(&self) -> Vec<Arc<Entry>> {
        self.with(|content| content.entries.values().cloned().collect())
    }
}
