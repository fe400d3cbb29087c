//! Taking entries out.

use coheld_shm::{Fate, Guard, Operation, Referent};

use super::layout::Table;
use super::probe::Place;
use crate::error::{Result, StoreError};
use crate::hosted::check_here;
use crate::key::{Key, KeyHasher};
use crate::list::check_version;
use crate::output::{self, Output, Read, Reader};
use crate::word;

/// A key and its value, taken out.
pub(crate) struct Taken {
    pub(crate) key: Output,
    pub(crate) value: Output,
}

/// The committing store of a change: by the operation if it allocated or released anything, else
/// by itself.
#[inline]
pub(super) fn commit(
    guard: &Guard<'_>,
    operation: Option<&mut Operation<'_>>,
    cell: u64,
    value: u64,
) -> Result<()> {
    // COMMIT: in `coheld-shm`, with the version moved before it.
    match operation {
        Some(operation) => operation.commit(guard, cell, value)?,
        None => guard.commit_word(cell, value)?,
    }
    Ok(())
}

/// Takes the key out without looking at its value, if the version is still the expected one.
/// `false`: it was not there.
#[inline]
pub(crate) fn delete(
    referent: &Referent<'_>,
    key: &Key<'_>,
    expected: Option<u64>,
) -> Result<bool> {
    let mut operation = None;
    loop {
        let guard = referent.lock()?;
        check_version(&guard, expected)?;
        let Some(table) = Table::open(&guard)? else {
            return Ok(false);
        };
        let Place::Found { entry, slot } = table.find(key)? else {
            return Ok(false);
        };
        if operation.is_none() && table.owns_something(entry)? {
            drop(guard);
            operation = Some(referent.segment().begin()?);
            continue;
        }
        table.take_out(&guard, operation.as_mut(), entry, slot)?;
        return Ok(true);
    }
}

/// Takes the key out and returns its value.
pub(crate) fn remove(referent: &Referent<'_>, key: &Key<'_>) -> Result<Option<Output>> {
    let mut operation = None;
    let mut reader = Reader::new();
    loop {
        let guard = referent.lock()?;
        let Some(table) = Table::open(&guard)? else {
            return Ok(None);
        };
        let Place::Found { entry, slot } = table.find(key)? else {
            return Ok(None);
        };
        if operation.is_none() && table.owns_something(entry)? {
            drop(guard);
            operation = Some(referent.segment().begin()?);
            continue;
        }
        let value = match output::read(&guard, table.value(entry)?, &mut reader)? {
            Read::Done(value) => value,
            Read::NeedRoom(room) => {
                drop(guard);
                reader.reserve(room)?;
                continue;
            }
        };
        table.take_out(&guard, operation.as_mut(), entry, slot)?;
        return Ok(Some(value));
    }
}

/// Takes the last entry out, as `dict.popitem` does.
pub(crate) fn pop_last(referent: &Referent<'_>) -> Result<Option<Taken>> {
    let hasher = KeyHasher::new(referent.segment().secret());
    let mut operation = None;
    let (mut key_reader, mut value_reader) = (Reader::new(), Reader::new());
    loop {
        let guard = referent.lock()?;
        let Some(table) = Table::open(&guard)? else {
            return Ok(None);
        };
        let Some(entry) = table.last_live()? else {
            return Ok(None);
        };
        if operation.is_none() && table.owns_something(entry)? {
            drop(guard);
            operation = Some(referent.segment().begin()?);
            continue;
        }
        let key = match output::read(&guard, table.key(entry)?, &mut key_reader)? {
            Read::Done(key) => key,
            Read::NeedRoom(room) => {
                drop(guard);
                key_reader.reserve(room)?;
                continue;
            }
        };
        let value = match output::read(&guard, table.value(entry)?, &mut value_reader)? {
            Read::Done(value) => value,
            Read::NeedRoom(room) => {
                drop(guard);
                // The key's copy took its room with it.
                key_reader.reserve(room_of(&key))?;
                value_reader.reserve(room)?;
                continue;
            }
        };
        let slot = table.slot_of(hash_of(&key, &hasher)?, entry)?;
        table.drop_last(&guard, operation.as_mut(), entry, slot)?;
        return Ok(Some(Taken { key, value }));
    }
}

/// Takes everything out.
pub(crate) fn clear(referent: &Referent<'_>) -> Result<()> {
    let mut operation = referent.segment().begin()?;
    let guard = referent.lock()?;
    check_here(&guard)?;
    if guard.root() == word::EMPTY {
        guard.bump_version();
        return Ok(());
    }
    operation.retire(guard.root(), Fate::Keep, Fate::Tree)?;
    // COMMIT: no table, no entries.
    operation.commit(&guard, guard.root_cell(), word::EMPTY)?;
    Ok(())
}

fn room_of(output: &Output) -> output::Room {
    match output {
        Output::Block { bytes, edges, .. } => output::Room {
            bytes: bytes.len() as u64,
            edges: edges.len() as u64,
        },
        Output::Word(_) | Output::Edge(_) => output::Room::default(),
    }
}

fn hash_of(key: &Output, hasher: &KeyHasher) -> Result<u32> {
    let key = match key {
        Output::Word(word) => Key::from_word(*word, hasher),
        Output::Block { kind, bytes, .. } => Key::from_block(*kind, bytes, hasher),
        Output::Edge(_) => Err(StoreError::NotHashable),
    };
    match key {
        Ok(key) => Ok(key.hash32()),
        Err(_) => Err(StoreError::Corrupted("a stored key cannot be a key")),
    }
}

impl Table<'_> {
    /// Whether taking the entry out releases anything, which needs an operation.
    #[inline]
    pub(super) fn owns_something(&self, entry: u32) -> Result<bool> {
        Ok(word::owns(self.key(entry)?) || word::owns(self.value(entry)?))
    }

    fn retire(&self, operation: Option<&mut Operation<'_>>, entry: u32) -> Result<()> {
        if let Some(operation) = operation {
            operation.retire(self.key(entry)?, Fate::Keep, Fate::Tree)?;
            operation.retire(self.value(entry)?, Fate::Keep, Fate::Tree)?;
        }
        Ok(())
    }

    /// Takes out any entry.
    fn take_out(
        &self,
        guard: &Guard<'_>,
        mut operation: Option<&mut Operation<'_>>,
        entry: u32,
        slot: u32,
    ) -> Result<()> {
        self.retire(operation.as_deref_mut(), entry)?;
        // COMMIT: without its key the entry is deleted.
        commit(guard, operation, self.key_cell(entry), word::EMPTY)?;
        // CRASH: the value word is owned by the lane as well, the slot names a deleted entry and
        // the counts are off by one; `mend` puts all three right before anybody looks.
        self.segment.store(self.value_cell(entry), word::EMPTY)?;
        self.forget(slot)?;
        if entry + 1 == self.used {
            self.shrink(entry)
        } else {
            Ok(())
        }
    }

    /// Takes out the last live entry; behind it are deleted ones at most.
    fn drop_last(
        &self,
        guard: &Guard<'_>,
        mut operation: Option<&mut Operation<'_>>,
        entry: u32,
        slot: u32,
    ) -> Result<()> {
        self.retire(operation.as_deref_mut(), entry)?;
        // COMMIT: the state counts one entry less (and none of the deleted ones behind it).
        commit(guard, operation, self.state_cell(), Self::state_of(entry))?;
        // CRASH: the slot names an entry beyond the used ones, the counts are off by one; `mend`.
        self.forget(slot)?;
        self.shrink(entry)
    }

    /// After the commit: the index and the counts without the entry.
    fn forget(&self, slot: u32) -> Result<()> {
        self.free_slot(slot)?;
        let live = self.segment.load(self.live_cell())?;
        self.segment
            .store(self.live_cell(), live.saturating_sub(1))?;
        Ok(())
    }

    /// Gives the deleted entries before `used` back. Each is looked at once in its life, so this
    /// costs nothing over many deletions.
    fn shrink(&self, mut used: u32) -> Result<()> {
        while used > 0 && self.key(used - 1)? == word::EMPTY {
            used -= 1;
        }
        // Changes nothing that anybody can see, so it is no commit: a death before it leaves
        // deleted entries at the end, which every operation bears.
        Ok(self
            .segment
            .store(self.state_cell(), Self::state_of(used))?)
    }
}
