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

use coheld_shm::{Glance, Guard, Look, Referent};

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
use crate::hosted::check_here;
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

/// The version of what is still a table.
pub(crate) fn version(referent: &Referent<'_>) -> Result<u64> {
    let guard = referent.lock()?;
    check_here(&guard)?;
    Ok(guard.version())
}

/// Whether the key is there.
#[inline]
pub(crate) fn contains(referent: &Referent<'_>, key: &Key<'_>) -> Result<bool> {
    if let Some(found) = referent.glance(|table| find_value(table, key).ok()) {
        return Ok(found.is_some());
    }
    let guard = referent.lock()?;
    Ok(match Table::open(&guard)? {
        Some(table) => matches!(table.find(key)?, Place::Found { .. }),
        None => false,
    })
}

/// A copy of the key's value.
#[inline]
pub(crate) fn get(referent: &Referent<'_>, key: &Key<'_>) -> Result<Option<Output>> {
    let inline = |table: &Glance<'_>| match find_value(table, key) {
        Ok(Some(found)) if !word::is_inline(found) => None,
        found => found.ok(),
    };
    if let Some(found) = referent.glance(inline) {
        return Ok(found.map(Output::Word));
    }
    let guard = referent.lock()?;
    let Some(found) = find_value(&guard, key)? else {
        return Ok(None);
    };
    if word::owns(found) || found == word::EMPTY {
        return get_owned(referent, key, guard, found);
    }
    Ok(Some(Output::Word(found)))
}

#[inline]
fn find_value<'s>(guard: &impl Look<'s>, key: &Key<'_>) -> Result<Option<u64>> {
    let Some(table) = Table::open(guard)? else {
        return Ok(None);
    };
    match table.find(key)? {
        Place::Found { entry, .. } => table.value(entry).map(Some),
        Place::Missing(_) => Ok(None),
    }
}

/// The rest of `get` when the value is in a block or is a proxy.
fn get_owned(
    referent: &Referent<'_>,
    key: &Key<'_>,
    guard: Guard<'_>,
    found: u64,
) -> Result<Option<Output>> {
    let mut reader = Reader::new();
    let mut read = output::read_once(guard, found)?;
    loop {
        match read {
            Read::Done(output) => return Ok(Some(output)),
            Read::NeedRoom(room) => reader.reserve(room)?,
        }
        let guard = referent.lock()?;
        // It may be another value by now, or none.
        let Some(found) = find_value(&guard, key)? else {
            return Ok(None);
        };
        read = output::read(&guard, found, &mut reader)?;
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
        let live = table.live()?;
        let words = if part == Part::Items { 2 } else { 1 };
        let words = words * live as usize;
        if !capture.expect(words) {
            return Ok(());
        }
        if part == Part::Items && live == table.used {
            return capture.push_run(guard, table.key_cell(0), words);
        }
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
