//! The lock word: `0` free, else the owner's tag in bits 0-30 and [`WAITERS`] in bit 31.
//!
//! The same compare-and-swap that takes the lock records its owner, so there is no instruction at
//! which the lock is held by nobody known. A sleeper looks up after a bounded time and asks whether
//! the owner lives; if not, it swaps its own tag in and tells its caller to mend what the dead one
//! left. The bounded sleep also heals wake-ups that died with the process that owed them.

use crate::sync::{AtomicU32, MODEL, Ordering, spin};

/// Somebody may be asleep on the word; the releaser has to wake one.
pub const WAITERS: u32 = 1 << 31;

/// Spins before sleeping. Beyond about 40 a benchmark on two cores shows no gain (a critical
/// section lasts some 100 ns), and a waiter that spins while the owner is off the processor only
/// keeps it off longer.
const SPINS: u32 = if MODEL { 1 } else { 40 };

/// How a contended acquisition ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// The previous owner let go.
    Clean,
    /// The owner with this tag had died; the caller must mend before it trusts anything.
    TakenOver(u32),
}

/// What the algorithm needs from its surroundings.
pub trait Environment {
    /// Sleeps while the word holds `expected`, for some milliseconds at most.
    fn wait(&self, word: &AtomicU32, expected: u32);
    /// Whether the member with this tag is dead.
    fn is_dead(&self, tag: u32) -> bool;
    /// Whether the caller has to give up (a signal handler raised).
    fn interrupted(&self) -> bool;
}

/// Takes a free lock, or fails at once.
#[inline]
pub fn try_acquire(word: &AtomicU32, tag: u32) -> bool {
    // Acquire: pairs with the Release in `release`.
    word.compare_exchange(0, tag, Ordering::Acquire, Ordering::Relaxed)
        .is_ok()
}

/// Lets go; true when somebody has to be woken.
#[inline(always)]
#[must_use]
pub fn release(word: &AtomicU32) -> bool {
    // Release: pairs with the Acquire in `try_acquire` and `acquire`.
    word.swap(0, Ordering::Release) & WAITERS != 0
}

/// Takes the lock, waiting as long as its owner lives. `None`: interrupted, nothing taken.
pub fn acquire(word: &AtomicU32, tag: u32, environment: &impl Environment) -> Option<Acquired> {
    for _ in 0..SPINS {
        let current = word.load(Ordering::Relaxed);
        if current == 0 && try_acquire(word, tag) {
            return Some(Acquired::Clean);
        }
        if current & WAITERS != 0 {
            break;
        }
        spin();
    }
    loop {
        let current = word.load(Ordering::Relaxed);
        if current == 0 {
            // With WAITERS: whoever slept beside us is still recorded nowhere else.
            let taken =
                word.compare_exchange(0, tag | WAITERS, Ordering::Acquire, Ordering::Relaxed);
            if taken.is_ok() {
                return Some(Acquired::Clean);
            }
            continue;
        }
        let marked = current | WAITERS;
        if current != marked
            && word
                .compare_exchange(current, marked, Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
        {
            continue;
        }
        environment.wait(word, marked);
        if environment.interrupted() {
            return None;
        }
        let owner = marked & !WAITERS;
        if word.load(Ordering::Relaxed) == marked && environment.is_dead(owner) {
            // Acquire: everything the dead owner stored happened before its death was noticed.
            let taken =
                word.compare_exchange(marked, tag | WAITERS, Ordering::Acquire, Ordering::Relaxed);
            if taken.is_ok() {
                return Some(Acquired::TakenOver(owner));
            }
        }
    }
}
