//! A place in line that nobody sleeps on.
//!
//! A blocking operation is: try, stand in line, and then try and sleep in turns. [`Standing`] is
//! that loop taken apart, for programs in which one thread waits for many things: it keeps the
//! place, tries once with the rights of it, and gives it up. The loop itself is made of it
//! (`super::wait`). When to try is told by the bell of the process, whose listener looks at what
//! [`Standing::watched`] returns.
//!
//! Nothing is taken but by a try. So a program that stops waiting at any moment loses nothing: it
//! drops the standing, and a signal that it has had goes to the next in line.

use std::time::Duration;

use coheld_shm::{Error, Guard, Referent, Sign, Waiter, Wakes};

use super::wait::{self, Place, SIGNAL, Turn};
use super::{Wait, barrier, condition, event, lock, semaphore};
use crate::error::{Result, StoreError};
use crate::kinds::referent as kind;
use crate::queue;

/// What somebody stands in line for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// An item of a queue.
    Get,
    /// Room in a queue.
    Put,
    /// That all items of a queue are done.
    Join,
    /// A lock, or a permit of a semaphore.
    Acquire,
    /// That an event is set.
    Event,
    /// The notification of a condition.
    Notification,
    /// The other parties of a barrier.
    Party,
    /// The end of the action of those who came to a barrier before.
    Entry,
}

impl Purpose {
    fn place(self) -> Place {
        match self {
            Self::Get => queue::GETTER,
            Self::Put => queue::PUTTER,
            Self::Join => queue::JOINER,
            Self::Acquire => lock::PLACE,
            Self::Event => Place::told(event::ROLE),
            Self::Notification => Place::told(condition::ROLE),
            Self::Party => Place::told(barrier::PARTY),
            Self::Entry => Place::told(barrier::ENTRANT),
        }
    }

    /// Whether somebody can stand in line of a referent of this kind for it.
    fn suits(self, found: u8) -> bool {
        match self {
            Self::Get | Self::Put | Self::Join => {
                matches!(found, kind::QUEUE | kind::JOINABLE_QUEUE)
            }
            Self::Acquire => matches!(
                found,
                kind::LOCK | kind::RLOCK | kind::SEMAPHORE | kind::BOUNDED_SEMAPHORE
            ),
            Self::Event => found == kind::EVENT,
            Self::Notification => found == kind::CONDITION,
            Self::Party | Self::Entry => found == kind::BARRIER,
        }
    }
}

// Locks and semaphores have one role each, and it is the same.
const _: () = assert!(lock::PLACE.role == semaphore::PLACE.role);

/// A place in the line of a referent. Dropped, it is given up, and its signal passed on.
pub struct Standing<'s> {
    referent: Referent<'s>,
    place: Place,
    waiter: Waiter<'s>,
    /// Whether the next try is for what is there only if it is this one's turn.
    polite: bool,
}

impl<'s> Standing<'s> {
    /// Stands at the end of the line, for a thread that sleeps on its own signal.
    pub(super) fn of_sleeper(referent: &Referent<'s>, place: Place) -> Result<Self> {
        let waiter = referent.segment().waiter()?;
        referent.lock()?.enqueue(&waiter, place.role, 0);
        Ok(Self::of(referent, place, waiter))
    }

    /// Stands at the end of the line; signals ring the bell of the process.
    ///
    /// What is waited for may have come before: the caller tries once more.
    /// [`StoreError::WrongKind`] if nobody waits for that there.
    pub fn new(referent: &Referent<'s>, purpose: Purpose) -> Result<Self> {
        let waiter = referent.segment().waiter()?.with_bell();
        let place = purpose.place();
        let guard = referent.lock()?;
        let found = guard.kind();
        if !purpose.suits(found) {
            let expected = kind::QUEUE;
            return Err(StoreError::WrongKind { expected, found });
        }
        guard.enqueue(&waiter, place.role, 0);
        drop(guard);
        Ok(Self::of(referent, place, waiter))
    }

    /// The place of a waiter that stands in line already.
    pub(super) fn of(referent: &Referent<'s>, place: Place, waiter: Waiter<'s>) -> Self {
        Self {
            referent: *referent,
            place,
            waiter,
            polite: true,
        }
    }

    /// Whose place it is.
    pub(super) fn waiter(&self) -> &Waiter<'s> {
        &self.waiter
    }

    /// Whether it belongs to the process that this one was forked from: then it is of no use here.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.waiter.is_foreign()
    }

    /// The signal; 0 without one.
    pub(super) fn signal(&self) -> u32 {
        self.waiter.signal()
    }

    /// What the kind of the referent keeps with it.
    pub(super) fn payload(&self) -> u64 {
        self.waiter.payload()
    }

    pub(super) fn role(&self) -> u32 {
        self.place.role
    }

    /// Whether it was signalled since the last try.
    #[must_use]
    pub fn is_signalled(&self) -> bool {
        self.waiter.signal() != 0
    }

    /// After a sleep of `patience` that nobody ended: takes the dead out of line, and has the next
    /// try take what is there although others come first. The next patience.
    pub(super) fn look_around(&mut self, patience: Duration) -> Result<Duration> {
        self.referent.sweep_line()?;
        self.insist();
        self.watched().next_patience(patience)
    }

    /// Has the next try take what is there although others may come first: they may be stopped.
    pub fn insist(&mut self) {
        self.polite = false;
    }

    /// Tries with the rights of the place. A signal that came before is used up by it; one that
    /// comes afterwards, or that says that there is more, stands until the next try.
    pub(crate) fn attempt<T>(
        &mut self,
        attempt: impl FnOnce(Turn<'_, '_>) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        self.waiter.listen();
        // The first attempt in line sees what happened before the waiter stood there.
        let turn = Turn {
            waiter: Some(&self.waiter),
            polite: std::mem::replace(&mut self.polite, true),
        };
        // A signal that came before an attempt that failed was for whoever can make one.
        attempt(turn).inspect_err(|_| self.waiter.hand_on(SIGNAL))
    }

    /// Goes to the end of the line, so that others have their turn. A signal goes to the next,
    /// which is this one again if nobody else waits without one.
    pub fn rotate(&mut self) -> Result<()> {
        let mut wakes = Wakes::new(self.referent.segment());
        let guard = self.referent.lock_uninterrupted()?;
        // CRASH: out of line with a signal that nobody has: the others look up by themselves.
        let signal = guard.leave(&self.waiter);
        guard.enqueue(&self.waiter, self.place.role, 0);
        self.pass_on(&guard, signal, &mut wakes);
        drop(guard);
        Ok(())
    }

    /// Leaves the line; a signal that came after the last try is for somebody else.
    pub fn leave(&self) -> Result<()> {
        let mut wakes = Wakes::new(self.referent.segment());
        let guard = self.referent.lock_uninterrupted()?;
        let signal = guard.leave(&self.waiter);
        self.pass_on(&guard, signal, &mut wakes);
        drop(guard);
        Ok(())
    }

    fn pass_on(&self, guard: &Guard<'_>, signal: u32, wakes: &mut Wakes<'_>) {
        // Elsewhere a signal is an answer, and not to be had by somebody else.
        if signal != 0 && self.place.invites {
            guard.signal_first(self.place.role, SIGNAL, wakes);
        }
    }

    /// What the listener of the bell is to look at.
    #[must_use]
    pub fn watched(&self) -> Watched<'s> {
        Watched {
            referent: self.referent,
            place: self.place,
            sign: self.waiter.sign(),
        }
    }
}

/// A standing as the thread sees it that listens to the bell of the process.
///
/// It may have been given up already, and its place may be that of somebody else: then what this
/// says is meaningless and does no harm.
#[derive(Clone, Copy)]
pub struct Watched<'s> {
    referent: Referent<'s>,
    place: Place,
    sign: Sign<'s>,
}

impl<'s> Watched<'s> {
    /// Whether it was signalled.
    #[must_use]
    pub fn is_signalled(&self) -> bool {
        self.sign.is_given()
    }

    /// What it waits at.
    #[must_use]
    pub fn referent(&self) -> Referent<'s> {
        self.referent
    }

    /// Sees to what nobody would be told of: that the owner of what it waits for has died. Whether
    /// a try may succeed.
    pub fn look_up(&self) -> Result<bool> {
        let guard = self.referent.lock()?;
        let (found, role) = (guard.kind(), self.place.role);
        match found {
            kind::QUEUE | kind::JOINABLE_QUEUE => queue::may_succeed(&guard, role),
            kind::LOCK | kind::RLOCK => {
                drop(guard);
                let lock = super::Lock::new(&self.referent);
                lock.free_from_dead()?;
                Ok(!lock.is_taken()?)
            }
            kind::SEMAPHORE | kind::BOUNDED_SEMAPHORE => {
                drop(guard);
                let semaphore = super::Semaphore::new(&self.referent);
                semaphore.free_from_dead()?;
                Ok(semaphore.value()? > 0)
            }
            kind::BARRIER => {
                drop(guard);
                super::Barrier::new(&self.referent).look_after_actor()?;
                Ok(self.is_signalled())
            }
            // Their signal is the answer.
            _ => Ok(self.is_signalled()),
        }
    }

    /// How long to wait until the next look, after one at the end of `patience`.
    pub fn next_patience(&self, patience: Duration) -> Result<Duration> {
        let in_front = self
            .referent
            .lock()?
            .is_in_front(self.sign, self.place.role);
        Ok(wait::next_patience(patience, in_front, self.place.owned))
    }
}

/// Tries with the rights of a place in line, or as a newcomer who would wait.
#[inline]
pub(crate) fn attempt<T>(
    standing: Option<&mut Standing<'_>>,
    attempt: impl FnOnce(Turn<'_, '_>) -> Result<Option<T>>,
) -> Result<Option<T>> {
    match standing {
        None => attempt(Turn::first(Wait::Forever)),
        // The rest is the parent's.
        Some(standing) if standing.is_foreign() => Err(StoreError::Shm(Error::Forked)),
        Some(standing) => standing.attempt(attempt),
    }
}
