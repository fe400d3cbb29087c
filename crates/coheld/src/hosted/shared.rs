//! What the threads of a host share: which objects and which channels there are.
#![allow(
    clippy::disallowed_types,
    reason = "what a thread of this process does, not something of the segment"
)]

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use coheld_shm::HostPlace;
use coheld_store::{Channel, Queue};

use super::dropping::{self, Dropping};
use super::{Reply, ReplyKind, Request, Serve, local};
use crate::fork::guarded;
use crate::handle::is_there;
use crate::{Attachment, Error, Handle, host};

/// A host, as its threads see it.
pub(super) struct Shared {
    attachment: Arc<Attachment>,
    serve: Arc<dyn Serve>,
    place: HostPlace,
    state: Mutex<State>,
    dropping: Dropping,
}

struct State {
    /// The host's hold of its inbox; none once it is stopped.
    inbox: Option<Handle>,
    /// Numbers given out; none is given out twice.
    numbers: u64,
    /// Offset and generation of the referents, by the number of their object.
    published: BTreeMap<u64, (u64, u32)>,
    workers: BTreeMap<u64, Worker>,
    /// Workers so far.
    started: u64,
    /// Whether the thread that looks after the inbox has not ended.
    is_kept: bool,
}

/// A thread that answers the calls of one channel.
#[derive(Clone)]
pub(super) struct Worker {
    /// Place of the channel.
    pub(super) offset: u64,
    /// Which one of that place.
    pub(super) generation: u32,
    /// The member at the other end.
    pub(super) caller: u32,
    /// Whether it is in a call.
    is_busy: Arc<AtomicBool>,
}

/// The entry of a worker, removed when it ends.
pub(super) struct Entry {
    host: Arc<Shared>,
    number: u64,
    is_busy: Arc<AtomicBool>,
}

impl Shared {
    pub(super) fn new(
        attachment: &Arc<Attachment>,
        serve: Arc<dyn Serve>,
        place: HostPlace,
        inbox: Handle,
    ) -> Self {
        let state = State {
            inbox: Some(inbox),
            numbers: 0,
            published: BTreeMap::new(),
            workers: BTreeMap::new(),
            started: 0,
            is_kept: true,
        };
        Self {
            attachment: Arc::clone(attachment),
            serve,
            place,
            state: Mutex::new(state),
            dropping: Dropping::default(),
        }
    }

    pub(super) fn attachment(&self) -> &Arc<Attachment> {
        &self.attachment
    }

    pub(super) fn place(&self) -> HostPlace {
        self.place
    }

    pub(super) fn serve(&self) -> &dyn Serve {
        &*self.serve
    }

    pub(super) fn dropping(&self) -> &Dropping {
        &self.dropping
    }

    /// Whether this process is the host, not a child that it has forked.
    pub(super) fn is_own(&self) -> bool {
        self.attachment.segment().is_own(self.place.tag)
    }

    pub(super) fn is_stopped(&self) -> bool {
        guarded(&self.state, |state| state.inbox.is_none())
    }

    pub(super) fn next_number(&self) -> u64 {
        guarded(&self.state, |state| {
            state.numbers += 1;
            state.numbers
        })
    }

    /// Notes which referent an object has.
    pub(super) fn enter(&self, number: u64, handle: &Handle) -> Result<(), Error> {
        let place = (handle.offset(), handle.generation());
        let is_entered = guarded(&self.state, |state| {
            let is_running = state.inbox.is_some();
            if is_running {
                state.published.insert(number, place);
            }
            is_running
        });
        if is_entered && self.is_own() {
            return Ok(());
        }
        Err(Error::Refused {
            reason: "this host has been stopped, or belongs to the parent of this process".into(),
        })
    }

    /// Number, offset and generation of the referents of all objects.
    pub(super) fn published(&self) -> Vec<(u64, u64, u32)> {
        guarded(&self.state, |state| {
            let entries = state.published.iter();
            let flat = entries.map(|(&number, &(offset, generation))| (number, offset, generation));
            flat.collect()
        })
    }

    /// Forgets those of these objects whose referents are gone, and has them dropped.
    pub(super) fn release_gone(&self, candidates: &[(u64, u64, u32)]) {
        let segment = self.attachment.segment();
        let gone: Vec<u64> = candidates
            .iter()
            .filter(|(_, offset, generation)| !is_there(segment, *offset, *generation))
            .map(|(number, ..)| *number)
            .collect();
        if gone.is_empty() {
            return;
        }
        let released: Vec<u64> = guarded(&self.state, |state| {
            let known = gone.into_iter();
            known
                .filter(|number| state.published.remove(number).is_some())
                .collect()
        });
        self.dropping.push(released);
    }

    /// The same for one object.
    pub(super) fn release_if_gone(&self, number: u64) {
        let found = guarded(&self.state, |state| state.published.get(&number).copied());
        if let Some((offset, generation)) = found {
            self.release_gone(&[(number, offset, generation)]);
        }
    }

    /// Drops an object on this thread.
    pub(super) fn drop_object(&self, number: u64) {
        let ended = catch_unwind(AssertUnwindSafe(|| self.serve.released(number)));
        if let Err(panic) = ended {
            log::warn!("an object without references: {}", in_words(&*panic));
        }
    }

    /// Answers a call of another process on this thread.
    pub(super) fn answer(&self, request: &Request<'_>) -> Reply {
        answered(|| self.serve.answer(request))
    }

    /// Answers a call of this thread.
    pub(super) fn answer_here(&self, request: &Request<'_>) -> Reply {
        answered(|| self.serve.answer_here(request))
    }

    /// Enters a worker for the channel of `handle`; `None` if the host is stopped.
    pub(super) fn employ(self: &Arc<Self>, handle: &Handle, caller: u32) -> Option<Entry> {
        let is_busy = Arc::new(AtomicBool::new(false));
        let worker = Worker {
            offset: handle.offset(),
            generation: handle.generation(),
            caller,
            is_busy: Arc::clone(&is_busy),
        };
        let number = guarded(&self.state, |state| {
            state.inbox.as_ref()?;
            state.started += 1;
            state.workers.insert(state.started, worker);
            Some(state.started)
        })?;
        Some(Entry {
            host: Arc::clone(self),
            number,
            is_busy,
        })
    }

    /// All workers.
    pub(super) fn workers(&self) -> Vec<Worker> {
        guarded(&self.state, |state| {
            state.workers.values().cloned().collect()
        })
    }

    /// Closes a channel; its worker ends when it sees that.
    ///
    /// Closing is two stores. The first one may end the worker, and the last hold of the channel
    /// with it, so another one is taken: the second store must not hit what comes after.
    pub(super) fn close(&self, worker: &Worker) {
        let channel = Handle::acquire(&self.attachment, worker.offset, worker.generation);
        let closed = channel.and_then(|channel| {
            let referent = channel.referent()?;
            Ok(Channel::open(&referent)?.close()?)
        });
        if let Err(error) = closed {
            log::debug!("a channel is gone already: {error}");
        }
    }

    /// Notes that the thread that looks after the inbox ends.
    pub(super) fn keeper_ends(&self) {
        guarded(&self.state, |state| state.is_kept = false);
    }

    /// Closes the inbox and all channels, and has all objects dropped; whether that was still to
    /// be done.
    pub(super) fn stop(self: &Arc<Self>) -> bool {
        if !self.is_own() {
            return false;
        }
        let stopped = guarded(&self.state, |state| {
            let inbox = state.inbox.take()?;
            Some((inbox, std::mem::take(&mut state.published)))
        });
        let Some((inbox, published)) = stopped else {
            return false;
        };
        local::leave(&self.attachment.segment_id(), self.place);
        // The items are edges of channels that nobody will answer.
        let closed = inbox.referent().and_then(|inbox| {
            host::uninterrupted(|| Queue::new(&inbox).shut_down(true))?;
            Ok(())
        });
        if let Err(error) = closed {
            log::warn!("the inbox of a host could not be closed: {error}");
        }
        for worker in self.workers() {
            self.close(&worker);
        }
        self.dropping.push(published.into_keys());
        self.dropping.finish();
        true
    }

    /// Whether threads that have nothing to do any more, or little, have not ended yet.
    pub(super) fn is_winding_up(self: &Arc<Self>) -> bool {
        if let Err(error) = dropping::tend(self) {
            log::debug!("objects are dropped by the thread that stops their host: {error}");
            for number in self.dropping.take() {
                self.drop_object(number);
            }
        }
        let is_winding_up = guarded(&self.state, |state| {
            let is_idle = |worker: &Worker| !worker.is_busy.load(Ordering::Relaxed);
            state.is_kept || state.workers.values().any(is_idle)
        });
        is_winding_up || self.dropping.is_winding_up()
    }
}

impl Entry {
    pub(super) fn host(&self) -> &Arc<Shared> {
        &self.host
    }

    /// Answers a call, which is what makes a worker busy.
    pub(super) fn answer(&self, request: &Request<'_>) -> Reply {
        // Relaxed: stopping looks again and again.
        self.is_busy.store(true, Ordering::Relaxed);
        let reply = self.host.answer(request);
        self.is_busy.store(false, Ordering::Relaxed);
        reply
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        guarded(&self.host.state, |state| state.workers.remove(&self.number));
    }
}

/// The reply, which is the panic if there is one.
fn answered(answer: impl FnOnce() -> Reply) -> Reply {
    catch_unwind(AssertUnwindSafe(answer))
        .unwrap_or_else(|panic| Reply::new(ReplyKind::Traceback, in_words(&*panic)))
}

/// What a panic said.
fn in_words(panic: &(dyn Any + Send)) -> String {
    format!("the host panicked: {}\n", text_of_panic(panic))
}

/// The text that a panic came with.
pub(crate) fn text_of_panic(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a word")
}
