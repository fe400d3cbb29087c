//! Locking, and what happens to the work of the dead.
//!
//! A lock taken over from a dead owner is *mended* before anybody looks at what it protects:
//!
//! 1. every lane of a member that is not alive is searched for an armed step of this domain, which
//!    is done again, and for a commit condition on this referent, which is decided;
//! 2. an armed undo journal of the referent is rolled back, then the store's mender recounts what
//!    can be recounted;
//! 3. the list of a size class is built anew from its bitmaps.
//!
//! All of it is idempotent: the mender may be killed too, and the next one starts over.

use crate::{
    Error, Guard, Segment,
    lane::{COMMITTED, Domain},
    layout::field,
    lock::word::{self as lock_word, Acquired, Environment},
    member::slot,
    referent::{STATE_ALIVE, generation_of, state_of},
    sync::{AtomicU32, Ordering, program_order},
};
use std::time::Duration;

/// How long a waiter sleeps before it asks whether the owner lives. Long enough that the question
/// (half a microsecond) costs nothing, short enough that a death is a hiccup.
const PATIENCE: Duration = Duration::from_millis(15);

/// A lock of the segment, held.
pub(crate) struct Held<'s> {
    segment: &'s Segment,
    domain: Domain,
    borrowed: bool,
}

impl<'s> Held<'s> {
    /// A view for the mender; unlocks nothing.
    pub(crate) fn borrowed(segment: &'s Segment, domain: Domain) -> Self {
        Self {
            segment,
            domain,
            borrowed: true,
        }
    }

    #[inline]
    pub(crate) fn segment(&self) -> &'s Segment {
        self.segment
    }
}

impl Drop for Held<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.borrowed {
            return;
        }
        if self.segment.needs_rollback(self.domain) || std::thread::panicking() {
            self.segment.abandon(self.domain);
        }
        let cell = self.segment.lock_cell(self.domain);
        if lock_word::release(cell) {
            // CRASH: let go but nobody woken; sleepers look up by themselves after `PATIENCE`.
            self.segment
                .backing
                .wake(self.segment.lock_offset(self.domain), 1);
        }
    }
}

struct Surroundings<'s> {
    segment: &'s Segment,
    domain: Domain,
    tag: u32,
    interruptible: bool,
}

impl Environment for Surroundings<'_> {
    fn wait(&self, _word: &AtomicU32, expected: u32) {
        let offset = self.segment.lock_offset(self.domain);
        let mut sleep = || self.segment.backing.wait(offset, expected, PATIENCE);
        match self.segment.host() {
            Some(host) => host.block(&mut sleep),
            None => sleep(),
        }
    }

    fn is_dead(&self, tag: u32) -> bool {
        self.segment.is_dead(tag)
    }

    fn interrupted(&self) -> bool {
        // A handler that forks returns in the child as well, where the tag is another one.
        self.interruptible
            && self
                .segment
                .host()
                .is_some_and(|host| host.interrupted() || !self.segment.is_own(self.tag))
    }
}

impl Segment {
    #[inline(always)]
    fn lock_offset(&self, domain: Domain) -> u64 {
        match domain {
            Domain::Referent(offset) => field!(offset, ReferentHeader.lock),
            Domain::Class(class) => field!(self.class(class), Class.lock),
            Domain::Pages => field!(0, Header.page_lock),
        }
    }

    #[inline(always)]
    fn lock_cell(&self, domain: Domain) -> &AtomicU32 {
        self.control32(self.lock_offset(domain))
    }

    /// Takes a lock. An uninterruptible caller leaves signals to whoever waits next.
    #[inline(always)]
    pub(crate) fn lock(&self, domain: Domain, interruptible: bool) -> Result<Held<'_>, Error> {
        let tag = self.tag()?;
        if !lock_word::try_acquire(self.lock_cell(domain), tag) {
            self.lock_contended(domain, tag, interruptible)?;
        }
        Ok(Held {
            segment: self,
            domain,
            borrowed: false,
        })
    }

    #[cold]
    fn lock_contended(&self, domain: Domain, tag: u32, interruptible: bool) -> Result<(), Error> {
        let surroundings = Surroundings {
            segment: self,
            domain,
            tag,
            interruptible,
        };
        match lock_word::acquire(self.lock_cell(domain), tag, &surroundings) {
            None if !self.is_own(tag) => Err(Error::Forked),
            None => {
                // A wake-up that ended this sleep was the only one; the next sleeper gets it.
                self.backing.wake(self.lock_offset(domain), 1);
                Err(Error::Interrupted)
            }
            Some(Acquired::Clean) => Ok(()),
            Some(Acquired::TakenOver(_)) => {
                // CRASH: ours but not mended; the next one takes over from us and starts again.
                self.mend(domain);
                Ok(())
            }
        }
    }

    #[inline(always)]
    fn needs_rollback(&self, domain: Domain) -> bool {
        match domain {
            Domain::Referent(offset) => {
                self.control(field!(offset, ReferentHeader.journal))
                    .load(Ordering::Relaxed)
                    != 0
            }
            _ => false,
        }
    }

    /// Takes back what this process left half done under a lock it still holds (an error or a panic
    /// in the middle): the same repair as after a death, on its own lanes.
    #[cold]
    fn abandon(&self, domain: Domain) {
        if let Some(slot) = self.own_slot() {
            self.each_lane(slot, |lane| self.settle(lane, domain));
        }
        self.mend_structure(domain);
    }

    /// Mends what the dead left in a domain whose lock the caller holds.
    fn mend(&self, domain: Domain) {
        self.each_dead_lane(|lane| self.settle(lane, domain));
        self.mend_structure(domain);
    }

    fn mend_structure(&self, domain: Domain) {
        match domain {
            Domain::Referent(offset) => {
                // For those who looked without the lock while the journal was in use.
                let guard = Guard::for_mending(self, offset);
                guard.bump_version();
                self.roll_back(offset);
                if state_of(self.identity(offset)) == STATE_ALIVE {
                    guard.rebuild_line();
                    if let Some(mender) = self.mender() {
                        (mender.mend)(&guard);
                    }
                }
            }
            Domain::Class(class) => self.rebuild_class(class),
            Domain::Pages => {}
        }
    }

    /// Finishes an armed step of `domain` and decides a commit condition on it.
    fn settle(&self, lane: u64, domain: Domain) {
        if let Some(pending) = self.pending(lane)
            && self.domain_of(&pending) == Some(domain)
        {
            // A step that names impossible offsets is dropped: better a leak than a wild write.
            let _ = self.apply(lane, &pending);
            self.disarm(lane);
        }
        let Domain::Referent(offset) = domain else {
            return;
        };
        let commit_at = self.control(field!(lane, Lane.commit_at));
        let at = commit_at.load(Ordering::Acquire);
        if at > COMMITTED
            && self
                .control(field!(lane, Lane.referent))
                .load(Ordering::Acquire)
                == offset
        {
            let value = self
                .control(field!(lane, Lane.commit_value))
                .load(Ordering::Acquire);
            let happened = self.load(at).is_ok_and(|now| now == value);
            program_order();
            commit_at.store(if happened { COMMITTED } else { 0 }, Ordering::Release);
            program_order();
        }
    }

    /// Takes and releases a lock, so that it is mended if its owner is dead.
    fn pass_through(&self, domain: Domain) {
        drop(self.lock(domain, false));
    }

    /// Cleans up after members that died. Returns how many.
    ///
    /// Any member may call it at any time; the manager does so all the time.
    pub fn reap_dead(&self) -> usize {
        let Ok(reaper) = self.tag() else { return 0 };
        let mut reaped = 0;
        for slot in 0..self.member_high() {
            let word = self.member_word(slot);
            let tag = slot::tag(slot, word);
            let lost = match slot::state(word) {
                slot::FREE => false,
                slot::RESERVED => self.is_forsaken(slot),
                _ => self.is_dead(tag),
            };
            if lost {
                reaped += usize::from(self.reap(slot, word, reaper));
            }
        }
        reaped
    }

    /// Leaves the segment and frees the slot at once, for a member that nobody may be there to
    /// reap. No thread of this process may be using the segment any more.
    pub fn retire(&self) {
        let tag = self.member_cell().load(Ordering::Relaxed);
        if tag == 0 {
            return;
        }
        let (slot, generation) = (slot::slot_of(tag), slot::generation_of(tag));
        // CRASH: alive until the last store and dead then; whoever reaps does all of it again.
        self.settle_member(slot, tag);
        self.member_cell().store(0, Ordering::Relaxed);
        // COMMIT: the slot is free, all its traces are gone.
        // Release: pairs with the Acquire in `slot::claim`.
        self.member_cell_of(slot)
            .store(slot::pack(generation, slot::FREE), Ordering::Release);
        self.backing.release_slot(slot);
    }

    fn reap(&self, slot: u32, word: u64, reaper: u32) -> bool {
        let reaper_cell = self.control32(field!(self.map.member(slot), Member.reaper));
        let previous = reaper_cell.load(Ordering::Acquire);
        if previous != 0 && (previous == reaper || !self.is_dead(previous)) {
            return false;
        }
        // AcqRel: pairs with itself; one reaper at a time works on the lanes of a slot.
        if reaper_cell
            .compare_exchange(previous, reaper, Ordering::AcqRel, Ordering::Relaxed)
            .is_err()
        {
            return false;
        }
        let generation = slot::generation(word);
        let reaping = slot::pack(generation, slot::REAPING);
        let state = self.member_cell_of(slot);
        let now = state.load(Ordering::Acquire);
        if slot::generation(now) != generation || slot::state(now) == slot::FREE {
            reaper_cell.store(0, Ordering::Release);
            return false;
        }
        // CRASH: being reaped, and the reaper dies; the next reaper sees a dead reaper and goes on.
        // AcqRel: pairs with the exchange by which a child adopts its reservation.
        if state
            .compare_exchange(now, reaping, Ordering::AcqRel, Ordering::Relaxed)
            .is_err()
        {
            // A child adopted its reservation at the last moment.
            reaper_cell.store(0, Ordering::Release);
            return false;
        }
        self.settle_member(slot, slot::tag(slot, word));
        // COMMIT: the slot is free, all its traces are gone.
        // Release: pairs with the Acquire in `slot::claim`.
        state.store(slot::pack(generation, slot::FREE), Ordering::Release);
        // Not earlier: another reaper would begin again, and find a newcomer's lanes.
        // CRASH: free, with a reaper that is dead; whoever reaps the slot next takes over from it.
        reaper_cell.store(0, Ordering::Release);
        true
    }

    /// Everything a dead member left: locks, lanes, holder bits.
    fn settle_member(&self, slot: u32, tag: u32) {
        // Locks first: what they protect is mended before a lane gives back the journal that says
        // how, or anything else.
        for class in 0..crate::layout::CLASS_SIZES.len() {
            self.pass_if_owned(Domain::Class(class), tag);
        }
        self.pass_if_owned(Domain::Pages, tag);
        for offset in self.referents() {
            self.pass_if_owned(Domain::Referent(offset), tag);
        }
        self.each_lane(slot, |lane| {
            if let Some(pending) = self.pending(lane) {
                match self.domain_of(&pending) {
                    Some(domain) => self.pass_through(domain),
                    None => self.disarm(lane),
                }
            }
            if self
                .control(field!(lane, Lane.commit_at))
                .load(Ordering::Acquire)
                > COMMITTED
            {
                let referent = self
                    .control(field!(lane, Lane.referent))
                    .load(Ordering::Acquire);
                if self.check_referent(referent).is_ok() {
                    self.pass_through(Domain::Referent(referent));
                }
            }
            self.finish_lane(lane);
        });
        // Before its holds end: the referent in whose line it stands is there as long as they are.
        self.sweep_member(tag);
        for index in 0..crate::layout::ADOPTING_CELLS {
            let _ = self.end_adoption(self.adopting_cell(slot, index));
        }
        for offset in self.referents() {
            if self.is_holder(offset, slot) {
                let generation = generation_of(self.identity(offset));
                let _ = self.end_hold(offset, generation, u64::from(slot) + 1, 0);
            }
        }
    }

    fn pass_if_owned(&self, domain: Domain, tag: u32) {
        if self.lock_cell(domain).load(Ordering::Relaxed) & !lock_word::WAITERS == tag {
            self.pass_through(domain);
        }
    }
}
