//! What is put right in a table whose lock was taken over from the dead.

use coheld_shm::Guard;

use super::layout::{DELETED, Table};
use crate::error::Result;
use crate::word;

/// Mends the table of a referent, after an armed journal was rolled back.
///
/// A death leaves at most: an index slot that names an entry which was not committed or is deleted,
/// the value word of a deleted entry, and counts that are off by the operation under way. All of
/// that is computed again from the entries. Doing it twice changes nothing; it allocates nothing;
/// each step stays inside the table; and a table that contradicts itself is left alone, for the
/// next operation to report.
pub(crate) fn mend(guard: &Guard<'_>) {
    if let Ok(Some(table)) = Table::open(guard) {
        // A failure is an offset outside of the segment, which `open` has ruled out.
        let _ = mend_table(&table);
    }
}

fn mend_table(table: &Table<'_>) -> Result<()> {
    let mut live = 0;
    for entry in 0..table.used {
        if table.key(entry)? == word::EMPTY {
            // Not released here: the lane of the dead operation owns it since its commit.
            table.segment.store(table.value_cell(entry), word::EMPTY)?;
        } else {
            live += 1;
        }
    }
    let mut fill = 0;
    for slot in 0..table.shape.index {
        let found = table.slot(slot)?;
        if found == 0 {
            continue;
        }
        fill += 1;
        let names_live = match table.named_by(found) {
            Some(entry) => table.key(entry)? != word::EMPTY,
            None => false,
        };
        if !names_live && found != DELETED {
            table.set_slot(slot, DELETED)?;
        }
    }
    table.set_live(live)?;
    table.set_fill(fill)
}
