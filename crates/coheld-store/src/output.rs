//! Values copied out of the segment.

use coheld_shm::{Guard, Lease};

use crate::block;
use crate::error::{Result, StoreError};
use crate::kinds;
use crate::word;

/// A value copied out under the lock of the referent that holds it.
#[derive(Debug)]
pub enum Output {
    /// A value that fits in a word.
    Word(u64),
    /// The content of a block.
    Block {
        /// One of `kinds::block`.
        kind: u8,
        /// The payload.
        bytes: Vec<u8>,
        /// A lease on every referent that the value names, in order.
        edges: Vec<Lease>,
    },
    /// A proxy by itself.
    Edge(Lease),
}

impl Output {
    /// The inline word, if the value is one.
    #[inline]
    pub fn inline_word(&self) -> Option<u64> {
        match self {
            Self::Word(word) => Some(*word),
            _ => None,
        }
    }
}

/// What [`read`] did.
#[derive(Debug)]
pub enum Read {
    /// The value.
    Done(Output),
    /// The reader has not enough private memory: unlock, [`Reader::reserve`], lock, try again.
    NeedRoom(Room),
}

/// Private memory that a value needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Bytes of payload.
    pub bytes: u64,
    /// Number of leases.
    pub edges: u64,
}

/// Private memory for one value, reserved before a lock is taken.
#[derive(Debug, Default)]
pub struct Reader {
    bytes: Vec<u8>,
    edges: Vec<Lease>,
}

impl Reader {
    /// Room for nothing but inline values; allocates nothing.
    #[inline]
    pub const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            edges: Vec::new(),
        }
    }

    /// Makes room. Never under a lock.
    pub fn reserve(&mut self, room: Room) -> Result<()> {
        let refused = |_| StoreError::PrivateMemory {
            bytes: room.bytes + 8 * room.edges,
        };
        let (bytes, edges) = (room.bytes as usize, room.edges as usize);
        if self.bytes.len() < bytes {
            self.bytes.clear();
            self.bytes.try_reserve_exact(bytes).map_err(refused)?;
            self.bytes.resize(bytes, 0);
        }
        self.edges.clear();
        self.edges.try_reserve_exact(edges).map_err(refused)
    }
}

/// Copies the value of `word` out. Runs under the lock: allocates nothing, and takes the leases
/// that keep the value's referents alive until the layer above redeems them.
#[inline]
pub fn read(guard: &Guard<'_>, word: u64, reader: &mut Reader) -> Result<Read> {
    match word::tag_of(word) {
        word::tag::BLOCK => read_block(guard, word, reader),
        word::tag::EDGE => Ok(Read::Done(Output::Edge(guard.segment().lease_edge(word)?))),
        word::tag::EMPTY => Err(StoreError::Corrupted("a value is missing")),
        _ => Ok(Read::Done(Output::Word(word))),
    }
}

fn read_block(guard: &Guard<'_>, word: u64, reader: &mut Reader) -> Result<Read> {
    let segment = guard.segment();
    let header = block::header_of_word(segment, word)?;
    if !(kinds::block::BIGINT..=kinds::block::KEY).contains(&header.kind) {
        return Err(StoreError::Corrupted("a block holds no value"));
    }
    let room = Room {
        bytes: header.length,
        edges: u64::from(header.count),
    };
    if (reader.bytes.len() as u64) < room.bytes || (reader.edges.capacity() as u64) < room.edges {
        return Ok(Read::NeedRoom(room));
    }
    let length = header.length as usize;
    segment.copy_out(header.payload, &mut reader.bytes[..length])?;
    reader.edges.clear();
    for index in 0..header.count {
        let edge = segment.load(header.owning_word(index))?;
        if word::tag_of(edge) != word::tag::EDGE {
            return Err(StoreError::Corrupted(
                "a value owns something that is no edge",
            ));
        }
        reader.edges.push(segment.lease_edge(edge)?);
    }
    let mut bytes = std::mem::take(&mut reader.bytes);
    bytes.truncate(length);
    Ok(Read::Done(Output::Block {
        kind: header.kind,
        bytes,
        edges: std::mem::take(&mut reader.edges),
    }))
}
