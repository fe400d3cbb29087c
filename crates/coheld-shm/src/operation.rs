//! An operation: what allocates before a lock, commits under it, and releases after it.
//!
//! ```text
//! begin -> allocate.. -> (lock) -> retire.. -> commit -> (unlock) -> drop
//! ```
//!
//! Every block and edge that the operation brings or takes away stands in an entry of its lane with
//! two fates, and exactly one of them is carried out, by the operation itself or after its death.

use crate::{
    Error, Guard, Segment, bitmap,
    lane::{COMMITTED, Domain, Pending, Step, entry_fates, entry_word},
    layout::{LANE_ENTRIES, field},
    member::slot,
    sync::{self, Ordering, program_order},
    word,
};

/// How long a thread that finds no lane sleeps: an operation takes about as long if nobody else
/// wants what it locks.
const LANE_NAP: std::time::Duration = std::time::Duration::from_micros(50);

/// What becomes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Fate {
    /// Somebody else owns it now.
    Keep = 0,
    /// Free the block; its words have other owners.
    Shell = 1,
    /// Release everything the word owns.
    Tree = 2,
}

impl Fate {
    pub(crate) fn from_bits(bits: u64) -> Self {
        match bits & 0xff {
            1 => Self::Shell,
            2 => Self::Tree,
            _ => Self::Keep,
        }
    }
}

/// One operation under way, in a lane of its own.
pub struct Operation<'s> {
    segment: &'s Segment,
    /// The member that began it.
    tag: u32,
    lane: u64,
    index: u32,
    entries: u64,
    finished: bool,
}

impl Segment {
    /// Begins an operation. Waits, a moment, if this process has every lane in use.
    pub fn begin(&self) -> Result<Operation<'_>, Error> {
        let tag = self.tag()?;
        let index = loop {
            match bitmap::claim(&self.lanes_busy, self.map.lanes_per_member) {
                Some(index) => break index,
                None => self.wait_for_lane(),
            }
        };
        let lane = self.map.lane(slot::slot_of(tag), index);
        Ok(Operation {
            segment: self,
            tag,
            lane,
            index,
            entries: 0,
            finished: false,
        })
    }
}

impl Segment {
    /// Lets other threads go on. With the runtime released: whoever has a lane may need it to come
    /// to an end.
    #[cold]
    fn wait_for_lane(&self) {
        match self.host() {
            Some(host) => host.block(&mut || std::thread::sleep(LANE_NAP)),
            None => sync::yield_now(),
        }
    }
}

impl<'s> Operation<'s> {
    /// The segment it works on.
    pub fn segment(&self) -> &'s Segment {
        self.segment
    }

    pub(crate) fn lane(&self) -> u64 {
        self.lane
    }

    /// A fresh entry with its fates; the offset of its word.
    pub(crate) fn reserve_entry(&mut self, on_abort: Fate, on_commit: Fate) -> Result<u64, Error> {
        if self.entries == LANE_ENTRIES {
            return Err(Error::TooManyEntries);
        }
        let index = self.entries;
        self.entries += 1;
        self.segment
            .control(entry_fates(self.lane, index))
            .store(on_abort as u64 | (on_commit as u64) << 8, Ordering::Relaxed);
        program_order();
        Ok(entry_word(self.lane, index))
    }

    /// Allocates a block of `payload` bytes (not zeroed); its offset. Never under a referent lock.
    pub fn allocate(
        &mut self,
        payload: u64,
        kind: u8,
        on_abort: Fate,
        on_commit: Fate,
    ) -> Result<u64, Error> {
        let entry = self.reserve_entry(on_abort, on_commit)?;
        self.segment.allocate(self.lane, payload, kind, entry)
    }

    /// Allocates a block that `cell`, a zero word of a block that this operation owns, will own.
    pub fn allocate_into(&mut self, payload: u64, kind: u8, cell: u64) -> Result<u64, Error> {
        self.segment.cell(cell)?;
        self.segment.allocate(self.lane, payload, kind, cell)
    }

    /// Adds a data edge to a referent, owned by an entry until it commits.
    ///
    /// The caller holds the referent (by a proxy or a lease) and no lock.
    pub fn edge(&mut self, edge: u64, on_abort: Fate, on_commit: Fate) -> Result<(), Error> {
        let entry = self.reserve_entry(on_abort, on_commit)?;
        self.add_edge(edge, entry)
    }

    /// Adds a data edge that `cell`, a zero word of a block that this operation owns, will hold.
    pub fn edge_into(&mut self, edge: u64, cell: u64) -> Result<(), Error> {
        self.segment.cell(cell)?;
        self.add_edge(edge, cell)
    }

    fn add_edge(&mut self, edge: u64, cell: u64) -> Result<(), Error> {
        let offset = word::offset(edge);
        self.segment.check_referent(offset)?;
        let held = self.segment.lock(Domain::Referent(offset), false)?;
        self.segment.check_edge(edge)?;
        self.segment.perform(
            self.lane,
            &Pending {
                operation: Step::AddEdge,
                word: edge,
                cell,
                done: edge,
                extra: self.segment.edges(offset),
            },
        )?;
        drop(held);
        Ok(())
    }

    /// Under the lock: records a word that the commit takes out of the structure.
    #[inline]
    pub fn retire(&mut self, old: u64, on_abort: Fate, on_commit: Fate) -> Result<(), Error> {
        if !word::owns(old) {
            return Ok(());
        }
        let entry = self.reserve_entry(on_abort, on_commit)?;
        self.segment.control(entry).store(old, Ordering::Relaxed);
        Ok(())
    }

    /// Under the lock: makes the operation happen by storing `value` at `cell`.
    ///
    /// `value` has to differ from what the cell holds.
    pub fn commit(&mut self, guard: &Guard<'_>, cell: u64, value: u64) -> Result<(), Error> {
        let target = self.segment.cell(cell)?;
        debug_assert_ne!(
            target.load(Ordering::Relaxed),
            value,
            "a commit has to change its cell"
        );
        self.arm(guard.offset(), cell, value);
        guard.bump_version();
        // COMMIT: the operation has happened.
        // Release: pairs with the Acquire in `Segment::load`.
        target.store(value, Ordering::Release);
        // CRASH: committed but not noted; `settle` by the next holder of this lock looks at the
        // cell and notes it.
        self.note_committed();
        Ok(())
    }

    pub(crate) fn arm(&self, referent: u64, cell: u64, value: u64) {
        let put = |at, value| self.segment.control(at).store(value, Ordering::Relaxed);
        put(field!(self.lane, Lane.referent), referent);
        put(field!(self.lane, Lane.commit_value), value);
        program_order();
        put(field!(self.lane, Lane.commit_at), cell);
        program_order();
    }

    pub(crate) fn note_committed(&self) {
        program_order();
        self.segment
            .control(field!(self.lane, Lane.commit_at))
            .store(COMMITTED, Ordering::Release);
        program_order();
    }

    /// Lets go of entries that found another owner (a new referent and its holder bit).
    pub(crate) fn publish(mut self) {
        self.note_committed();
        self.finished = true;
        self.settle();
    }

    /// Carries out the fates; after every lock is released.
    pub fn finish(mut self) -> Result<(), Error> {
        self.finished = true;
        self.settle();
        Ok(())
    }

    fn settle(&mut self) {
        if !self.segment.is_own(self.tag) {
            // In a child forked meanwhile: the lane is the parent's, who goes on with it.
            return;
        }
        self.segment.finish_lane(self.lane);
        bitmap::give_back(&self.segment.lanes_busy, self.index);
    }
}

impl Drop for Operation<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.settle();
        }
    }
}

impl Segment {
    /// The referent of an edge word has to be alive and of its generation; under its lock.
    pub(crate) fn check_edge(&self, edge: u64) -> Result<(), Error> {
        let offset = word::offset(edge);
        let identity = self
            .control(field!(offset, ReferentHeader.identity))
            .load(Ordering::Relaxed);
        let generation = crate::referent::generation_of(identity);
        if crate::referent::state_of(identity) == crate::referent::STATE_ALIVE
            && generation & 0xffff == u32::from(word::edge_generation(edge))
        {
            Ok(())
        } else {
            Err(Error::ReferentGone {
                offset,
                generation: word::edge_generation(edge).into(),
            })
        }
    }
}
