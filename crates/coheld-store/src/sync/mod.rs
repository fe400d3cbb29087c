//! What processes wait for: locks, semaphores, events, conditions and barriers.
//!
//! Each is a few words in its referent's header, changed under the referent's lock; whoever has to
//! wait stands in the referent's line (see `coheld_shm::line`).

mod barrier;
mod companion;
mod condition;
mod event;
mod lock;
mod root;
mod semaphore;
pub(crate) mod wait;

use coheld_shm::{Guard, Lost, Wakes};

use crate::kinds::referent as kind;

pub use self::{
    barrier::{Barrier, Passage},
    companion::companion,
    condition::Condition,
    event::Event,
    lock::{Lock, LockState},
    semaphore::Semaphore,
    wait::Wait,
};

/// Bit of `coheld_shm::Options::flags`: to acquire what a dead process held is the error
/// [`StoreError::OwnerDied`](crate::StoreError::OwnerDied), once, instead of a remark.
pub const OWNER_DEATH_IS_AN_ERROR: u32 = 1;

/// A lock or a permit that was acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "whoever acquires has to release, and should hear of an owner that died"]
pub struct Acquired {
    /// The process that died while it held what was acquired; 0 when its number is not known.
    pub owner_died: Option<u32>,
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
