//! Forking: the parent takes a slot for its child and holds everything it holds for it as well, so
//! that nothing the child inherits can go away before the child has run its first instruction.

use crate::{Error, Segment, lane::Domain, layout::field, member::slot, sync::Ordering};

/// Seconds after which a reservation that nobody adopted is taken back. A fork takes microseconds;
/// a child that was stopped longer joins anew.
pub(crate) const RESERVATION_SECONDS: u64 = 60;

/// In the place of the time of a reservation: nobody will come for it.
pub(crate) const GIVEN_UP: u64 = 0;

/// A slot held for a child that is being forked.
#[derive(Clone, Copy, Debug)]
pub struct Reservation {
    tag: u32,
}

impl Segment {
    /// Reserves a slot and holds `held` (offset, generation) for it. `None` when the table is full.
    pub fn prepare_fork(
        &self,
        held: impl IntoIterator<Item = (u64, u32)>,
    ) -> Result<Option<Reservation>, Error> {
        self.tag()?;
        let now = self.backing.now_seconds().max(GIVEN_UP + 1);
        let any_free = |slot: u32| slot::state(self.member_word(slot)) == slot::FREE;
        if !(0..self.map.member_limit).any(any_free) {
            // With the manager gone nobody else makes room.
            self.reap_dead();
        }
        for slot in 0..self.map.member_limit {
            if slot::state(self.member_word(slot)) != slot::FREE {
                continue;
            }
            let at = field!(self.map.member(slot), Member.reserved_at);
            self.control(at).store(now, Ordering::Relaxed);
            self.back_lanes(slot)?;
            self.raise_member_high(slot);
            // COMMIT: the slot is the child's.
            let Some(word) = slot::claim(self.member_cell_of(slot), slot::RESERVED) else {
                continue;
            };
            // CRASH: reserved, and the parent dies; the reaper takes it back after a minute.
            if let Err(error) = self.hold_for(slot, held) {
                // What is held for it already is left to the reaper, as that takes locks.
                // Release: pairs with the Acquire in `is_forsaken`.
                self.control(at).store(GIVEN_UP, Ordering::Release);
                return Err(error);
            }
            return Ok(Some(Reservation {
                tag: slot::tag(slot, word),
            }));
        }
        Ok(None)
    }

    fn hold_for(&self, slot: u32, held: impl IntoIterator<Item = (u64, u32)>) -> Result<(), Error> {
        for (offset, generation) in held {
            // Interruptible: its owner may be a thread that waits for what this one has locked
            // up to fork, so the host gives up after a moment.
            let guard = self.lock(Domain::Referent(offset), true)?;
            if self.is_current(offset, generation) {
                self.set_holder(offset, slot);
            }
            drop(guard);
        }
        Ok(())
    }

    /// Whether nobody will come for the slot that is reserved.
    pub(crate) fn is_forsaken(&self, slot: u32) -> bool {
        let at = field!(self.map.member(slot), Member.reserved_at);
        // Acquire: pairs with the Release in `prepare_fork`, whose holds are to be ended.
        let since = self.control(at).load(Ordering::Acquire);
        since == GIVEN_UP || self.backing.now_seconds().saturating_sub(since) > RESERVATION_SECONDS
    }

    /// In the child, before anything else: takes the reserved slot. False when it has to join anew.
    ///
    /// Only system calls and atomic stores, as a fork handler must.
    pub fn adopt_fork(&self, reservation: Option<Reservation>) -> bool {
        self.member_cell().store(0, Ordering::Relaxed);
        self.start_afresh();
        let Some(Reservation { tag }) = reservation else {
            return false;
        };
        let slot = slot::slot_of(tag);
        if !self.backing.take_slot(slot).unwrap_or(false) {
            return false;
        }
        self.write_identity(slot);
        let reserved = slot::pack(slot::generation_of(tag), slot::RESERVED);
        let alive = slot::pack(slot::generation_of(tag), slot::ALIVE);
        // COMMIT: the child is a member.
        // AcqRel: pairs with the Release by which the parent's claim published the holds.
        let adopted = self.member_cell_of(slot).compare_exchange(
            reserved,
            alive,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        if adopted.is_err() {
            self.backing.release_slot(slot);
            return false;
        }
        self.member_cell().store(tag, Ordering::Relaxed);
        true
    }
}
