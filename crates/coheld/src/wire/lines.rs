//! The connections of this process to one manager: one for each thread that calls, and one more.
//!
//! The manager has a thread for each connection, so that a lock belongs to the calling thread, and
//! a method may wait for another. The additional connection, the *lifeline*, is there as long as
//! this process refers to anything of the manager; it also carries what nobody waits for.
//!
//! A connection that a thread is using is nobody else's: it is taken out here, and put back when
//! its reply has come. If anything goes wrong in between it is dropped, so a late reply can meet no
//! other request.
//!
//! A forked child has none of them: they are its parent's, and closed before anything else runs.
#![allow(
    clippy::disallowed_types,
    reason = "a counter of this process, not of the segment"
)]

use std::cell::RefCell;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, ThreadId};

use coheld_shm::os::fork::close_in_child;

use super::transport::Line;
use super::{Introduction, SessionId};
use crate::fork::{behind_gate, guarded};
use crate::{Error, key};

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Thread(ThreadId),
    Lifeline,
}

impl Owner {
    pub(super) fn this_thread() -> Self {
        Self::Thread(thread::current().id())
    }
}

/// What a manager is, as far as it has been found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// One of the standard library.
    Stock,
    /// One of Coheld, which has this segment.
    Coheld([u8; 16]),
}

/// The connections to one manager.
pub(super) struct Lines {
    content: Mutex<Content>,
}

struct Content {
    peer: Peer,
    session: SessionId,
    parent: Option<SessionId>,
    idle: Vec<(Owner, Line)>,
    /// What threads are using, by descriptor.
    in_use: Vec<(Owner, RawFd)>,
    /// References that have ended and have not been reported yet: the name of the object, and
    /// whether somebody else may be about to take it over.
    ended: Vec<(String, bool)>,
    /// Whether a thread is reporting them.
    is_reporting: bool,
    /// Whether this process has said goodbye: it ends, and reports nothing any more.
    has_left: bool,
}

/// All of this process, for a child that is forked.
static ALL: Mutex<Vec<Weak<Lines>>> = Mutex::new(Vec::new());

/// How often this process has forked.
static FORKS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Whose connections end with this thread.
    static USED: RefCell<Leaver> = const { RefCell::new(Leaver(Vec::new())) };
}

struct Leaver(Vec<Weak<Lines>>);

impl Drop for Leaver {
    fn drop(&mut self) {
        let owner = Owner::this_thread();
        for lines in self.0.drain(..) {
            if let Some(lines) = lines.upgrade() {
                lines.end(owner);
            }
        }
    }
}

impl Lines {
    pub(super) fn new(peer: Peer, session: SessionId) -> Arc<Self> {
        let lines = Arc::new(Self {
            content: Mutex::new(Content {
                peer,
                session,
                parent: None,
                idle: Vec::new(),
                in_use: Vec::new(),
                ended: Vec::new(),
                is_reporting: false,
                has_left: false,
            }),
        });
        let entry = Arc::downgrade(&lines);
        // Rebuilt outside of the lock: dropping the last weak reference frees memory only.
        guarded(&ALL, |all| {
            all.retain(|lines| lines.strong_count() > 0);
            all.push(entry);
        });
        lines
    }

    pub(super) fn peer(&self) -> Peer {
        guarded(&self.content, |content| content.peer)
    }

    /// Notes which segment the manager has now.
    pub(super) fn set_peer(&self, peer: Peer) {
        guarded(&self.content, |content| {
            content.peer = peer;
            // The next session is one of its own right.
            content.parent = None;
        });
    }

    /// What to tell the manager of this process.
    pub(super) fn introduction(&self) -> Introduction {
        guarded(&self.content, |content| Introduction {
            session: content.session,
            parent: content.parent,
        })
    }

    /// Takes out the connection of `owner`, if it has one.
    pub(super) fn take(&self, owner: Owner) -> Option<Line> {
        guarded(&self.content, |content| {
            let place = content.idle.iter().position(|(other, _)| *other == owner)?;
            let (_, connection) = content.idle.swap_remove(place);
            content.in_use.push((owner, connection.descriptor()));
            Some(connection)
        })
    }

    /// Notes a connection that has just been made for `owner`, who uses it.
    pub(super) fn note(&self, owner: Owner, connection: &Line) {
        let descriptor = connection.descriptor();
        guarded(&self.content, |content| {
            content.in_use.push((owner, descriptor));
        });
    }

    /// Forgets a connection that is of no more use, before it is dropped.
    pub(super) fn forget(&self, connection: &Line) {
        let descriptor = connection.descriptor();
        guarded(&self.content, |content| {
            content.in_use.retain(|(_, other)| *other != descriptor);
        });
    }

    /// Puts a connection back. If the owner has another one by now, it is ended.
    pub(super) fn put_back(self: &Arc<Self>, owner: Owner, connection: Line) {
        if let Owner::Thread(_) = owner {
            self.end_with_thread();
        }
        let descriptor = connection.descriptor();
        let superfluous = guarded(&self.content, |content| {
            content.in_use.retain(|(_, other)| *other != descriptor);
            if content.idle.iter().any(|(other, _)| *other == owner) {
                return Some(connection);
            }
            content.idle.push((owner, connection));
            None
        });
        drop(superfluous);
    }

    fn end_with_thread(self: &Arc<Self>) {
        let noted = USED.try_with(|used| {
            let mut used = used.borrow_mut();
            let this = Arc::downgrade(self);
            if !used.0.iter().any(|other| other.ptr_eq(&this)) {
                used.0.retain(|other| other.strong_count() > 0);
                used.0.push(this);
            }
        });
        if noted.is_err() {
            // The thread is ending: nothing would close the connection.
            self.end(Owner::this_thread());
        }
    }

    fn end(&self, owner: Owner) {
        drop(guarded(&self.content, |content| {
            let place = content.idle.iter().position(|(other, _)| *other == owner)?;
            Some(content.idle.swap_remove(place))
        }));
    }

    /// Notes that a reference has ended. Whether the caller is to report what has.
    pub(super) fn end_reference(&self, ident: String, later: bool) -> bool {
        guarded(&self.content, |content| {
            if content.has_left {
                return false;
            }
            content.ended.push((ident, later));
            !std::mem::replace(&mut content.is_reporting, true)
        })
    }

    /// Notes that this process has said goodbye. Whether it had not before.
    pub(super) fn leave(&self) -> bool {
        guarded(&self.content, |content| {
            !std::mem::replace(&mut content.has_left, true)
        })
    }

    /// What there is to be reported; if that is nothing, the caller does not report any more.
    pub(super) fn take_ended(&self) -> Vec<(String, bool)> {
        guarded(&self.content, |content| {
            let ended = std::mem::take(&mut content.ended);
            content.is_reporting = !ended.is_empty();
            ended
        })
    }
}

/// How often this process has forked. What was there at an earlier number has been inherited.
pub(super) fn forks() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

/// In the parent, after a fork.
pub(crate) fn note_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// In a forked child, behind the gate: all connections are the parent's, and what the child has is
/// for a session of its own to say.
pub(crate) fn forget_inherited() {
    let this_thread = Owner::this_thread();
    let all = behind_gate(&ALL, |all| all.clone());
    for lines in all.iter().filter_map(Weak::upgrade) {
        let closed = behind_gate(&lines.content, |content| {
            // What this thread is using is on its stack, and closed from there.
            for (owner, descriptor) in content.in_use.drain(..) {
                if owner != this_thread {
                    close_in_child(descriptor);
                }
            }
            content.parent = Some(content.session);
            content.session = child_session(content.session);
            content.ended.clear();
            content.is_reporting = false;
            content.has_left = false;
            std::mem::take(&mut content.idle)
        });
        drop(closed);
    }
}

/// A name for the session of a child. Random, or at least another one: the system can refuse.
fn child_session(parent: SessionId) -> SessionId {
    key::random().unwrap_or_else(|_: Error| {
        let number = u128::from_be_bytes(parent).wrapping_add(std::process::id().into());
        number.to_be_bytes()
    })
}

impl core::fmt::Debug for Lines {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        let (idle, in_use) = (content.idle.len(), content.in_use.len());
        write!(formatter, "Lines({idle} idle, {in_use} in use)")
    }
}
