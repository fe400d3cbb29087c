//! How a table lies in its block, and checked access to it.
//!
//! ```text
//! payload, in words:
//!   0                 number of entries it can hold | size of the index << 32
//!   1                 live entries
//!   2                 index slots that are not zero
//!   3                 spare
//!   4 ..              entries: key word, value word; a key word of zero is a deleted entry
//!   4 + 2 * entries   index: 0, or hash << 32 | entry + 1, or DELETED
//! ```
//!
//! The block's state (see `block`) says that `count` words from word 4 on are owned: two for each
//! entry used so far. That one word is what an insertion commits.
//!
//! Invariants, whenever the lock is free:
//!
//! * every index slot is zero, DELETED, or names a live entry with the hash of its key, and every
//!   live entry is named by exactly one slot;
//! * the value word of a deleted entry is zero, and the last used entry is not a deleted one;
//! * at least a quarter of the index is zero, so that every probe ends.

use coheld_shm::{Look, Segment};

use crate::block;
use crate::error::{Result, StoreError};
use crate::hosted::check_here;
use crate::kinds;
use crate::word;

/// Words before the entries.
pub(crate) const HEAD: u32 = 4;
/// The largest index, in slots.
const INDEX_LIMIT: u64 = 1 << 31;
/// The smallest one.
const INDEX_LEAST: u64 = 8;
/// A slot whose entry was deleted; no table has that many entries.
pub(crate) const DELETED: u64 = 0xFFFF_FFFF;

/// How large a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Entries it can hold.
    pub entries: u32,
    /// Slots of its index, a power of two.
    pub index: u32,
}

impl Shape {
    /// The smallest shape that holds `entries` entries at a load of at most five eighths.
    pub(crate) fn for_entries(entries: u64) -> Result<Self> {
        let index = (entries.saturating_mul(8).div_ceil(5))
            .checked_next_power_of_two()
            .unwrap_or(u64::MAX)
            .max(INDEX_LEAST);
        if index > INDEX_LIMIT {
            return Err(StoreError::Limit {
                what: "entries of a dict or set",
                requested: entries,
                limit: INDEX_LIMIT / 8 * 5,
            });
        }
        Ok(Self {
            entries: (index / 8 * 5) as u32,
            index: index as u32,
        })
    }

    pub(crate) fn payload(self) -> u64 {
        8 * (u64::from(HEAD) + 2 * u64::from(self.entries) + u64::from(self.index))
    }

    /// Offset of the index in the payload.
    fn index_at(self) -> u64 {
        8 * (u64::from(HEAD) + 2 * u64::from(self.entries))
    }

    /// Slots that may be other than zero before the table is built anew.
    #[inline]
    pub(crate) fn fill_limit(self) -> u32 {
        self.index / 4 * 3
    }

    pub(crate) fn to_word(self) -> u64 {
        u64::from(self.entries) | u64::from(self.index) << 32
    }

    #[inline]
    fn from_word(word: u64) -> Self {
        Self {
            entries: word as u32,
            index: (word >> 32) as u32,
        }
    }

    /// Whether any table has this shape.
    #[inline]
    fn is_sound(self) -> bool {
        self.index.is_power_of_two()
            && u64::from(self.index) <= INDEX_LIMIT
            && self.entries != 0
            && self.entries <= self.fill_limit()
    }
}

/// A table under the lock of its referent, or one that is not published yet.
#[derive(Clone, Copy)]
pub(crate) struct Table<'s> {
    pub(crate) segment: &'s Segment,
    /// Offset of the block.
    pub(crate) block: u64,
    pub(crate) shape: Shape,
    /// Entries used so far, the deleted ones included.
    pub(crate) used: u32,
    /// Offset of the first index slot.
    index_at: u64,
}

impl<'s> Table<'s> {
    /// The table of a referent; `None` while it has none.
    #[inline]
    pub(crate) fn open(guard: &impl Look<'s>) -> Result<Option<Self>> {
        let root = guard.root();
        if root == word::EMPTY {
            check_here(guard)?;
            return Ok(None);
        }
        let Some(offset) = word::block_offset(root) else {
            return Err(StoreError::Corrupted("the root of a table is no block"));
        };
        Self::at(guard.segment(), offset).map(Some)
    }

    /// The table in the block at `offset`.
    #[inline]
    pub(crate) fn at(segment: &'s Segment, offset: u64) -> Result<Self> {
        let header = block::header(segment, offset)?;
        let shape = Shape::from_word(segment.load(header.payload)?);
        let used = header.count / 2;
        let sound = header.kind == kinds::block::TABLE
            && shape.is_sound()
            && header.length == shape.payload()
            && header.start == HEAD
            && header.count.is_multiple_of(2)
            && used <= shape.entries;
        if !sound {
            return Err(StoreError::Corrupted("a table contradicts itself"));
        }
        let index_at = header.payload + shape.index_at();
        Ok(Self {
            segment,
            block: offset,
            shape,
            used,
            index_at,
        })
    }

    /// A view of a block that is about to become a table: nothing is read.
    pub(crate) fn unpublished(segment: &'s Segment, block: u64, shape: Shape) -> Self {
        let index_at = block + block::HEADER + shape.index_at();
        Self {
            segment,
            block,
            shape,
            used: 0,
            index_at,
        }
    }

    /// Offset of the block's state, which an insertion commits.
    #[inline]
    pub(crate) fn state_cell(&self) -> u64 {
        self.block + block::STATE
    }

    /// The state of a table with `used` entries.
    #[inline]
    pub(crate) fn state_of(used: u32) -> u64 {
        block::state(HEAD, 2 * used)
    }

    #[inline]
    fn head_cell(&self, index: u64) -> u64 {
        self.block + block::HEADER + 8 * index
    }

    /// Offset of an entry's key word.
    #[inline]
    pub(crate) fn key_cell(&self, entry: u32) -> u64 {
        self.block + block::HEADER + 8 * (u64::from(HEAD) + 2 * u64::from(entry))
    }

    /// Offset of an entry's value word.
    #[inline]
    pub(crate) fn value_cell(&self, entry: u32) -> u64 {
        self.key_cell(entry) + 8
    }

    #[inline]
    pub(crate) fn key(&self, entry: u32) -> Result<u64> {
        Ok(self.segment.load(self.key_cell(entry))?)
    }

    #[inline]
    pub(crate) fn value(&self, entry: u32) -> Result<u64> {
        Ok(self.segment.load(self.value_cell(entry))?)
    }

    /// Offset of the count of live entries.
    #[inline]
    pub(crate) fn live_cell(&self) -> u64 {
        self.head_cell(1)
    }

    /// Live entries, as counted.
    #[inline]
    pub(crate) fn live(&self) -> Result<u32> {
        let live = self.segment.load(self.live_cell())?;
        if live > u64::from(self.used) {
            return Err(StoreError::Corrupted(
                "a table counts more entries than it has",
            ));
        }
        Ok(live as u32)
    }

    #[inline]
    pub(crate) fn set_live(&self, live: u32) -> Result<()> {
        Ok(self.segment.store(self.live_cell(), u64::from(live))?)
    }

    /// Index slots that are not zero, as counted.
    #[inline]
    pub(crate) fn fill(&self) -> Result<u32> {
        Ok(u32::try_from(self.segment.load(self.head_cell(2))?).unwrap_or(u32::MAX))
    }

    #[inline]
    pub(crate) fn set_fill(&self, fill: u32) -> Result<()> {
        Ok(self.segment.store(self.head_cell(2), u64::from(fill))?)
    }

    /// Writes everything before the entries and zeroes the index of a new table.
    pub(crate) fn write_head(&self) -> Result<()> {
        self.segment
            .store(self.head_cell(0), self.shape.to_word())?;
        for index in 1..u64::from(HEAD) {
            self.segment.store(self.head_cell(index), 0)?;
        }
        Ok(self
            .segment
            .zero_words(self.index_at, u64::from(self.shape.index))?)
    }

    #[inline]
    pub(crate) fn mask(&self) -> u32 {
        self.shape.index - 1
    }

    #[inline]
    pub(crate) fn slot_cell(&self, slot: u32) -> u64 {
        self.index_at + 8 * u64::from(slot)
    }

    #[inline]
    pub(crate) fn slot(&self, slot: u32) -> Result<u64> {
        Ok(self.segment.load(self.slot_cell(slot))?)
    }

    #[inline]
    pub(crate) fn set_slot(&self, slot: u32, value: u64) -> Result<()> {
        Ok(self.segment.store(self.slot_cell(slot), value)?)
    }

    /// The slot value that names an entry.
    #[inline]
    pub(crate) fn naming(hash: u32, entry: u32) -> u64 {
        u64::from(hash) << 32 | (u64::from(entry) + 1)
    }

    /// The entry that a slot value names, if it is a used one.
    #[inline]
    pub(crate) fn named_by(&self, slot: u64) -> Option<u32> {
        let entry = (slot as u32).wrapping_sub(1);
        (entry < self.used).then_some(entry)
    }
}
