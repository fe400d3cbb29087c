//! `Buffer`: the bytes of a large value as a referent of their own.
//!
//! The value itself is an edge to it, so who keeps the referent keeps the bytes, whatever happens
//! to the cell that they were stored in. The root owns a block of kind BYTES. It is written before
//! anybody but its maker can know the referent and never again, so it is read without a lock. Bit 0
//! of the auxiliary word is for the layer above.

use coheld_shm::{Fate, Referent};

use crate::array::Extent;
use crate::block::{self, HEADER};
use crate::error::{Result, StoreError};
use crate::list::check_kind;
use crate::{kinds, word};

/// Bytes from this number on are stored as a buffer.
pub const LEAST: usize = 64 << 10;

/// A buffer of the segment.
#[derive(Clone, Copy)]
pub struct Buffer<'a> {
    referent: &'a Referent<'a>,
}

impl<'a> Buffer<'a> {
    /// Treats `referent`, which is of kind `kinds::referent::BUFFER`, as a buffer.
    #[inline]
    pub fn new(referent: &'a Referent<'a>) -> Self {
        Self { referent }
    }

    /// Brings the bytes in. Once, by its maker, before anybody else can know the referent.
    pub fn fill(&self, bytes: &[u8]) -> Result<()> {
        let segment = self.referent.segment();
        let mut operation = segment.begin()?;
        let kind = kinds::block::BYTES;
        let block = operation.allocate(bytes.len() as u64, kind, Fate::Tree, Fate::Keep)?;
        segment.copy_in(block + HEADER, bytes)?;
        let guard = self.referent.lock()?;
        check_kind(&guard, kinds::referent::BUFFER)?;
        if guard.root() != word::EMPTY {
            return Err(StoreError::Changed);
        }
        // COMMIT: the root names the bytes. CRASH: before it the lane gives the block back, after
        // it the referent does, which goes with its only holder.
        operation.commit(&guard, guard.root_cell(), word::from_block(block))?;
        Ok(())
    }

    /// Where the bytes are for the life of the referent.
    pub fn extent(&self) -> Result<Extent> {
        let guard = self.referent.lock()?;
        check_kind(&guard, kinds::referent::BUFFER)?;
        let header = block::header_of_word(guard.segment(), guard.root())?;
        if header.kind != kinds::block::BYTES || header.count != 0 {
            return Err(StoreError::Corrupted("the bytes of a buffer are no bytes"));
        }
        Ok(Extent {
            offset: header.payload,
            count: header.length,
            item_size: 1,
            typecode: b'B',
        })
    }
}
