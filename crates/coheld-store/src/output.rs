//! Values copied out of the segment.

use std::cell::RefCell;

use coheld_shm::{Guard, Lease};

use crate::block::{self, Header};
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
        if room.bytes >= SPARE_LEAST && self.bytes.capacity() == 0 {
            // A thread that is ending has no spare buffer any more.
            self.bytes = SPARE.try_with(RefCell::take).unwrap_or_default();
        }
        let refused = |_| StoreError::PrivateMemory {
            bytes: room.bytes + 8 * room.edges,
        };
        let (bytes, edges) = (room.bytes as usize, room.edges as usize);
        // Nothing of the old content is needed, so that it need not be moved either.
        self.bytes.clear();
        self.bytes.try_reserve_exact(bytes).map_err(refused)?;
        self.edges.clear();
        self.edges.try_reserve_exact(edges).map_err(refused)
    }
}

/// Smaller buffers are not worth keeping.
const SPARE_LEAST: u64 = 16 << 10;
/// Larger buffers are given back to the system.
const SPARE_MOST: usize = 16 << 20;

thread_local! {
    /// The buffer of the last large value, so that reading such values one after another does not
    /// take and clear fresh pages each time.
    static SPARE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Takes back the bytes of an output that has been turned into something else. Optional; worth it
/// for large values only.
pub fn recycle(bytes: Vec<u8>) {
    let capacity = bytes.capacity();
    if capacity as u64 >= SPARE_LEAST && capacity <= SPARE_MOST {
        let _ = SPARE.try_with(|spare| spare.replace(bytes));
    }
}

/// Values up to this size are copied by way of the stack, in one hold of the lock.
const SMALL: usize = 256;

/// Copies a value out if that needs no private memory prepared, and unlocks. Else says what room to
/// reserve for [`read`].
#[inline]
pub fn read_once(guard: Guard<'_>, word: u64) -> Result<Read> {
    match word::tag_of(word) {
        word::tag::BLOCK => read_small(guard, word),
        word::tag::EDGE => Ok(Read::Done(Output::Edge(guard.segment().lease_edge(word)?))),
        word::tag::EMPTY => Err(StoreError::Corrupted("a value is missing")),
        _ => Ok(Read::Done(Output::Word(word))),
    }
}

fn read_small(guard: Guard<'_>, word: u64) -> Result<Read> {
    let header = value_header(&guard, word)?;
    if header.length > SMALL as u64 || header.count != 0 {
        return Ok(Read::NeedRoom(room_of(&header)));
    }
    let mut buffer = [0; SMALL];
    let small = &mut buffer[..header.length as usize];
    guard.segment().copy_out(header.payload, small)?;
    drop(guard);
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(small.len())
        .map_err(|_| StoreError::PrivateMemory {
            bytes: header.length,
        })?;
    bytes.extend_from_slice(small);
    Ok(Read::Done(Output::Block {
        kind: header.kind,
        bytes,
        edges: Vec::new(),
    }))
}

/// The header of a block that holds a value.
#[inline]
fn value_header(guard: &Guard<'_>, word: u64) -> Result<Header> {
    let header = block::header_of_word(guard.segment(), word)?;
    if (kinds::block::BIGINT..=kinds::block::KEY).contains(&header.kind) {
        Ok(header)
    } else {
        Err(StoreError::Corrupted("a block holds no value"))
    }
}

fn room_of(header: &Header) -> Room {
    Room {
        bytes: header.length,
        edges: u64::from(header.count),
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
    let header = value_header(guard, word)?;
    let room = room_of(&header);
    if (reader.bytes.capacity() as u64) < room.bytes
        || (reader.edges.capacity() as u64) < room.edges
    {
        return Ok(Read::NeedRoom(room));
    }
    let length = header.length as usize;
    reader.bytes.clear();
    segment.append_out(header.payload, length, &mut reader.bytes)?;
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
    Ok(Read::Done(Output::Block {
        kind: header.kind,
        bytes: std::mem::take(&mut reader.bytes),
        edges: std::mem::take(&mut reader.edges),
    }))
}
