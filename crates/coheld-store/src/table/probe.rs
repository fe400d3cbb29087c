//! Looking keys up.

use super::layout::{DELETED, Table};
use crate::error::{Result, StoreError};
use crate::key::{self, Key};
use crate::word;

/// Where a key is, or would go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is there.
    Found {
        /// Its entry.
        entry: u32,
        /// The index slot that names the entry.
        slot: u32,
    },
    /// It is not.
    Missing(Vacancy),
}

/// An index slot that can be made to name a new entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vacancy {
    pub(crate) slot: u32,
    /// Whether the slot is zero, so that naming an entry in it leaves one zero less.
    pub(crate) is_zero: bool,
}

impl Table<'_> {
    /// Finds a key. Hashes are compared first, keys only when those agree. Ends after one round
    /// through the index, whatever the segment holds.
    #[inline]
    pub(crate) fn find(&self, key: &Key<'_>) -> Result<Place> {
        if !key.equals_itself() {
            return Ok(Place::Missing(self.vacancy(key.hash32())?));
        }
        let hash = key.hash32();
        let mask = self.mask();
        let mut slot = hash & mask;
        let mut deleted = None;
        for _ in 0..self.shape.index {
            let found = self.slot(slot)?;
            if (found >> 32) as u32 == hash
                && let Some(entry) = self.named_by(found)
            {
                let stored = self.key(entry)?;
                if stored != word::EMPTY && key::matches(self.segment, stored, key)? {
                    return Ok(Place::Found { entry, slot });
                }
            }
            if found == 0 {
                return Ok(Place::Missing(match deleted {
                    Some(slot) => Vacancy {
                        slot,
                        is_zero: false,
                    },
                    None => Vacancy {
                        slot,
                        is_zero: true,
                    },
                }));
            }
            if found == DELETED && deleted.is_none() {
                deleted = Some(slot);
            }
            slot = (slot + 1) & mask;
        }
        Err(StoreError::Corrupted("an index has no free slot"))
    }

    /// The first vacant slot for a hash.
    pub(crate) fn vacancy(&self, hash: u32) -> Result<Vacancy> {
        let mask = self.mask();
        let mut slot = hash & mask;
        for _ in 0..self.shape.index {
            match self.slot(slot)? {
                0 => {
                    return Ok(Vacancy {
                        slot,
                        is_zero: true,
                    });
                }
                DELETED => {
                    return Ok(Vacancy {
                        slot,
                        is_zero: false,
                    });
                }
                _ => slot = (slot + 1) & mask,
            }
        }
        Err(StoreError::Corrupted("an index has no free slot"))
    }

    /// The slot that names `entry`, whose key has this hash.
    pub(crate) fn slot_of(&self, hash: u32, entry: u32) -> Result<u32> {
        let mask = self.mask();
        let wanted = Self::naming(hash, entry);
        let mut slot = hash & mask;
        for _ in 0..self.shape.index {
            match self.slot(slot)? {
                0 => break,
                found if found == wanted => return Ok(slot),
                _ => slot = (slot + 1) & mask,
            }
        }
        Err(StoreError::Corrupted("an entry is missing in its index"))
    }

    /// The last live entry.
    pub(crate) fn last_live(&self) -> Result<Option<u32>> {
        for entry in (0..self.used).rev() {
            if self.key(entry)? != word::EMPTY {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// Frees an index slot, and with it the deleted ones before it that nothing is behind any more.
    pub(crate) fn free_slot(&self, slot: u32) -> Result<()> {
        let mask = self.mask();
        if self.slot((slot + 1) & mask)? != 0 {
            return self.set_slot(slot, DELETED);
        }
        let mut freed = 1;
        let mut at = slot;
        self.set_slot(at, 0)?;
        loop {
            at = at.wrapping_sub(1) & mask;
            if freed > mask || self.slot(at)? != DELETED {
                break;
            }
            self.set_slot(at, 0)?;
            freed += 1;
        }
        self.set_fill(self.fill()?.saturating_sub(freed))
    }
}
