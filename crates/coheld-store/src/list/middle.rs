//! Changes in the middle of a list: a new array, swapped in by one store of the root.

use super::List;
use super::edit::{Edited, Order, Plan};
use super::window::{Window, check_length, slack, state};
use crate::error::{Result, StoreError};
use crate::input::Input;

impl List<'_> {
    /// `list.insert(index, value)`; every index is good, as in Python.
    pub fn insert(&self, index: i64, value: &Input<'_>) -> Result<()> {
        if let Some(new) = value.inline_word() {
            let guard = self.referent.lock()?;
            let window = Window::read(&guard)?;
            if window.clamp(index) == 0 && window.start > 0 {
                let segment = guard.segment();
                segment.store(window.cell_in_front(1), new)?;
                // COMMIT: the state word takes the new word into the window.
                guard.commit_word(
                    window.state_cell(),
                    state(window.start - 1, window.count + 1),
                )?;
                return Ok(());
            }
        }
        let plan = |old: &Window| {
            check_length(old.count + 1)?;
            let at = old.clamp(index);
            let count = old.count + 1;
            if at == old.count && old.room_behind() > 0 {
                return Ok(Plan::Move {
                    start: old.start,
                    count,
                    removed: 0,
                });
            }
            if at == 0 && old.start > 0 {
                return Ok(Plan::Move {
                    start: old.start - 1,
                    count,
                    removed: 0,
                });
            }
            // Who inserts in front once will do it again: leave the slack there.
            let spare = slack(count);
            let (front, back) = if at == 0 { (spare, 0) } else { (0, spare) };
            Ok(Plan::Rebuild {
                front,
                count,
                back,
                removed: 0,
            })
        };
        self.edit(Order::of(&[*value], None), plan, |work, _| {
            let old = work.old;
            let at = old.clamp(index);
            if work.builds() {
                work.keep(0, at)?;
                work.place(0, 1)?;
                work.keep(at, old.count - at)?;
            } else if at == old.count && old.room_behind() > 0 {
                work.place_at(old.cell(old.count), 1)?;
            } else {
                work.place_at(old.cell_in_front(1), 1)?;
            }
            Ok(Edited::Done)
        })?;
        Ok(())
    }

    /// Removes the elements at `indices`, which ascend, as one change.
    pub fn delete_indices(&self, indices: &[u64], expected: Option<u64>) -> Result<()> {
        if !indices.is_sorted_by(|earlier, later| earlier < later) {
            return Err(StoreError::Changed);
        }
        let Some(&last) = indices.last() else {
            return super::edit::check_version(&self.referent.lock()?, expected);
        };
        let removed = indices.len() as u64;
        let plan = |old: &Window| {
            // The indices come from a look at the list; if they do not fit it, it was another.
            if last >= old.count {
                return Err(StoreError::Changed);
            }
            let count = old.count - removed;
            Ok(Plan::Rebuild {
                front: 0,
                count,
                back: slack(count),
                removed,
            })
        };
        self.edit(Order::of(&[], expected), plan, |work, _| {
            let mut next = 0;
            for &index in indices {
                work.keep(next, index - next)?;
                work.remove(index, 1)?;
                next = index + 1;
            }
            work.keep(next, work.old.count - next)?;
            Ok(Edited::Done)
        })?;
        Ok(())
    }

    /// Puts the elements in another order: element `i` is what `order[i]` was. For sorting.
    ///
    /// [`StoreError::Changed`] if `order` is no order of the elements there are now.
    pub fn permute(&self, order: &[u32], expected: Option<u64>) -> Result<()> {
        check_permutation(order)?;
        let count = order.len() as u64;
        let plan = |old: &Window| {
            if old.count != count {
                return Err(StoreError::Changed);
            }
            if count < 2 {
                return Ok(Plan::Nothing);
            }
            let back = old.room_behind().min(slack(count));
            Ok(Plan::Rebuild {
                front: 0,
                count,
                back,
                removed: 0,
            })
        };
        self.edit(Order::of(&[], expected), plan, |work, _| {
            for &index in order {
                work.keep_one(u64::from(index))?;
            }
            Ok(Edited::Done)
        })?;
        Ok(())
    }

    /// `list.reverse()`.
    pub fn reverse(&self) -> Result<()> {
        let plan = |old: &Window| {
            if old.count < 2 {
                return Ok(Plan::Nothing);
            }
            let back = old.room_behind().min(slack(old.count));
            Ok(Plan::Rebuild {
                front: 0,
                count: old.count,
                back,
                removed: 0,
            })
        };
        self.edit(Order::of(&[], None), plan, |work, _| {
            for index in (0..work.old.count).rev() {
                work.keep_one(index)?;
            }
            Ok(Edited::Done)
        })?;
        Ok(())
    }
}

/// Each index below the length exactly once: a word must not end up with two owners.
fn check_permutation(order: &[u32]) -> Result<()> {
    let mut seen = Vec::new();
    let refused = |_| StoreError::PrivateMemory {
        bytes: order.len() as u64,
    };
    seen.try_reserve_exact(order.len()).map_err(refused)?;
    seen.resize(order.len(), false);
    for &index in order {
        match seen.get_mut(index as usize) {
            Some(seen) if !*seen => *seen = true,
            _ => return Err(StoreError::Changed),
        }
    }
    Ok(())
}
