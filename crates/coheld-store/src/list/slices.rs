//! Slices of a list: reading, assigning and deleting them.

use super::List;
use super::edit::{Edited, Order, Plan, Work};
use super::ends::shrinking;
use super::window::{Window, check_length, slack};
use crate::error::{Result, StoreError};
use crate::input::Input;
use crate::slice::{Resolved, Slice};
use crate::snapshot::{self, Snapshot};

impl List<'_> {
    /// `list[slice]`.
    pub fn slice(&self, slice: Slice) -> Result<Snapshot> {
        snapshot::capture(self.referent, |guard, capture| {
            let window = Window::read(guard)?;
            let picked = slice.resolve(window.count)?;
            if slice.is_contiguous() {
                return window.capture(guard, capture, picked.index(0), picked.count);
            }
            (0..picked.count).try_for_each(|number| {
                capture.push(
                    guard,
                    guard.segment().load(window.cell(picked.index(number)))?,
                )
            })
        })
    }

    /// `list[slice] = values`. With a step other than 1 the number of values must be that of the
    /// indices: [`StoreError::SliceSize`].
    pub fn set_slice(
        &self,
        slice: Slice,
        values: &[Input<'_>],
        expected: Option<u64>,
    ) -> Result<()> {
        if slice.is_contiguous() {
            self.splice(slice, values, expected, false)
        } else {
            self.set_extended(slice, values, expected)
        }
    }

    /// `del list[slice]`.
    pub fn delete_slice(&self, slice: Slice, expected: Option<u64>) -> Result<()> {
        if slice.is_contiguous() {
            shrinking(|shrink| self.splice(slice, &[], expected, shrink))
        } else {
            self.delete_extended(slice, expected)
        }
    }

    /// Replaces the elements of a slice of step 1 by any number of values.
    fn splice(
        &self,
        slice: Slice,
        values: &[Input<'_>],
        expected: Option<u64>,
        shrink: bool,
    ) -> Result<()> {
        let new = values.len() as u64;
        check_length(new)?;
        let plan = |old: &Window| {
            let (start, removed) = range(slice, old)?;
            let count = old.count - removed + new;
            check_length(count)?;
            Ok(plan_splice(old, start, removed, new, shrink))
        };
        self.edit(Order::of(values, expected), plan, |work, _| {
            let old = work.old;
            let (start, removed) = range(slice, &old)?;
            let end = start + removed;
            match plan_splice(&old, start, removed, new, shrink) {
                Plan::Renew { .. } => work.place(0, new)?,
                Plan::Rebuild { .. } => {
                    work.remove(start, removed)?;
                    work.keep(0, start)?;
                    work.place(0, new)?;
                    work.keep(end, old.count - end)?;
                }
                Plan::Move { .. } if new > 0 => work.place_at(old.cell(old.count), new)?,
                _ => work.remove(start, removed)?,
            }
            Ok(Edited::Done)
        })?;
        Ok(())
    }

    /// Replaces the elements of a slice one by one.
    fn set_extended(
        &self,
        slice: Slice,
        values: &[Input<'_>],
        expected: Option<u64>,
    ) -> Result<()> {
        let given = values.len() as u64;
        let plan = |old: &Window| {
            let picked = slice.resolve(old.count)?;
            if picked.count != given {
                return Err(StoreError::SliceSize {
                    given,
                    wanted: picked.count,
                });
            }
            if given == 0 {
                return Ok(Plan::Nothing);
            }
            let back = old.room_behind().min(slack(old.count));
            Ok(Plan::Rebuild {
                front: 0,
                count: old.count,
                back,
                removed: given,
            })
        };
        self.edit(Order::of(values, expected), plan, |work, _| {
            let picked = slice.resolve(work.old.count)?;
            let backwards = picked.step < 0;
            each_hole(work, picked, |work, number| {
                work.place(
                    if backwards {
                        picked.count - 1 - number
                    } else {
                        number
                    },
                    1,
                )
            })?;
            Ok(Edited::Done)
        })?;
        Ok(())
    }

    /// Removes the elements of a slice one by one.
    fn delete_extended(&self, slice: Slice, expected: Option<u64>) -> Result<()> {
        let plan = |old: &Window| {
            let removed = slice.resolve(old.count)?.count;
            let count = old.count - removed;
            Ok(if removed == 0 {
                Plan::Nothing
            } else {
                Plan::Rebuild {
                    front: 0,
                    count,
                    back: slack(count),
                    removed,
                }
            })
        };
        self.edit(Order::of(&[], expected), plan, |work, _| {
            let picked = slice.resolve(work.old.count)?;
            each_hole(work, picked, |_, _| Ok(()))?;
            Ok(Edited::Done)
        })?;
        Ok(())
    }
}

/// First index and number of elements of a slice of step 1.
fn range(slice: Slice, old: &Window) -> Result<(u64, u64)> {
    let picked = slice.resolve(old.count)?;
    Ok((picked.first(), picked.count))
}

/// The cheapest way to put `new` values in the place of `removed` ones from `start` on.
fn plan_splice(old: &Window, start: u64, removed: u64, new: u64, shrink: bool) -> Plan {
    let count = old.count - removed + new;
    if removed == 0 && new == 0 {
        return Plan::Nothing;
    }
    if removed == old.count && removed > 0 {
        return Plan::Renew { count };
    }
    let moves = !(shrink && old.is_sparse_with(count));
    if moves && new == 0 && start == 0 {
        return Plan::Move {
            start: old.start + removed,
            count,
            removed,
        };
    }
    let cut_off = new == 0 && start + removed == old.count;
    let put_behind = removed == 0 && start == old.count && old.room_behind() >= new;
    if moves && (cut_off || put_behind) {
        return Plan::Move {
            start: old.start,
            count,
            removed,
        };
    }
    Plan::Rebuild {
        front: 0,
        count,
        back: slack(count),
        removed,
    }
}

/// Copies the elements between the picked ones to the new array, buries the picked ones, and
/// calls `fill` with the number of each, in ascending order, where it was.
fn each_hole(
    work: &mut Work<'_, '_>,
    picked: Resolved,
    mut fill: impl FnMut(&mut Work<'_, '_>, u64) -> Result<()>,
) -> Result<()> {
    let ascending = picked.ascending();
    let mut next = 0;
    for number in 0..ascending.count {
        let index = ascending.index(number);
        work.keep(next, index - next)?;
        work.remove(index, 1)?;
        fill(work, number)?;
        next = index + 1;
    }
    work.keep(next, work.old.count - next)
}
