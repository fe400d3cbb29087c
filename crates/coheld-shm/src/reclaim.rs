//! Giving back: fates of entries, words that own blocks, edges, and referents nobody refers to.
//!
//! At every instruction each block and edge has exactly one owning cell; a release moves along the
//! tree by taking the last owning word of a block, so that a death in the middle leaves a smaller
//! tree with the same owner. Depth is bounded by the shapes the store builds: an array of words,
//! blocks with edges in it, nothing below. Referents that lose their last reference are chained in
//! the lane (the graveyard), not released recursively.

use crate::{
    Error, Segment,
    lane::{COMMITTED, Domain, Pending, Step, entry_fates, entry_word},
    layout::{BLOCK_HEADER, LANE_ENTRIES, Lane, MEMBER_LIMIT, REFERENT_CLASS, field},
    operation::Fate,
    referent::{STATE_DYING, STATE_FREE, generation_of, identity, state_of},
    sync::{Ordering, program_order},
    word,
};

/// Deeper than any tree the store builds; more is damage.
const DEPTH_LIMIT: u32 = 8;

/// The cell that owns what is being released, and what it holds afterwards.
#[derive(Clone, Copy)]
struct Owner {
    cell: u64,
    done: u64,
}

pub(crate) const fn pack_state(start: u64, count: u64) -> u64 {
    start | count << 32
}

impl Segment {
    /// Carries out the fates of a lane and brings it to rest. Does its own lane and, when reaping,
    /// those of the dead.
    pub(crate) fn finish_lane(&self, lane: u64) {
        let commit_at = self.control(field!(lane, Lane.commit_at));
        let committed = commit_at.load(Ordering::Acquire) == COMMITTED;
        for index in 0..LANE_ENTRIES {
            let entry = self.control(entry_word(lane, index));
            let owned = entry.load(Ordering::Acquire);
            if owned == 0 {
                continue;
            }
            let fates = self
                .control(entry_fates(lane, index))
                .load(Ordering::Acquire);
            let fate = Fate::from_bits(if committed { fates >> 8 } else { fates });
            let owner = Owner {
                cell: entry_word(lane, index),
                done: 0,
            };
            // CRASH: some entries settled, others not; the reaper calls this function again.
            let released = match fate {
                Fate::Keep => Ok(()),
                Fate::Shell => self.free_block(lane, owned, owner),
                Fate::Tree => self.release_owned(lane, owned, owner, 0),
            };
            // A word that cannot be released (damage) is dropped: a leak, not a loop.
            let _ = released;
            entry.store(0, Ordering::Release);
        }
        self.empty_graveyard(lane);
        program_order();
        commit_at.store(0, Ordering::Release);
    }

    fn release_owned(&self, lane: u64, owned: u64, owner: Owner, depth: u32) -> Result<(), Error> {
        match word::tag(owned) {
            word::TAG_BLOCK => {
                self.release_words(lane, word::offset(owned), depth)?;
                self.free_block(lane, owned, owner)
            }
            word::TAG_EDGE => self.drop_edge(lane, owned, owner),
            word::TAG_REFERENT => self.drop_unpublished(lane, owned, owner),
            _ => self.store(owner.cell, owner.done),
        }
    }

    /// Releases the owning words of a block, last one first.
    fn release_words(&self, lane: u64, block: u64, depth: u32) -> Result<(), Error> {
        if depth > DEPTH_LIMIT {
            return Err(Error::Corrupted {
                what: "nesting of blocks",
                offset: block,
            });
        }
        let room = self.block_room(block)? / 8;
        let state_cell = block + 8;
        let state = self.load(state_cell)?;
        let start = state & 0xffff_ffff;
        let mut count = state >> 32;
        if start + count > room {
            return Err(Error::Corrupted {
                what: "owning words of a block",
                offset: block,
            });
        }
        while count > 0 {
            let at = block + BLOCK_HEADER + 8 * (start + count - 1);
            let inner = self.load(at)?;
            count -= 1;
            if word::owns(inner) {
                let owner = Owner {
                    cell: state_cell,
                    done: pack_state(start, count),
                };
                self.release_owned(lane, inner, owner, depth + 1)?;
            }
        }
        Ok(())
    }

    fn free_block(&self, lane: u64, owned: u64, owner: Owner) -> Result<(), Error> {
        let step = |operation, extra| Pending {
            operation,
            word: owned,
            cell: owner.cell,
            done: owner.done,
            extra,
        };
        let offset = word::offset(owned);
        match self.class_of(offset) {
            Some(class) => self.free_in_class(lane, class, &step(Step::Free, 0)),
            None => {
                let pages = self.run_pages(offset)?;
                self.free_run(lane, &step(Step::FreeRun, pages))
            }
        }
    }

    fn drop_edge(&self, lane: u64, edge: u64, owner: Owner) -> Result<(), Error> {
        let offset = word::offset(edge);
        self.check_referent(offset)?;
        let held = self.lock(Domain::Referent(offset), false)?;
        let done = self.perform(
            lane,
            &Pending {
                operation: Step::DropEdge,
                word: edge,
                cell: owner.cell,
                done: owner.done,
                extra: self.edges(offset),
            },
        );
        drop(held);
        done
    }

    /// A referent whose maker died before anybody was told of it.
    fn drop_unpublished(&self, lane: u64, owned: u64, owner: Owner) -> Result<(), Error> {
        let offset = word::offset(owned);
        self.check_referent(offset)?;
        let held = self.lock(Domain::Referent(offset), false)?;
        let current = self.identity(offset);
        if state_of(current) == STATE_FREE {
            let put = |at: u64, value: u64| self.control(at).store(value, Ordering::Relaxed);
            put(field!(offset, ReferentHeader.root), 0);
            put(field!(offset, ReferentHeader.companion), 0);
            put(field!(offset, ReferentHeader.edges), 0);
            put(field!(offset, ReferentHeader.leases), 0);
            for index in 0..u64::from(MEMBER_LIMIT) / 64 {
                put(field!(offset, ReferentHeader.holders) + index * 8, 0);
            }
            put(
                field!(offset, ReferentHeader.identity),
                identity(0, STATE_DYING, generation_of(current)),
            );
        }
        let maker = (lane - self.map.lanes)
            / size_of::<Lane>() as u64
            / u64::from(self.map.lanes_per_member);
        let done = self.perform(
            lane,
            &Pending {
                operation: Step::EndHold,
                word: owned,
                cell: owner.cell,
                done: owner.done,
                extra: maker + 1,
            },
        );
        drop(held);
        done
    }

    /// Takes the referents of the graveyard apart.
    fn empty_graveyard(&self, lane: u64) {
        let graveyard = field!(lane, Lane.graveyard);
        loop {
            let offset = self.control(graveyard).load(Ordering::Acquire);
            if offset == 0 {
                return;
            }
            if self.bury(lane, graveyard, offset).is_err() {
                // Damage: drop the chain rather than walk it for ever.
                self.control(graveyard).store(0, Ordering::Release);
                return;
            }
        }
    }

    fn bury(&self, lane: u64, graveyard: u64, offset: u64) -> Result<(), Error> {
        self.check_referent(offset)?;
        let root_cell = field!(offset, ReferentHeader.root);
        let root = self.load(root_cell)?;
        if word::owns(root) {
            self.release_owned(
                lane,
                root,
                Owner {
                    cell: root_cell,
                    done: 0,
                },
                0,
            )?;
        }
        self.store(root_cell, 0)?;
        let companion_cell = field!(offset, ReferentHeader.companion);
        let companion = self.load(companion_cell)?;
        if word::owns(companion) {
            let owner = Owner {
                cell: companion_cell,
                done: 0,
            };
            self.release_owned(lane, companion, owner, 0)?;
        }
        self.store(companion_cell, 0)?;
        if self.control(graveyard).load(Ordering::Acquire) != offset {
            // Its content left others in front of it; its turn comes after theirs.
            return Ok(());
        }
        let next = self.load(field!(offset, ReferentHeader.next))?;
        let current = self.identity(offset);
        if state_of(current) != STATE_FREE {
            // The next use of this place gets another generation, so that old tokens miss it.
            let generation = generation_of(current).wrapping_add(1).max(1);
            self.control(field!(offset, ReferentHeader.identity))
                .store(identity(0, STATE_FREE, generation), Ordering::Release);
        }
        program_order();
        // CRASH: no longer a referent, still a block; the graveyard names it until this step.
        self.free_in_class(
            lane,
            REFERENT_CLASS,
            &Pending {
                operation: Step::Free,
                word: offset | word::TAG_REFERENT,
                cell: graveyard,
                done: next,
                extra: 0,
            },
        )
    }
}
