//! The connections of clients, each with its thread.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use crate::stream::Stream;

/// How long the end of the server waits for threads that answer a last call.
const PATIENCE: Duration = Duration::from_secs(2);

/// All connections that are served at the moment.
#[derive(Clone, Default)]
pub(super) struct Connections {
    content: Arc<Content>,
}

#[derive(Default)]
struct Content {
    table: Mutex<Table>,
    less: Condvar,
}

#[derive(Default)]
struct Table {
    streams: HashMap<u64, Weak<Stream>>,
    next: u64,
    has_ended: bool,
}

impl Connections {
    /// Runs `serve` on a thread of its own, until it returns or the server ends.
    pub(super) fn spawn(&self, stream: Arc<Stream>, serve: impl FnOnce() + Send + 'static) {
        let Some(entry) = self.enter(&stream) else {
            return;
        };
        // The client's own from now on: the connection ends with the thread.
        drop(stream);
        let builder = thread::Builder::new().name("coheld-client".into());
        let started = builder.spawn(move || {
            let _entry = entry;
            serve();
        });
        if let Err(error) = started {
            log::warn!(
                "a client was dropped, because there is no thread for it: {error}; the limits of \
                 this user or of the container may be too low"
            );
        }
    }

    fn enter(&self, stream: &Arc<Stream>) -> Option<Entry> {
        let mut table = self.content.lock();
        if table.has_ended {
            return None;
        }
        let number = table.next;
        table.next += 1;
        table.streams.insert(number, Arc::downgrade(stream));
        let content = Arc::clone(&self.content);
        Some(Entry { content, number })
    }

    /// Ends all of them, and lets nobody in any more.
    pub(super) fn end(&self) {
        let mut table = self.content.lock();
        table.has_ended = true;
        let streams: Vec<_> = table.streams.values().filter_map(Weak::upgrade).collect();
        drop(table);
        for stream in streams {
            stream.end();
        }
        let table = self.content.lock();
        let waited = self
            .content
            .less
            .wait_timeout_while(table, PATIENCE, |table| !table.streams.is_empty());
        let (table, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if !table.streams.is_empty() {
            log::warn!("{} clients are still being answered", table.streams.len());
        }
    }
}

impl Content {
    fn lock(&self) -> MutexGuard<'_, Table> {
        // No change here is left half done by a panic.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is served.
struct Entry {
    content: Arc<Content>,
    number: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.content.lock().streams.remove(&self.number);
        self.content.less.notify_all();
    }
}
