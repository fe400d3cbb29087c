//! The signal of a waiter: the word on which it sleeps.
//!
//! ```text
//! waiter: listen -> (lock) -> look -> (unlock) -> sleep while not signalled -> listen ..
//! waker:            (lock) -> change -> give -> (unlock) -> wake
//! ```
//!
//! A waker whose lock comes first has its change seen by the look. One whose lock comes later gives
//! its signal after the waiter has listened, because the waiter did so before its own lock, and the
//! sleep ends at once. In between there is nothing to be lost. A signal that comes between
//! listening and a look that succeeds was one too many; the waiter finds it under the lock in which
//! it leaves the line, and passes it on.

use crate::sync::{AtomicU32, Ordering};

/// Not signalled.
pub const UNSIGNALLED: u32 = 0;

/// The word of one waiter's signal.
#[derive(Clone, Copy)]
pub(crate) struct Signal<'a>(&'a AtomicU32);

impl<'a> Signal<'a> {
    pub(crate) fn new(word: &'a AtomicU32) -> Self {
        Self(word)
    }

    /// The waiter: forgets a signal, before it looks at what it waits for.
    pub(crate) fn listen(self) {
        // Relaxed: the lock that the caller takes next orders it before its look; whoever signals
        // does so under the same lock.
        self.0.store(UNSIGNALLED, Ordering::Relaxed);
    }

    /// Under the lock: signals the waiter. The waiter itself may do so without the lock: what it
    /// finds when it leaves is its own signal or that of somebody else, and no less.
    pub(crate) fn give(self, signal: u32) {
        // Release: pairs with the Acquire in `get`.
        self.0.store(signal, Ordering::Release);
    }

    /// The signal; [`UNSIGNALLED`] without one.
    pub(crate) fn get(self) -> u32 {
        // Acquire: pairs with the Release in `give`.
        self.0.load(Ordering::Acquire)
    }

    /// Under the lock: the signal.
    pub(crate) fn get_locked(self) -> u32 {
        // Relaxed: given under this lock; and the waiter itself sees what it stored.
        self.0.load(Ordering::Relaxed)
    }

    /// The waiter: sleeps by `wait` unless it is signalled. `wait` is given the value of the word
    /// that means "not signalled".
    pub(crate) fn sleep(self, wait: impl FnOnce(u32)) {
        if self.get() == UNSIGNALLED {
            wait(UNSIGNALLED);
        }
    }
}
