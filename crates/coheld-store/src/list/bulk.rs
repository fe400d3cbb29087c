//! The whole list at once: clear, new content, repetition.

use coheld_shm::Guard;

use super::List;
use super::edit::{Around, Edited, Order, Plan, Work};
use super::window::{Window, check_length};
use crate::error::{Result, StoreError};
use crate::input::Input;

impl List<'_> {
    /// `list.clear()`.
    pub fn clear(&self) -> Result<()> {
        self.replace(&[], None)
    }

    /// `list[:] = values`.
    pub fn replace(&self, values: &[Input<'_>], expected: Option<u64>) -> Result<()> {
        self.replace_around(values, expected, None)
    }

    /// `clear` for a structure that is more than a list. There may be nothing to do.
    pub(crate) fn clear_around(&self, around: Around<'_>) -> Result<()> {
        self.replace_around(&[], None, Some(around))
    }

    fn replace_around(
        &self,
        values: &[Input<'_>],
        expected: Option<u64>,
        around: Option<Around<'_>>,
    ) -> Result<()> {
        let count = values.len() as u64;
        check_length(count)?;
        let plan = |old: &Window| {
            let nothing = count == 0 && old.count == 0 && old.capacity == 0;
            Ok(if nothing {
                Plan::Nothing
            } else {
                Plan::Renew { count }
            })
        };
        self.edit_around(Order::of(values, expected), around, plan, |work, _| {
            work.place(0, count)?;
            Ok(Edited::Done)
        })?;
        Ok(())
    }

    /// `list *= times`: each value is stored again, `times - 1` times in turn.
    pub fn repeat(&self, times: i64) -> Result<()> {
        let Ok(again @ 1..) = u64::try_from(times.saturating_sub(1)) else {
            return if times < 1 { self.clear() } else { Ok(()) };
        };
        loop {
            if let Some(done) = self.repeat_inline(again)? {
                return Ok(done);
            }
            let snapshot = self.snapshot()?;
            if snapshot.is_empty() {
                return Ok(());
            }
            // The snapshot's leases keep the referents of its edges alive until the new edges
            // are in place.
            let values = snapshot.inputs();
            let order = Order {
                times: again,
                ..Order::of(&values, Some(snapshot.version()))
            };
            let extended = self.extend_slowly(order);
            snapshot.release(self.referent.segment())?;
            match extended {
                Err(StoreError::Changed) => {}
                other => return other,
            }
        }
    }

    /// Repetition when no element owns anything; `None` if some do.
    fn repeat_inline(&self, again: u64) -> Result<Option<()>> {
        let mut owning = false;
        let plan = |old: &Window| {
            let count = old.count.saturating_mul(again).saturating_add(old.count);
            check_length(count)?;
            Ok(match count {
                0 => Plan::Nothing,
                _ => Plan::Rebuild {
                    front: 0,
                    count,
                    back: 0,
                    removed: 0,
                },
            })
        };
        let work = |work: &mut Work<'_, '_>, guard: &Guard<'_>| {
            for index in 0..work.old.count {
                if crate::word::owns(guard.segment().load(work.old.cell(index))?) {
                    owning = true;
                    return Ok(Edited::NeedsRoom);
                }
            }
            for _ in 0..=again {
                work.keep(0, work.old.count)?;
            }
            Ok(Edited::Done)
        };
        self.edit(Order::of(&[], None), plan, work)?;
        Ok((!owning).then_some(()))
    }
}
