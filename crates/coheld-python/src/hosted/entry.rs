//! The objects that a host has published.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use pyo3::{
    prelude::*,
    types::{PyDict, PyFrozenSet},
};

use crate::token::Place;

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

    /// Where the object lies that is published under a typeid already.
    pub(super) fn place_of(&self, object: &Bound<'_, PyAny>, typeid: &str) -> Option<Place> {
        let identity = (object.as_ptr().addr(), typeid.to_owned());
        self.with(|content| {
            let number = content.numbers.get(&identity)?;
            Some(content.entries.get(number)?.place)
        })
    }

    /// Enters an object. A later one of the same identity takes its place for `place_of`.
    pub(super) fn insert(&self, number: u64, entry: Entry) {
        let entry = Arc::new(entry);
        let former = self.with(|content| {
            content.numbers.insert(entry.identity(), number);
            content.entries.insert(number, entry)
        });
        drop(former);
    }

    /// Forgets objects. They are returned, to be dropped where their `__del__` may do anything.
    pub(super) fn remove(&self, numbers: &[u64]) -> Vec<Arc<Entry>> {
        self.with(|content| {
            let mut removed = Vec::with_capacity(numbers.len());
            for number in numbers {
                let Some(entry) = content.entries.remove(number) else {
                    continue;
                };
                let identity = entry.identity();
                if content.numbers.get(&identity) == Some(number) {
                    content.numbers.remove(&identity);
                }
                removed.push(entry);
            }
            removed
        })
    }

    /// All objects.
    pub(super) fn all(&self) -> Vec<Arc<Entry>> {
        self.with(|content| content.entries.values().cloned().collect())
    }

    /// Forgets all objects; they are returned, as by `remove`.
    pub(super) fn clear(&self) -> Vec<Arc<Entry>> {
        self.with(|content| {
            content.numbers.clear();
            content.entries.drain().map(|(_, entry)| entry).collect()
        })
    }
}
