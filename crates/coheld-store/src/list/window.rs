//! The live window of a list: which words of its array are elements.
//!
//! ```text
//! root -> block of kind WORDS
//!         meta   payload bytes | kind
//!         state  start | count << 32          the one word that says what the list contains
//!         words  [ slack | elements ... | slack ]
//! ```
//!
//! Slack at both ends makes `append`, `pop()`, `pop(0)` and (after a `pop(0)`) `insert(0, x)` one
//! store of the state word. What lies in the slack is garbage that nobody owns.

use coheld_shm::{Guard, Look, Segment};

use crate::block::{self, HEADER, STATE};
use crate::error::{Result, StoreError};
use crate::snapshot::Capture;
use crate::{kinds, slice, word};

/// Most elements that the state word can count.
pub(super) const LENGTH_LIMIT: u64 = u32::MAX as u64;

/// The window as it was read under the lock; good until the lock is let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Offset of the array's block; 0 when there is none.
    pub block: u64,
    /// Words in front of the first element.
    pub start: u64,
    /// Number of elements.
    pub count: u64,
    /// Words of the array.
    pub capacity: u64,
}

impl Window {
    /// Reads the window of the list that `guard` has locked or glances at.
    #[inline]
    pub fn read<'s>(guard: &impl Look<'s>) -> Result<Self> {
        let root = guard.root();
        if root == word::EMPTY {
            return Ok(Self {
                block: 0,
                start: 0,
                count: 0,
                capacity: 0,
            });
        }
        let Some(block) = word::block_offset(root) else {
            return Err(StoreError::Corrupted("the root of a list is no block"));
        };
        Self::of_block(guard.segment(), block)
    }

    /// Reads the window of the array at `block`.
    #[inline]
    pub fn of_block(segment: &Segment, block: u64) -> Result<Self> {
        let meta = segment.load(block)?;
        let state = segment.load(block + STATE)?;
        let (start, count) = (state & LENGTH_LIMIT, state >> 32);
        let capacity = block::length_of(meta) / 8;
        if block::kind_of(meta) != kinds::block::WORDS {
            return Err(StoreError::Corrupted(
                "the array of a list is of another kind",
            ));
        }
        if start + count > capacity {
            return Err(StoreError::Corrupted("a list is longer than its array"));
        }
        Ok(Self {
            block,
            start,
            count,
            capacity,
        })
    }

    /// Offset of the word of element `index`; `index` counts from `start`, up to the array's end.
    #[inline]
    pub fn cell(&self, index: u64) -> u64 {
        self.block + HEADER + 8 * (self.start + index)
    }

    /// Takes `count` elements from `first` on into a snapshot; the window contains them.
    pub fn capture(
        &self,
        guard: &Guard<'_>,
        capture: &mut Capture,
        first: u64,
        count: u64,
    ) -> Result<()> {
        // The window lies in the mapping, so its number of words is one of memory.
        let words = count as usize;
        if words == 0 || !capture.expect(words) {
            return Ok(());
        }
        capture.push_run(guard, self.cell(first), words)
    }

    /// Offset of the word of the slack that is `distance` words in front of the first element.
    #[inline]
    pub fn cell_in_front(&self, distance: u64) -> u64 {
        self.block + HEADER + 8 * (self.start - distance)
    }

    /// Offset of the state word.
    #[inline]
    pub fn state_cell(&self) -> u64 {
        self.block + STATE
    }

    /// Words of slack behind the last element.
    #[inline]
    pub fn room_behind(&self) -> u64 {
        self.capacity - self.start - self.count
    }

    /// Which element an index of Python means.
    #[inline]
    pub fn locate(&self, index: i64) -> Option<u64> {
        slice::locate(index, self.count)
    }

    /// Where `insert(index, x)` puts its element: any index is good, as in Python.
    #[inline]
    pub fn clamp(&self, index: i64) -> u64 {
        slice::clamp(index, self.count)
    }

    /// Whether `count` elements would use so little of the array that a smaller one is worth the
    /// copying.
    #[inline]
    pub fn is_sparse_with(&self, count: u64) -> bool {
        self.capacity >= 64 && count < self.capacity / 4
    }
}

/// The state word of a window.
#[inline]
pub(crate) const fn state(start: u64, count: u64) -> u64 {
    start | count << 32
}

/// The slack to leave beside `count` elements, so that growth costs a constant per element.
#[inline]
pub(super) fn slack(count: u64) -> u64 {
    (count / 4 + 4).min(LENGTH_LIMIT.saturating_sub(count))
}

/// Refuses lengths that the state word cannot hold.
pub(super) fn check_length(count: u64) -> Result<()> {
    if count > LENGTH_LIMIT {
        let what = "elements of a list";
        return Err(StoreError::Limit {
            what,
            requested: count,
            limit: LENGTH_LIMIT,
        });
    }
    Ok(())
}
