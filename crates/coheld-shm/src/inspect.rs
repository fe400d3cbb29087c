//! Looking at a segment from outside its structures: for statistics, verification and reaping.

use crate::{
    Segment,
    heap::PageKind,
    layout::{CLASS_SIZES, PAGE, REFERENT_CLASS, field},
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
#[derive(Clone, Copy, Debug)]
pub struct ReferentView {
    /// Its place.
    pub offset: u64,
    /// Which use of the place.
    pub generation: u32,
    /// What it is; the numbers are the store's.
    pub kind: u8,
    /// Its root word.
    pub root: u64,
    /// The edge of the lock that belongs to it; 0 for none.
    pub companion: u64,
    /// Data edges to it.
    pub edges: u64,
    /// Whether it is alive (else it is being taken apart).
    pub alive: bool,
    /// Whether a lease on it, or a read of an edge to it, has not become a hold yet.
    pub leased: bool,
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
            let load = |at| self.control(at).load(Ordering::Acquire);
            let identity = self.identity(offset);
            let first = field!(offset, ReferentHeader.holders);
            visit(ReferentView {
                offset,
                generation: generation_of(identity),
                kind: identity as u8,
                root: load(field!(offset, ReferentHeader.root)),
                companion: load(field!(offset, ReferentHeader.companion)),
                edges: load(field!(offset, ReferentHeader.edges)),
                alive: state_of(identity) == STATE_ALIVE,
                leased: self.has_leases(offset) || self.is_being_adopted(offset),
                holders: (0..16)
                    .map(|word| load(first + 8 * word).count_ones())
                    .sum(),
            });
        }
    }

    /// Calls `visit` with offset and total size of each heap block in use, referents excepted.
    pub fn each_block(&self, mut visit: impl FnMut(u64, u64)) {
        for page in 0..self.page_high() {
            match self.page_kind(page) {
                PageKind::Slab(class) if class != REFERENT_CLASS => {
                    let size = u64::from(CLASS_SIZES[class]);
                    self.each_used(class, page, |offset| visit(offset, size));
                }
                PageKind::Run(pages) => visit(self.map.page_start(page), pages * PAGE),
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
