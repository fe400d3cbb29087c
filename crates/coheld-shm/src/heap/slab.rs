//! Blocks of one size class: a page full of them, a bit for each.
//!
//! Pages with a free block form a doubly linked list under the lock of the class. The list and the
//! counts are derived: `rebuild_class` makes them from the bitmaps.

use crate::{
    Error, Segment,
    lane::{Domain, Pending, Step},
    layout::{CLASS_SIZES, PAGE, REFERENT_CLASS, field},
    sync::{AtomicU32, AtomicU64, Ordering},
    word,
};

fn blocks_per_page(class: usize) -> u64 {
    PAGE / u64::from(CLASS_SIZES[class])
}

impl Segment {
    fn head(&self, class: usize) -> &AtomicU64 {
        self.control(field!(self.class(class), Class.head))
    }

    fn used(&self, page: u64) -> &AtomicU64 {
        self.control(field!(self.map.page_entry(page), PageEntry.used))
    }

    fn next(&self, page: u64) -> &AtomicU32 {
        self.control32(field!(self.map.page_entry(page), PageEntry.next))
    }

    fn previous(&self, page: u64) -> &AtomicU32 {
        self.control32(field!(self.map.page_entry(page), PageEntry.previous))
    }

    fn link(&self, class: usize, page: u64) {
        let first = self.head(class).load(Ordering::Relaxed);
        self.next(page).store(first as u32, Ordering::Relaxed);
        self.previous(page).store(0, Ordering::Relaxed);
        if first != 0 && first <= self.map.pages {
            self.previous(first - 1)
                .store(page as u32 + 1, Ordering::Relaxed);
        }
        self.head(class).store(page + 1, Ordering::Relaxed);
    }

    fn unlink(&self, class: usize, page: u64) {
        let next = u64::from(self.next(page).load(Ordering::Relaxed));
        let previous = u64::from(self.previous(page).load(Ordering::Relaxed));
        if previous == 0 || previous > self.map.pages {
            self.head(class).store(next, Ordering::Relaxed);
        } else {
            self.next(previous - 1)
                .store(next as u32, Ordering::Relaxed);
        }
        if next != 0 && next <= self.map.pages {
            self.previous(next - 1)
                .store(previous as u32, Ordering::Relaxed);
        }
    }

    /// Allocates a block (or a place for a referent) that `cell` will own.
    pub(crate) fn allocate_block(
        &self,
        lane: u64,
        class: usize,
        meta: Option<u64>,
        cell: u64,
        tag: u64,
    ) -> Result<u64, Error> {
        let _class = self.lock(Domain::Class(class), false)?;
        let (page, index) = self.find_block(class)?;
        let offset = self.map.page_start(page) + index * u64::from(CLASS_SIZES[class]);
        if let Some(meta) = meta {
            self.store(offset, meta)?;
            self.store(offset + 8, 0)?;
        }
        let owned = offset | tag;
        self.perform(
            lane,
            &Pending {
                operation: Step::Allocate,
                word: owned,
                cell,
                done: owned,
                extra: 0,
            },
        )?;
        // A damaged count is made anew when the list leads to a full page.
        let used = self.used(page).load(Ordering::Relaxed).saturating_add(1);
        self.used(page).store(used, Ordering::Relaxed);
        if used == blocks_per_page(class) {
            self.unlink(class, page);
        }
        Ok(offset)
    }

    /// A page of the class with a free block, and the block's number in it.
    fn find_block(&self, class: usize) -> Result<(u64, u64), Error> {
        // A damaged list is built anew once before giving up.
        for attempt in 0..2 {
            let page = match self.head(class).load(Ordering::Relaxed) {
                0 => {
                    let page = self.take_slab_page(class)?;
                    self.link(class, page);
                    page
                }
                head => head - 1,
            };
            if page < self.page_high()
                && self.class_of_page(page) == Some(class)
                && let Some(index) = self.free_bit(class, page)
            {
                return Ok((page, index));
            }
            if attempt == 0 {
                self.rebuild_class(class);
            }
        }
        Err(Error::Corrupted {
            what: "list of a size class",
            offset: self.class(class),
        })
    }

    fn free_bit(&self, class: usize, page: u64) -> Option<u64> {
        let blocks = blocks_per_page(class);
        let bitmap = self.map.bitmap(page);
        (0..blocks.div_ceil(64)).find_map(|number| {
            let taken = self.control(bitmap + number * 8).load(Ordering::Relaxed);
            let index = number * 64 + u64::from((!taken).trailing_zeros());
            (taken != u64::MAX && index < blocks).then_some(index)
        })
    }

    /// The bitmap cell and bit of the block that `owned` names.
    fn bit_of(&self, owned: u64) -> Result<(&AtomicU64, u64, u64), Error> {
        let offset = word::offset(owned);
        let corrupted = Error::Corrupted {
            what: "offset of a block",
            offset,
        };
        let page = self.map.page_of(offset).ok_or(corrupted.clone())?;
        let class = self.class_of_page(page).ok_or(corrupted.clone())?;
        let size = u64::from(CLASS_SIZES[class]);
        let inside = offset - self.map.page_start(page);
        let index = inside / size;
        let right_tag = (class == REFERENT_CLASS) == (word::tag(owned) == word::TAG_REFERENT);
        if !inside.is_multiple_of(size) || index >= blocks_per_page(class) || !right_tag {
            return Err(corrupted);
        }
        let cell = self.control(self.map.bitmap(page) + index / 64 * 8);
        Ok((cell, 1 << (index % 64), page))
    }

    /// Part of [`Step::Allocate`] and [`Step::Free`].
    pub(crate) fn set_block_used(&self, owned: u64, used: bool) -> Result<(), Error> {
        let (cell, bit, _) = self.bit_of(owned)?;
        let bits = cell.load(Ordering::Relaxed);
        // COMMIT: the block is taken, or free; under the lock of its class.
        cell.store(
            if used { bits | bit } else { bits & !bit },
            Ordering::Relaxed,
        );
        Ok(())
    }

    /// Frees a block together with the cell that owned it.
    pub(crate) fn free_in_class(
        &self,
        lane: u64,
        class: usize,
        step: &Pending,
    ) -> Result<(), Error> {
        let _class = self.lock(Domain::Class(class), false)?;
        let (cell, bit, page) = self.bit_of(step.word)?;
        if cell.load(Ordering::Relaxed) & bit == 0 {
            return Err(Error::Corrupted {
                what: "block freed twice",
                offset: step.word,
            });
        }
        self.perform(lane, step)?;
        let used = self.used(page).load(Ordering::Relaxed);
        let now = used.saturating_sub(1);
        self.used(page).store(now, Ordering::Relaxed);
        if used == blocks_per_page(class) {
            self.link(class, page);
        }
        // One empty page stays with the class: the next allocation would only fetch it again.
        // Referents keep their pages for good, so that a stale proxy finds a lock and a generation.
        let only_one = self.head(class).load(Ordering::Relaxed) == page + 1
            && self.next(page).load(Ordering::Relaxed) == 0;
        if now == 0 && !only_one && class != REFERENT_CLASS {
            self.unlink(class, page);
            // CRASH: in no list; `rebuild_class` by the next holder of the lock.
            self.return_slab_page(page)?;
        }
        Ok(())
    }

    /// Returns the empty page that a class keeps at hand.
    pub(super) fn return_empty_pages(&self, class: usize) -> Result<(), Error> {
        if class == REFERENT_CLASS {
            return Ok(());
        }
        let _class = self.lock(Domain::Class(class), false)?;
        let mut page = self.head(class).load(Ordering::Relaxed);
        for _ in 0..self.page_high() {
            if page == 0 || page > self.page_high() {
                break;
            }
            let next = u64::from(self.next(page - 1).load(Ordering::Relaxed));
            if self.used(page - 1).load(Ordering::Relaxed) == 0 {
                self.unlink(class, page - 1);
                // CRASH: in no list; `rebuild_class` by the next holder of the lock.
                self.return_slab_page(page - 1)?;
            }
            page = next;
        }
        Ok(())
    }

    /// Makes the list and the counts of a class from its bitmaps; under its lock.
    pub(crate) fn rebuild_class(&self, class: usize) {
        self.head(class).store(0, Ordering::Relaxed);
        for page in 0..self.page_high() {
            if self.class_of_page(page) == Some(class) {
                let used = self.count_used(class, page);
                self.used(page).store(used, Ordering::Relaxed);
                if used < blocks_per_page(class) {
                    self.link(class, page);
                }
            }
        }
    }

    pub(crate) fn count_used(&self, class: usize, page: u64) -> u64 {
        let words = blocks_per_page(class).div_ceil(64);
        (0..words)
            .map(|number| {
                let bits = self.control(self.map.bitmap(page) + number * 8);
                u64::from(bits.load(Ordering::Relaxed).count_ones())
            })
            .sum()
    }

    /// Calls `visit` with the offset of each used block of a page.
    pub(crate) fn each_used(&self, class: usize, page: u64, mut visit: impl FnMut(u64)) {
        let blocks = blocks_per_page(class);
        for index in 0..blocks {
            let bits = self.control(self.map.bitmap(page) + index / 64 * 8);
            if bits.load(Ordering::Acquire) >> (index % 64) & 1 == 1 {
                visit(self.map.page_start(page) + index * u64::from(CLASS_SIZES[class]));
            }
        }
    }
}
