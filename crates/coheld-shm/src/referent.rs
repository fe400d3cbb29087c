//! Referents: a lock, an identity, a root word, and who refers to it.

use crate::{
    Error, Segment, glance,
    lane::{Domain, Pending, Step},
    layout::{MEMBER_LIMIT, REFERENT_CLASS, REFERENT_SIZE, REFERENT_WORDS, field},
    operation::{Fate, Operation},
    recovery::Held,
    sync::{Ordering, program_order},
    word,
};

/// No referent.
pub(crate) const STATE_FREE: u64 = 0;
/// In use.
pub(crate) const STATE_ALIVE: u64 = 1;
/// Nobody refers to it; a lane is taking it apart.
pub(crate) const STATE_DYING: u64 = 2;

/// Offset of one of the words of a referent that its kind uses as it likes.
#[inline]
fn word_cell(offset: u64, index: u64) -> u64 {
    field!(offset, ReferentHeader.words) + 8 * index
}

pub(crate) const fn identity(kind: u8, state: u64, generation: u32) -> u64 {
    kind as u64 | state << 8 | (generation as u64) << 32
}

pub(crate) const fn state_of(identity: u64) -> u64 {
    identity >> 8 & 0xff
}

pub(crate) const fn generation_of(identity: u64) -> u32 {
    (identity >> 32) as u32
}

/// A referent that the caller believes in; [`Self::lock`] finds out.
#[derive(Clone, Copy)]
pub struct Referent<'s> {
    segment: &'s Segment,
    offset: u64,
    generation: u32,
}

impl<'s> Referent<'s> {
    /// Its segment.
    pub fn segment(&self) -> &'s Segment {
        self.segment
    }

    /// Where it lies.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Which use of its place it is.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// What it is; the numbers are the store's.
    pub fn kind(&self) -> u8 {
        self.segment
            .control(field!(self.offset, ReferentHeader.identity))
            .load(Ordering::Relaxed) as u8
    }

    /// Takes its lock; mends it first if its last owner died.
    ///
    /// [`Error::ReferentGone`] when it no longer exists, [`Error::Interrupted`] when a signal
    /// handler raised while waiting.
    #[inline(always)]
    pub fn lock(&self) -> Result<Guard<'s>, Error> {
        if self.is_reserved() {
            self.give_way()?;
        }
        self.take(true)
    }

    /// As [`Self::lock`], for what has to happen although a signal handler wants to raise: it will
    /// run afterwards. Not for a referent that others reserve.
    #[inline(always)]
    pub fn lock_uninterrupted(&self) -> Result<Guard<'s>, Error> {
        self.take(false)
    }

    #[inline(always)]
    fn take(&self, interruptible: bool) -> Result<Guard<'s>, Error> {
        let held = self
            .segment
            .lock(Domain::Referent(self.offset), interruptible)?;
        if !self.segment.is_current(self.offset, self.generation) {
            return Err(Error::ReferentGone {
                offset: self.offset,
                generation: self.generation,
            });
        }
        Ok(Guard {
            held,
            offset: self.offset,
        })
    }

    /// What `look` finds without the lock, if the referent stood still meanwhile; else `None`, and
    /// the caller takes the lock. `look` has to bear any contents, and answers `None` where it
    /// finds an error or something that only the lock allows.
    #[inline(always)]
    pub fn glance<T>(&self, look: impl FnOnce(&Glance<'s>) -> Option<T>) -> Option<T> {
        let Self {
            segment,
            offset,
            generation,
        } = *self;
        glance::glance(
            segment.control32(field!(offset, ReferentHeader.lock)),
            segment.control(field!(offset, ReferentHeader.version)),
            || {
                if segment.is_current(offset, generation) {
                    look(&Glance { segment, offset })
                } else {
                    None
                }
            },
        )
    }
}

/// A referent whose words can be read: under its lock, or at a glance.
pub trait Look<'s> {
    /// Its segment.
    fn segment(&self) -> &'s Segment;
    /// The root word.
    fn root(&self) -> u64;
    /// What it is.
    fn kind(&self) -> u8;
    /// The word that the kind uses as it likes.
    fn auxiliary(&self) -> u64;
    /// One of the words that the kind uses as it likes.
    fn word(&self, index: u64) -> u64;
}

/// A referent seen without its lock; see [`Referent::glance`].
pub struct Glance<'s> {
    segment: &'s Segment,
    offset: u64,
}

impl<'s> Look<'s> for Glance<'s> {
    #[inline]
    fn segment(&self) -> &'s Segment {
        self.segment
    }

    #[inline]
    fn root(&self) -> u64 {
        // Relaxed: the fence in `glance` orders it.
        self.segment
            .control(field!(self.offset, ReferentHeader.root))
            .load(Ordering::Relaxed)
    }

    #[inline]
    fn kind(&self) -> u8 {
        // Relaxed: as above.
        self.segment
            .control(field!(self.offset, ReferentHeader.identity))
            .load(Ordering::Relaxed) as u8
    }

    #[inline]
    fn auxiliary(&self) -> u64 {
        // Relaxed: as above.
        self.segment
            .control(field!(self.offset, ReferentHeader.auxiliary))
            .load(Ordering::Relaxed)
    }

    #[inline]
    fn word(&self, index: u64) -> u64 {
        // Relaxed: as above.
        self.segment
            .control(word_cell(self.offset, index))
            .load(Ordering::Relaxed)
    }
}

impl<'s> Look<'s> for Guard<'s> {
    #[inline]
    fn segment(&self) -> &'s Segment {
        self.held.segment()
    }

    #[inline]
    fn root(&self) -> u64 {
        Guard::root(self)
    }

    #[inline]
    fn kind(&self) -> u8 {
        Guard::kind(self)
    }

    #[inline]
    fn auxiliary(&self) -> u64 {
        Guard::auxiliary(self)
    }

    #[inline]
    fn word(&self, index: u64) -> u64 {
        Guard::word(self, index)
    }
}

/// A held referent lock.
pub struct Guard<'s> {
    held: Held<'s>,
    offset: u64,
}

impl<'s> Guard<'s> {
    /// The guard by which a mender sees a referent whose lock the recovery holds.
    pub(crate) fn for_mending(segment: &'s Segment, offset: u64) -> Self {
        Self {
            held: Held::borrowed(segment, Domain::Referent(offset)),
            offset,
        }
    }

    /// Its segment.
    #[inline]
    pub fn segment(&self) -> &'s Segment {
        self.held.segment()
    }

    /// Place and generation of the referent.
    pub(crate) fn identity(&self) -> (u64, u32) {
        let identity = self.segment().identity(self.offset);
        (self.offset, generation_of(identity))
    }

    /// Offset of one of the words that the kind uses as it likes.
    #[inline]
    pub fn word_cell(&self, index: u64) -> u64 {
        word_cell(self.offset, index)
    }

    /// One of the words that the kind uses as it likes.
    #[inline]
    pub fn word(&self, index: u64) -> u64 {
        self.read(self.word_cell(index))
    }

    /// Changes one of these words. Where a death in the middle matters, [`Self::commit_word`] is
    /// the last of several changes.
    #[inline]
    pub fn set_word(&self, index: u64, value: u64) {
        self.segment()
            .control(self.word_cell(index))
            .store(value, Ordering::Relaxed);
        program_order();
    }

    /// Offset of the word for the edge of a lock that belongs to the referent.
    pub fn companion_cell(&self) -> u64 {
        field!(self.offset, ReferentHeader.companion)
    }

    /// Offset of the referent.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What the referent is.
    pub fn kind(&self) -> u8 {
        self.read(field!(self.offset, ReferentHeader.identity)) as u8
    }

    #[inline]
    fn read(&self, offset: u64) -> u64 {
        // Relaxed: ordered by the lock.
        self.segment().control(offset).load(Ordering::Relaxed)
    }

    /// The root word.
    #[inline]
    pub fn root(&self) -> u64 {
        self.read(self.root_cell())
    }

    /// Offset of the root word.
    #[inline]
    pub fn root_cell(&self) -> u64 {
        field!(self.offset, ReferentHeader.root)
    }

    /// Number of mutations so far; it moves before every commit, never back.
    #[inline]
    pub fn version(&self) -> u64 {
        self.read(field!(self.offset, ReferentHeader.version))
    }

    /// The word that the kind uses as it likes.
    #[inline]
    pub fn auxiliary(&self) -> u64 {
        self.read(field!(self.offset, ReferentHeader.auxiliary))
    }

    /// Changes that word, before anybody else knows the referent, right before a change of kind, or
    /// where the one store is all that there is to a change.
    #[inline]
    pub fn set_auxiliary(&self, value: u64) {
        self.segment()
            .control(field!(self.offset, ReferentHeader.auxiliary))
            .store(value, Ordering::Relaxed);
        program_order();
    }

    /// The identity cell, and what it holds once the referent is of another kind: the commit of a
    /// move from one to the other.
    pub fn identity_as(&self, kind: u8) -> (u64, u64) {
        let (_, generation) = self.identity();
        (
            field!(self.offset, ReferentHeader.identity),
            identity(kind, STATE_ALIVE, generation),
        )
    }

    /// Announces a mutation; goes before its committing store.
    #[inline]
    pub fn bump_version(&self) {
        let version = self.version();
        self.segment()
            .control(field!(self.offset, ReferentHeader.version))
            // Release: pairs with the Acquire in `glance`.
            .store(version.wrapping_add(1), Ordering::Release);
        program_order();
    }

    /// Commits a mutation that allocates and releases nothing by one store.
    #[inline]
    pub fn commit_word(&self, cell: u64, value: u64) -> Result<(), Error> {
        self.bump_version();
        // COMMIT: the one store.
        self.segment().store(cell, value)?;
        program_order();
        Ok(())
    }

    /// The same for an item that is smaller than a word, whose neighbours others may be writing.
    #[inline]
    pub fn commit_item(&self, at: u64, size: u8, bits: u64) -> Result<(), Error> {
        self.bump_version();
        // COMMIT: the one store.
        self.segment().store_item(at, size, bits)?;
        program_order();
        Ok(())
    }
}

impl Segment {
    /// A referent by its place and generation; checks the place, not yet the generation.
    #[inline]
    pub fn referent(&self, offset: u64, generation: u32) -> Result<Referent<'_>, Error> {
        self.check_referent(offset)?;
        Ok(Referent {
            segment: self,
            offset,
            generation,
        })
    }

    /// The referent of a data edge that the caller keeps from going away.
    pub fn referent_of_edge(&self, edge: u64) -> Result<Referent<'_>, Error> {
        let offset = word::offset(edge);
        self.check_referent(offset)?;
        self.check_edge(edge)?;
        self.referent(offset, generation_of(self.identity(offset)))
    }

    /// Whether `offset` is a place for a referent at all.
    #[inline]
    pub(crate) fn check_referent(&self, offset: u64) -> Result<(), Error> {
        let sound = self.map.page_of(offset).is_some_and(|page| {
            (offset - self.map.page_start(page)).is_multiple_of(REFERENT_SIZE)
                && self.class_of_page(page) == Some(REFERENT_CLASS)
        });
        if sound {
            Ok(())
        } else {
            Err(Error::Corrupted {
                what: "offset of a referent",
                offset,
            })
        }
    }

    pub(crate) fn identity(&self, offset: u64) -> u64 {
        self.control(field!(offset, ReferentHeader.identity))
            .load(Ordering::Acquire)
    }

    /// Whether the referent at `offset` is alive and of this generation; under its lock.
    #[inline(always)]
    pub(crate) fn is_current(&self, offset: u64, generation: u32) -> bool {
        let identity = self.identity(offset);
        state_of(identity) == STATE_ALIVE && generation_of(identity) == generation
    }

    /// Makes a referent that this process holds. Returns its place and generation.
    pub fn create_referent(&self, kind: u8, auxiliary: u64) -> Result<(u64, u32), Error> {
        let mut operation = self.begin()?;
        let tag = self.tag()?;
        let offset = operation.allocate_referent()?;
        // CRASH: the lane owns the referent; the reaper takes it apart like any unreferenced one.
        let generation = match generation_of(self.identity(offset)) {
            u32::MAX | 0 => 1,
            generation => generation,
        };
        let put = |at: u64, value: u64| self.control(at).store(value, Ordering::Relaxed);
        put(field!(offset, ReferentHeader.version), 0);
        put(field!(offset, ReferentHeader.root), 0);
        put(field!(offset, ReferentHeader.journal), 0);
        put(field!(offset, ReferentHeader.edges), 0);
        put(field!(offset, ReferentHeader.leases), 0);
        put(field!(offset, ReferentHeader.auxiliary), auxiliary);
        put(field!(offset, ReferentHeader.reservation), 0);
        put(field!(offset, ReferentHeader.line), 0);
        put(field!(offset, ReferentHeader.tickets), 0);
        for index in 0..REFERENT_WORDS {
            put(word_cell(offset, index), 0);
        }
        put(field!(offset, ReferentHeader.companion), 0);
        for index in 0..u64::from(MEMBER_LIMIT) / 64 {
            put(field!(offset, ReferentHeader.holders) + index * 8, 0);
        }
        self.set_holder(offset, crate::member::slot::slot_of(tag));
        program_order();
        // Release: pairs with the Acquire in `identity` by whoever is told of it.
        self.control(field!(offset, ReferentHeader.identity))
            .store(identity(kind, STATE_ALIVE, generation), Ordering::Release);
        program_order();
        // COMMIT: the lane lets go of it; from now on the holder bit keeps it.
        operation.publish();
        Ok((offset, generation))
    }

    /// Lets this process hold a referent. Idempotent.
    pub fn acquire(&self, offset: u64, generation: u32) -> Result<(), Error> {
        let slot = crate::member::slot::slot_of(self.tag()?);
        let guard = self.referent(offset, generation)?.lock()?;
        // COMMIT: the holder bit.
        self.set_holder(offset, slot);
        drop(guard);
        Ok(())
    }

    /// Ends this process's hold; the referent goes if nobody else refers to it.
    pub fn release(&self, offset: u64, generation: u32) -> Result<(), Error> {
        let slot = crate::member::slot::slot_of(self.tag()?);
        self.end_hold(offset, generation, u64::from(slot) + 1, 0)
    }

    /// Ends a hold (`who` = slot + 1), or with 0 just looks whether anybody still refers to it.
    /// `adopting` is a cell that is cleared with it, or 0.
    pub(crate) fn end_hold(
        &self,
        offset: u64,
        generation: u32,
        who: u64,
        adopting: u64,
    ) -> Result<(), Error> {
        self.check_referent(offset)?;
        let operation = self.begin()?;
        let held = self.lock(Domain::Referent(offset), false)?;
        if self.is_current(offset, generation) {
            self.perform(
                operation.lane(),
                &Pending {
                    operation: Step::EndHold,
                    word: word::of_edge(offset, generation),
                    cell: adopting,
                    done: 0,
                    extra: who,
                },
            )?;
        }
        drop(held);
        operation.finish()
    }

    fn holder_cell(&self, offset: u64, slot: u32) -> (u64, u64) {
        let at = field!(offset, ReferentHeader.holders) + u64::from(slot / 64) * 8;
        (at, 1 << (slot % 64))
    }

    pub(crate) fn set_holder(&self, offset: u64, slot: u32) {
        let (at, bit) = self.holder_cell(offset, slot);
        let cell = self.control(at);
        // Relaxed: under the referent's lock.
        cell.store(cell.load(Ordering::Relaxed) | bit, Ordering::Relaxed);
    }

    pub(crate) fn is_holder(&self, offset: u64, slot: u32) -> bool {
        let (at, bit) = self.holder_cell(offset, slot);
        self.control(at).load(Ordering::Relaxed) & bit != 0
    }

    /// Part of [`Step::EndHold`].
    pub(crate) fn clear_holder(&self, word: u64, who: u64) -> Result<(), Error> {
        let offset = word::offset(word);
        self.check_referent(offset)?;
        if (1..=u64::from(MEMBER_LIMIT)).contains(&who) {
            let (at, bit) = self.holder_cell(offset, who as u32 - 1);
            let cell = self.control(at);
            cell.store(cell.load(Ordering::Relaxed) & !bit, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Part of [`Step::AddEdge`] and [`Step::DropEdge`].
    pub(crate) fn set_edges(&self, word: u64, edges: u64) -> Result<(), Error> {
        let offset = word::offset(word);
        self.check_referent(offset)?;
        self.control(field!(offset, ReferentHeader.edges))
            .store(edges, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn edges(&self, offset: u64) -> u64 {
        self.control(field!(offset, ReferentHeader.edges))
            .load(Ordering::Relaxed)
    }

    fn has_holders(&self, offset: u64) -> bool {
        (0..u64::from(MEMBER_LIMIT) / 64).any(|index| {
            self.control(field!(offset, ReferentHeader.holders) + index * 8)
                .load(Ordering::Relaxed)
                != 0
        })
    }

    /// Whether anything keeps the referent; certain only under its lock.
    pub(crate) fn is_referred_to(&self, offset: u64) -> bool {
        self.edges(offset) != 0
            || self.has_holders(offset)
            || self.has_leases(offset)
            || self.is_being_adopted(offset)
    }

    /// Puts a referent that nobody refers to into the lane's graveyard; under its lock.
    pub(crate) fn bury_if_unreferenced(&self, lane: u64, offset: u64) -> Result<(), Error> {
        self.check_referent(offset)?;
        let current = self.identity(offset);
        let graveyard = field!(lane, Lane.graveyard);
        let first = self.control(graveyard).load(Ordering::Relaxed);
        if state_of(current) == STATE_FREE || first == offset || self.is_referred_to(offset) {
            return Ok(());
        }
        self.control(field!(offset, ReferentHeader.next))
            .store(first, Ordering::Relaxed);
        self.control(field!(offset, ReferentHeader.identity)).store(
            identity(current as u8, STATE_DYING, generation_of(current)),
            Ordering::Relaxed,
        );
        program_order();
        self.control(graveyard).store(offset, Ordering::Release);
        Ok(())
    }

    /// Number of referents in use.
    pub fn count_referents(&self) -> u64 {
        self.referents()
            .filter(|&offset| state_of(self.identity(offset)) == STATE_ALIVE)
            .count() as u64
    }
}

impl Operation<'_> {
    /// Takes a place for a referent; the lane owns it until `publish`.
    fn allocate_referent(&mut self) -> Result<u64, Error> {
        let entry = self.reserve_entry(Fate::Tree, Fate::Keep)?;
        let (segment, lane) = (self.segment(), self.lane());
        segment.with_room(|| {
            segment.allocate_block(lane, REFERENT_CLASS, None, entry, word::TAG_REFERENT)
        })
    }
}
