//! The member table: joining a segment, and asking who lives.

use crate::{
    Error, Segment,
    backing::ProcessIdentity,
    layout::{Lane, field},
    member::slot,
    sync::{AtomicU64, Ordering},
};

/// Bits that a tag may use in a lock word.
pub(crate) const TAG_BITS: u32 = (1 << 31) - 1;

impl Segment {
    pub(crate) fn member_cell_of(&self, slot: u32) -> &AtomicU64 {
        self.control(field!(self.map.member(slot), Member.state))
    }

    pub(crate) fn member_word(&self, slot: u32) -> u64 {
        // Acquire: pairs with the Release in `occupy`, so that the identity is there.
        self.member_cell_of(slot).load(Ordering::Acquire)
    }

    /// Claims a slot for this process unless it has one.
    pub fn join(&self) -> Result<(), Error> {
        self.tag().map(drop)
    }

    /// The tag of this process; one load unless it has just been forked.
    #[inline(always)]
    pub(crate) fn tag(&self) -> Result<u32, Error> {
        // Relaxed: a private word that only this process writes.
        match self.member_cell().load(Ordering::Relaxed) {
            0 => self.claim_slot(),
            tag => Ok(tag),
        }
    }

    /// The tag of this process; another one in a forked child.
    pub fn own_tag(&self) -> Result<u32, Error> {
        self.tag()
    }

    /// The slot of this process, if it has joined.
    pub fn own_slot(&self) -> Option<u32> {
        match self.member_cell().load(Ordering::Relaxed) {
            0 => None,
            tag => Some(slot::slot_of(tag)),
        }
    }

    #[cold]
    fn claim_slot(&self) -> Result<u32, Error> {
        let _one_at_a_time = self
            .joining
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = self.member_cell().load(Ordering::Relaxed);
        if known != 0 {
            return Ok(known);
        }
        for slot in 0..self.map.member_limit {
            if slot::state(self.member_word(slot)) != slot::FREE {
                continue;
            }
            // The record lock comes first: once the slot says "alive" the kernel says so too.
            if !self.backing.take_slot(slot)? {
                continue;
            }
            self.write_identity(slot);
            if let Err(error) = self.back_lanes(slot) {
                self.backing.release_slot(slot);
                return Err(error);
            }
            self.raise_member_high(slot);
            // COMMIT: the process is a member.
            if let Some(word) = slot::claim(self.member_cell_of(slot), slot::ALIVE) {
                let tag = slot::tag(slot, word);
                self.start_afresh();
                self.member_cell().store(tag, Ordering::Relaxed);
                return Ok(tag);
            }
            self.backing.release_slot(slot);
        }
        Err(Error::MemberTableFull {
            limit: self.map.member_limit,
        })
    }

    /// Private bookkeeping of a process that has just got its slot.
    pub(crate) fn start_afresh(&self) {
        self.lanes_busy.store(0, Ordering::Relaxed);
        self.adopting_busy.store(0, Ordering::Relaxed);
        self.spinning.store(0, Ordering::Relaxed);
    }

    /// Slots from here on have never been used.
    pub(crate) fn member_high(&self) -> u32 {
        let high = self
            .control(field!(0, Header.member_high))
            .load(Ordering::Acquire);
        high.min(u64::from(self.map.member_limit)) as u32
    }

    /// Notes, before a slot is claimed, that it may be in use.
    pub(crate) fn raise_member_high(&self, slot: u32) {
        // Release: pairs with the Acquire in `member_high`.
        self.control(field!(0, Header.member_high))
            .fetch_max(u64::from(slot) + 1, Ordering::Release);
    }

    /// Whether this process is still the member with this tag; not in a child forked meanwhile.
    pub fn is_own(&self, tag: u32) -> bool {
        self.member_cell().load(Ordering::Relaxed) == tag
    }

    /// Leaves the segment: the slot looks like that of a dead process, and others reap it.
    pub fn leave(&self) {
        let tag = self.member_cell().load(Ordering::Relaxed);
        if tag != 0 {
            self.member_cell().store(0, Ordering::Relaxed);
            let slot = slot::slot_of(tag);
            let alive = slot::pack(slot::generation_of(tag), slot::ALIVE);
            let reaping = slot::pack(slot::generation_of(tag), slot::REAPING);
            // Release: pairs with the Acquire in `member_word` by the reaper.
            let _ = self.member_cell_of(slot).compare_exchange(
                alive,
                reaping,
                Ordering::Release,
                Ordering::Relaxed,
            );
            self.backing.release_slot(slot);
        }
    }

    pub(crate) fn back_lanes(&self, slot: u32) -> Result<(), Error> {
        let lanes = self.map.lane(slot, 0);
        let length = u64::from(self.map.lanes_per_member) * size_of::<Lane>() as u64;
        self.backing.commit(lanes, length)
    }

    pub(crate) fn write_identity(&self, slot: u32) {
        let member = self.map.member(slot);
        let identity = self.backing.identity();
        self.control32(field!(member, Member.pid))
            .store(identity.pid, Ordering::Relaxed);
        self.control(field!(member, Member.start_time))
            .store(identity.start_time, Ordering::Relaxed);
        self.control(field!(member, Member.pid_namespace))
            .store(identity.pid_namespace, Ordering::Relaxed);
    }

    /// Who sits, or sat, in a slot.
    pub fn identity_of(&self, slot: u32) -> ProcessIdentity {
        let member = self.map.member(slot);
        ProcessIdentity {
            pid: self
                .control32(field!(member, Member.pid))
                .load(Ordering::Relaxed),
            start_time: self
                .control(field!(member, Member.start_time))
                .load(Ordering::Relaxed),
            pid_namespace: self
                .control(field!(member, Member.pid_namespace))
                .load(Ordering::Relaxed),
        }
    }

    /// Whether the member that a tag names is dead.
    pub(crate) fn is_dead(&self, tag: u32) -> bool {
        let slot = slot::slot_of(tag);
        if slot >= self.map.member_limit {
            return true;
        }
        let word = self.member_word(slot);
        if slot::generation(word) != slot::generation_of(tag) {
            return true;
        }
        match slot::state(word) {
            slot::ALIVE => {
                Some(slot) != self.own_slot()
                    && !self.backing.is_alive(slot, &self.identity_of(slot))
            }
            slot::RESERVED => false,
            _ => true,
        }
    }

    /// Whether the process of a member lives. The kernel's word, half a microsecond; never under a
    /// lock.
    pub fn is_alive(&self, tag: u32) -> bool {
        !self.is_dead(tag)
    }

    /// Whether a member has its slot still: one load. A dead one has it until it is reaped.
    pub fn is_current_member(&self, tag: u32) -> bool {
        let slot = slot::slot_of(tag);
        if tag == 0 || slot >= self.map.member_limit {
            return false;
        }
        let word = self.member_word(slot);
        slot::state(word) == slot::ALIVE && slot::generation(word) == slot::generation_of(tag)
    }

    /// Number of living members.
    pub fn count_members(&self) -> u32 {
        let alive = |&slot: &u32| {
            let word = self.member_word(slot);
            slot::state(word) == slot::ALIVE && !self.is_dead(slot::tag(slot, word))
        };
        (0..self.member_high()).filter(alive).count() as u32
    }
}
