//! `Condition`.
//!
//! ```text
//! root     edge of its lock, a referent of its own
//! word 0   waiters with tickets below this are being notified; 0: none
//! ```

use coheld_shm::{Error, Guard, Lost, Referent, Wakes};

use super::wait::{Departure, Ended, SIGNAL, for_signal, lock_to_wake_all, without_waking};
use super::{Acquired, Lock, Purpose, Semaphore, Standing, Wait};
use crate::error::{Result, StoreError};
use crate::input::Input;
use crate::kinds::referent as kind;
use crate::list::check_kind;
use crate::value::Value;
use crate::word;

const NOTIFIED: u64 = 0;
pub(super) const ROLE: u32 = 0;

/// A condition, of kind CONDITION. Its lock is a referent of its own, which it refers to.
#[derive(Clone, Copy)]
pub struct Condition<'a> {
    referent: &'a Referent<'a>,
}

impl<'a> Condition<'a> {
    /// Treats `referent` as a condition.
    #[inline]
    pub fn new(referent: &'a Referent<'a>) -> Self {
        Self { referent }
    }

    /// Gives a new condition its lock: an edge to a lock or a semaphore
    /// ([`StoreError::WrongKind`] for anything else), which the caller holds.
    pub fn initialize(&self, lock: &Input<'_>) -> Result<()> {
        let Input::Edge(edge) = lock else {
            return Err(StoreError::WrongType);
        };
        let found = self.referent.segment().referent_of_edge(*edge)?.kind();
        if !matches!(
            found,
            kind::LOCK | kind::RLOCK | kind::SEMAPHORE | kind::BOUNDED_SEMAPHORE
        ) {
            let expected = kind::LOCK;
            return Err(StoreError::WrongKind { expected, found });
        }
        Value::of_kind(self.referent, kind::CONDITION).set(lock)
    }

    /// The lock, to be used as [`Lock`] or [`Semaphore`], after its kind. The condition keeps it.
    pub fn lock(&self) -> Result<Referent<'a>> {
        let root = {
            let guard = self.referent.lock()?;
            check_kind(&guard, kind::CONDITION)?;
            guard.root()
        };
        if word::tag_of(root) != word::tag::EDGE {
            return Err(StoreError::Corrupted("a condition has no lock"));
        }
        Ok(self.referent.segment().referent_of_edge(root)?)
    }

    /// Whether nobody can acquire the lock without waiting.
    pub fn is_locked(&self) -> Result<bool> {
        let lock = self.lock()?;
        if is_semaphore(&lock) {
            Ok(Semaphore::new(&lock).value()? == 0)
        } else {
            Lock::new(&lock).is_locked()
        }
    }

    /// Whether the calling thread has the lock; never for a semaphore, which does not know.
    pub fn is_mine(&self) -> Result<bool> {
        let lock = self.lock()?;
        Ok(!is_semaphore(&lock) && Lock::new(&lock).is_mine()?)
    }

    /// Acquires the lock, whatever kind it is.
    pub fn acquire(&self, wait: Wait) -> Result<Option<Acquired>> {
        let lock = self.lock()?;
        if is_semaphore(&lock) {
            Semaphore::new(&lock).acquire(wait)
        } else {
            Lock::new(&lock).acquire(wait)
        }
    }

    /// Releases the lock.
    pub fn release(&self) -> Result<()> {
        let lock = self.lock()?;
        if is_semaphore(&lock) {
            Semaphore::new(&lock).release(1)
        } else {
            Lock::new(&lock).release()
        }
    }

    /// Lets go of the lock, waits for a notification, takes the lock again however long that takes.
    ///
    /// Whether it was notified, and who died with the lock meanwhile. [`StoreError::NotOwner`] when
    /// the lock is not held. After [`Error::Interrupted`] the lock is held again, unless it is an
    /// RLOCK and the second wait, for the lock, was interrupted too.
    pub fn wait(&self, wait: Wait) -> Result<(bool, Acquired)> {
        let lock = self.lock()?;
        check_owned(&lock)?;
        let waiter = self.referent.segment().waiter()?;
        self.referent.lock()?.enqueue(&waiter, ROLE, 0);
        let depth = let_go(&lock)?;
        let at_end = |guard: &Guard<'_>, left: Departure, wakes: &mut Wakes<'_>| {
            if left.failed && left.signal != 0 {
                // It came too late for an interrupted wait.
                hand_over(guard, left.signalled_at, wakes);
            }
            Ok(())
        };
        let (look_up, keep) = (|| Ok(()), |_: &Guard<'_>| false);
        let ended = for_signal(self.referent, &waiter, wait, true, look_up, keep, at_end);
        let signalled = matches!(ended, Ok(Ended::Signalled(_)));
        let taken = take_again(&lock, depth, ended);
        if signalled && !waiter.is_foreign() {
            // CRASH: in line with a notification until here: the sweep gives it to the next.
            let mut wakes = Wakes::new(self.referent.segment());
            let guard = self.referent.lock_uninterrupted()?;
            guard.leave(&waiter);
            if taken.is_err() {
                hand_over(&guard, waiter.signalled_at(), &mut wakes);
            }
            drop(guard);
        }
        taken
    }

    /// Wakes up to `count` waiters. [`StoreError::NotOwner`] when the lock is not held.
    pub fn notify(&self, count: u64) -> Result<()> {
        check_owned(&self.lock()?)?;
        let mut wakes = Wakes::new(self.referent.segment());
        let guard = if count == 1 {
            self.referent.lock_uninterrupted()?
        } else {
            lock_to_wake_all(self.referent, &mut wakes)?
        };
        if count == 1 {
            // COMMIT: the signal.
            guard.signal_first(ROLE, SIGNAL, &mut wakes);
        } else if guard.has_line() {
            // COMMIT: they are notified. CRASH: `mend` signals the rest.
            guard.commit_word(guard.word_cell(NOTIFIED), guard.ticket_behind(ROLE, count))?;
            finish(&guard, &mut wakes);
        }
        drop(guard);
        Ok(())
    }

    /// The first half of [`Self::wait`], for somebody who does not sleep: stands in line and lets
    /// go of the lock. Also how often the lock was acquired.
    ///
    /// He acquires the lock again after the signal, by himself, and leaves the line then; one who
    /// has no use for his signal any more drops the standing, and it goes to the next.
    pub fn stand(&self) -> Result<(Standing<'a>, u64)> {
        let lock = self.lock()?;
        check_owned(&lock)?;
        let standing = Standing::new(self.referent, Purpose::Notification)?;
        let depth = let_go(&lock)?;
        Ok((standing, depth))
    }

    /// How many wait and have not been notified.
    pub fn waiting(&self) -> Result<u64> {
        Ok(self.referent.lock()?.waiting(ROLE))
    }
}

/// Releases the lock altogether; how often it was acquired.
fn let_go(lock: &Referent<'_>) -> Result<u64> {
    if is_semaphore(lock) {
        Semaphore::new(lock).release(1)?;
        return Ok(1);
    }
    Lock::new(lock).release_all()
}

/// Gives a notification that somebody did not come for to the next who waited at that time.
fn hand_over(guard: &Guard<'_>, signalled_at: u64, wakes: &mut Wakes<'_>) {
    guard.signal_first_before(ROLE, SIGNAL, signalled_at, wakes);
}

/// The same for a waiter that died.
pub(crate) fn pass_on(guard: &Guard<'_>, lost: Lost, wakes: &mut Wakes<'_>) {
    if lost.signal != 0 {
        hand_over(guard, lost.signalled_at, wakes);
    }
}

/// Signals those who are notified.
fn finish(guard: &Guard<'_>, wakes: &mut Wakes<'_>) {
    let behind = guard.word(NOTIFIED);
    if behind != 0 {
        guard.signal_before(ROLE, SIGNAL, behind, wakes);
        guard.set_word(NOTIFIED, 0);
    }
}

/// Goes on with what a dead process has begun.
pub(crate) fn mend(guard: &Guard<'_>) {
    without_waking(guard, |wakes| finish(guard, wakes));
}

/// Takes the lock again after a wait that ended in this way, however long that takes.
///
/// Whoever comes back without it would release somebody else's. Only an RLOCK knows its owner, so
/// only for that a second interruption ends this wait as well.
fn take_again(lock: &Referent<'_>, depth: u64, ended: Result<Ended>) -> Result<(bool, Acquired)> {
    let mut outcome = ended;
    loop {
        let acquired = if is_semaphore(lock) {
            Semaphore::new(lock).acquire_and_tell(Wait::Forever)
        } else {
            Lock::new(lock).acquire_and_tell(depth, Wait::Forever)
        };
        match acquired {
            Ok(Some(acquired)) => {
                let notified = matches!(outcome?, Ended::Signalled(_));
                return Ok((notified, acquired));
            }
            Ok(None) => {}
            Err(error @ StoreError::Shm(Error::Interrupted)) => {
                if outcome.is_err() && lock.kind() == kind::RLOCK {
                    return Err(error);
                }
                outcome = Err(error);
            }
            Err(error) => return Err(error),
        }
    }
}

fn is_semaphore(lock: &Referent<'_>) -> bool {
    matches!(lock.kind(), kind::SEMAPHORE | kind::BOUNDED_SEMAPHORE)
}

/// What a condition of Python asks of its lock: an RLOCK has to belong to the thread, anything else
/// has to be taken by anybody.
fn check_owned(lock: &Referent<'_>) -> Result<()> {
    let owned = if is_semaphore(lock) {
        Semaphore::new(lock).value()? == 0
    } else {
        Lock::new(lock).is_owned()?
    };
    if owned {
        Ok(())
    } else {
        Err(StoreError::NotOwner)
    }
}
