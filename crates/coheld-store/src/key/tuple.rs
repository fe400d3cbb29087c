//! Tuples as keys: their canonical form, and the block that holds it beside the original.
//!
//! ```text
//! payload of a KEY block:  u32 length of the canonical form (top bit: equals nothing)
//!                          canonical form
//!                          pickle of the original, to the end
//! canonical form:          T <u32 items> item...      a tuple
//!   item:  N               None
//!          I <u32> bytes   an integer, a bool, or an integral float: minimal two's complement
//!          F <8 bytes>     any other float
//!          S <u32> bytes   text (UTF-8, or `surrogatepass` of it: no other text has those bytes)
//!          B <u32> bytes   bytes
//!          T ...           a tuple
//! ```
//!
//! Every item starts with its kind and its size, so no two tuples share a form.

use super::number;
use crate::error::{Result, StoreError};
use crate::input::{Input, minimal};
use crate::kinds;

/// Bytes of the length in front.
pub(super) const PREFIX: usize = 4;
/// Set in the length if the tuple equals nothing.
pub(super) const UNEQUAL: u32 = 1 << 31;
const LENGTH_LIMIT: u64 = UNEQUAL as u64 - 1;

/// Builds the canonical form of a tuple, item by item, outermost tuple first.
#[derive(Debug, Default)]
pub struct CanonicalBuilder {
    /// The payload of the block, with room for the length in front.
    payload: Vec<u8>,
    /// Items that are still to come in the tuples begun so far.
    missing: usize,
    contains_nan: bool,
}

impl CanonicalBuilder {
    /// Nothing yet. Call [`CanonicalBuilder::begin_tuple`] first.
    pub fn new() -> Self {
        Self {
            payload: vec![0; PREFIX],
            missing: 1,
            contains_nan: false,
        }
    }

    /// A tuple of `items` items, which are pushed next.
    pub fn begin_tuple(&mut self, items: usize) {
        self.item(b'T');
        self.payload
            .extend_from_slice(&(items as u32).to_le_bytes());
        self.missing = self.missing.saturating_add(items);
    }

    /// `None`.
    pub fn none(&mut self) {
        self.item(b'N');
    }

    /// A bool.
    pub fn bool(&mut self, value: bool) {
        self.int(i64::from(value));
    }

    /// An integer.
    pub fn int(&mut self, value: i64) {
        self.sized(b'I', minimal(&value.to_le_bytes()));
    }

    /// An integer of any size, in two's complement, little endian.
    pub fn big_int(&mut self, bytes: &[u8]) {
        self.sized(b'I', minimal(bytes));
    }

    /// A float.
    pub fn float(&mut self, value: f64) {
        if !number::is_integral(value) {
            self.contains_nan |= value.is_nan();
            self.item(b'F');
            self.payload.extend_from_slice(&value.to_le_bytes());
        } else if value.abs() < 9_007_199_254_740_992.0 {
            self.int(value as i64);
        } else {
            let integer = number::IntegerBytes::of(value);
            self.sized(b'I', integer.as_slice());
        }
    }

    /// Text, in UTF-8 or, with lone surrogates, as `surrogatepass` writes it.
    pub fn str(&mut self, bytes: &[u8]) {
        self.sized(b'S', bytes);
    }

    /// Bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.sized(b'B', bytes);
    }

    /// The key, with the pickle that makes the original again.
    pub fn finish(mut self, original_pickle: &[u8]) -> Result<TupleKey> {
        if self.missing != 0 || self.payload.get(PREFIX) != Some(&b'T') {
            return Err(StoreError::NotHashable);
        }
        let length = (self.payload.len() - PREFIX) as u64;
        if length > LENGTH_LIMIT {
            return Err(StoreError::Limit {
                what: "bytes of a tuple used as a key",
                requested: length,
                limit: LENGTH_LIMIT,
            });
        }
        let flag = if self.contains_nan { UNEQUAL } else { 0 };
        self.payload[..PREFIX].copy_from_slice(&(length as u32 | flag).to_le_bytes());
        self.payload.extend_from_slice(original_pickle);
        Ok(TupleKey {
            payload: self.payload,
            canonical_end: PREFIX + length as usize,
        })
    }

    fn item(&mut self, kind: u8) {
        // One more than announced makes `finish` refuse.
        self.missing = self.missing.checked_sub(1).unwrap_or(usize::MAX);
        self.payload.push(kind);
    }

    fn sized(&mut self, kind: u8, bytes: &[u8]) {
        self.item(kind);
        // A length beyond 32 bits makes the whole form too long, which `finish` refuses.
        self.payload
            .extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.payload.extend_from_slice(bytes);
    }
}

/// A tuple ready to be a key.
#[derive(Clone, Debug)]
pub struct TupleKey {
    payload: Vec<u8>,
    canonical_end: usize,
}

impl TupleKey {
    pub(super) fn canonical(&self) -> &[u8] {
        &self.payload[PREFIX..self.canonical_end]
    }

    pub(super) fn equals_itself(&self) -> bool {
        self.payload[PREFIX - 1] & 0x80 == 0
    }

    /// The value to be stored.
    pub fn input(&self) -> Input<'_> {
        Input::Block {
            kind: kinds::block::KEY,
            bytes: &self.payload,
            edges: &[],
        }
    }
}

/// The canonical form in the payload of a KEY block, and whether it equals itself.
pub(super) fn split(payload: &[u8]) -> Result<(&[u8], bool)> {
    let Some((prefix, rest)) = payload.split_first_chunk::<PREFIX>() else {
        return Err(StoreError::Corrupted("a tuple key is too short"));
    };
    let prefix = u32::from_le_bytes(*prefix);
    match rest.get(..(prefix & !UNEQUAL) as usize) {
        Some(canonical) => Ok((canonical, prefix & UNEQUAL == 0)),
        None => Err(StoreError::Corrupted(
            "a tuple key ends before its canonical form",
        )),
    }
}

/// The pickle of the original in the payload of a KEY block.
pub fn original_pickle(payload: &[u8]) -> Result<&[u8]> {
    let (canonical, _) = split(payload)?;
    Ok(&payload[PREFIX + canonical.len()..])
}
