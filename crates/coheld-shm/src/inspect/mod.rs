//! Looking at a segment from outside its structures: for statistics, verification and reaping.
//!
//! Nothing here takes a lock or changes anything, so it serves observers, too (see
//! [`crate::backing::ObservedBacking`]). What it shows of a segment in use is no one moment: each
//! number is right, all of them together need not be.

mod lanes;
mod locks;
mod members;
mod waits;

pub use self::{
    locks::{LockPlace, LockView},
    members::{MemberState, MemberView},
    waits::WaitView,
};

use crate::{
    Segment,
    heap::PageKind,
    layout::{CLASS_SIZES, PAGE, REFERENT_CLASS, REFERENT_WORDS, field},
    lease::COUNT_MASK,
    lock::word::WAITERS,
    referent::{STATE_ALIVE, generation_of, state_of},
    sync::Ordering,
};

/// What a segment holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Referents in use.
    pub referents: u64,
    /// Heap blocks in use, referents not counted.
    pub blocks: u64,
    /// Bytes of these blocks, headers and rounding included.
    pub bytes: u64,
    /// Bytes of memory behind heap pages, used or not.
    pub backed: u64,
    /// Living members.
    pub members: u32,
}

/// A referent as [`Segment::each_referent`] sees it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReferentView {
    /// Its place.
    pub offset: u64,
    /// Which use of the place.
    pub generation: u32,
    /// What it is; the numbers are the store's.
    pub kind: u8,
    /// Its root word.
    pub root: u64,
    /// Number of mutations so far.
    pub version: u64,
    /// Who has it locked at the moment: a tag, or 0.
    pub locked_by: u32,
    /// The word that the kind uses as it likes.
    pub auxiliary: u64,
    /// The words that the kind uses as it likes.
    pub words: [u64; REFERENT_WORDS as usize],
    /// How many have ever stood in line.
    pub tickets: u64,
    /// The edge of the lock that belongs to it; 0 for none.
    pub companion: u64,
    /// Data edges to it.
    pub edges: u64,
    /// Whether it is alive (else it is being taken apart).
    pub alive: bool,
    /// Whether a lease on it, or a read of an edge to it, has not become a hold yet.
    pub leased: bool,
    /// Leases that are counted.
    pub leases: u64,
    /// When they run out, in seconds since boot.
    pub deadline: u64,
    /// Members that hold it.
    pub holders: u32,
}

impl Segment {
    /// Places of all referents; a snapshot of the bitmaps, in order of place.
    pub(crate) fn referents(&self) -> impl Iterator<Item = u64> {
        let mut places = Vec::new();
        for page in 0..self.page_high() {
            if self.class_of_page(page) == Some(REFERENT_CLASS) {
                self.each_used(REFERENT_CLASS, page, |offset| places.push(offset));
            }
        }
        places.into_iter()
    }

    /// Calls `visit` with each referent; without locks, for a segment at rest or for a picture.
    pub fn each_referent(&self, mut visit: impl FnMut(ReferentView)) {
        for offset in self.referents() {
            visit(self.view(offset));
        }
    }

    /// The referent at a place, as it is now; `None` if there can be none.
    pub fn referent_at(&self, offset: u64) -> Option<ReferentView> {
        self.check_referent(offset)
            .is_ok()
            .then(|| self.view(offset))
    }

    fn view(&self, offset: u64) -> ReferentView {
        // Acquire: pairs with the Release of whoever changes the referent, so that what is seen
        // after the version is at least as new as the version.
        let load = |at| self.control(at).load(Ordering::Acquire);
        let version = load(field!(offset, ReferentHeader.version));
        let lock = self.control32(field!(offset, ReferentHeader.lock));
        let identity = self.identity(offset);
        let leases = load(field!(offset, ReferentHeader.leases));
        let words = field!(offset, ReferentHeader.words);
        let holders = field!(offset, ReferentHeader.holders);
        ReferentView {
            offset,
            generation: generation_of(identity),
            kind: identity as u8,
            root: load(field!(offset, ReferentHeader.root)),
            version,
            locked_by: lock.load(Ordering::Acquire) & !WAITERS,
            auxiliary: load(field!(offset, ReferentHeader.auxiliary)),
            words: core::array::from_fn(|index| load(words + 8 * index as u64)),
            tickets: load(field!(offset, ReferentHeader.tickets)) & ((1 << 48) - 1),
            companion: load(field!(offset, ReferentHeader.companion)),
            edges: load(field!(offset, ReferentHeader.edges)),
            alive: state_of(identity) == STATE_ALIVE,
            leased: leases & COUNT_MASK != 0 || self.is_being_adopted(offset),
            leases: leases & COUNT_MASK,
            deadline: leases >> 24,
            holders: (0..16)
                .map(|word| load(holders + 8 * word).count_ones())
                .sum(),
        }
    }

    /// The total size of the block at `offset`, if one is in use there now.
    pub fn used_block(&self, offset: u64) -> Option<u64> {
        let page = self.map.page_of(offset)?;
        match self.page_kind(page) {
            PageKind::Slab(class) if class != REFERENT_CLASS => {
                let size = u64::from(CLASS_SIZES[class]);
                let inside = offset - self.map.page_start(page);
                let index = inside / size;
                let bits = self.control(self.map.bitmap(page) + index / 64 * 8);
                // Acquire: as in `each_used`.
                let used = bits.load(Ordering::Acquire) >> (index % 64) & 1 == 1;
                (used && inside.is_multiple_of(size)).then_some(size)
            }
            PageKind::Run(pages) if offset == self.map.page_start(page) => {
                Some(self.run_bytes(page, pages))
            }
            _ => None,
        }
    }

    /// Seconds since boot, the clock of leases and reservations.
    pub fn now_seconds(&self) -> u64 {
        self.backing.now_seconds()
    }

    /// Operations that one member can have under way at once.
    pub fn lanes_per_member(&self) -> u32 {
        self.map.lanes_per_member
    }

    /// Bytes of a run that says it has so many pages; at least its first one, at most those up to
    /// the end of the heap, whatever it says.
    fn run_bytes(&self, first: u64, pages: u64) -> u64 {
        pages.clamp(1, self.map.pages - first) * PAGE
    }

    /// Calls `visit` with offset and total size of each heap block in use, referents excepted.
    pub fn each_block(&self, mut visit: impl FnMut(u64, u64)) {
        for page in 0..self.page_high() {
            match self.page_kind(page) {
                PageKind::Slab(class) if class != REFERENT_CLASS => {
                    let size = u64::from(CLASS_SIZES[class]);
                    self.each_used(class, page, |offset| visit(offset, size));
                }
                PageKind::Run(pages) => {
                    visit(self.map.page_start(page), self.run_bytes(page, pages));
                }
                _ => {}
            }
        }
    }

    /// Counts what the segment holds; walks the page table.
    pub fn statistics(&self) -> Statistics {
        let mut statistics = Statistics {
            members: self.count_members(),
            ..Statistics::default()
        };
        self.each_block(|_, size| {
            statistics.blocks += 1;
            statistics.bytes += size;
        });
        statistics.referents = self.count_referents();
        for page in 0..self.page_high() {
            if self.page_kind(page) != PageKind::Unbacked {
                statistics.backed += PAGE;
            }
        }
        statistics
    }
}
