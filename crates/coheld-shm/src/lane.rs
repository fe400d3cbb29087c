//! Lanes: where an operation writes down what it is about to do.
//!
//! A lane belongs to one member slot and is used by one operation at a time. Three records in it
//! make every death mendable:
//!
//! * *entries* own what the operation has allocated or is about to let go, each with a fate for
//!   "it committed" and one for "it did not";
//! * the *commit condition* `(commit_at, commit_value)` tells which of the two it was: the cell at
//!   `commit_at` holds `commit_value`, or not. Whoever takes the referent's lock over looks there
//!   before anybody can change the cell again, and writes the answer down as [`COMMITTED`] or 0;
//! * the *pending* record is a redo journal of one step on the heap or on a reference count. It is
//!   armed and disarmed inside one lock hold, and applying it twice is the same as once.

use crate::{
    Error, Segment,
    layout::{LANE_ENTRIES, field},
    lock::word::WAITERS,
    member::{slot, table},
    sync::{Ordering, program_order},
    word,
};

/// `commit_at` once the operation is known to have happened.
pub(crate) const COMMITTED: u64 = 1;

/// Offset of the word of entry `index` of the lane at `lane`.
pub(crate) fn entry_word(lane: u64, index: u64) -> u64 {
    field!(lane, Lane.entries) + index * 16
}

/// Offset of the fates of entry `index`.
pub(crate) fn entry_fates(lane: u64, index: u64) -> u64 {
    entry_word(lane, index) + 8
}

/// What a lock protects; also the unit in which the dead are mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Domain {
    /// The referent at this offset.
    Referent(u64),
    /// The slabs of a size class.
    Class(usize),
    /// The page table.
    Pages,
}

/// One step that has to happen as a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    pub operation: Step,
    /// What is allocated, freed or counted.
    pub word: u64,
    /// The cell whose ownership changes with the step; 0 for none.
    pub cell: u64,
    /// What the cell holds afterwards.
    pub done: u64,
    /// The count before the step, the pages of a run, or the member whose hold ends (plus one).
    pub extra: u64,
}

/// The steps. Their numbers are part of the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Step {
    Allocate = 1,
    Free = 2,
    AllocateRun = 3,
    FreeRun = 4,
    AddEdge = 5,
    DropEdge = 6,
    EndHold = 7,
}

impl Step {
    fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            1 => Self::Allocate,
            2 => Self::Free,
            3 => Self::AllocateRun,
            4 => Self::FreeRun,
            5 => Self::AddEdge,
            6 => Self::DropEdge,
            7 => Self::EndHold,
            _ => return None,
        })
    }
}

impl Segment {
    /// The pending record of a lane, if it is armed.
    pub(crate) fn pending(&self, lane: u64) -> Option<Pending> {
        let load = |offset| self.control(offset).load(Ordering::Acquire);
        Some(Pending {
            operation: Step::from_number(load(field!(lane, Lane.pending_operation)))?,
            word: load(field!(lane, Lane.pending_word)),
            cell: load(field!(lane, Lane.pending_cell)),
            done: load(field!(lane, Lane.pending_done)),
            extra: load(field!(lane, Lane.pending_extra)),
        })
    }

    pub(crate) fn disarm(&self, lane: u64) {
        program_order();
        self.control(field!(lane, Lane.pending_operation))
            .store(0, Ordering::Release);
        program_order();
    }

    /// Does one step. The caller holds the lock of the step's domain.
    pub(crate) fn perform(&self, lane: u64, pending: &Pending) -> Result<(), Error> {
        for (offset, value) in [
            (field!(lane, Lane.pending_word), pending.word),
            (field!(lane, Lane.pending_cell), pending.cell),
            (field!(lane, Lane.pending_done), pending.done),
            (field!(lane, Lane.pending_extra), pending.extra),
        ] {
            self.control(offset).store(value, Ordering::Relaxed);
        }
        program_order();
        // COMMIT: from here on the step happens, by us or by whoever takes the lock over.
        self.control(field!(lane, Lane.pending_operation))
            .store(pending.operation as u64, Ordering::Release);
        program_order();
        // CRASH: armed but not done; `mend` by the next holder of this domain's lock redoes it.
        let done = self.apply(lane, pending);
        self.disarm(lane);
        done
    }

    /// The effect of a step; doing it twice is doing it once.
    pub(crate) fn apply(&self, lane: u64, pending: &Pending) -> Result<(), Error> {
        match pending.operation {
            Step::Allocate => self.set_block_used(pending.word, true)?,
            Step::Free => self.set_block_used(pending.word, false)?,
            Step::AllocateRun => self.mark_run(pending.word, pending.extra, true)?,
            Step::FreeRun => self.mark_run(pending.word, pending.extra, false)?,
            Step::AddEdge => self.set_edges(pending.word, pending.extra.saturating_add(1))?,
            Step::DropEdge => self.set_edges(pending.word, pending.extra.saturating_sub(1))?,
            Step::EndHold => self.clear_holder(pending.word, pending.extra)?,
        }
        if pending.cell != 0 {
            self.store(pending.cell, pending.done)?;
        }
        if matches!(pending.operation, Step::DropEdge | Step::EndHold) {
            self.bury_if_unreferenced(lane, word::offset(pending.word))?;
        }
        Ok(())
    }

    /// The domain whose lock protects a step.
    pub(crate) fn domain_of(&self, pending: &Pending) -> Option<Domain> {
        match pending.operation {
            Step::Allocate | Step::Free => {
                self.class_of(word::offset(pending.word)).map(Domain::Class)
            }
            Step::AllocateRun | Step::FreeRun => Some(Domain::Pages),
            Step::AddEdge | Step::DropEdge | Step::EndHold => {
                Some(Domain::Referent(word::offset(pending.word)))
            }
        }
    }

    /// Calls `visit` for every lane of a member slot.
    pub(crate) fn each_lane(&self, slot: u32, mut visit: impl FnMut(u64)) {
        for index in 0..self.map.lanes_per_member {
            visit(self.map.lane(slot, index));
        }
    }

    /// Calls `visit` for every lane whose member is not alive.
    pub(crate) fn each_dead_lane(&self, mut visit: impl FnMut(u64)) {
        for slot in 0..self.member_high() {
            let state = self.member_word(slot);
            let dead = match slot::state(state) {
                slot::REAPING => true,
                slot::ALIVE => self.is_dead(slot::tag(slot, state)),
                _ => false,
            };
            if dead {
                self.each_lane(slot, &mut visit);
            }
        }
    }

    /// Whether every lane of a slot is at rest; for `verify` and the doctor.
    pub fn lanes_idle(&self) -> bool {
        let mut idle = true;
        for slot in 0..self.member_high() {
            self.each_lane(slot, |lane| {
                let load = |offset| self.control(offset).load(Ordering::Acquire);
                idle &= load(field!(lane, Lane.pending_operation)) == 0
                    && load(field!(lane, Lane.commit_at)) == 0
                    && load(field!(lane, Lane.graveyard)) == 0
                    && (0..LANE_ENTRIES).all(|index| load(entry_word(lane, index)) == 0);
            });
        }
        idle
    }
}

const _: () = assert!(WAITERS & table::TAG_BITS == 0);
