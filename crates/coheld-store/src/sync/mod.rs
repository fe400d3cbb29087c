//! What processes wait for: locks, semaphores, events, conditions and barriers.
//!
//! Each is a few words in its referent's header, changed under the referent's lock; whoever has to
//! wait stands in the referent's line (see `coheld_shm::line`).

mod barrier;
mod companion;
mod condition;
mod event;
pub(crate) mod lock;
pub(crate) mod semaphore;
pub(crate) mod standing;
pub(crate) mod wait;

use coheld_shm::{Guard, Lost, Segment, Wakes};

use crate::error::{Result, StoreError};
use crate::kinds::referent as kind;

pub use self::{
    barrier::{Arrived, Barrier, Passage},
    companion::companion,
    condition::Condition,
    event::Event,
    lock::{Lock, LockState},
    semaphore::Semaphore,
    standing::{Purpose, Standing, Watched},
    wait::Wait,
};

/// Bit of `coheld_shm::Options::flags`: to acquire what a dead process held is the error
/// [`StoreError::OwnerDied`], once, instead of a remark.
pub const OWNER_DEATH_IS_AN_ERROR: u32 = 1;

/// A lock or a permit that was acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "whoever acquires has to release, and should hear of an owner that died"]
pub struct Acquired {
    /// The process that died while it held what was acquired; 0 when its number is not known.
    pub owner_died: Option<u32>,
}

impl Acquired {
    /// To whoever acquires, under the lock, what one word of the referent says: the process that
    /// died and was not reported yet, plus one; 0 for none. It is reported once.
    #[inline]
    fn with_report(guard: &Guard<'_>, word: u64) -> Self {
        let died = guard.word(word);
        if died != 0 {
            guard.set_word(word, 0);
        }
        Self {
            owner_died: died.checked_sub(1).map(|process| process as u32),
        }
    }

    /// Itself; or, where a death is an error, that error, once `release` has given back what was
    /// acquired.
    #[inline]
    fn or_error(self, segment: &Segment, release: impl FnOnce() -> Result<()>) -> Result<Self> {
        match self.owner_died {
            Some(process) if segment.flags() & OWNER_DEATH_IS_AN_ERROR != 0 => {
                release()?;
                Err(StoreError::OwnerDied { process })
            }
            _ => Ok(self),
        }
    }
}

/// Mends what a dead process may have left half done; see `crate::MENDER`.
pub(crate) fn mend(guard: &Guard<'_>) {
    match guard.kind() {
        kind::SEMAPHORE | kind::BOUNDED_SEMAPHORE => semaphore::mend(guard),
        kind::EVENT => event::mend(guard),
        kind::CONDITION => condition::mend(guard),
        kind::BARRIER => barrier::mend(guard),
        _ => {}
    }
}

/// Gives what a lost waiter was to have to the next in line.
pub(crate) fn pass_on(guard: &Guard<'_>, lost: Lost, wakes: &mut Wakes<'_>) {
    match guard.kind() {
        kind::BARRIER => barrier::pass_on(guard, lost, wakes),
        // Everybody has been signalled.
        kind::EVENT => {}
        kind::CONDITION => condition::pass_on(guard, lost, wakes),
        _ if lost.signal != 0 => guard.signal_first(lost.role, lost.signal, wakes),
        _ => {}
    }
}
