//! The member table, and what each member has in the segment.

use crate::{
    Segment,
    backing::ProcessIdentity,
    layout::{ADOPTING_CELLS, LANE_ENTRIES, MEMBER_LIMIT, field},
    member::slot,
    sync::Ordering,
};

/// What becomes of a member slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberState {
    /// Its process lives.
    Alive,
    /// Its process is gone, and nobody has begun to clean up.
    Dead,
    /// A parent keeps it for the child that it forks.
    Reserved,
    /// The same, for longer than a fork can take: the reaper takes it back.
    Forsaken,
    /// Its process is gone, somebody cleans up.
    Reaping,
}

/// A member slot in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberView {
    /// Its number.
    pub slot: u32,
    /// Names the member in locks, cells of waiters and words of owners.
    pub tag: u32,
    /// What becomes of it.
    pub state: MemberState,
    /// Its process.
    pub identity: ProcessIdentity,
    /// Who cleans up after it: a tag, or 0.
    pub reaper: u32,
    /// Operations under way.
    pub lanes: u32,
    /// Edges that it has read and not made its own yet.
    pub adopting: u32,
    /// Cells of waiters.
    pub waiters: u32,
    /// Referents that it holds.
    pub holds: u64,
}

impl Segment {
    /// Every member slot in use, in order.
    pub fn members(&self) -> Vec<MemberView> {
        let holds = self.holds_of_slots();
        let high = self.member_high();
        let mut waiters = vec![0; MEMBER_LIMIT as usize];
        self.each_wait(|wait| waiters[slot::slot_of(wait.owner) as usize] += 1);
        let views = (0..high).filter_map(|number| {
            let word = self.member_word(number);
            let tag = slot::tag(number, word);
            let state = match slot::state(word) {
                slot::ALIVE if self.is_dead(tag) => MemberState::Dead,
                slot::ALIVE => MemberState::Alive,
                slot::RESERVED if self.is_forsaken(number) => MemberState::Forsaken,
                slot::RESERVED => MemberState::Reserved,
                slot::REAPING => MemberState::Reaping,
                _ => return None,
            };
            let member = self.map.member(number);
            // Relaxed: a picture.
            let reaper = self.control32(field!(member, Member.reaper));
            Some(MemberView {
                slot: number,
                tag,
                state,
                identity: self.identity_of(number),
                reaper: reaper.load(Ordering::Relaxed),
                lanes: self.busy_lanes(number),
                adopting: self.adopting_now(number),
                waiters: waiters[number as usize],
                holds: holds[number as usize],
            })
        });
        views.collect()
    }

    /// The member that has a tag, as long as it has its slot.
    pub fn process_of_tag(&self, tag: u32) -> Option<ProcessIdentity> {
        let slot = slot::slot_of(tag);
        let known = slot < self.map.member_limit
            && slot::generation(self.member_word(slot)) == slot::generation_of(tag);
        known.then(|| self.identity_of(slot))
    }

    fn busy_lanes(&self, slot: u32) -> u32 {
        let mut busy = 0;
        self.each_lane(slot, |lane| {
            let load = |offset| self.control(offset).load(Ordering::Relaxed);
            let in_use = load(field!(lane, Lane.pending_operation)) != 0
                || load(field!(lane, Lane.commit_at)) != 0
                || load(field!(lane, Lane.graveyard)) != 0
                || (0..LANE_ENTRIES).any(|index| load(crate::lane::entry_word(lane, index)) != 0);
            busy += u32::from(in_use);
        });
        busy
    }

    fn adopting_now(&self, slot: u32) -> u32 {
        let load = |index| self.control(self.adopting_cell(slot, index));
        let in_use = |&index: &u32| load(index).load(Ordering::Relaxed) != 0;
        (0..ADOPTING_CELLS).filter(in_use).count() as u32
    }

    /// How many referents each slot holds.
    fn holds_of_slots(&self) -> Vec<u64> {
        let mut holds = vec![0; MEMBER_LIMIT as usize];
        for offset in self.referents() {
            let first = field!(offset, ReferentHeader.holders);
            for index in 0..u64::from(MEMBER_LIMIT) / 64 {
                let mut bits = self.control(first + 8 * index).load(Ordering::Relaxed);
                while bits != 0 {
                    let bit = u64::from(bits.trailing_zeros());
                    holds[(64 * index + bit) as usize] += 1;
                    bits &= bits - 1;
                }
            }
        }
        holds
    }
}
