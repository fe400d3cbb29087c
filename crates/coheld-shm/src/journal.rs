//! The undo journal: several cells of one referent changed as one.
//!
//! A block allocated beforehand takes `(cell, old value)` pairs; the referent's header names it
//! while it is armed. The committing store is the one that disarms it. Whoever finds a journal
//! armed under a lock it has just taken over (or left by an error) puts the old values back.

use crate::{
    Error, Guard, Operation, Segment,
    layout::{BLOCK_HEADER, field},
    operation::Fate,
    sync::{Ordering, program_order},
    word,
};

impl Operation<'_> {
    /// Allocates a journal for up to `cells` cells; before the lock. Pass it to
    /// [`Self::arm_journal`].
    pub fn allocate_journal(&mut self, cells: u64, kind: u8) -> Result<u64, Error> {
        self.allocate(8 + 16 * cells, kind, Fate::Shell, Fate::Shell)
    }

    /// Under the lock: notes what `cells` hold and arms the journal. Until [`Self::commit_journal`]
    /// every change to them is taken back by a death, a panic or an early unlock.
    pub fn arm_journal(
        &mut self,
        guard: &Guard<'_>,
        journal: u64,
        cells: impl IntoIterator<Item = u64>,
    ) -> Result<(), Error> {
        let segment = self.segment();
        let room = (segment.block_room(journal)?.saturating_sub(8)) / 16;
        let first = journal + BLOCK_HEADER;
        let mut count = 0;
        for cell in cells {
            if count == room {
                return Err(Error::TooLarge {
                    what: "journal",
                    requested: count + 1,
                    limit: room,
                });
            }
            let old = segment.load(cell)?;
            segment.store(first + 8 + 16 * count, cell)?;
            segment.store(first + 16 + 16 * count, old)?;
            count += 1;
        }
        segment.store(first, count)?;
        program_order();
        // CRASH: armed; `roll_back` by the next holder of the lock.
        let armed = segment.control(field!(guard.offset(), ReferentHeader.journal));
        armed.store(word::of_block(journal), Ordering::Release);
        program_order();
        self.arm(
            guard.offset(),
            field!(guard.offset(), ReferentHeader.journal),
            0,
        );
        Ok(())
    }

    /// Under the lock: makes all changes since [`Self::arm_journal`] happen.
    pub fn commit_journal(&mut self, guard: &Guard<'_>) {
        guard.bump_version();
        // COMMIT: without the journal the new values stand.
        self.segment()
            .control(field!(guard.offset(), ReferentHeader.journal))
            .store(0, Ordering::Release);
        self.note_committed();
    }
}

impl Segment {
    /// Puts back what an armed journal of the referent noted; under its lock, after `settle` has
    /// decided the commit condition (which looks at the same cell).
    pub(crate) fn roll_back(&self, offset: u64) {
        let armed = self.control(field!(offset, ReferentHeader.journal));
        let journal = armed.load(Ordering::Acquire);
        if journal == 0 {
            return;
        }
        // Damaged pairs are skipped: every store is checked.
        let _ = self.restore(word::offset(journal));
        program_order();
        // CRASH: restored but still armed; restoring again changes nothing.
        armed.store(0, Ordering::Release);
    }

    fn restore(&self, journal: u64) -> Result<(), Error> {
        let room = (self.block_room(journal)?.saturating_sub(8)) / 16;
        let first = journal + BLOCK_HEADER;
        let count = self.load(first)?.min(room);
        for index in 0..count {
            let cell = self.load(first + 8 + 16 * index)?;
            let old = self.load(first + 16 + 16 * index)?;
            self.store(cell, old)?;
        }
        Ok(())
    }
}
