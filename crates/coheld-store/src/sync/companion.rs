//! The lock that belongs to a referent, for operations that take several steps.

use coheld_shm::{Fate, Referent, word as ownership};

use crate::error::Result;
use crate::kinds::referent as kind;

/// The RLOCK that belongs to `referent` and lives as long as it. The first who asks makes it.
///
/// It keeps nobody from working on the referent without it.
pub fn companion<'a>(referent: &Referent<'a>) -> Result<Referent<'a>> {
    let segment = referent.segment();
    if let Some(lock) = existing(referent)? {
        return Ok(lock);
    }
    let (offset, generation) = segment.create_referent(kind::RLOCK, 0)?;
    let made = give(referent, ownership::of_edge(offset, generation));
    // The referent holds it now, or nobody does: another process was first.
    segment.release(offset, generation)?;
    made?;
    existing(referent)?.ok_or(crate::StoreError::Corrupted("a lock is gone"))
}

fn existing<'a>(referent: &Referent<'a>) -> Result<Option<Referent<'a>>> {
    let guard = referent.lock()?;
    let edge = guard.segment().load(guard.companion_cell())?;
    drop(guard);
    if edge == 0 {
        return Ok(None);
    }
    Ok(Some(referent.segment().referent_of_edge(edge)?))
}

fn give(referent: &Referent<'_>, edge: u64) -> Result<()> {
    let mut operation = referent.segment().begin()?;
    operation.edge(edge, Fate::Tree, Fate::Keep)?;
    let guard = referent.lock()?;
    if guard.segment().load(guard.companion_cell())? == 0 {
        // COMMIT: the referent has its lock. CRASH: before it the lane gives the edge back, after
        // it there is nothing to give back.
        operation.commit(&guard, guard.companion_cell(), edge)?;
    }
    Ok(())
}
