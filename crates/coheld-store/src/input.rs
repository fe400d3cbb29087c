//! Values ready to be stored.

use coheld_shm::{Fate, Operation};

use crate::block;
use crate::error::Result;
use crate::kinds;
use crate::word;

/// A value that its owner has already brought into a form that can be copied into the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// A value that fits in a word (never a word that owns something).
    Word(u64),
    /// A value that needs a block.
    Block {
        /// One of `kinds::block`.
        kind: u8,
        /// The payload.
        bytes: &'a [u8],
        /// The edge words that the value holds. The caller keeps the referents alive meanwhile.
        edges: &'a [u64],
    },
    /// A proxy by itself: an edge word. The caller keeps the referent alive meanwhile.
    Edge(u64),
}

impl<'a> Input<'a> {
    /// `None`.
    pub const NONE: Self = Self::Word(word::NONE);

    /// A bool.
    #[inline]
    pub fn bool(value: bool) -> Self {
        Self::Word(word::from_bool(value))
    }

    /// An integer; `scratch` holds its bytes if it does not fit in a word.
    #[inline]
    pub fn int(value: i64, scratch: &'a mut [u8; 8]) -> Self {
        match word::from_int(value) {
            Some(word) => Self::Word(word),
            None => {
                *scratch = value.to_le_bytes();
                Self::big_int(scratch)
            }
        }
    }

    /// An integer of any size, in two's complement, little endian. Need not be minimal.
    pub fn big_int(bytes: &'a [u8]) -> Self {
        let bytes = minimal(bytes);
        if bytes.len() <= 8 {
            let sign = if bytes.last().is_some_and(|byte| byte >> 7 == 1) {
                0xFF
            } else {
                0
            };
            let mut wide = [sign; 8];
            wide[..bytes.len()].copy_from_slice(bytes);
            if let Some(word) = word::from_int(i64::from_le_bytes(wide)) {
                return Self::Word(word);
            }
        }
        Self::block(kinds::block::BIGINT, bytes)
    }

    /// A float; `scratch` holds its bytes if it does not fit in a word.
    #[inline]
    pub fn float(value: f64, scratch: &'a mut [u8; 8]) -> Self {
        match word::from_float(value) {
            Some(word) => Self::Word(word),
            None => {
                *scratch = value.to_le_bytes();
                Self::block(kinds::block::FLOAT, scratch)
            }
        }
    }

    /// Text.
    #[inline]
    pub fn str(text: &'a str) -> Self {
        match word::from_str(text) {
            Some(word) => Self::Word(word),
            None => Self::block(kinds::block::STR, text.as_bytes()),
        }
    }

    /// Text with lone surrogates, as Python's `surrogatepass` writes it in UTF-8. Text without any
    /// must go through [`Input::str`], or equal texts would not be equal.
    #[inline]
    pub fn str_surrogate(bytes: &'a [u8]) -> Self {
        Self::block(kinds::block::STR_SURROGATE, bytes)
    }

    /// Bytes.
    #[inline]
    pub fn bytes(bytes: &'a [u8]) -> Self {
        match word::from_bytes(bytes) {
            Some(word) => Self::Word(word),
            None => Self::block(kinds::block::BYTES, bytes),
        }
    }

    /// A pickle and the edge words of the proxies in it.
    #[inline]
    pub fn pickle(bytes: &'a [u8], edges: &'a [u64]) -> Self {
        Self::Block {
            kind: kinds::block::PICKLE,
            bytes,
            edges,
        }
    }

    #[inline]
    fn block(kind: u8, bytes: &'a [u8]) -> Self {
        Self::Block {
            kind,
            bytes,
            edges: &[],
        }
    }

    /// The word, if the value needs neither a block nor an edge.
    #[inline]
    pub fn inline_word(&self) -> Option<u64> {
        match self {
            Self::Word(word) => Some(*word),
            _ => None,
        }
    }

    /// Brings the value into the segment and returns the word that will own it. Until the commit
    /// the operation owns it: it is released if the operation is given up, kept if it commits.
    ///
    /// Never under a referent lock (it allocates).
    pub fn place(&self, operation: &mut Operation<'_>) -> Result<u64> {
        match *self {
            Self::Word(word) => Ok(word),
            Self::Edge(edge) => {
                operation.edge(edge, Fate::Tree, Fate::Keep)?;
                Ok(edge)
            }
            Self::Block { kind, bytes, edges } => {
                let room = room(bytes, edges);
                let offset = operation.allocate(room, kind, Fate::Tree, Fate::Keep)?;
                fill(operation, offset, kind, bytes, edges)?;
                Ok(word::from_block(offset))
            }
        }
    }

    /// The same for a zero cell of a block that the operation owns: the cell becomes the owner.
    pub fn place_into(&self, operation: &mut Operation<'_>, cell: u64) -> Result<()> {
        match *self {
            Self::Word(word) => operation.segment().store(cell, word)?,
            Self::Edge(edge) => operation.edge_into(edge, cell)?,
            Self::Block { kind, bytes, edges } => {
                let offset = operation.allocate_into(room(bytes, edges), kind, cell)?;
                fill(operation, offset, kind, bytes, edges)?;
            }
        }
        Ok(())
    }
}

/// Bytes of payload for a value: its bytes, then its edges at the next multiple of eight.
fn room(bytes: &[u8], edges: &[u64]) -> u64 {
    if edges.is_empty() {
        bytes.len() as u64
    } else {
        8 * (bytes.len().div_ceil(8) as u64 + edges.len() as u64)
    }
}

/// Writes a value into a fresh block that is already owned by the operation or by one of its
/// blocks.
fn fill(
    operation: &mut Operation<'_>,
    offset: u64,
    kind: u8,
    bytes: &[u8],
    edges: &[u64],
) -> Result<()> {
    let segment = operation.segment();
    segment.copy_in(offset + block::HEADER, bytes)?;
    if edges.is_empty() {
        return Ok(());
    }
    let start = bytes.len().div_ceil(8) as u64;
    let first = offset + block::HEADER + 8 * start;
    for index in 0..edges.len() as u64 {
        segment.store(first + 8 * index, word::EMPTY)?;
    }
    // The length of the pickle is its own, not that of the room.
    segment.store(offset, block::meta(kind, bytes.len() as u64))?;
    // CRASH: from here on the block owns its (still empty) edge words, so whoever releases the
    // block releases exactly the edges taken so far.
    segment.store(
        offset + block::STATE,
        block::state(start as u32, edges.len() as u32),
    )?;
    for (index, edge) in edges.iter().enumerate() {
        operation.edge_into(*edge, first + 8 * index as u64)?;
    }
    Ok(())
}

/// Without the bytes at the end that only repeat the sign.
pub(crate) fn minimal(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., below, top] = bytes {
        let redundant = (*top == 0 && *below < 0x80) || (*top == 0xFF && *below >= 0x80);
        if !redundant {
            break;
        }
        bytes = &bytes[..=rest.len()];
    }
    if bytes == [0] { &[] } else { bytes }
}
