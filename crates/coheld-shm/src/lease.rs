//! References on the way from one process to another.
//!
//! Two cases, two means:
//!
//! * An edge that a process has just *read* must keep its referent until the process has set its
//!   holder bit. The reader notes the edge in one of its member's *adopting cells* while it still
//!   holds the lock of the structure that the edge is in; whoever takes a last reference away looks
//!   at these cells first. The cells of the dead are cleared like their holder bits.
//! * A pickled proxy may be anywhere, for any time, so a *lease* is counted in the referent, with a
//!   common deadline. Redeemed leases are counted down; lost ones (the message was never read) go
//!   when the deadline has passed. A reader whose cells are all in use takes a lease, too.

use crate::{
    Error, Segment, bitmap,
    lane::Domain,
    layout::{ADOPTING_CELLS, field},
    member::slot,
    referent::{STATE_ALIVE, generation_of, state_of},
    sync::Ordering,
    word,
};

/// Seconds a lease lasts at least. A task may wait in a pool's queue for long; the cost of a lost
/// lease is only that one referent stays that much longer.
const LEASE_SECONDS: u64 = 600;

pub(crate) const COUNT_MASK: u64 = 0xff_ffff;

/// A reference under way; has to be redeemed or dropped, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The edge word.
    pub word: u64,
    /// The adopting cell that keeps the referent; `None` for a counted lease.
    cell: Option<u32>,
}

impl Lease {
    /// A counted lease as it arrives from elsewhere, on the referent that `word` names.
    #[must_use]
    pub fn counted(word: u64) -> Self {
        Self { word, cell: None }
    }

    /// Place of the referent.
    #[must_use]
    pub fn offset(self) -> u64 {
        word::offset(self.word)
    }
}

impl Segment {
    /// Takes a lease on a referent that the caller holds.
    pub fn lease(&self, offset: u64, generation: u32) -> Result<Lease, Error> {
        self.check_referent(offset)?;
        if !self.is_current(offset, generation) {
            return Err(Error::ReferentGone { offset, generation });
        }
        self.add_lease(offset);
        Ok(Lease::counted(word::of_edge(offset, generation)))
    }

    /// Keeps the referent of an edge that the caller has just read. The caller holds the lock of
    /// the structure that the edge is in, which is what keeps the referent until this does.
    pub fn lease_edge(&self, edge: u64) -> Result<Lease, Error> {
        self.check_referent(word::offset(edge))?;
        self.check_edge(edge)?;
        let own = slot::slot_of(self.tag()?);
        let Some(index) = bitmap::claim(&self.adopting_busy, ADOPTING_CELLS) else {
            self.add_lease(word::offset(edge));
            return Ok(Lease::counted(edge));
        };
        // Release: together with the lock of the structure, pairs with the Acquire in
        // `is_being_adopted` by whoever removes the edge after us.
        // CRASH: noted and never adopted; the reaper ends it.
        self.control(self.adopting_cell(own, index))
            .store(edge, Ordering::Release);
        Ok(Lease {
            word: edge,
            cell: Some(index),
        })
    }

    pub(crate) fn adopting_cell(&self, slot: u32, index: u32) -> u64 {
        field!(self.map.member(slot), Member.adopting) + u64::from(index) * 8
    }

    /// Whether some member has read an edge to the referent and not yet made it its own.
    pub(crate) fn is_being_adopted(&self, offset: u64) -> bool {
        (0..self.member_high()).any(|slot| {
            (0..ADOPTING_CELLS).any(|index| {
                let edge = self
                    .control(self.adopting_cell(slot, index))
                    .load(Ordering::Acquire);
                edge != 0 && word::offset(edge) == offset
            })
        })
    }

    /// Clears an adopting cell and lets its referent go if that was the last reference.
    pub(crate) fn end_adoption(&self, cell: u64) -> Result<(), Error> {
        let edge = self.control(cell).load(Ordering::Acquire);
        let offset = word::offset(edge);
        if edge == 0 || self.check_referent(offset).is_err() {
            self.control(cell).store(0, Ordering::Release);
            return Ok(());
        }
        self.end_hold(offset, generation_of(self.identity(offset)), 0, cell)
    }

    fn add_lease(&self, offset: u64) {
        let cell = self.control(field!(offset, ReferentHeader.leases));
        let deadline = self.backing.now_seconds() + LEASE_SECONDS;
        // AcqRel: pairs with the count-down; the word is changed with and without the lock.
        let _ = cell.fetch_update(Ordering::AcqRel, Ordering::Acquire, |leases| {
            Some(((leases & COUNT_MASK) + 1).min(COUNT_MASK) | deadline << 24)
        });
    }

    /// Turns a lease into a hold of this process. Returns the referent's generation.
    pub fn redeem_lease(&self, lease: Lease) -> Result<u32, Error> {
        let offset = lease.offset();
        self.check_referent(offset)?;
        let own = slot::slot_of(self.tag()?);
        let held = self.lock(Domain::Referent(offset), false)?;
        self.check_edge(lease.word)?;
        // COMMIT: the holder bit.
        self.set_holder(offset, own);
        // CRASH: held twice over; the reaper clears bit and cell, `expire_leases` a lease.
        match lease.cell {
            Some(index) => {
                self.control(self.adopting_cell(own, index))
                    .store(0, Ordering::Release);
                bitmap::give_back(&self.adopting_busy, index);
            }
            None => self.count_lease_down(offset),
        }
        let generation = generation_of(self.identity(offset));
        drop(held);
        Ok(generation)
    }

    /// Gives a lease back unused.
    pub fn drop_lease(&self, lease: Lease) -> Result<(), Error> {
        let offset = lease.offset();
        self.check_referent(offset)?;
        if let Some(index) = lease.cell {
            let own = slot::slot_of(self.tag()?);
            let ended = self.end_adoption(self.adopting_cell(own, index));
            bitmap::give_back(&self.adopting_busy, index);
            return ended;
        }
        self.drop_counted(lease.word)
    }

    /// An adopting cell stands in for the lease while it is counted down, so that whoever comes
    /// after a death in between looks whether it was the last reference.
    fn drop_counted(&self, edge: u64) -> Result<(), Error> {
        let offset = word::offset(edge);
        let own = slot::slot_of(self.tag()?);
        let held = self.lock(Domain::Referent(offset), false)?;
        self.check_edge(edge)?;
        let generation = generation_of(self.identity(offset));
        let index = bitmap::claim(&self.adopting_busy, ADOPTING_CELLS);
        let cell = index.map_or(0, |index| self.adopting_cell(own, index));
        if cell != 0 {
            // Release: as in `lease_edge`.
            // CRASH: noted as well as leased; the reaper ends the one, `expire_leases` the other.
            self.control(cell).store(edge, Ordering::Release);
        }
        // CRASH: counted down, and nobody looked whether it was the last; the reaper does, when it
        // ends the adoption. With every cell in use, `expire_leases` does.
        self.count_lease_down(offset);
        drop(held);
        let ended = self.end_hold(offset, generation, 0, cell);
        if let Some(index) = index {
            bitmap::give_back(&self.adopting_busy, index);
        }
        ended
    }

    fn count_lease_down(&self, offset: u64) {
        let cell = self.control(field!(offset, ReferentHeader.leases));
        // AcqRel: as in `add_lease`.
        let _ = cell.fetch_update(Ordering::AcqRel, Ordering::Acquire, |leases| {
            (leases & COUNT_MASK > 0).then(|| leases - 1)
        });
    }

    pub(crate) fn has_leases(&self, offset: u64) -> bool {
        let cell = self.control(field!(offset, ReferentHeader.leases));
        cell.load(Ordering::Acquire) & COUNT_MASK != 0
    }

    /// Ends leases whose deadline has passed, and lets go of referents that nobody refers to.
    /// Returns how many referents had such leases.
    pub fn expire_leases(&self) -> usize {
        let now = self.backing.now_seconds();
        let mut expired = 0;
        for offset in self.referents() {
            let identity = self.identity(offset);
            if state_of(identity) != STATE_ALIVE {
                continue;
            }
            let cell = self.control(field!(offset, ReferentHeader.leases));
            let leases = cell.load(Ordering::Acquire);
            if leases & COUNT_MASK != 0 && leases >> 24 < now {
                // AcqRel: as in `add_lease`; a lease taken meanwhile has moved the word.
                let ended = cell.compare_exchange(leases, 0, Ordering::AcqRel, Ordering::Relaxed);
                expired += usize::from(ended.is_ok());
            }
            if !self.is_referred_to(offset) {
                let _ = self.end_hold(offset, generation_of(identity), 0, 0);
            }
        }
        expired
    }
}
