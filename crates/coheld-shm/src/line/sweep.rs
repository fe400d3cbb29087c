//! Taking the dead out of line.

use super::Wakes;
use crate::{
    Error, Guard, Referent, Segment, layout::field, referent::generation_of, sync::Ordering,
};

/// Different members of one line that one sweep asks about.
const SUSPECTS: usize = 32;

/// A waiter that died in line, or was torn away from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// What it waited for.
    pub role: u32,
    /// The signal that it had and did not come for; 0 if none.
    pub signal: u32,
    /// What it put into its cell.
    pub payload: u64,
    /// Whoever stood in line when it was signalled has a ticket below this.
    pub signalled_at: u64,
}

impl Referent<'_> {
    /// Takes the waiters out of line whose process is dead. Whether there were any.
    ///
    /// Asks the kernel about each member in line (half a microsecond), so it is for those who have
    /// waited in vain for a while.
    pub fn sweep_line(&self) -> Result<bool, Error> {
        let segment = self.segment();
        let mut suspects = [0; SUSPECTS];
        let mut count = 0;
        {
            let own = segment.tag()?;
            // Relaxed: where to begin is a guess.
            let turn = segment.sweeps.fetch_add(1, Ordering::Relaxed) as usize;
            let guard = self.lock()?;
            let length = guard.in_line() as usize;
            // A line longer than one sweep asks about is asked about in turns.
            let skipped = turn.wrapping_mul(SUSPECTS) % length.max(1);
            let turned = guard.line().skip(skipped);
            for cell in turned.chain(guard.line().take(skipped)) {
                let tag = segment.get32(field!(cell, WaiterCell.owner));
                if tag != own && count < SUSPECTS && !suspects[..count].contains(&tag) {
                    suspects[count] = tag;
                    count += 1;
                }
            }
        }
        let mut found = false;
        for &tag in suspects[..count]
            .iter()
            .filter(|&&tag| segment.is_dead(tag))
        {
            found = true;
            let mut wakes = Wakes::new(segment);
            remove_from_line(&self.lock()?, tag, &mut wakes);
        }
        Ok(found)
    }

    /// Takes one cell of this process out of line, in the place of a thread that could not.
    pub(super) fn abandon_place(&self, cell: u64, wakes: &mut Wakes<'_>) -> Result<(), Error> {
        let guard = self.lock_uninterrupted()?;
        remove(&guard, cell, wakes);
        Ok(())
    }
}

/// Takes every waiter of a dead member out of the line that `guard` has locked.
fn remove_from_line(guard: &Guard<'_>, dead: u32, wakes: &mut Wakes<'_>) {
    let segment = guard.segment();
    for number in 0..segment.waiter_high() {
        let cell = segment.waiter_cell(number);
        let owner = field!(cell, WaiterCell.owner);
        let stands = segment.get32(owner) == dead
            && segment.get(field!(cell, WaiterCell.referent)) == guard.offset();
        if stands {
            remove(guard, cell, wakes);
            // COMMIT: the cell is free.
            // Release: pairs with the Acquire in `Segment::waiter`.
            segment.control32(owner).store(0, Ordering::Release);
        }
    }
}

/// Passes the signal of a waiter on and takes it out of line.
fn remove(guard: &Guard<'_>, cell: u64, wakes: &mut Wakes<'_>) {
    let segment = guard.segment();
    let lost = Lost {
        role: segment.get32(field!(cell, WaiterCell.role)),
        signal: segment.signal_of(cell).get_locked(),
        payload: segment.get(field!(cell, WaiterCell.payload)),
        signalled_at: segment.get(field!(cell, WaiterCell.signalled_at)),
    };
    // CRASH: passed on and still in line: passed on once more by the next sweep, which costs a
    // needless wake-up and no lost one.
    if let Some(mender) = segment.mender() {
        (mender.pass_on)(guard, lost, wakes);
    }
    guard.unlink(cell);
}

impl Segment {
    /// Frees the cells of a dead member. Part of reaping it.
    pub(crate) fn sweep_member(&self, tag: u32) {
        for number in 0..self.waiter_high() {
            let cell = self.waiter_cell(number);
            let owner = self.control32(field!(cell, WaiterCell.owner));
            if owner.load(Ordering::Acquire) != tag {
                continue;
            }
            let offset = self.get(field!(cell, WaiterCell.referent));
            if offset != 0
                && self.check_referent(offset).is_ok()
                && let Ok(referent) = self.referent(offset, generation_of(self.identity(offset)))
                && let Ok(guard) = referent.lock_uninterrupted()
            {
                let mut wakes = Wakes::new(self);
                remove_from_line(&guard, tag, &mut wakes);
                drop(guard);
                drop(wakes);
            }
            // Only what is still the dead member's: it may have been freed and claimed again.
            let _ = owner.compare_exchange(tag, 0, Ordering::Release, Ordering::Relaxed);
        }
    }
}
