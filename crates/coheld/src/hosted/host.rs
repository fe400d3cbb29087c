//! A host: the process that has objects which others call.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use coheld_shm::Referent;
use coheld_store::{Queue, StoreError, kinds};

use super::{HostPlace, Reply, ReplyKind, Request, Serve, local};
use crate::fork::guarded;
use crate::{Attachment, Error, Handle};

const HOSTED: u8 = 16;

/// Where this process has its objects. Ends when dropped.
pub struct Host {
    shared: Arc<Shared>,
}

/// What the threads of a host share.
pub(super) struct Shared {
    attachment: Arc<Attachment>,
    serve: Arc<dyn Serve>,
    place: HostPlace,
    inbox: Mutex<Option<Handle>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    /// Offset and generation of the referents, by number.
    published: BTreeMap<u64, (u64, u32)>,
    stopped: bool,
}

impl Host {
    /// Starts a host. `as_manager` makes it the one that answers for the manager.
    pub fn start(
        attachment: &Arc<Attachment>,
        serve: Arc<dyn Serve>,
        as_manager: bool,
    ) -> Result<Arc<Self>, Error> {
        let segment = attachment.joined()?;
        let tag = segment.own_slot().map_or(0, |slot| slot + 1);
        let inbox = Handle::create(attachment, kinds::referent::QUEUE, Queue::auxiliary(0))?;
        let place = HostPlace {
            inbox: inbox.offset(),
            generation: inbox.generation(),
            tag,
        };
        let shared = Arc::new(Shared {
            attachment: Arc::clone(attachment),
            serve,
            place,
            inbox: Mutex::new(Some(inbox)),
            state: Mutex::default(),
        });
        local::enter(&shared, as_manager);
        Ok(Arc::new(Self { shared }))
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> HostPlace {
        self.shared.place
    }

    /// This process's access to the segment.
    #[must_use]
    pub fn attachment(&self) -> &Arc<Attachment> {
        &self.shared.attachment
    }

    /// A number for an object, which no other one gets.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        guarded(&self.shared.state, |state| {
            state.next += 1;
            state.next
        })
    }

    /// Makes a referent for one more object. The object lives as long as somebody refers to it,
    /// which is at first whoever has the handle; the host itself does not.
    pub fn publish(&self) -> Result<(u64, Handle), Error> {
        let number = self.next_number();
        let handle = Handle::create(&self.shared.attachment, HOSTED, 0)?;
        {
            let referent = handle.referent()?;
            let guard = referent.lock_uninterrupted()?;
            let place = self.shared.place;
            guard.set_word(0, place.inbox);
            guard.set_word(1, u64::from(place.generation) | u64::from(place.tag) << 32);
            guard.set_word(2, number);
        }
        self.enter(number, &handle);
        Ok((number, handle))
    }

    /// Makes a dict or a set, which `handle` refers to, the referent of the object `number`, unless
    /// it has changed since it had this version.
    ///
    /// [`StoreError::Changed`]: it has.
    pub fn adopt(&self, _handle: &Handle, _number: u64, _version: u64) -> Result<(), Error> {
        Err(StoreError::Changed.into())
    }

    /// The objects published and not yet gone: number, offset and generation of the referent.
    #[must_use]
    pub fn published(&self) -> Vec<(u64, u64, u32)> {
        guarded(&self.shared.state, |state| {
            let entries = state.published.iter();
            entries
                .map(|(&number, &(offset, generation))| (number, offset, generation))
                .collect()
        })
    }

    /// Stops it; calls under way fail at their callers. Stopping again does nothing.
    pub fn stop(&self) {
        let first = guarded(&self.shared.state, |state| {
            !std::mem::replace(&mut state.stopped, true)
        });
        if first {
            local::leave(&self.shared.attachment.segment_id(), self.shared.place);
            let inbox = guarded(&self.shared.inbox, Option::take);
            drop(inbox);
        }
    }

    fn enter(&self, number: u64, handle: &Handle) {
        let place = (handle.offset(), handle.generation());
        guarded(&self.shared.state, |state| {
            state.published.insert(number, place)
        });
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    pub(super) fn attachment(&self) -> &Arc<Attachment> {
        &self.attachment
    }

    pub(super) fn place(&self) -> HostPlace {
        self.place
    }

    /// Answers a call on this thread.
    pub(super) fn answer(&self, request: &Request<'_>) -> Reply {
        let answered = catch_unwind(AssertUnwindSafe(|| self.serve.answer(request)));
        answered.unwrap_or_else(|panic| Reply::new(ReplyKind::Traceback, in_words(&*panic)))
    }
}

/// The host and the number of a hosted object.
pub(super) fn place_of(referent: &Referent<'_>) -> Result<(HostPlace, u64), Error> {
    let guard = referent.lock()?;
    if guard.kind() != HOSTED {
        return Err(StoreError::WrongKind {
            expected: HOSTED,
            found: guard.kind(),
        }
        .into());
    }
    let place = HostPlace {
        inbox: guard.word(0),
        generation: guard.word(1) as u32,
        tag: (guard.word(1) >> 32) as u32,
    };
    Ok((place, guard.word(2)))
}

fn in_words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without words");
    format!("the host panicked: {text}\n")
}
