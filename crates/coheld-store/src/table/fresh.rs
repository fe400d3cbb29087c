//! Building a table anew: to grow it, to leave deleted entries behind, or to change many at once.

use coheld_shm::{Fate, Operation};

use super::layout::{DELETED, Shape, Table};
use super::reserved;
use crate::block;
use crate::error::{Result, StoreError};
use crate::kinds;
use crate::word;

/// Marks an entry that has no place in the new table.
const LEFT_OUT: u32 = u32::MAX;

/// A table that the operation owns and nobody else sees. Its words have other owners (the old
/// table, a nursery) until the commit makes it the root.
pub(crate) struct Fresh<'s> {
    table: Table<'s>,
    /// For each entry of the old table, its number in the new one. Private memory, so it is
    /// reserved before the lock.
    ranks: Vec<u32>,
}

impl<'s> Fresh<'s> {
    /// Room for `entries` entries, taken over from a table of which `old_used` entries are used.
    /// Never under a lock.
    pub(crate) fn allocate(
        operation: &mut Operation<'s>,
        entries: u64,
        old_used: u32,
    ) -> Result<Self> {
        let shape = Shape::for_entries(entries)?;
        let mut ranks = reserved(old_used as usize)?;
        ranks.resize(old_used as usize, 0);
        let block = operation.allocate(
            shape.payload(),
            kinds::block::TABLE,
            Fate::Shell,
            Fate::Keep,
        )?;
        let table = Table::unpublished(operation.segment(), block, shape);
        table.write_head()?;
        Ok(Self { table, ranks })
    }

    /// Whether the live entries of `old` and `more` new ones fit.
    pub(crate) fn fits(&self, old: Option<&Table<'_>>, more: u64) -> Result<bool> {
        let Some(old) = old else {
            return Ok(more <= u64::from(self.table.shape.entries));
        };
        Ok(
            u64::from(old.live()?) + more <= u64::from(self.table.shape.entries)
                && old.used as usize <= self.ranks.len(),
        )
    }

    /// Leaves an entry of the old table out of the new one. `false`: it is left out already.
    pub(crate) fn leave_out(&mut self, entry: u32) -> bool {
        match self.ranks.get_mut(entry as usize) {
            Some(rank) if *rank != LEFT_OUT => {
                *rank = LEFT_OUT;
                true
            }
            _ => false,
        }
    }

    /// Takes over the live entries of the old table that were not left out; `fits` has said yes.
    pub(crate) fn take_over(&mut self, old: &Table<'_>) -> Result<()> {
        let segment = self.table.segment;
        let nothing_left_out = old.live()? == old.used && !self.ranks.contains(&LEFT_OUT);
        if nothing_left_out && old.used <= self.table.shape.entries {
            segment.copy_words(
                old.key_cell(0),
                self.table.key_cell(0),
                2 * u64::from(old.used),
            )?;
            for (rank, entry) in self.ranks.iter_mut().zip(0..old.used) {
                *rank = entry;
            }
            self.table.used = old.used;
        } else {
            for (rank, entry) in self.ranks.iter_mut().zip(0..old.used) {
                let key = old.key(entry)?;
                if *rank == LEFT_OUT || key == word::EMPTY {
                    *rank = LEFT_OUT;
                    continue;
                }
                let new = self.table.used;
                if new == self.table.shape.entries {
                    return Err(StoreError::Corrupted(
                        "a table counts fewer entries than it has",
                    ));
                }
                segment.store(self.table.key_cell(new), key)?;
                segment.store(self.table.value_cell(new), old.value(entry)?)?;
                *rank = new;
                self.table.used += 1;
            }
        }
        self.take_over_index(old)
    }

    /// The hashes are in the old index only. Going through it in order writes the new one in nearly
    /// the same order.
    fn take_over_index(&mut self, old: &Table<'_>) -> Result<()> {
        for slot in 0..old.shape.index {
            let found = old.slot(slot)?;
            if found == 0 || found == DELETED {
                continue;
            }
            let Some(entry) = old.named_by(found) else {
                continue;
            };
            match self.ranks.get(entry as usize) {
                Some(&rank) if rank != LEFT_OUT => self.name((found >> 32) as u32, rank)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes the index name an entry.
    fn name(&self, hash: u32, entry: u32) -> Result<()> {
        let vacancy = self.table.vacancy(hash)?;
        self.table
            .set_slot(vacancy.slot, Table::naming(hash, entry))
    }

    /// Adds an entry whose key is not in the table.
    pub(crate) fn add(&mut self, hash: u32, key: u64, value: u64) -> Result<()> {
        let entry = self.table.used;
        if entry == self.table.shape.entries {
            return Err(StoreError::Corrupted(
                "a table counts fewer entries than it has",
            ));
        }
        let segment = self.table.segment;
        segment.store(self.table.key_cell(entry), key)?;
        segment.store(self.table.value_cell(entry), value)?;
        self.name(hash, entry)?;
        self.table.used += 1;
        Ok(())
    }

    /// What was built so far.
    pub(crate) fn table(&self) -> &Table<'s> {
        &self.table
    }

    /// Finishes the table; the returned word is to become the root.
    pub(crate) fn complete(&self) -> Result<u64> {
        let table = &self.table;
        table.set_live(table.used)?;
        table.set_fill(table.used)?;
        // Not a commit: the operation gives the block up as a shell, whatever it claims to own.
        table
            .segment
            .store(table.state_cell(), Table::state_of(table.used))?;
        Ok(word::from_block(table.block))
    }
}

/// How many entries a table that has run full is built anew for: twice as many if most are live,
/// fewer if most are deleted (the shapes are a factor of two apart).
pub(crate) fn grown(live: u64) -> u64 {
    live + live / 2 + 1
}

const _: () = assert!(block::HEADER == coheld_shm::layout::BLOCK_HEADER);
