//! A value in the root word of a referent that is set once, by who created it.

use coheld_shm::{Fate, Referent};

use crate::error::Result;
use crate::input::Input;
use crate::list::check_kind;
use crate::output::{self, Output, Read, Reader};
use crate::word;

/// Stores the value.
pub(super) fn set(referent: &Referent<'_>, kind: u8, value: &Input<'_>) -> Result<()> {
    let mut operation = referent.segment().begin()?;
    let new = value.place(&mut operation)?;
    let guard = referent.lock()?;
    check_kind(&guard, kind)?;
    if guard.root() == new {
        return Ok(());
    }
    operation.retire(guard.root(), Fate::Keep, Fate::Tree)?;
    // COMMIT: the root word. CRASH: before it the lane gives back the new value, after it the old
    // one.
    operation.commit(&guard, guard.root_cell(), new)?;
    Ok(())
}

/// A copy of the value; `None` in Python's sense if there is none.
pub(super) fn get(referent: &Referent<'_>, kind: u8) -> Result<Output> {
    let mut reader = Reader::new();
    loop {
        let guard = referent.lock()?;
        check_kind(&guard, kind)?;
        let found = match guard.root() {
            word::EMPTY => word::NONE,
            found => found,
        };
        let read = output::read(&guard, found, &mut reader)?;
        drop(guard);
        match read {
            Read::Done(output) => return Ok(output),
            Read::NeedRoom(room) => reader.reserve(room)?,
        }
    }
}
