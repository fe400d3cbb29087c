//! The list: Python's `list` in the segment.
//!
//! Every method is one hold of the referent's lock, or (where room has to be found first) a few
//! looks and one hold that commits. Indices, bounds and slices mean what they mean in Python.

mod batch;
mod bulk;
mod edit;
mod ends;
mod middle;
mod search;
mod slices;
mod window;

use coheld_shm::{Glance, Guard, Look, Referent};

pub(crate) use self::edit::{Around, check_kind, check_version};
use self::edit::{Edited, Order, Plan};
pub(crate) use self::window::{Window, state as window_state};
use crate::error::{IndexProblem, Result, StoreError};
use crate::input::Input;
use crate::output::{self, Output, Read, Reader};
use crate::snapshot::{self, Snapshot};
use crate::word;

pub use self::search::Search;

/// A list of the segment.
#[derive(Clone, Copy)]
pub struct List<'a> {
    referent: &'a Referent<'a>,
    kind: u8,
}

impl<'a> List<'a> {
    /// Treats `referent`, which is of kind `kinds::referent::LIST`, as a list.
    #[inline]
    pub fn new(referent: &'a Referent<'a>) -> Self {
        Self::of_kind(referent, crate::kinds::referent::LIST)
    }

    /// The list that a referent of another kind is made of.
    #[inline]
    pub(crate) fn of_kind(referent: &'a Referent<'a>, kind: u8) -> Self {
        Self { referent, kind }
    }

    /// Number of elements.
    #[inline]
    pub fn len(&self) -> Result<u64> {
        Ok(Window::read(&self.referent.lock()?)?.count)
    }

    /// Whether there is no element.
    #[inline]
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// The version: it moves with every change.
    #[inline]
    pub fn version(&self) -> Result<u64> {
        Ok(self.referent.lock()?.version())
    }

    /// `list[index]`.
    #[inline]
    pub fn get(&self, index: i64) -> Result<Output> {
        let inline = |list: &Glance<'_>| {
            element(list, index)
                .ok()
                .filter(|&found| word::is_inline(found))
        };
        if let Some(found) = self.referent.glance(inline) {
            return Ok(Output::Word(found));
        }
        let guard = self.referent.lock()?;
        let found = element(&guard, index)?;
        if word::owns(found) {
            return self.get_owned(index, guard, found);
        }
        match found {
            word::EMPTY => Err(StoreError::Corrupted("an element of a list is missing")),
            found => Ok(Output::Word(found)),
        }
    }

    /// `list[index]` for a value that has to be copied out.
    #[cold]
    fn get_owned(&self, index: i64, guard: Guard<'_>, found: u64) -> Result<Output> {
        let mut reader = Reader::new();
        let mut read = output::read_once(guard, found)?;
        loop {
            match read {
                Read::Done(output) => return Ok(output),
                Read::NeedRoom(room) => reader.reserve(room)?,
            }
            let guard = self.referent.lock()?;
            // It may be another value by now.
            let found = element(&guard, index)?;
            read = output::read(&guard, found, &mut reader)?;
        }
    }

    /// `list[index] = value`.
    #[inline]
    pub fn set(&self, index: i64, value: &Input<'_>) -> Result<()> {
        if let Some(new) = value.inline_word() {
            let guard = self.referent.lock()?;
            let window = Window::read(&guard)?;
            let at = window.locate(index).ok_or(IndexProblem::Assign)?;
            let segment = guard.segment();
            if !word::owns(segment.load(window.cell(at))?) {
                // COMMIT: one store of a word that owns nothing over another such word.
                guard.commit_word(window.cell(at), new)?;
                return Ok(());
            }
        }
        self.set_owned(index, value)
    }

    /// `list[index] = value` when a block or an edge comes or goes.
    #[cold]
    fn set_owned(&self, index: i64, value: &Input<'_>) -> Result<()> {
        let values = [*value];
        let plan = |old: &Window| {
            let index = old.locate(index).ok_or(IndexProblem::Assign)?;
            Ok(Plan::Replace { index })
        };
        self.edit(Order::in_place(&values), plan, |work, _| {
            let index = work.old.locate(index).ok_or(IndexProblem::Assign)?;
            work.remove(index, 1)?;
            Ok(Edited::Done)
        })?;
        Ok(())
    }

    /// All elements at one moment.
    pub fn snapshot(&self) -> Result<Snapshot> {
        snapshot::capture(self.referent, |guard, capture| {
            let window = Window::read(guard)?;
            window.capture(guard, capture, 0, window.count)
        })
    }
}

/// The word of `list[index]`.
#[inline]
fn element<'s>(guard: &impl Look<'s>, index: i64) -> Result<u64> {
    let window = Window::read(guard)?;
    let at = window.locate(index).ok_or(IndexProblem::Get)?;
    Ok(guard.segment().load(window.cell(at))?)
}
