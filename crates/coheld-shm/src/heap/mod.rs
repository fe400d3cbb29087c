//! The heap: slabs of equal blocks with a bitmap each, and runs of whole pages for what is larger.
//!
//! * `classes`: which class serves which size;
//! * `pages`: the page table, runs, backing memory by steps, giving it back;
//! * `slab`: blocks of one class.
//!
//! The bitmaps and the page states are the truth; lists and counts are derived from them and built
//! anew when the lock of a class is taken over from the dead. Allocation is one step that sets the
//! bit *and* the cell that owns the block, so no block is ever allocated and nobody's.

mod classes;
mod pages;
mod slab;

use crate::{
    Error, Segment,
    layout::{BLOCK_HEADER, CLASS_SIZES, PAGE, REFERENT_CLASS, SLAB_LIMIT},
    word,
};
pub(crate) use pages::PageKind;

/// Largest payload of a block: its length has 48 bits, minus room to add the header.
const PAYLOAD_LIMIT: u64 = (1 << 47) - 1;

pub(crate) const fn pack_meta(kind: u8, payload: u64) -> u64 {
    payload | (kind as u64) << 48
}

impl Segment {
    /// Allocates a block that `cell` will own. Its meta word is set, its state word 0.
    pub(crate) fn allocate(
        &self,
        lane: u64,
        payload: u64,
        kind: u8,
        cell: u64,
    ) -> Result<u64, Error> {
        let out_of_memory = || Error::OutOfMemory {
            requested: payload,
            capacity: self.capacity(),
        };
        if payload > PAYLOAD_LIMIT {
            return Err(out_of_memory());
        }
        let total = payload + BLOCK_HEADER;
        let meta = pack_meta(kind, payload);
        if total <= SLAB_LIMIT {
            let class = classes::class_for(total);
            return self
                .with_room(|| self.allocate_block(lane, class, Some(meta), cell, word::TAG_BLOCK));
        }
        self.with_room(|| self.allocate_run(lane, total.div_ceil(PAGE), meta, cell))
    }

    /// Tries again after collecting what the dead and the size classes still sit on.
    pub(crate) fn with_room<T>(&self, allocate: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
        match allocate() {
            Err(Error::OutOfMemory { .. }) => {
                self.reap_dead();
                for class in 0..CLASS_SIZES.len() {
                    self.return_empty_pages(class)?;
                }
                allocate()
            }
            other => other,
        }
    }

    /// The size class of the slab that `offset` lies in; `None` for runs and everything else.
    pub(crate) fn class_of(&self, offset: u64) -> Option<usize> {
        self.class_of_page(self.map.page_of(offset)?)
    }

    /// Checks that a block starts at `offset` and returns the bytes its payload can hold.
    #[inline]
    pub fn block_room(&self, offset: u64) -> Result<u64, Error> {
        let corrupted = Error::Corrupted {
            what: "offset of a block",
            offset,
        };
        let Some(page) = self.map.page_of(offset) else {
            return Err(corrupted);
        };
        match self.page_kind(page) {
            PageKind::Slab(class) if class != REFERENT_CLASS => {
                let size = u64::from(CLASS_SIZES[class]);
                if (offset - self.map.page_start(page)).is_multiple_of(size) {
                    return Ok(size - BLOCK_HEADER);
                }
            }
            PageKind::Run(pages) if offset == self.map.page_start(page) => {
                let room = pages.saturating_mul(PAGE);
                if (PAGE..=self.map.capacity - offset).contains(&room) {
                    return Ok(room - BLOCK_HEADER);
                }
            }
            _ => {}
        }
        Err(corrupted)
    }

    /// Kind and payload length of the block that `word` owns, checked against its room.
    #[inline]
    pub fn block(&self, word: u64) -> Result<Block, Error> {
        let offset = word::offset(word);
        let corrupted = Error::Corrupted {
            what: "block",
            offset,
        };
        if word::tag(word) != word::TAG_BLOCK {
            return Err(corrupted);
        }
        let room = self.block_room(offset)?;
        let meta = self.load(offset)?;
        let block = Block {
            offset,
            kind: (meta >> 48) as u8,
            length: meta & ((1 << 48) - 1),
            room,
        };
        if block.length > room {
            return Err(corrupted);
        }
        Ok(block)
    }
}

/// A block whose place and length have been checked.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// Where its header lies.
    pub offset: u64,
    /// What it is; the numbers are the store's.
    pub kind: u8,
    /// Bytes of payload that its maker asked for.
    pub length: u64,
    /// Bytes of payload that it has room for.
    pub room: u64,
}

impl Block {
    /// Where its payload starts.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> u64 {
        self.offset + BLOCK_HEADER
    }

    /// Where its state word lies.
    #[inline]
    #[must_use]
    pub fn state_cell(&self) -> u64 {
        self.offset + 8
    }
}
