//! Keys of dicts and sets: what makes two of them equal, and their hash.
//!
//! Python's `==` and `hash()` cannot be asked under a lock, and `hash()` differs from process to
//! process. So every key has a *canonical form*, and two keys are equal when their canonical forms
//! are:
//!
//! * `True`, `1` and `1.0` meet, as do all integers and integral floats of any size;
//! * text and bytes never meet;
//! * a tuple's canonical form is built from those of its items (see [`CanonicalBuilder`]);
//! * a NaN, and a tuple that contains one, equals nothing, itself included.
//!
//! The original is stored beside it, so that `d[1.0]` keeps the key `1.0`.

mod compare;
mod hash;
mod number;
mod tuple;

pub(crate) use self::compare::matches;
pub use self::{
    hash::KeyHasher,
    tuple::{CanonicalBuilder, TupleKey, original_pickle},
};

use crate::error::{Result, StoreError};
use crate::input::Input;
use crate::kinds::block as kind;
use crate::word;

/// A key ready for a lookup or an insertion.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    hash: u64,
    canonical: Canonical<'a>,
    input: Input<'a>,
    equals_itself: bool,
}

/// The form in which keys are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Canonical<'a> {
    /// An inline word; every number that has one has only this one.
    Word(u64),
    /// The bytes of a block of the given kind (for `KEY`: of its canonical part).
    Bytes { kind: u8, bytes: &'a [u8] },
    /// The integer that this float is, too large for a word.
    Integral(f64),
}

impl<'a> Key<'a> {
    /// The key of an inline word.
    #[inline]
    pub fn from_word(word: u64, hasher: &KeyHasher) -> Result<Key<'static>> {
        match word::tag_of(word) {
            word::tag::STR | word::tag::BYTES | word::tag::INTEGER => {
                Ok(Key::of_canonical_word(word, Input::Word(word), hasher))
            }
            word::tag::CONSTANT | word::tag::FLOAT => Self::of_other_word(word, hasher),
            _ => Err(StoreError::NotHashable),
        }
    }

    /// The key of any value that can be one. Pickles and proxies cannot.
    pub fn from_input(input: &Input<'a>, hasher: &KeyHasher) -> Result<Key<'a>> {
        match *input {
            Input::Word(word) => Self::from_word(word, hasher),
            Input::Edge(_) => Err(StoreError::NotHashable),
            Input::Block { kind, bytes, edges } => {
                if !edges.is_empty() {
                    return Err(StoreError::NotHashable);
                }
                Self::from_block(kind, bytes, hasher)
            }
        }
    }

    /// The key of the value that a block of this kind and content holds.
    pub fn from_block(kind: u8, bytes: &'a [u8], hasher: &KeyHasher) -> Result<Key<'a>> {
        match kind {
            kind::STR => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Self::str(text, hasher)),
                Err(_) => Err(StoreError::NotHashable),
            },
            kind::STR_SURROGATE => {
                let input = Input::str_surrogate(bytes);
                Ok(Self::of_bytes(kind, bytes, input, hasher))
            }
            kind::BYTES => Ok(Self::bytes(bytes, hasher)),
            kind::BIGINT => Ok(Self::big_int(bytes, hasher)),
            kind::FLOAT => match <[u8; 8]>::try_from(bytes) {
                Ok(raw) => Ok(Self::of_float(f64::from_le_bytes(raw), bytes, hasher)),
                Err(_) => Err(StoreError::NotHashable),
            },
            kind::KEY => {
                let (canonical, equals_itself) = tuple::split(bytes)?;
                let input = Input::Block {
                    kind,
                    bytes,
                    edges: &[],
                };
                let key = Self::of_bytes(kind, canonical, input, hasher);
                Ok(Key {
                    equals_itself,
                    ..key
                })
            }
            _ => Err(StoreError::NotHashable),
        }
    }

    /// The key of a text.
    #[inline]
    pub fn str(text: &'a str, hasher: &KeyHasher) -> Key<'a> {
        match Input::str(text) {
            input @ Input::Word(word) => Key::of_canonical_word(word, input, hasher),
            input => Self::of_bytes(kind::STR, text.as_bytes(), input, hasher),
        }
    }

    /// The key of bytes.
    #[inline]
    pub fn bytes(bytes: &'a [u8], hasher: &KeyHasher) -> Key<'a> {
        match Input::bytes(bytes) {
            input @ Input::Word(word) => Key::of_canonical_word(word, input, hasher),
            input => Self::of_bytes(kind::BYTES, bytes, input, hasher),
        }
    }

    /// The key of an integer; `scratch` holds its bytes if it does not fit in a word.
    #[inline]
    pub fn int(value: i64, scratch: &'a mut [u8; 8], hasher: &KeyHasher) -> Key<'a> {
        Self::of_integer(Input::int(value, scratch), hasher)
    }

    /// The key of an integer in two's complement, little endian, of any length.
    pub fn big_int(bytes: &'a [u8], hasher: &KeyHasher) -> Key<'a> {
        Self::of_integer(Input::big_int(bytes), hasher)
    }

    /// The key of a tuple.
    pub fn from_tuple(tuple: &'a TupleKey, hasher: &KeyHasher) -> Key<'a> {
        let key = Self::of_bytes(kind::KEY, tuple.canonical(), tuple.input(), hasher);
        Key {
            equals_itself: tuple.equals_itself(),
            ..key
        }
    }

    /// The hash; depends on nothing but the value and the segment's secret.
    #[inline]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The part of the hash that an index keeps.
    #[inline]
    pub(crate) fn hash32(&self) -> u32 {
        (self.hash >> 32) as u32
    }

    /// The original, to be stored.
    #[inline]
    pub fn input(&self) -> Input<'a> {
        self.input
    }

    /// `false` for NaN and for tuples with one: a lookup finds nothing, an insertion always adds.
    #[inline]
    pub fn equals_itself(&self) -> bool {
        self.equals_itself
    }

    /// Whether two keys are the same to a dict.
    pub fn same(&self, other: &Key<'_>) -> bool {
        self.equals_itself
            && other.equals_itself
            && self.hash == other.hash
            && compare::same_canonical(&self.canonical, &other.canonical)
    }

    #[inline]
    pub(crate) fn canonical(&self) -> &Canonical<'a> {
        &self.canonical
    }

    #[inline]
    fn of_canonical_word(word: u64, input: Input<'a>, hasher: &KeyHasher) -> Key<'a> {
        Key {
            hash: hasher.of_word(word),
            canonical: Canonical::Word(word),
            input,
            equals_itself: true,
        }
    }

    fn of_bytes(kind: u8, bytes: &'a [u8], input: Input<'a>, hasher: &KeyHasher) -> Key<'a> {
        Key {
            hash: hasher.of_bytes(kind, bytes),
            canonical: Canonical::Bytes { kind, bytes },
            input,
            equals_itself: true,
        }
    }

    #[inline]
    fn of_integer(input: Input<'a>, hasher: &KeyHasher) -> Key<'a> {
        match input {
            Input::Block { kind, bytes, .. } => Self::of_bytes(kind, bytes, input, hasher),
            Input::Word(word) | Input::Edge(word) => Key::of_canonical_word(word, input, hasher),
        }
    }

    /// Constants and inline floats.
    fn of_other_word(word: u64, hasher: &KeyHasher) -> Result<Key<'static>> {
        let input = Input::Word(word);
        if let Some(canonical) = number::canonical_word(word) {
            let key = Key::of_canonical_word(canonical, input, hasher);
            return Ok(Key {
                equals_itself: canonical != word::NAN,
                ..key
            });
        }
        match word::to_float(word) {
            Some(value) => Ok(Key::of_integral(value, input, hasher)),
            None => Err(StoreError::NotHashable),
        }
    }

    /// Floats that came as a block.
    fn of_float(value: f64, bytes: &'a [u8], hasher: &KeyHasher) -> Key<'a> {
        let input = match word::from_float(value) {
            Some(word) => Input::Word(word),
            None => Input::Block {
                kind: kind::FLOAT,
                bytes,
                edges: &[],
            },
        };
        if let Some(canonical) = number::canonical_float(value) {
            let key = Key::of_canonical_word(canonical, input, hasher);
            return Key {
                equals_itself: !value.is_nan(),
                ..key
            };
        }
        if number::is_integral(value) {
            Key::of_integral(value, input, hasher)
        } else {
            Self::of_bytes(kind::FLOAT, bytes, input, hasher)
        }
    }

    fn of_integral(value: f64, input: Input<'a>, hasher: &KeyHasher) -> Key<'a> {
        Key {
            hash: hasher.of_bytes(kind::BIGINT, number::IntegerBytes::of(value).as_slice()),
            canonical: Canonical::Integral(value),
            input,
            equals_itself: true,
        }
    }
}

#[cfg(test)]
mod tests;
