//! The wait word: a sequence counter that sleepers watch, and a count of how many do.
//!
//! A boolean would lose the wake-up between "I saw it unset" and "I sleep"; a sequence does not.
//! The count of a killed sleeper is never taken back: it costs a needless wake call and can never
//! cost a lost one.

use crate::sync::{AtomicU32, Ordering};

/// A place to wait for "something changed".
pub struct WaitWord<'a> {
    sequence: &'a AtomicU32,
    sleepers: &'a AtomicU32,
}

impl<'a> WaitWord<'a> {
    /// A wait word over two cells of the segment.
    #[must_use]
    pub fn new(sequence: &'a AtomicU32, sleepers: &'a AtomicU32) -> Self {
        Self { sequence, sleepers }
    }

    /// The sequence to pass to [`Self::sleep`]; read it before looking at what is waited for.
    #[must_use]
    pub fn prepare(&self) -> u32 {
        // AcqRel: pairs with the read-modify-write of `sleepers` in `announce`. Whichever comes
        // second in the order of that cell sees the other: the announcer the count, or the
        // sleeper (by Acquire) the new sequence.
        self.sleepers.fetch_add(1, Ordering::AcqRel);
        self.sequence.load(Ordering::Acquire)
    }

    /// Sleeps once through `wait(sequence)` if nothing was announced since `prepare`.
    pub fn sleep(&self, seen: u32, wait: impl FnOnce(&AtomicU32, u32)) {
        if self.sequence.load(Ordering::Acquire) == seen {
            wait(self.sequence, seen);
        }
    }

    /// Undoes `prepare`.
    pub fn finish(&self) {
        // A count that a recovery has reset must not wrap below zero.
        let mut count = self.sleepers.load(Ordering::Relaxed);
        while count > 0 {
            match self.sleepers.compare_exchange(
                count,
                count - 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => count = now,
            }
        }
    }

    /// Announces a change; true when somebody may be asleep and has to be woken.
    #[must_use]
    pub fn announce(&self) -> bool {
        self.sequence.fetch_add(1, Ordering::Release);
        // AcqRel: pairs with `prepare`. A plain load could pass the increment above.
        self.sleepers.fetch_add(0, Ordering::AcqRel) != 0
    }
}
