//! `Watch`: one thread that sleeps for all who wait in this process at one segment.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use coheld::Attachment;
use coheld_store::Watched;
use pyo3::prelude::*;

use crate::{
    errors::OrRaise,
    proxy::{BaseProxy, state_of_base},
};

/// How long a place is left alone before somebody looks, for the first time, whether what it waits
/// for is there although nobody has said so. As for threads that sleep (`coheld_store`).
const PATIENCE: Duration = Duration::from_millis(20);

/// Longest sleep while anybody waits: one who comes meanwhile does not end it.
const LONGEST_SLEEP: Duration = Duration::from_millis(160);

/// The places in line of this process in one segment.
///
/// Its lock is held with the interpreter attached and never around anything that may wait, so it
/// is free whenever the process forks.
pub(super) struct Places {
    attachment: Arc<Attachment>,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    last_key: u64,
    of_key: HashMap<u64, Entry>,
}

/// One place.
struct Entry {
    /// For its true lifetime see `Places::add`.
    watched: Watched<'static>,
    /// Whether its waiters have been told to try, and have not tried yet.
    told: bool,
    /// Whether they are to try although others come first.
    insists: bool,
    patience: Duration,
    due: Instant,
}

impl Places {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether they are those in the segment of this attachment.
    pub(super) fn is_at(&self, attachment: &Arc<Attachment>) -> bool {
        Arc::ptr_eq(&self.attachment, attachment)
    }

    /// A key for places that are taken one after the other.
    pub(super) fn new_key(&self) -> u64 {
        let mut entries = self.entries();
        entries.last_key += 1;
        entries.last_key
    }

    /// Adds a place under a key that has none.
    pub(super) fn add(&self, py: Python<'_>, key: u64, watched: Watched<'_>) -> PyResult<()> {
        // SAFETY: `watched` borrows a segment that `attachment` keeps, which lies behind an `Arc`
        // and so lives as long as `self`: whoever calls this has asked `is_at`.
        let watched = unsafe { std::mem::transmute::<Watched<'_>, Watched<'static>>(watched) };
        let mut entries = self.entries();
        let is_first = entries.of_key.is_empty();
        let entry = Entry {
            watched,
            told: false,
            insists: false,
            patience: PATIENCE,
            due: Instant::now() + PATIENCE,
        };
        entries.of_key.insert(key, entry);
        drop(entries);
        if is_first {
            // The thread may be in a long sleep, for want of places.
            self.attachment.segment().ring_bell().or_raise(py)?;
        }
        Ok(())
    }

    /// Notes that a place has been given up.
    pub(super) fn remove(&self, key: u64) {
        self.entries().of_key.remove(&key);
    }

    /// Notes, before a try, that it is tried. Whether although others come first.
    pub(super) fn hear(&self, key: u64) -> bool {
        let mut entries = self.entries();
        let Some(entry) = entries.of_key.get_mut(&key) else {
            return false;
        };
        entry.told = false;
        std::mem::take(&mut entry.insists)
    }

    /// The keys of the places that are to be told; and when to look again if nobody rings.
    fn look(&self) -> (Vec<u64>, Option<Instant>) {
        let now = Instant::now();
        let (mut keys, mut due) = (Vec::new(), Vec::new());
        for (&key, entry) in &mut self.entries().of_key {
            if entry.told {
                continue;
            }
            if entry.watched.is_signalled() {
                entry.told = true;
                keys.push(key);
            } else if entry.due <= now {
                due.push((key, entry.watched, entry.patience));
            }
        }
        let mut swept = HashSet::new();
        for (key, watched, patience) in due {
            // An error is for those who wait: their next try finds it.
            let may_succeed = watched.look_up().unwrap_or(true);
            let referent = watched.referent();
            if swept.insert(referent.offset()) {
                let _ = referent.sweep_line();
            }
            let patience = watched.next_patience(patience).unwrap_or(patience);
            if let Some(entry) = self.entries().of_key.get_mut(&key) {
                entry.patience = patience;
                entry.due = now + patience;
                if may_succeed && !entry.told {
                    entry.told = true;
                    entry.insists = true;
                    keys.push(key);
                }
            }
        }
        let entries = self.entries();
        let waiting = entries.of_key.values().filter(|entry| !entry.told);
        (keys, waiting.map(|entry| entry.due).min())
    }
}

/// Sleeps for all places in line of this process in the segment of a proxy.
#[pyclass(frozen, module = "coheld._coheld")]
pub(crate) struct Watch {
    places: Arc<Places>,
}

impl Watch {
    pub(super) fn places(&self) -> &Arc<Places> {
        &self.places
    }
}

#[pymethods]
impl Watch {
    #[new]
    fn new(proxy: &Bound<'_, BaseProxy>) -> PyResult<Self> {
        Ok(Self {
            places: Arc::new(Places {
                attachment: Arc::clone(state_of_base(proxy)?.attachment()),
                entries: Mutex::default(),
            }),
        })
    }

    /// Whether nobody waits.
    fn is_empty(&self) -> bool {
        self.places.entries().of_key.is_empty()
    }

    /// Sleeps until some of the places are to be tried, so many seconds at most; their keys.
    fn wait(&self, py: Python<'_>, seconds: f64) -> PyResult<Vec<u64>> {
        let segment = self.places.attachment.joined().or_raise(py)?;
        let end = Instant::now() + Duration::try_from_secs_f64(seconds).unwrap_or(PATIENCE);
        loop {
            segment.listen_to_bell().or_raise(py)?;
            let (keys, due) = self.places.look();
            let now = Instant::now();
            if !keys.is_empty() || end <= now {
                return Ok(keys);
            }
            let until = due.map_or(end, |due| due.min(end).min(now + LONGEST_SLEEP));
            segment
                .sleep_by_bell(until.saturating_duration_since(now))
                .or_raise(py)?;
        }
    }
}
