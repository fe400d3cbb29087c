//! Wake-ups that are owed, to be paid after the lock is released.

use crate::{Error, Segment};

/// Cells signalled under a lock, to be woken when this is dropped: declare it before the guard.
pub struct Wakes<'s> {
    segment: &'s Segment,
    few: [u64; 2],
    count: usize,
    many: Vec<u64>,
}

impl<'s> Wakes<'s> {
    /// None yet; room for two without allocating.
    #[inline]
    pub fn new(segment: &'s Segment) -> Self {
        Self {
            segment,
            few: [0; 2],
            count: 0,
            many: Vec::new(),
        }
    }

    /// How many more there is room for.
    pub fn room(&self) -> u64 {
        (self.few.len() - self.count + self.many.capacity() - self.many.len()) as u64
    }

    /// Makes room for `count` more; never under a lock.
    pub fn reserve(&mut self, count: u64) -> Result<(), Error> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.many
            .try_reserve(count)
            .map_err(|_| Error::PrivateMemory {
                bytes: (count as u64).saturating_mul(8),
            })
    }

    /// Owes a wake-up. Without room it is not owed: the waiter looks up by itself, later.
    pub(super) fn add(&mut self, at: u64) {
        if self.count > 0 && self.few[self.count - 1] == at {
            // A bell that is rung for several waiters in a row.
            return;
        }
        if self.count < self.few.len() {
            self.few[self.count] = at;
            self.count += 1;
        } else if self.many.len() < self.many.capacity() {
            self.many.push(at);
        }
    }
}

impl Drop for Wakes<'_> {
    #[inline]
    fn drop(&mut self) {
        for &at in self.few[..self.count].iter().chain(&self.many) {
            self.segment.backing.wake(at, 1);
        }
    }
}
