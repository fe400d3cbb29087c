//! The cells of waiters: which thread of which member waits for what.

use crate::{Segment, layout::field, sync::Ordering};

/// A thread that waits, or is about to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WaitView {
    /// Number of its cell.
    pub cell: u32,
    /// The tag of its member.
    pub owner: u32,
    /// The referent in whose line it stands; 0 for none.
    pub referent: u64,
    /// What it waits for; the numbers are those of the kind of the referent.
    pub role: u32,
    /// Its place in line.
    pub ticket: u64,
    /// Whether it has been told to look again, and has not yet.
    pub signalled: bool,
}

impl Segment {
    /// Calls `visit` with each cell that somebody has.
    pub fn each_wait(&self, mut visit: impl FnMut(WaitView)) {
        for number in 0..self.waiter_high() {
            let cell = self.waiter_cell(number);
            // Acquire: pairs with the Release by which cells are given back.
            let owner = self.control32(field!(cell, WaiterCell.owner));
            let owner = owner.load(Ordering::Acquire);
            if owner == 0 {
                continue;
            }
            // Relaxed: a picture.
            let load = |at| self.control(at).load(Ordering::Relaxed);
            let load32 = |at| self.control32(at).load(Ordering::Relaxed);
            visit(WaitView {
                cell: number,
                owner,
                referent: load(field!(cell, WaiterCell.referent)),
                role: load32(field!(cell, WaiterCell.role)),
                ticket: load(field!(cell, WaiterCell.ticket)),
                signalled: load32(field!(cell, WaiterCell.signal)) != 0,
            });
        }
    }
}
