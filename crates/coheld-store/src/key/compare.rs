//! Comparing a key with one that is stored in the segment.

use coheld_shm::Segment;

use super::{Canonical, Key, number, tuple};
use crate::block::{self, Header};
use crate::error::{Result, StoreError};
use crate::kinds::block as kind;
use crate::word;

/// Whether the stored word is the key. Only called for keys that equal themselves, and after the
/// hashes were found equal. Copies bytes out in pieces; allocates nothing.
#[inline]
pub(crate) fn matches(segment: &Segment, stored: u64, key: &Key<'_>) -> Result<bool> {
    match key.canonical() {
        Canonical::Word(word) if stored == *word => Ok(true),
        canonical => matches_slowly(segment, stored, canonical),
    }
}

fn matches_slowly(segment: &Segment, stored: u64, canonical: &Canonical<'_>) -> Result<bool> {
    match word::tag_of(stored) {
        word::tag::BLOCK => {}
        word::tag::EDGE => return Err(StoreError::Corrupted("a key is a proxy")),
        _ => return Ok(matches_inline(stored, canonical)),
    }
    if matches!(canonical, Canonical::Word(_)) {
        // What has an inline canonical form is inline itself.
        return Ok(false);
    }
    let header = block::header_of_word(segment, stored)?;
    match header.kind {
        kind::FLOAT => matches_float(segment, &header, canonical),
        kind::KEY => matches_tuple(segment, &header, canonical),
        kind::BIGINT => match canonical {
            Canonical::Integral(value) => {
                let integer = number::IntegerBytes::of(*value);
                equal_bytes(segment, header.payload, header.length, integer.as_slice())
            }
            _ => matches_plain(segment, &header, canonical),
        },
        _ => matches_plain(segment, &header, canonical),
    }
}

/// A stored inline word against a canonical form that is not the same word.
fn matches_inline(stored: u64, canonical: &Canonical<'_>) -> bool {
    match canonical {
        Canonical::Word(word) => number::canonical_word(stored) == Some(*word),
        Canonical::Integral(value) => {
            word::to_float(stored).is_some_and(|stored| number::same(stored, *value))
        }
        Canonical::Bytes {
            kind: kind::BIGINT,
            bytes,
        } => word::to_float(stored).is_some_and(|value| is_large_integer(value, bytes)),
        Canonical::Bytes { .. } => false,
    }
}

fn matches_float(segment: &Segment, header: &Header, canonical: &Canonical<'_>) -> Result<bool> {
    if header.length != 8 {
        return Err(StoreError::Corrupted("a float has not eight bytes"));
    }
    let value = f64::from_bits(segment.load(header.payload)?);
    Ok(match canonical {
        Canonical::Integral(other) => number::same(*other, value),
        Canonical::Bytes {
            kind: kind::BIGINT,
            bytes,
        } => is_large_integer(value, bytes),
        Canonical::Bytes {
            kind: kind::FLOAT,
            bytes,
        } => value.to_le_bytes() == **bytes,
        Canonical::Word(_) | Canonical::Bytes { .. } => false,
    })
}

fn matches_tuple(segment: &Segment, header: &Header, canonical: &Canonical<'_>) -> Result<bool> {
    let Canonical::Bytes {
        kind: kind::KEY,
        bytes,
    } = canonical
    else {
        return Ok(false);
    };
    let mut prefix = [0; tuple::PREFIX];
    if header.length < prefix.len() as u64 {
        return Err(StoreError::Corrupted("a tuple key is too short"));
    }
    segment.copy_out(header.payload, &mut prefix)?;
    let prefix = u32::from_le_bytes(prefix);
    let length = u64::from(prefix & !tuple::UNEQUAL);
    if length > header.length - tuple::PREFIX as u64 {
        return Err(StoreError::Corrupted(
            "a tuple key ends before its canonical form",
        ));
    }
    if prefix & tuple::UNEQUAL != 0 {
        return Ok(false);
    }
    equal_bytes(
        segment,
        header.payload + tuple::PREFIX as u64,
        length,
        bytes,
    )
}

fn matches_plain(segment: &Segment, header: &Header, canonical: &Canonical<'_>) -> Result<bool> {
    match canonical {
        Canonical::Bytes { kind, bytes } if *kind == header.kind => {
            equal_bytes(segment, header.payload, header.length, bytes)
        }
        _ => Ok(false),
    }
}

/// Whether `value` is the integer of these minimal bytes; both are beyond a word's integers.
fn is_large_integer(value: f64, bytes: &[u8]) -> bool {
    number::is_integral(value)
        && number::canonical_float(value).is_none()
        && number::IntegerBytes::of(value).as_slice() == bytes
}

/// Up to so many bytes are compared word by word, which beats calls that copy and compare.
const BY_WORDS: usize = 64;

/// Whether `length` bytes at `offset` are `expected`.
#[inline]
fn equal_bytes(segment: &Segment, offset: u64, length: u64, expected: &[u8]) -> Result<bool> {
    if length != expected.len() as u64 {
        return Ok(false);
    }
    if expected.len() > BY_WORDS || !offset.is_multiple_of(8) {
        return Ok(segment.equals(offset, expected)?);
    }
    let (words, rest) = expected.as_chunks::<8>();
    let mut at = offset;
    for word in words {
        if segment.load(at)? != u64::from_le_bytes(*word) {
            return Ok(false);
        }
        at += 8;
    }
    if rest.is_empty() {
        return Ok(true);
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    // Blocks end on a border of words, so the last word can be read as a whole.
    let mask = u64::MAX >> (64 - 8 * rest.len());
    Ok(segment.load(at)? & mask == u64::from_le_bytes(last))
}

/// Whether two canonical forms in private memory are the same.
pub(super) fn same_canonical(left: &Canonical<'_>, right: &Canonical<'_>) -> bool {
    match (left, right) {
        (
            Canonical::Integral(value),
            Canonical::Bytes {
                kind: kind::BIGINT,
                bytes,
            },
        )
        | (
            Canonical::Bytes {
                kind: kind::BIGINT,
                bytes,
            },
            Canonical::Integral(value),
        ) => is_large_integer(*value, bytes),
        _ => left == right,
    }
}
