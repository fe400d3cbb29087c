//! The tables of dicts, sets and namespaces: entries, index and counts.

use super::walk::Walk;
use crate::block;
use crate::error::Result;
use crate::key::{Key, KeyHasher};
use crate::table::{Place, Table};
use crate::{kinds, word};

/// Walks a table.
pub(super) fn visit(walk: &mut Walk<'_>, root: u64) -> Result<()> {
    let Some(header) = walk.own(root)? else {
        return Ok(());
    };
    if header.kind != kinds::block::TABLE {
        walk.broken("its table is of another kind", header.payload);
        return Ok(());
    }
    let table = Table::at(walk.segment, header.payload - block::HEADER)?;
    let hasher = KeyHasher::new(walk.segment.secret());
    let mut live = 0;
    for entry in 0..table.used {
        let (key, value) = (table.key(entry)?, table.value(entry)?);
        if key != word::EMPTY {
            live += 1;
            walk.visit_value(key)?;
            walk.visit_value(value)?;
            visit_key(walk, &table, entry, key, &hasher)?;
        } else if value != word::EMPTY {
            walk.broken("a deleted entry has a value", table.value_cell(entry));
        }
    }
    if table.live()? != live {
        walk.broken(
            "it counts another number of entries than it has",
            header.payload,
        );
    }
    visit_index(walk, &table)
}

/// The key of a live entry has to lead to that entry, and to no other.
fn visit_key(
    walk: &mut Walk<'_>,
    table: &Table<'_>,
    entry: u32,
    stored: u64,
    hasher: &KeyHasher,
) -> Result<()> {
    let mut bytes = Vec::new();
    let key = if word::tag_of(stored) == word::tag::BLOCK {
        let header = block::header_of_word(walk.segment, stored)?;
        bytes.resize(header.length as usize, 0);
        walk.segment.copy_out(header.payload, &mut bytes)?;
        Key::from_block(header.kind, &bytes, hasher)
    } else {
        Key::from_word(stored, hasher)
    };
    let Ok(key) = key else {
        walk.broken(
            "an entry has a key that cannot be one",
            table.key_cell(entry),
        );
        return Ok(());
    };
    let found = if key.equals_itself() {
        matches!(table.find(&key)?, Place::Found { entry: found, .. } if found == entry)
    } else {
        // A NaN is found by nobody, but its entry must be in the index.
        table.slot_of(key.hash32(), entry).is_ok()
    };
    if !found {
        walk.broken("a key does not lead to its entry", table.key_cell(entry));
    }
    Ok(())
}

/// Every slot of the index is vacant, was deleted, or names a live entry that no other one names.
fn visit_index(walk: &mut Walk<'_>, table: &Table<'_>) -> Result<()> {
    let mut named = vec![false; table.used as usize];
    let mut fill = 0;
    for slot in 0..table.shape.index {
        let found = table.slot(slot)?;
        if found == 0 {
            continue;
        }
        fill += 1;
        let Some(entry) = table.named_by(found) else {
            continue;
        };
        let again = core::mem::replace(&mut named[entry as usize], true);
        if again && table.key(entry)? != word::EMPTY {
            walk.broken("an entry is in the index twice", table.slot_cell(slot));
        }
    }
    if table.fill()? != fill {
        walk.broken(
            "it counts another number of slots than are taken",
            table.slot_cell(0),
        );
    }
    Ok(())
}
