//! Words that an operation owns in bulk: new ones before its commit, removed ones after it.

use coheld_shm::{Fate, Operation, Segment};

use super::window::{check_length, state};
use crate::block::{HEADER, STATE};
use crate::error::{Result, StoreError};
use crate::input::Input;
use crate::{kinds, word};

/// Up to so many new words are owned by the lane itself, without a block in between.
const PLACED: usize = 4;
/// Up to so many removed words likewise.
///
/// With the new array, the old one and `PLACED` that stays below the entries of a lane.
const RETIRED: u64 = 8;

/// New words, ready to be copied into an array; each value comes `times` times in turn.
pub(super) enum Batch<'v> {
    /// All values are words that own nothing.
    Inline(&'v [Input<'v>]),
    /// A few words, each owned by an entry of the lane.
    Placed([u64; PLACED]),
    /// Words owned by a block of kind BATCH: the operation's nursery.
    Nursery(u64),
}

impl<'v> Batch<'v> {
    /// Makes the words of `times` copies of `values`. No referent lock is held.
    pub fn make(
        operation: &mut Operation<'_>,
        values: &'v [Input<'v>],
        times: u64,
    ) -> Result<Self> {
        if values.iter().all(is_inline) {
            return Ok(Self::Inline(values));
        }
        let total = values.len() as u64 * times;
        if total <= PLACED as u64 {
            let mut words = [0; PLACED];
            for (at, value) in (0..total as usize).zip(values.iter().cycle()) {
                words[at] = value.place(operation)?;
            }
            return Ok(Self::Placed(words));
        }
        check_length(total)?;
        let block = allocate_batch(operation, total, Fate::Tree, Fate::Shell)?;
        // CRASH: in here the nursery holds some of the values; the recovery of the lane releases
        // its words with it.
        for (index, value) in (0..total).zip(values.iter().cycle()) {
            value.place_into(operation, block + HEADER + 8 * index)?;
        }
        Ok(Self::Nursery(block))
    }

    /// The only word of a batch of one.
    pub fn first(&self) -> u64 {
        match self {
            Self::Inline(values) => values.first().map_or(word::EMPTY, inline_word),
            Self::Placed(words) => words[0],
            Self::Nursery(_) => word::EMPTY,
        }
    }

    /// Copies words `from..from + count` of the batch to the cells from `to` on.
    pub fn copy(&self, segment: &Segment, from: u64, count: u64, to: u64) -> Result<()> {
        match self {
            Self::Inline(values) => {
                let length = values.len() as u64;
                for index in 0..count {
                    let value = &values[((from + index) % length) as usize];
                    segment.store(to + 8 * index, inline_word(value))?;
                }
            }
            Self::Placed(words) => {
                let chosen = words.iter().skip(from as usize).take(count as usize);
                for (index, &word) in (0..).zip(chosen) {
                    segment.store(to + 8 * index, word)?;
                }
            }
            Self::Nursery(block) => {
                segment.copy_words(block + HEADER + 8 * from, to, count)?;
            }
        }
        Ok(())
    }
}

/// Where the removed words of an operation go.
pub(super) enum Grave {
    /// Each word gets an entry of the lane.
    Lane,
    /// The words are copied into a block of kind BATCH that is released with them on commit.
    Block {
        block: u64,
        filled: u64,
        capacity: u64,
    },
}

impl Grave {
    /// Room for `count` removed words. No referent lock is held.
    pub fn make(operation: &mut Operation<'_>, count: u64) -> Result<Self> {
        if count <= RETIRED {
            return Ok(Self::Lane);
        }
        let block = allocate_batch(operation, count, Fate::Shell, Fate::Tree)?;
        Ok(Self::Block {
            block,
            filled: 0,
            capacity: count,
        })
    }

    /// How many words it takes.
    pub fn capacity(&self) -> u64 {
        match self {
            Self::Lane => RETIRED,
            Self::Block { capacity, .. } => *capacity,
        }
    }

    /// Buries the words of `count` cells from `from` on. Under the lock.
    pub fn bury(&mut self, operation: &mut Operation<'_>, from: u64, count: u64) -> Result<()> {
        let segment = operation.segment();
        match self {
            Self::Lane => {
                for index in 0..count {
                    let old = segment.load(from + 8 * index)?;
                    operation.retire(old, Fate::Keep, Fate::Tree)?;
                }
            }
            Self::Block {
                block,
                filled,
                capacity,
            } => {
                // The plan was checked against this very list, so this only fails on damage.
                if *filled + count > *capacity {
                    return Err(StoreError::Corrupted("a list changed under its lock"));
                }
                let to = *block + HEADER + 8 * *filled;
                segment.copy_words(from, to, count)?;
                *filled += count;
            }
        }
        Ok(())
    }
}

/// A block of kind BATCH over `count` words that are all zero.
fn allocate_batch(
    operation: &mut Operation<'_>,
    count: u64,
    on_abort: Fate,
    on_commit: Fate,
) -> Result<u64> {
    let block = operation.allocate(8 * count, kinds::block::BATCH, on_abort, on_commit)?;
    let segment = operation.segment();
    segment.zero_words(block + HEADER, count)?;
    // Only now do the words count as owned: before, they were whatever the memory held.
    segment.store(block + STATE, state(0, count))?;
    Ok(block)
}

/// Whether a value is a word that owns nothing.
#[inline]
pub(super) fn is_inline(value: &Input<'_>) -> bool {
    matches!(value, Input::Word(word) if !word::owns(*word))
}

#[inline]
fn inline_word(value: &Input<'_>) -> u64 {
    match value {
        Input::Word(word) => *word,
        _ => word::EMPTY,
    }
}
