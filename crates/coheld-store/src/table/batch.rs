//! Words that an operation owns in bulk, when there are too many for the entries of its lane.

use coheld_shm::{Fate, Operation, Segment};

use crate::block;
use crate::error::{Result, StoreError};
use crate::kinds;
use crate::word;

/// A block of words. A *nursery* holds new words until the commit hands them to the structure; a
/// *grave* holds the words that the commit takes out of it.
#[derive(Clone, Copy)]
pub(crate) struct Batch<'s> {
    segment: &'s Segment,
    first: u64,
    count: u64,
    next: u64,
}

impl<'s> Batch<'s> {
    /// Room for new words: all released if the operation is given up.
    pub(crate) fn nursery(operation: &mut Operation<'s>, count: u64) -> Result<Self> {
        Self::allocate(operation, count, Fate::Tree, Fate::Shell)
    }

    /// Room for old words: all released once the operation has committed.
    pub(crate) fn grave(operation: &mut Operation<'s>, count: u64) -> Result<Self> {
        Self::allocate(operation, count, Fate::Shell, Fate::Tree)
    }

    fn allocate(
        operation: &mut Operation<'s>,
        count: u64,
        on_abort: Fate,
        on_commit: Fate,
    ) -> Result<Self> {
        let limit = u64::from(u32::MAX);
        if count > limit {
            return Err(StoreError::Limit {
                what: "values at once",
                requested: count,
                limit,
            });
        }
        let offset = operation.allocate(8 * count, kinds::block::BATCH, on_abort, on_commit)?;
        let segment = operation.segment();
        let first = offset + block::HEADER;
        segment.zero_words(first, count)?;
        // From here on the block owns its words, which are all empty.
        segment.store(offset + block::STATE, block::state(0, count as u32))?;
        Ok(Self {
            segment,
            first,
            count,
            next: 0,
        })
    }

    /// The next empty cell.
    pub(crate) fn next_cell(&mut self) -> Result<u64> {
        if self.next == self.count {
            return Err(StoreError::Corrupted("more values than were counted"));
        }
        self.next += 1;
        Ok(self.first + 8 * (self.next - 1))
    }

    /// Adds a word to a grave, if it owns anything. Under the lock, before the commit.
    pub(crate) fn bury(&mut self, old: u64) -> Result<()> {
        if word::owns(old) {
            let cell = self.next_cell()?;
            self.segment.store(cell, old)?;
        }
        Ok(())
    }
}
