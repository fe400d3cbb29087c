//! `Value`: one value behind a lock. The root word of the referent is the value itself.

use coheld_shm::{Fate, Glance, Guard, Look, Referent};

use crate::error::Result;
use crate::input::Input;
use crate::list::check_kind;
use crate::output::{self, Output, Read, Reader};
use crate::{kinds, word};

/// A value of the segment.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    referent: &'a Referent<'a>,
}

impl<'a> Value<'a> {
    /// Treats `referent`, which is of kind `kinds::referent::VALUE`, as a value.
    #[inline]
    pub fn new(referent: &'a Referent<'a>) -> Self {
        Self { referent }
    }

    /// The version: it moves with every change.
    #[inline]
    pub fn version(&self) -> Result<u64> {
        Ok(self.referent.lock()?.version())
    }

    /// The value; `None` before the first `set`.
    #[inline]
    pub fn get(&self) -> Result<Output> {
        let inline = |value: &Glance<'_>| Some(root(value)).filter(|&found| !word::owns(found));
        if let Some(found) = self.referent.glance(inline) {
            return Ok(Output::Word(found));
        }
        let guard = self.referent.lock()?;
        let found = root(&guard);
        if word::owns(found) {
            return self.get_owned(guard, found);
        }
        Ok(Output::Word(found))
    }

    /// The value, when it has to be copied out.
    #[cold]
    fn get_owned(&self, guard: Guard<'_>, found: u64) -> Result<Output> {
        let mut reader = Reader::new();
        let mut read = output::read_once(guard, found)?;
        loop {
            match read {
                Read::Done(output) => return Ok(output),
                Read::NeedRoom(room) => reader.reserve(room)?,
            }
            let guard = self.referent.lock()?;
            // It may be another value by now.
            read = output::read(&guard, root(&guard), &mut reader)?;
        }
    }

    /// Replaces the value.
    #[inline]
    pub fn set(&self, value: &Input<'_>) -> Result<()> {
        if let Some(new) = value.inline_word() {
            let guard = self.referent.lock()?;
            check_kind(&guard, kinds::referent::VALUE)?;
            if !word::owns(guard.root()) {
                // COMMIT: one store of a word that owns nothing over another such word.
                guard.commit_word(guard.root_cell(), new)?;
                return Ok(());
            }
        }
        self.set_owned(value)
    }

    /// Replaces the value when a block or an edge comes or goes.
    #[cold]
    fn set_owned(&self, value: &Input<'_>) -> Result<()> {
        let mut operation = self.referent.segment().begin()?;
        let new = value.place(&mut operation)?;
        let guard = self.referent.lock()?;
        check_kind(&guard, kinds::referent::VALUE)?;
        if guard.root() == new {
            // The same proxy once more: the new edge goes instead of the old one.
            guard.bump_version();
            return Ok(());
        }
        operation.retire(guard.root(), Fate::Keep, Fate::Tree)?;
        // COMMIT: the root word. CRASH: before it the lane gives back the new value, after it
        // the old one.
        operation.commit(&guard, guard.root_cell(), new)?;
        Ok(())
    }
}

/// The word of the value.
#[inline]
fn root<'s>(guard: &impl Look<'s>) -> u64 {
    match guard.root() {
        word::EMPTY => word::NONE,
        found => found,
    }
}
