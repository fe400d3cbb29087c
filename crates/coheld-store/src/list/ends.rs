//! What happens at the two ends of a list, for which the window only has to move.

use coheld_shm::Guard;

use super::List;
use super::edit::{Edited, Order, Plan, Work, check_version};
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
            let back = slack(old.count + count).min(back_limit(old.count + count));
            Ok(Plan::Rebuild {
                front: 0,
                count: old.count + count,
                back,
                removed: 0,
            })
        };
        self.edit(order, plan, |work, _| {
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
        let (popped, sparse) = {
            let guard = self.referent.lock()?;
            let window = Window::read(&guard)?;
            let at = locate_popped(&window, index)?;
            let found = guard.segment().load(window.cell(at))?;
            let left = window.count - 1;
            if word::owns(found) || found == word::EMPTY || (at != 0 && at != left) {
                let room = snapshot::room_of(guard.segment(), found)?;
                drop(guard);
                return self.pop_slowly(index, room);
            }
            let start = if at == left {
                window.start
            } else {
                window.start + 1
            };
            // COMMIT: the state word leaves the popped word outside the window.
            guard.commit_word(window.state_cell(), state(start, left))?;
            (
                Output::Word(found),
                Window {
                    count: left,
                    ..window
                }
                .is_sparse(),
            )
        };
        if sparse {
            self.compact();
        }
        Ok(popped)
    }

    /// `list.pop(index)` in the middle, or of a value that has to be copied out and released.
    #[cold]
    fn pop_slowly(&self, index: i64, room: Room) -> Result<Output> {
        let mut reader = Reader::new();
        reader.reserve(room)?;
        loop {
            let mut popped = None;
            let mut room = None;
            let plan = |old: &Window| Ok(plan_removal(old, locate_popped(old, index)?));
            let work = |work: &mut Work<'_, '_>, guard: &Guard<'_>| {
                let at = locate_popped(&work.old, index)?;
                let found = guard.segment().load(work.old.cell(at))?;
                remove_one(work, at)?;
                match output::read(guard, found, &mut reader)? {
                    Read::Done(output) => popped = Some(output),
                    Read::NeedRoom(needed) => {
                        room = Some(needed);
                        return Ok(Edited::NeedsRoom);
                    }
                }
                Ok(Edited::Done)
            };
            self.edit(Order::in_place(&[]), plan, work)?;
            if let Some(popped) = popped {
                self.compact_if_sparse();
                return Ok(popped);
            }
            match room {
                Some(room) => reader.reserve(room)?,
                None => return Err(StoreError::Corrupted("an element of a list is missing")),
            }
        }
    }

    /// `del list[index]`.
    pub fn delete(&self, index: i64, expected: Option<u64>) -> Result<()> {
        let locate = |old: &Window| old.locate(index).ok_or(IndexProblem::Assign);
        let plan = |old: &Window| Ok(plan_removal(old, locate(old)?));
        self.edit(Order::of(&[], expected), plan, |work, _| {
            let at = locate(&work.old)?;
            remove_one(work, at)?;
            Ok(Edited::Done)
        })?;
        self.compact_if_sparse();
        Ok(())
    }

    /// Gives memory back if a list has become much smaller than its array.
    pub(super) fn compact_if_sparse(&self) {
        let sparse = self.referent.lock().map_err(StoreError::from);
        if sparse
            .and_then(|guard| Window::read(&guard))
            .is_ok_and(|window| window.is_sparse())
        {
            self.compact();
        }
    }

    /// Moves the elements to an array of their size. Best effort: the list is as good without.
    #[cold]
    fn compact(&self) {
        let plan = |old: &Window| {
            if !old.is_sparse() {
                return Ok(Plan::Nothing);
            }
            Ok(Plan::Rebuild {
                front: 0,
                count: old.count,
                back: slack(old.count),
                removed: 0,
            })
        };
        let _ = self.edit(Order::of(&[], None), plan, |work, _| {
            work.keep(0, work.old.count)?;
            Ok(Edited::Done)
        });
    }
}

/// Words of slack that can follow `count` elements.
pub(super) fn back_limit(count: u64) -> u64 {
    super::window::LENGTH_LIMIT.saturating_sub(count)
}

/// Which element `pop(index)` means.
#[inline]
fn locate_popped(window: &Window, index: i64) -> Result<u64> {
    if window.count == 0 {
        return Err(StoreError::Empty);
    }
    Ok(window.locate(index).ok_or(IndexProblem::Pop)?)
}

/// How element `at` goes: at an end the window shrinks, elsewhere a new array takes over.
pub(super) fn plan_removal(old: &Window, at: u64) -> Plan {
    let count = old.count - 1;
    if at == count {
        Plan::Move {
            start: old.start,
            count,
            removed: 1,
        }
    } else if at == 0 {
        Plan::Move {
            start: old.start + 1,
            count,
            removed: 1,
        }
    } else {
        Plan::Rebuild {
            front: 0,
            count,
            back: slack(count),
            removed: 1,
        }
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
