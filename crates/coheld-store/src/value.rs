//! `Value`: one value behind a lock. The root word of the referent is the value itself.

use coheld_shm::{Fate, Glance, Guard, Look, Referent};

use crate::error::{Result, StoreError};
use crate::input::Input;
use crate::list::{check_kind, check_version};
use crate::output::{self, Output, Read, Reader};
use crate::table::Updated;
use crate::{kinds, word};

/// A value of the segment.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    referent: &'a Referent<'a>,
    kind: u8,
}

impl<'a> Value<'a> {
    /// Treats `referent`, which is of kind `kinds::referent::VALUE`, as a value.
    #[inline]
    pub fn new(referent: &'a Referent<'a>) -> Self {
        Self::of_kind(referent, kinds::referent::VALUE)
    }

    /// The value in the root word of a referent of another kind.
    #[inline]
    pub(crate) fn of_kind(referent: &'a Referent<'a>, kind: u8) -> Self {
        Self { referent, kind }
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
        self.put(value, None)
    }

    /// Replaces the value if `version` is still the version, else `StoreError::Changed`.
    #[inline]
    pub fn set_if(&self, value: &Input<'_>, version: u64) -> Result<()> {
        self.put(value, Some(version))
    }

    /// Computes a value that fits in a word from the old one in one lock hold, safe against others.
    ///
    /// `change` gets the old word and returns the new one (`None`: no change). It runs under the
    /// lock, so it must be pure arithmetic.
    #[inline]
    pub fn update_word(&self, change: impl FnOnce(u64) -> Option<u64>) -> Result<Updated> {
        let guard = self.referent.lock()?;
        check_kind(&guard, self.kind)?;
        let old = root(&guard);
        if word::owns(old) {
            return Ok(Updated::NotInline);
        }
        let Some(new) = change(old) else {
            return Ok(Updated::Unchanged { old: Some(old) });
        };
        if !word::is_inline(new) {
            return Err(StoreError::WrongType);
        }
        // COMMIT: one store of a word that owns nothing over another such word.
        guard.commit_word(guard.root_cell(), new)?;
        Ok(Updated::Stored {
            old: Some(old),
            new,
        })
    }

    #[inline]
    fn put(&self, value: &Input<'_>, expected: Option<u64>) -> Result<()> {
        if let Some(new) = value.inline_word() {
            let guard = self.referent.lock()?;
            check_kind(&guard, self.kind)?;
            check_version(&guard, expected)?;
            if !word::owns(guard.root()) {
                // COMMIT: one store of a word that owns nothing over another such word.
                guard.commit_word(guard.root_cell(), new)?;
                return Ok(());
            }
        }
        self.put_owned(value, expected)
    }

    /// Replaces the value when a block or an edge comes or goes.
    #[cold]
    fn put_owned(&self, value: &Input<'_>, expected: Option<u64>) -> Result<()> {
        let mut operation = self.referent.segment().begin()?;
        let new = value.place(&mut operation)?;
        let guard = self.referent.lock()?;
        check_kind(&guard, self.kind)?;
        check_version(&guard, expected)?;
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
