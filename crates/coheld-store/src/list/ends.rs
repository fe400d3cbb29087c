//! What happens at the two ends of a list, for which the window only has to move.

use coheld_shm::{Error, Guard};

use super::List;
use super::edit::{Around, Edited, Order, Plan, Work, check_version};
use super::window::{Window, check_length, slack, state};
use crate::error::{IndexProblem, Result, StoreError};
use crate::input::Input;
use crate::output::{self, Output, Read, Reader, Room};
use crate::{snapshot, word};

impl List<'_> {
    /// `list.append(value)`.
    #[inline]
    pub fn append(&self, value: &Input<'_>) -> Result<()> {
        if let Some(new) = value.inline_word() {
            let guard = self.referent.lock()?;
            let window = Window::read(&guard)?;
            if window.room_behind() > 0 {
                let segment = guard.segment();
                segment.store(window.cell(window.count), new)?;
                // COMMIT: the state word takes the new word into the window.
                guard.commit_word(window.state_cell(), state(window.start, window.count + 1))?;
                return Ok(());
            }
        }
        self.extend_slowly(Order::in_place(&[*value]))
    }

    /// `list.extend(values)`, as one change.
    pub fn extend(&self, values: &[Input<'_>], expected: Option<u64>) -> Result<()> {
        if values.is_empty() {
            return check_version(&self.referent.lock()?, expected);
        }
        self.extend_slowly(Order::of(values, expected))
    }

    /// Puts new values behind the last element; with room there the window moves, else a new
    /// array takes over.
    pub(super) fn extend_slowly(&self, order: Order<'_>) -> Result<()> {
        self.extend_around(order, None)
    }

    /// `append` for a structure that is more than a list.
    pub(crate) fn append_around(&self, value: &Input<'_>, around: Around<'_>) -> Result<()> {
        self.extend_around(Order::in_place(&[*value]), Some(around))
    }

    fn extend_around(&self, order: Order<'_>, around: Option<Around<'_>>) -> Result<()> {
        let count = (order.values.len() as u64).saturating_mul(order.times);
        check_length(count)?;
        let plan = |old: &Window| {
            check_length(old.count + count)?;
            if old.room_behind() >= count {
                return Ok(Plan::Move {
                    start: old.start,
                    count: old.count + count,
                    removed: 0,
                });
            }
            let back = slack(old.count + count);
            Ok(Plan::Rebuild {
                front: 0,
                count: old.count + count,
                back,
                removed: 0,
            })
        };
        self.edit_around(order, around, plan, |work, _| {
            if work.builds() {
                work.keep(0, work.old.count)?;
                work.place(0, count)?;
            } else {
                work.place_at(work.old.cell(work.old.count), count)?;
            }
            Ok(Edited::Done)
        })?;
        Ok(())
    }

    /// `list.pop(index)`.
    #[inline]
    pub fn pop(&self, index: i64) -> Result<Output> {
        let room = {
            let guard = self.referent.lock()?;
            let window = Window::read(&guard)?;
            let at = locate_popped(&window, index)?;
            let found = guard.segment().load(window.cell(at))?;
            let left = window.count - 1;
            let simple = !word::owns(found)
                && found != word::EMPTY
                && (at == 0 || at == left)
                && !window.is_sparse_with(left);
            if simple {
                let start = if at == left {
                    window.start
                } else {
                    window.start + 1
                };
                // COMMIT: the state word leaves the popped word outside the window.
                guard.commit_word(window.state_cell(), state(start, left))?;
                return Ok(Output::Word(found));
            }
            snapshot::room_of(guard.segment(), found)?
        };
        shrinking(|shrink| self.pop_slowly(index, room, shrink, None))
    }

    /// `pop(0)` for a structure that is more than a list. `room` is what the element needs, as far
    /// as the caller knows.
    pub(crate) fn pop_first_around(&self, room: Room, mut around: Around<'_>) -> Result<Output> {
        shrinking(|shrink| self.pop_slowly(0, room, shrink, Some(around.again())))
    }

    /// `list.pop(index)` in the middle, or of a value that has to be copied out and released, or
    /// with a smaller array.
    #[cold]
    fn pop_slowly(
        &self,
        index: i64,
        mut room: Room,
        shrink: bool,
        mut around: Option<Around<'_>>,
    ) -> Result<Output> {
        let mut reader = Reader::new();
        loop {
            reader.reserve(room)?;
            let mut popped = None;
            let plan = |old: &Window| Ok(plan_removal(old, locate_popped(old, index)?, shrink));
            let work = |work: &mut Work<'_, '_>, guard: &Guard<'_>| {
                let at = locate_popped(&work.old, index)?;
                let found = guard.segment().load(work.old.cell(at))?;
                remove_one(work, at)?;
                // Last, for the leases that it takes are lost if anything fails after it.
                match output::read(guard, found, &mut reader)? {
                    Read::Done(output) => popped = Some(output),
                    Read::NeedRoom(needed) => {
                        room = needed;
                        return Ok(Edited::NeedsRoom);
                    }
                }
                Ok(Edited::Done)
            };
            let around = around.as_mut().map(Around::again);
            self.edit_around(Order::in_place(&[]), around, plan, work)?;
            if let Some(popped) = popped {
                return Ok(popped);
            }
        }
    }

    /// `del list[index]`.
    pub fn delete(&self, index: i64, expected: Option<u64>) -> Result<()> {
        let locate = |old: &Window| old.locate(index).ok_or(IndexProblem::Assign);
        shrinking(|shrink| {
            let plan = |old: &Window| Ok(plan_removal(old, locate(old)?, shrink));
            self.edit(Order::of(&[], expected), plan, |work, _| {
                let at = locate(&work.old)?;
                remove_one(work, at)?;
                Ok(Edited::Done)
            })?;
            Ok(())
        })
    }
}

/// Removes with a smaller array if one is worth it, and without one if there is no memory for it:
/// who removes shall not be told that memory is short.
pub(super) fn shrinking<T>(mut remove: impl FnMut(bool) -> Result<T>) -> Result<T> {
    match remove(true) {
        Err(StoreError::Shm(Error::OutOfMemory { .. })) => remove(false),
        done => done,
    }
}

/// Which element `pop(index)` means.
#[inline]
fn locate_popped(window: &Window, index: i64) -> Result<u64> {
    if window.count == 0 {
        return Err(StoreError::Empty);
    }
    Ok(window.locate(index).ok_or(IndexProblem::Pop)?)
}

/// How element `at` goes: at an end the window moves, elsewhere a new array takes over.
pub(super) fn plan_removal(old: &Window, at: u64, shrink: bool) -> Plan {
    let count = old.count - 1;
    let at_an_end = at == 0 || at == count;
    if !at_an_end || (shrink && old.is_sparse_with(count)) {
        return Plan::Rebuild {
            front: 0,
            count,
            back: slack(count),
            removed: 1,
        };
    }
    let start = if at == count {
        old.start
    } else {
        old.start + 1
    };
    Plan::Move {
        start,
        count,
        removed: 1,
    }
}

/// Carries `plan_removal` out.
pub(super) fn remove_one(work: &mut Work<'_, '_>, at: u64) -> Result<()> {
    work.remove(at, 1)?;
    if work.builds() {
        work.keep(0, at)?;
        work.keep(at + 1, work.old.count - at - 1)?;
    }
    Ok(())
}
