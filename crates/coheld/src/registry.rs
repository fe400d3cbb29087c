//! The segments that this process is attached to, each exactly once.
//!
//! Two descriptors of one memory file in one process would be a trap: closing either of them drops
//! the record lock by which others know that the process lives. So whoever wants to attach to a
//! segment asks here first, and an entry stays until its descriptor is closed for good.
#![allow(
    clippy::disallowed_types,
    reason = "a counter of this process, not of the segment"
)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use coheld_shm::Segment;

use crate::fork::{behind_gate, guarded};
use crate::{Address, Attachment, Error, host};

/// How long to sleep before looking at an entry again that another thread is changing.
const NAP: Duration = Duration::from_micros(200);

static REGISTRY: Mutex<BTreeMap<[u8; 16], Entry>> = Mutex::new(BTreeMap::new());
static NEXT_NUMBER: AtomicU64 = AtomicU64::new(0);

struct Entry {
    /// Tells this entry from earlier ones of the same segment.
    number: u64,
    state: State,
}

enum State {
    /// A thread is attaching.
    Opening,
    /// Attached. If both are gone, a thread is about to close the descriptor.
    Open {
        attachment: Weak<Attachment>,
        segment: Weak<Segment>,
    },
}

/// The right to attach to a segment. Given up when dropped.
pub(crate) struct Ticket {
    id: [u8; 16],
    number: u64,
}

/// Removes the entry of a segment; dropped when its descriptor is closed.
pub(crate) struct Companion {
    id: [u8; 16],
    number: u64,
}

/// Whether this process has to attach, or is attached.
pub(crate) enum Access {
    /// It has to.
    Attach(Ticket),
    /// It is.
    Attached(Arc<Attachment>),
}

/// This process's attachment to a segment, if it has one.
pub(crate) fn find(id: &[u8; 16]) -> Option<Arc<Attachment>> {
    guarded(&REGISTRY, |registry| match &registry.get(id)?.state {
        State::Open { attachment, .. } => attachment.upgrade(),
        State::Opening => None,
    })
}

/// Asks for access to a segment; waits for a thread that is attaching or detaching.
pub(crate) fn access(
    id: [u8; 16],
    address: &Address,
    authkey: &[u8],
    deadline: Instant,
) -> Result<Access, Error> {
    enum Seen {
        Attached(Arc<Attachment>),
        Mapped(Arc<Segment>),
        Changing,
        Free(Ticket),
    }
    loop {
        let seen = guarded(&REGISTRY, |registry| match registry.get(&id) {
            None => {
                let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
                registry.insert(
                    id,
                    Entry {
                        number,
                        state: State::Opening,
                    },
                );
                Seen::Free(Ticket { id, number })
            }
            Some(Entry {
                state: State::Opening,
                ..
            }) => Seen::Changing,
            Some(Entry {
                state:
                    State::Open {
                        attachment,
                        segment,
                    },
                ..
            }) => match (attachment.upgrade(), segment.upgrade()) {
                (Some(attachment), _) => Seen::Attached(attachment),
                (None, Some(segment)) => Seen::Mapped(segment),
                (None, None) => Seen::Changing,
            },
        });
        match seen {
            Seen::Attached(attachment) => return Ok(Access::Attached(attachment)),
            Seen::Free(ticket) => return Ok(Access::Attach(ticket)),
            Seen::Mapped(segment) => {
                // Every handle is gone, but somebody still has the mapping.
                let made = Attachment::over(segment, address.clone(), authkey.to_vec());
                return Ok(Access::Attached(replace_attachment(&id, &made)));
            }
            Seen::Changing if Instant::now() >= deadline => {
                return Err(Error::TimedOut {
                    address: address.clone(),
                });
            }
            Seen::Changing => host::pause(NAP),
        }
    }
}

/// Enters a new attachment to a segment that is mapped already, unless another thread was faster.
fn replace_attachment(id: &[u8; 16], made: &Arc<Attachment>) -> Arc<Attachment> {
    guarded(&REGISTRY, |registry| {
        if let Some(Entry {
            state: State::Open { attachment, .. },
            ..
        }) = registry.get_mut(id)
        {
            if let Some(faster) = attachment.upgrade() {
                return faster;
            }
            *attachment = Arc::downgrade(made);
        }
        Arc::clone(made)
    })
}

impl Ticket {
    /// What has to be dropped when the descriptor is closed.
    pub(crate) fn companion(&self) -> Companion {
        Companion {
            id: self.id,
            number: self.number,
        }
    }

    /// Enters the attachment.
    pub(crate) fn enter(self, attachment: &Arc<Attachment>) {
        let segment = Arc::downgrade(attachment.segment());
        let attachment = Arc::downgrade(attachment);
        guarded(&REGISTRY, |registry| {
            if let Some(entry) = registry.get_mut(&self.id)
                && entry.number == self.number
            {
                entry.state = State::Open {
                    attachment,
                    segment,
                };
            }
        });
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        remove(&self.id, self.number, |state| {
            matches!(state, State::Opening)
        });
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        remove(&self.id, self.number, |_| true);
    }
}

fn remove(id: &[u8; 16], number: u64, condition: impl FnOnce(&State) -> bool) {
    guarded(&REGISTRY, |registry| {
        let entry = registry.get(id);
        if entry.is_some_and(|entry| entry.number == number && condition(&entry.state)) {
            registry.remove(id);
        }
    });
}

/// Every attachment.
pub(crate) fn all() -> Vec<Arc<Attachment>> {
    guarded(&REGISTRY, |registry| open(registry))
}

/// As `all`, during a fork.
pub(crate) fn all_behind_gate() -> Vec<Arc<Attachment>> {
    behind_gate(&REGISTRY, |registry| open(registry))
}

fn open(registry: &BTreeMap<[u8; 16], Entry>) -> Vec<Arc<Attachment>> {
    let states = registry.values().map(|entry| &entry.state);
    let open = states.filter_map(|state| match state {
        State::Open { attachment, .. } => attachment.upgrade(),
        State::Opening => None,
    });
    open.collect()
}

/// In a forked child: the threads that were attaching or detaching are not here.
pub(crate) fn forget_unfinished_behind_gate() {
    behind_gate(&REGISTRY, |registry| {
        registry.retain(|_, entry| match &entry.state {
            State::Opening => false,
            State::Open {
                attachment,
                segment,
            } => attachment.strong_count() + segment.strong_count() > 0,
        });
    });
}
