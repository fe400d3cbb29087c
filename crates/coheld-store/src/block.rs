//! Reading the header of a block, checked.

use coheld_shm::Segment;

use crate::error::{Result, StoreError};
use crate::word;

/// Bytes of a block before its payload.
pub const HEADER: u64 = 16;
/// Offset of a block's state word from its start.
pub const STATE: u64 = 8;
/// The most bytes of payload that a meta word can name.
pub const LENGTH_MAX: u64 = LENGTH_MASK;

const LENGTH_MASK: u64 = (1 << 48) - 1;
const KIND_SHIFT: u32 = 48;

/// What the two words before a payload say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Offset of the payload.
    pub payload: u64,
    /// Bytes of payload that are meant (owning words of a pickle come after them).
    pub length: u64,
    /// One of `kinds::block`.
    pub kind: u8,
    /// Index of the first owning word in the payload.
    pub start: u32,
    /// Number of owning words.
    pub count: u32,
}

impl Header {
    /// Offset of the owning word `index` (below `count`).
    #[inline]
    pub fn owning_word(&self, index: u32) -> u64 {
        self.payload + 8 * (u64::from(self.start) + u64::from(index))
    }
}

/// The meta word of a block.
#[inline]
pub const fn meta(kind: u8, length: u64) -> u64 {
    length & LENGTH_MASK | (kind as u64) << KIND_SHIFT
}

/// The kind in a meta word.
#[inline]
pub const fn kind_of(meta: u64) -> u8 {
    (meta >> KIND_SHIFT) as u8
}

/// The payload length in a meta word.
#[inline]
pub const fn length_of(meta: u64) -> u64 {
    meta & LENGTH_MASK
}

/// The state word of a block.
#[inline]
pub const fn state(start: u32, count: u32) -> u64 {
    start as u64 | (count as u64) << 32
}

/// The header of the block at `offset`; its payload and owning words lie inside the segment.
#[inline]
pub fn header(segment: &Segment, offset: u64) -> Result<Header> {
    let meta = segment.load(offset)?;
    let state = segment.load(offset + STATE)?;
    let header = Header {
        payload: offset + HEADER,
        length: length_of(meta),
        kind: kind_of(meta),
        start: state as u32,
        count: (state >> 32) as u32,
    };
    let owned_end = 8 * (u64::from(header.start) + u64::from(header.count));
    let end = header.payload + header.length.max(owned_end);
    if end > segment.capacity() {
        return Err(StoreError::Corrupted("a block ends beyond the segment"));
    }
    Ok(header)
}

/// The header of the block that `word` owns.
#[inline]
pub fn header_of_word(segment: &Segment, word: u64) -> Result<Header> {
    match word::block_offset(word) {
        Some(offset) => header(segment, offset),
        None => Err(StoreError::Corrupted("a word does not name a block")),
    }
}
