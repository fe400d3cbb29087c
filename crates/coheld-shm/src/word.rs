//! What a word owns. The low four bits of each 64-bit word say it; the rest is the business of
//! `coheld-store`, except for the two kinds that own something.

/// Mask of the tag in the low bits of a word.
pub const TAG_MASK: u64 = 0xf;
/// The word owns the heap block at its offset.
pub const TAG_BLOCK: u64 = 6;
/// The word holds a data edge to the referent at its offset.
pub const TAG_EDGE: u64 = 7;
/// A lane owns a referent that no proxy has been given yet (never inside a value).
pub const TAG_REFERENT: u64 = 8;
/// Bits of a word that hold an offset; blocks and referents lie on 16-byte borders.
pub const OFFSET_MASK: u64 = 0x0000_ffff_ffff_fff0;

/// The word that owns the block at `offset`.
#[inline]
#[must_use]
pub const fn of_block(offset: u64) -> u64 {
    offset | TAG_BLOCK
}

/// The word that holds an edge to the referent at `offset` of `generation` (its low 16 bits).
#[inline]
#[must_use]
pub const fn of_edge(offset: u64, generation: u32) -> u64 {
    (offset & OFFSET_MASK) | TAG_EDGE | ((generation as u64 & 0xffff) << 48)
}

/// The tag of a word.
#[inline]
#[must_use]
pub const fn tag(word: u64) -> u64 {
    word & TAG_MASK
}

/// The offset that a word of tag block, edge or referent carries.
#[inline]
#[must_use]
pub const fn offset(word: u64) -> u64 {
    word & OFFSET_MASK
}

/// The low 16 bits of the generation that an edge word names.
#[inline]
#[must_use]
pub const fn edge_generation(word: u64) -> u16 {
    (word >> 48) as u16
}

/// Whether releasing the word releases anything.
#[inline]
#[must_use]
pub const fn owns(word: u64) -> bool {
    matches!(tag(word), TAG_BLOCK | TAG_EDGE | TAG_REFERENT)
}
