//! `Lock` and `RLock`.
//!
//! ```text
//! word 0   owner: member and thread; 0 when the lock is free
//! word 1   RLOCK: how often the owner has acquired it
//! word 2   process that died with the lock and was not reported yet, plus one; 0 for none
//! ```

use coheld_shm::{Guard, Owner, Referent, Wakes};

use super::wait::{Place, SIGNAL, Turn};
use super::{Acquired, Standing, Wait, standing, wait};
use crate::error::{Result, StoreError};
use crate::kinds::referent as kind;

pub(crate) const OWNER: u64 = 0;
pub(crate) const DEPTH: u64 = 1;
const DIED: u64 = 2;

/// The one thing that is waited for.
pub(super) const PLACE: Place = Place {
    role: 0,
    owned: true,
    invites: true,
};

/// A lock of kind LOCK or RLOCK.
///
/// It belongs to the thread that acquired it. Any thread may release a LOCK, only its owner an
/// RLOCK. When the owner's process dies, the next to acquire gets it and is told.
#[derive(Clone, Copy)]
pub struct Lock<'a> {
    referent: &'a Referent<'a>,
}

/// Who holds a lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LockState {
    /// Process id of the owner; 0 when nobody has the lock.
    pub process: u32,
    /// The owner's thread, as numbered by its process.
    pub thread: u32,
    /// How often the owner has acquired it.
    pub depth: u64,
}

impl<'a> Lock<'a> {
    /// Treats `referent`, of kind `LOCK` or `RLOCK`, as a lock.
    #[inline]
    pub fn new(referent: &'a Referent<'a>) -> Self {
        Self { referent }
    }

    /// Acquires it; `None`: not within the time.
    ///
    /// [`StoreError::OwnerDied`] if its owner died and the manager was told to make that an error:
    /// the lock is free then, and the next call gets it.
    #[inline]
    pub fn acquire(&self, wait: Wait) -> Result<Option<Acquired>> {
        let acquired = self.acquire_and_tell(1, wait)?;
        let tell =
            |acquired: Acquired| acquired.or_error(self.referent.segment(), || self.release());
        acquired.map(tell).transpose()
    }

    /// As `acquire`, but `depth` times at once, which undoes `release_all`; and a process that died
    /// is told of and never an error: who waits for a condition has the lock again afterwards in
    /// any case.
    #[inline]
    pub(super) fn acquire_and_tell(&self, depth: u64, wait: Wait) -> Result<Option<Acquired>> {
        match self.try_once(Turn::first(wait), depth)? {
            None => self.acquire_in_line(wait, depth),
            acquired => Ok(acquired),
        }
    }

    /// Tries to acquire it, once: in the place in line, or as a newcomer who would wait. Otherwise
    /// as [`Self::acquire`]. An RLOCK that the calling thread has already is acquired once more
    /// only with `again`.
    pub fn attempt(
        &self,
        again: bool,
        standing: Option<&mut Standing<'_>>,
    ) -> Result<Option<Acquired>> {
        let acquired = standing::attempt(standing, |turn| {
            if !again && self.referent.kind() == kind::RLOCK && self.is_mine()? {
                return Ok(None);
            }
            self.try_once(turn, 1)
        })?;
        let tell =
            |acquired: Acquired| acquired.or_error(self.referent.segment(), || self.release());
        acquired.map(tell).transpose()
    }

    #[cold]
    fn acquire_in_line(&self, wait: Wait, depth: u64) -> Result<Option<Acquired>> {
        let attempt = |turn: Turn<'_, '_>| self.try_once(turn, depth);
        wait::until(self.referent, wait, PLACE, attempt, || {
            self.free_from_dead().map(drop)
        })
    }

    /// One look; `None` if somebody has it.
    #[inline]
    fn try_once(&self, turn: Turn<'_, '_>, depth: u64) -> Result<Option<Acquired>> {
        // Each time anew: a signal handler may have forked during a sleep.
        let me = self.referent.segment().owner()?;
        let guard = self.referent.lock()?;
        check(&guard)?;
        match Owner::from_word(guard.word(OWNER)) {
            None if turn.has_come(&guard, PLACE.role) => {
                guard.set_word(DEPTH, depth);
                // COMMIT: the owner. CRASH: the lock belongs to the dead; `free_from_dead` by
                // whoever wants it next.
                guard.commit_word(guard.word_cell(OWNER), me.word())?;
                guard.took(turn.waiter, PLACE.role);
                Ok(Some(Acquired::with_report(&guard, DIED)))
            }
            Some(owner) if owner == me && guard.kind() == kind::RLOCK => {
                // COMMIT: once more.
                guard.commit_word(guard.word_cell(DEPTH), guard.word(DEPTH) + depth)?;
                Ok(Some(Acquired { owner_died: None }))
            }
            _ => Ok(None),
        }
    }

    /// Takes the lock away from an owner that is dead; whether it had one. The next to acquire it
    /// is told of the death all the same.
    pub fn free_from_dead(&self) -> Result<bool> {
        let segment = self.referent.segment();
        let owner = Owner::from_word(self.referent.lock()?.word(OWNER));
        let Some(owner) = owner.filter(|&owner| segment.is_gone(owner)) else {
            return Ok(false);
        };
        let process = segment.process_of(owner);
        let mut wakes = Wakes::new(segment);
        let guard = self.referent.lock()?;
        check(&guard)?;
        let is_freed = guard.word(OWNER) == owner.word();
        if is_freed {
            // CRASH: noted, and still owned by the dead: the next in line mends it by calling this.
            guard.set_word(DIED, u64::from(process) + 1);
            // COMMIT: the lock is free.
            guard.commit_word(guard.word_cell(OWNER), 0)?;
            guard.signal_next(PLACE.role, SIGNAL, &mut wakes);
        }
        drop(guard);
        Ok(is_freed)
    }

    /// Releases it once.
    ///
    /// [`StoreError::NotLocked`]: nobody has the LOCK. [`StoreError::NotOwner`]: another thread has
    /// the RLOCK, or nobody.
    #[inline]
    pub fn release(&self) -> Result<()> {
        let mut wakes = Wakes::new(self.referent.segment());
        let guard = self.referent.lock_uninterrupted()?;
        let depth = self.may_release(&guard)?;
        if depth > 1 {
            // COMMIT: once less.
            guard.commit_word(guard.word_cell(DEPTH), depth - 1)?;
        } else {
            let_go(&guard, &mut wakes)?;
        }
        drop(guard);
        Ok(())
    }

    /// Releases it altogether; how often it was acquired.
    pub(super) fn release_all(&self) -> Result<u64> {
        let mut wakes = Wakes::new(self.referent.segment());
        let guard = self.referent.lock_uninterrupted()?;
        let depth = self.may_release(&guard)?;
        let_go(&guard, &mut wakes)?;
        drop(guard);
        Ok(depth)
    }

    /// How often it is acquired, if the calling thread may release it.
    #[inline]
    fn may_release(&self, guard: &Guard<'_>) -> Result<u64> {
        check(guard)?;
        let owner = guard.word(OWNER);
        if guard.kind() == kind::LOCK {
            return if owner == 0 {
                Err(StoreError::NotLocked)
            } else {
                Ok(1)
            };
        }
        if owner == self.referent.segment().owner()?.word() {
            Ok(guard.word(DEPTH))
        } else {
            Err(StoreError::NotOwner)
        }
    }

    /// Whether somebody alive has it.
    pub fn is_locked(&self) -> Result<bool> {
        let owner = self.owner()?;
        Ok(owner.is_some_and(|owner| !self.referent.segment().is_gone(owner)))
    }

    /// RLOCK: whether the calling thread has it. LOCK: whether anybody has it, which is what a
    /// condition of Python asks.
    pub fn is_owned(&self) -> Result<bool> {
        let owner = self.owner()?;
        if self.referent.kind() == kind::RLOCK {
            Ok(owner == Some(self.referent.segment().owner()?))
        } else {
            Ok(owner.is_some())
        }
    }

    /// Whether the calling thread has it, also a LOCK.
    pub fn is_mine(&self) -> Result<bool> {
        Ok(self.owner()? == Some(self.referent.segment().owner()?))
    }

    /// Who has it.
    pub fn state(&self) -> Result<LockState> {
        let (owner, depth) = {
            let guard = self.referent.lock()?;
            check(&guard)?;
            (Owner::from_word(guard.word(OWNER)), guard.word(DEPTH))
        };
        let segment = self.referent.segment();
        Ok(match owner {
            Some(owner) if !segment.is_gone(owner) => LockState {
                process: segment.process_of(owner),
                thread: owner.thread(),
                depth,
            },
            _ => LockState::default(),
        })
    }

    /// Whether somebody has it, alive or dead.
    pub(super) fn is_taken(&self) -> Result<bool> {
        Ok(self.owner()?.is_some())
    }

    fn owner(&self) -> Result<Option<Owner>> {
        let guard = self.referent.lock()?;
        check(&guard)?;
        Ok(Owner::from_word(guard.word(OWNER)))
    }
}

fn let_go(guard: &Guard<'_>, wakes: &mut Wakes<'_>) -> Result<()> {
    // COMMIT: the lock is free. CRASH: nobody is signalled; the first in line looks up by itself.
    guard.commit_word(guard.word_cell(OWNER), 0)?;
    guard.signal_next(PLACE.role, SIGNAL, wakes);
    Ok(())
}

#[inline]
fn check(guard: &Guard<'_>) -> Result<()> {
    match guard.kind() {
        kind::LOCK | kind::RLOCK => Ok(()),
        found => Err(StoreError::WrongKind {
            expected: kind::LOCK,
            found,
        }),
    }
}
