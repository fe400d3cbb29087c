//! The hash table behind dict, set and namespace: insertion ordered, one block, one committing
//! store for each change.

mod batch;
mod bulk;
mod edit;
mod fresh;
mod layout;
mod mend;
mod probe;
mod put;

use coheld_shm::Referent;

pub(crate) use self::{
    bulk::{remove_all, replace, update},
    edit::{Taken, clear, delete, pop_last, remove},
    layout::Table,
    mend::mend,
    probe::Place,
    put::{Mode, put, update_word},
};

pub use self::put::Updated;

use crate::error::{Result, StoreError};
use crate::key::Key;
use crate::output::{self, Output, Read, Reader};
use crate::snapshot::{Snapshot, capture};
use crate::word;

/// Live entries and version, read together.
pub(crate) fn size_and_version(referent: &Referent<'_>) -> Result<(u64, u64)> {
    let guard = referent.lock()?;
    let live = match Table::open(&guard)? {
        Some(table) => u64::from(table.live()?),
        None => 0,
    };
    Ok((live, guard.version()))
}

/// Whether the key is there.
#[inline]
pub(crate) fn contains(referent: &Referent<'_>, key: &Key<'_>) -> Result<bool> {
    let guard = referent.lock()?;
    Ok(match Table::open(&guard)? {
        Some(table) => matches!(table.find(key)?, Place::Found { .. }),
        None => false,
    })
}

/// A copy of the key's value.
#[inline]
pub(crate) fn get(referent: &Referent<'_>, key: &Key<'_>) -> Result<Option<Output>> {
    let mut reader = Reader::new();
    loop {
        let guard = referent.lock()?;
        let Some(table) = Table::open(&guard)? else {
            return Ok(None);
        };
        let Place::Found { entry, .. } = table.find(key)? else {
            return Ok(None);
        };
        match output::read(&guard, table.value(entry)?, &mut reader)? {
            Read::Done(output) => return Ok(Some(output)),
            Read::NeedRoom(room) => {
                drop(guard);
                reader.reserve(room)?;
            }
        }
    }
}

/// Which words of the entries a snapshot takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The keys.
    Keys,
    /// The values.
    Values,
    /// Key and value in turn.
    Items,
}

/// Copies the live entries out, in the order of insertion.
pub(crate) fn snapshot(referent: &Referent<'_>, part: Part) -> Result<Snapshot> {
    capture(referent, |guard, capture| {
        let Some(table) = Table::open(guard)? else {
            return Ok(());
        };
        for entry in 0..table.used {
            let key = table.key(entry)?;
            if key == word::EMPTY {
                continue;
            }
            if part != Part::Values {
                capture.push(guard, key)?;
            }
            if part != Part::Keys {
                capture.push(guard, table.value(entry)?)?;
            }
        }
        Ok(())
    })
}

/// An empty private list with room for `count` items, so that pushing under a lock allocates
/// nothing.
pub(crate) fn reserved<T>(count: usize) -> Result<Vec<T>> {
    let mut list = Vec::new();
    list.try_reserve_exact(count)
        .map_err(|_| StoreError::PrivateMemory {
            bytes: (count as u64).saturating_mul(size_of::<T>() as u64),
        })?;
    Ok(list)
}

#[cfg(test)]
mod tests;
