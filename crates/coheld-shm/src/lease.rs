//! Leases: references on the way from one process to another.
//!
//! A pickled proxy, or an edge that was read out of a structure, must keep its referent until the
//! receiver has set its own holder bit. A lease is a count with a common deadline in one word of
//! the referent: redeemed leases are counted down, lost ones (the message was never read, the
//! receiver died) go when the deadline has passed.

use crate::{
    Error, Segment,
    layout::field,
    member::slot,
    referent::{STATE_ALIVE, generation_of, state_of},
    sync::Ordering,
    word,
};

/// Seconds a lease lasts at least. A task may wait in a pool's queue for long; the cost of a lost
/// lease is only that one referent stays that much longer.
const LEASE_SECONDS: u64 = 600;

const COUNT_MASK: u64 = 0xff_ffff;

/// A lease taken with an edge that was read; has to be redeemed or dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The edge word.
    pub word: u64,
}

impl Lease {
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
        Ok(Lease { word: word::of_edge(offset, generation) })
    }

    /// Takes a lease on the referent of an edge word; the caller holds the lock of the structure
    /// that the edge is in, which is what keeps the referent until the lease does.
    pub fn lease_edge(&self, edge: u64) -> Result<Lease, Error> {
        self.check_referent(word::offset(edge))?;
        self.check_edge(edge)?;
        self.add_lease(word::offset(edge));
        Ok(Lease { word: edge })
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
        let held = self.lock(crate::lane::Domain::Referent(offset), false)?;
        self.check_edge(lease.word)?;
        // COMMIT: the holder bit.
        self.set_holder(offset, own);
        // CRASH: held and still leased; the lease runs out by itself.
        self.count_lease_down(offset);
        let generation = generation_of(self.identity(offset));
        drop(held);
        Ok(generation)
    }

    /// Gives a lease back unused.
    pub fn drop_lease(&self, lease: Lease) -> Result<(), Error> {
        let offset = lease.offset();
        self.check_referent(offset)?;
        let held = self.lock(crate::lane::Domain::Referent(offset), false)?;
        self.check_edge(lease.word)?;
        self.count_lease_down(offset);
        let generation = generation_of(self.identity(offset));
        drop(held);
        self.end_hold(offset, generation, 0)
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

    /// Ends leases whose deadline has passed. Returns how many referents had some.
    pub fn expire_leases(&self) -> usize {
        let now = self.backing.now_seconds();
        let mut expired = 0;
        for offset in self.referents() {
            let identity = self.identity(offset);
            let cell = self.control(field!(offset, ReferentHeader.leases));
            let leases = cell.load(Ordering::Acquire);
            if state_of(identity) != STATE_ALIVE
                || leases & COUNT_MASK == 0
                || leases >> 24 >= now
            {
                continue;
            }
            // AcqRel: as in `add_lease`; a lease taken meanwhile has moved the word.
            if cell
                .compare_exchange(leases, 0, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
            {
                expired += 1;
                let _ = self.end_hold(offset, generation_of(identity), 0);
            }
        }
        expired
    }
}
