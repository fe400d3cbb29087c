//! The word: one value, or the name of one, in eight bytes.
//!
//! The low nibble is a tag. Values that fit in the other 60 bits live in the word itself; the rest
//! live in a block that the word owns. Who owns what is decided by the tag alone, which is all that
//! `coheld-shm` knows of words.
//!
//! ```text
//! tag  0  EMPTY     the whole word is zero; owns nothing
//!      1  integer   i60 << 4
//!      2  constant  number << 4
//!      3  str       byte 0: tag | length << 4, bytes 1..=7: UTF-8
//!      4  bytes     the same
//!      5  float     sign, exponent - 959 (7 bits), mantissa (52 bits), << 4
//!      6  block     offset of the block, a multiple of 16 below 2^48
//!      7  edge      offset of a referent; bits 48..=63: low half of its generation
//! ```

use crate::error::{Result, StoreError};

/// The bits of a word that hold its tag.
pub const TAG_MASK: u64 = 0xF;

/// The tags of words.
pub mod tag {
    /// No value.
    pub const EMPTY: u64 = 0;
    /// An integer of 60 bits.
    pub const INTEGER: u64 = 1;
    /// One of the constants.
    pub const CONSTANT: u64 = 2;
    /// Text of at most seven bytes.
    pub const STR: u64 = 3;
    /// At most seven bytes.
    pub const BYTES: u64 = 4;
    /// A double of moderate size.
    pub const FLOAT: u64 = 5;
    /// The word owns a block.
    pub const BLOCK: u64 = 6;
    /// The word holds a data edge.
    pub const EDGE: u64 = 7;
}

/// No value at all.
pub const EMPTY: u64 = 0;
/// `None`.
pub const NONE: u64 = constant(0);
/// `False`.
pub const FALSE: u64 = constant(1);
/// `True`.
pub const TRUE: u64 = constant(2);
/// `0.0`.
pub const ZERO: u64 = constant(3);
/// `-0.0`.
pub const NEGATIVE_ZERO: u64 = constant(4);
/// `inf`.
pub const INFINITY: u64 = constant(5);
/// `-inf`.
pub const NEGATIVE_INFINITY: u64 = constant(6);
/// The quiet NaN with no payload and no sign.
pub const NAN: u64 = constant(7);

/// The largest integer that fits in a word.
pub const INTEGER_MAX: i64 = (1 << 59) - 1;
/// The smallest integer that fits in a word.
pub const INTEGER_MIN: i64 = -(1 << 59);
/// The most bytes of text or of bytes that fit in a word.
pub const SHORT_MAX: usize = 7;

/// Offsets are below this, so that 16 bits are left for a generation.
const OFFSET_LIMIT: u64 = 1 << 48;
/// Biased exponents of the floats that fit in a word start here; there are 128 of them.
const EXPONENT_BASE: u64 = 1023 - 64;
const MANTISSA_BITS: u32 = 52;
const CANONICAL_NAN: u64 = 0x7FF8 << 48;

const fn constant(number: u64) -> u64 {
    number << 4 | tag::CONSTANT
}

/// Up to seven bytes, taken out of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short {
    bytes: [u8; SHORT_MAX],
    length: u8,
}

impl Short {
    /// The bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The text. `decode` has checked it for a word with the tag of text.
    #[inline]
    pub fn as_str(&self) -> Result<&str> {
        std::str::from_utf8(self.as_bytes())
            .map_err(|_| StoreError::Corrupted("a short text is not UTF-8"))
    }
}

/// What a word says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    /// No value.
    Empty,
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer.
    Integer(i64),
    /// A float.
    Float(f64),
    /// Short text; valid UTF-8.
    Str(Short),
    /// Short bytes.
    Bytes(Short),
    /// The value is in the block at this offset.
    Block(u64),
    /// The value is a proxy; this is the whole word.
    Edge(u64),
}

/// The tag of a word.
#[inline]
pub const fn tag_of(word: u64) -> u64 {
    word & TAG_MASK
}

/// Whether the word owns something outside itself: a block or a data edge.
#[inline]
pub const fn owns(word: u64) -> bool {
    matches!(tag_of(word), tag::BLOCK | tag::EDGE)
}

/// Whether the word is a value that lies in the word itself.
#[inline]
pub const fn is_inline(word: u64) -> bool {
    word != EMPTY && !owns(word)
}

/// The word of a block.
#[inline]
pub const fn from_block(offset: u64) -> u64 {
    offset | tag::BLOCK
}

/// The offset of the block that a word owns, if it owns one.
#[inline]
pub const fn block_offset(word: u64) -> Option<u64> {
    if tag_of(word) == tag::BLOCK && word < OFFSET_LIMIT {
        Some(word & !TAG_MASK)
    } else {
        None
    }
}

/// The word of an integer, if it fits.
#[inline]
pub const fn from_int(value: i64) -> Option<u64> {
    if value >= INTEGER_MIN && value <= INTEGER_MAX {
        Some((value << 4).cast_unsigned() | tag::INTEGER)
    } else {
        None
    }
}

/// The integer of a word with the tag of integers.
#[inline]
pub const fn to_int(word: u64) -> Option<i64> {
    if tag_of(word) == tag::INTEGER {
        Some(word.cast_signed() >> 4)
    } else {
        None
    }
}

/// The word of a bool.
#[inline]
pub const fn from_bool(value: bool) -> u64 {
    if value { TRUE } else { FALSE }
}

/// The word of a float, if it fits: zeros, infinities, the plain NaN, and magnitudes from `2^-64`
/// up to below `2^64`.
#[inline]
pub const fn from_float(value: f64) -> Option<u64> {
    let bits = value.to_bits();
    let exponent = bits >> MANTISSA_BITS & 0x7FF;
    let moved = exponent.wrapping_sub(EXPONENT_BASE);
    if moved < 128 {
        let sign = bits >> 63;
        let mantissa = bits & ((1 << MANTISSA_BITS) - 1);
        return Some((sign << 59 | moved << MANTISSA_BITS | mantissa) << 4 | tag::FLOAT);
    }
    if bits == 0 {
        Some(ZERO)
    } else if bits == 1 << 63 {
        Some(NEGATIVE_ZERO)
    } else if bits == f64::INFINITY.to_bits() {
        Some(INFINITY)
    } else if bits == f64::NEG_INFINITY.to_bits() {
        Some(NEGATIVE_INFINITY)
    } else if bits == CANONICAL_NAN {
        Some(NAN)
    } else {
        None
    }
}

/// The float of a word that holds one, whether as a constant or with the tag of floats.
#[inline]
pub const fn to_float(word: u64) -> Option<f64> {
    if tag_of(word) == tag::FLOAT {
        let packed = word >> 4;
        let sign = packed >> 59;
        let exponent = (packed >> MANTISSA_BITS & 0x7F) + EXPONENT_BASE;
        let mantissa = packed & ((1 << MANTISSA_BITS) - 1);
        return Some(f64::from_bits(
            sign << 63 | exponent << MANTISSA_BITS | mantissa,
        ));
    }
    match word {
        ZERO => Some(0.0),
        NEGATIVE_ZERO => Some(-0.0),
        INFINITY => Some(f64::INFINITY),
        NEGATIVE_INFINITY => Some(f64::NEG_INFINITY),
        NAN => Some(f64::from_bits(CANONICAL_NAN)),
        _ => None,
    }
}

/// The word of a text, if it is short enough.
#[inline]
pub fn from_str(text: &str) -> Option<u64> {
    short(text.as_bytes(), tag::STR)
}

/// The word of bytes, if there are few enough.
#[inline]
pub fn from_bytes(bytes: &[u8]) -> Option<u64> {
    short(bytes, tag::BYTES)
}

#[inline]
fn short(bytes: &[u8], tag: u64) -> Option<u64> {
    Some(gather(bytes)? << 8 | (bytes.len() as u64) << 4 | tag)
}

/// Up to seven bytes as a number, the first one lowest. In two reads of a fixed size that may
/// overlap: a copy of variable length would cost more than the rest of a lookup.
#[inline]
fn gather(bytes: &[u8]) -> Option<u64> {
    if bytes.len() > SHORT_MAX {
        return None;
    }
    if let (Some(low), Some(high)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let high = u64::from(u32::from_le_bytes(*high)) << (8 * (bytes.len() - 4));
        return Some(u64::from(u32::from_le_bytes(*low)) | high);
    }
    if let (Some(low), Some(high)) = (bytes.first_chunk::<2>(), bytes.last_chunk::<2>()) {
        let high = u64::from(u16::from_le_bytes(*high)) << (8 * (bytes.len() - 2));
        return Some(u64::from(u16::from_le_bytes(*low)) | high);
    }
    Some(bytes.first().map_or(0, |byte| u64::from(*byte)))
}

/// The bytes in a word of short text or short bytes; the unused ones must be zero, so that equal
/// values are equal words.
#[inline]
fn short_of(word: u64) -> Result<Short> {
    let length = (word >> 4 & 0xF) as u8;
    let all = word.to_le_bytes();
    if usize::from(length) > SHORT_MAX || (length < 7 && word >> (8 * (u32::from(length) + 1)) != 0)
    {
        return Err(StoreError::Corrupted("a short value has a wrong length"));
    }
    let mut bytes = [0; SHORT_MAX];
    bytes.copy_from_slice(&all[1..]);
    Ok(Short { bytes, length })
}

/// What a word says; an error for bits that no value has.
#[inline]
pub fn decode(word: u64) -> Result<Scalar> {
    Ok(match tag_of(word) {
        tag::INTEGER => Scalar::Integer(word.cast_signed() >> 4),
        tag::CONSTANT => match word {
            NONE => Scalar::None,
            FALSE => Scalar::Bool(false),
            TRUE => Scalar::Bool(true),
            _ => match to_float(word) {
                Some(value) => Scalar::Float(value),
                None => return Err(StoreError::Corrupted("a word holds an unknown constant")),
            },
        },
        tag::STR => {
            let short = short_of(word)?;
            short.as_str()?;
            Scalar::Str(short)
        }
        tag::BYTES => Scalar::Bytes(short_of(word)?),
        tag::FLOAT => match to_float(word) {
            Some(value) => Scalar::Float(value),
            None => return Err(StoreError::Corrupted("a word holds an unknown float")),
        },
        tag::BLOCK => match block_offset(word) {
            Some(offset) => Scalar::Block(offset),
            None => return Err(StoreError::Corrupted("a word names an impossible block")),
        },
        tag::EDGE => Scalar::Edge(word),
        tag::EMPTY if word == EMPTY => Scalar::Empty,
        _ => return Err(StoreError::Corrupted("a word has an unknown tag")),
    })
}

#[cfg(test)]
#[path = "word_tests.rs"]
mod tests;
