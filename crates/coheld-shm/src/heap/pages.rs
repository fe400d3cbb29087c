//! The page table: who has which 64 KiB page, memory behind them, and giving it back.
//!
//! A page is unbacked (0, the state of zero bytes), free with memory behind it, a slab, or part of
//! a run. Memory is asked for in steps of 1 MiB, so that running out is an error here and not a
//! signal later.

use crate::{
    Error, Operation, Segment,
    lane::{Domain, Pending, Step},
    layout::{BITMAP_BYTES, CLASS_SIZES, PAGE, PageEntry, field},
    operation::Fate,
    sync::Ordering,
    word,
};

const BACKED: u64 = 1;
const SLAB: u64 = 2;
const RUN: u64 = 3;
const TAIL: u64 = 4;

/// Pages taken from the system at a time: 1 MiB.
const STEP_PAGES: u64 = 16;
/// Free pages that stay with the segment when memory is given back: 4 MiB.
const SLACK_PAGES: u64 = 64;

/// What a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageKind {
    /// Free, with no memory behind it.
    Unbacked,
    /// Free.
    Backed,
    /// Blocks of one size class.
    Slab(usize),
    /// First page of a block of this many pages.
    Run(u64),
    /// A later page of such a block.
    Tail,
}

impl Segment {
    fn page_cell(&self, page: u64) -> &crate::sync::AtomicU64 {
        self.control(field!(self.map.page_entry(page), PageEntry.state))
    }

    fn page_hint(&self) -> &crate::sync::AtomicU64 {
        self.control(field!(0, Header.page_hint))
    }

    /// Pages from here on have never been used; their table entries may not even be backed.
    pub(crate) fn page_high(&self) -> u64 {
        let high = self
            .control(field!(0, Header.page_high))
            .load(Ordering::Acquire);
        high.min(self.map.pages)
    }

    #[inline]
    pub(crate) fn page_kind(&self, page: u64) -> PageKind {
        // Acquire: pairs with the Release in `set_page`; what the page holds is set up before.
        let state = self.page_cell(page).load(Ordering::Acquire);
        let class = (state >> 8 & 0xff) as usize;
        match state & 0xff {
            BACKED => PageKind::Backed,
            SLAB if class < CLASS_SIZES.len() => PageKind::Slab(class),
            RUN => PageKind::Run(state >> 32),
            TAIL => PageKind::Tail,
            _ => PageKind::Unbacked,
        }
    }

    #[inline]
    pub(crate) fn class_of_page(&self, page: u64) -> Option<usize> {
        match self.page_kind(page) {
            PageKind::Slab(class) => Some(class),
            _ => None,
        }
    }

    fn set_page(&self, page: u64, kind: PageKind) {
        let state = match kind {
            PageKind::Unbacked => 0,
            PageKind::Backed => BACKED,
            PageKind::Slab(class) => SLAB | (class as u64) << 8,
            PageKind::Run(pages) => RUN | pages << 32,
            PageKind::Tail => TAIL,
        };
        // Release: pairs with the Acquire in `page_kind`.
        self.page_cell(page).store(state, Ordering::Release);
    }

    /// First of `count` free pages in a row with memory behind them; under the page lock.
    fn find_pages(&self, count: u64) -> Result<u64, Error> {
        let out_of_memory = Error::OutOfMemory {
            requested: count * PAGE,
            capacity: self.capacity(),
        };
        let high = self.page_high();
        let mut page = self.page_hint().load(Ordering::Relaxed).min(high);
        let mut start = page;
        while page < high && page - start < count {
            match self.page_kind(page) {
                PageKind::Unbacked | PageKind::Backed => page += 1,
                PageKind::Slab(_) | PageKind::Tail => {
                    page += 1;
                    start = page;
                }
                PageKind::Run(pages) => {
                    page = page.saturating_add(pages.max(1)).min(high);
                    start = page;
                }
            }
        }
        if start
            .checked_add(count)
            .is_none_or(|end| end > self.map.pages)
        {
            return Err(out_of_memory);
        }
        self.back_pages(start, count)?;
        Ok(start)
    }

    fn back_pages(&self, start: u64, count: u64) -> Result<(), Error> {
        let high = self.page_high();
        let end = start + count;
        if end <= high && (start..end).all(|page| self.page_kind(page) != PageKind::Unbacked) {
            return Ok(());
        }
        let generous = end.next_multiple_of(STEP_PAGES).clamp(end, self.map.pages);
        let end = if self.commit_pages(start, generous).is_ok() {
            generous
        } else {
            self.commit_pages(start, end)
                .map_err(|_| Error::OutOfMemory {
                    requested: count * PAGE,
                    capacity: self.capacity(),
                })?;
            end
        };
        for page in start..end {
            if page >= high || self.page_kind(page) == PageKind::Unbacked {
                self.set_page(page, PageKind::Backed);
            }
        }
        if end > high {
            self.control(field!(0, Header.page_high))
                .store(end, Ordering::Release);
        }
        Ok(())
    }

    fn commit_pages(&self, start: u64, end: u64) -> Result<(), Error> {
        let count = end - start;
        let entry = size_of::<PageEntry>() as u64;
        self.backing
            .commit(self.map.page_entry(start), count * entry)?;
        self.backing
            .commit(self.map.bitmap(start), count * BITMAP_BYTES)?;
        self.backing
            .commit(self.map.page_start(start), count * PAGE)
    }

    fn move_hint(&self, taken: u64, count: u64) {
        if self.page_hint().load(Ordering::Relaxed) == taken {
            self.page_hint().store(taken + count, Ordering::Relaxed);
        }
    }

    /// Takes a page for blocks of `class`. The caller holds the lock of the class.
    pub(super) fn take_slab_page(&self, class: usize) -> Result<u64, Error> {
        let _pages = self.lock(Domain::Pages, false)?;
        let page = self.find_pages(1)?;
        self.zero_words(self.map.bitmap(page), BITMAP_BYTES / 8)?;
        let entry = self.map.page_entry(page);
        self.control(field!(entry, PageEntry.used))
            .store(0, Ordering::Relaxed);
        // COMMIT: the page belongs to the class.
        // CRASH: not yet in the list of its class; `rebuild_class` finds it by its state.
        self.set_page(page, PageKind::Slab(class));
        self.move_hint(page, 1);
        Ok(page)
    }

    /// Returns an empty slab page. The caller holds the lock of the class.
    pub(super) fn return_slab_page(&self, page: u64) -> Result<(), Error> {
        let _pages = self.lock(Domain::Pages, false)?;
        // COMMIT: the page is free.
        self.set_page(page, PageKind::Backed);
        self.page_hint().fetch_min(page, Ordering::Relaxed);
        Ok(())
    }

    /// Allocates a block of whole pages, owned by `cell`.
    pub(super) fn allocate_run(
        &self,
        lane: u64,
        pages: u64,
        meta: u64,
        cell: u64,
    ) -> Result<u64, Error> {
        let _pages = self.lock(Domain::Pages, false)?;
        let page = self.find_pages(pages)?;
        let offset = self.map.page_start(page);
        self.store(offset, meta)?;
        self.store(offset + 8, 0)?;
        let owned = word::of_block(offset);
        self.perform(
            lane,
            &Pending {
                operation: Step::AllocateRun,
                word: owned,
                cell,
                done: owned,
                extra: pages,
            },
        )?;
        self.move_hint(page, pages);
        Ok(offset)
    }

    /// Part of [`Step::AllocateRun`] and [`Step::FreeRun`].
    pub(crate) fn mark_run(&self, owned: u64, pages: u64, used: bool) -> Result<(), Error> {
        let offset = word::offset(owned);
        let corrupted = Error::Corrupted {
            what: "run of pages",
            offset,
        };
        let first = self.map.page_of(offset).ok_or(corrupted.clone())?;
        if pages == 0 || pages > self.page_high().saturating_sub(first) {
            return Err(corrupted);
        }
        for page in first..first + pages {
            self.set_page(
                page,
                match (used, page == first) {
                    (false, _) => PageKind::Backed,
                    (true, true) => PageKind::Run(pages),
                    (true, false) => PageKind::Tail,
                },
            );
        }
        Ok(())
    }

    /// Pages of the run that starts at `offset`.
    pub(crate) fn run_pages(&self, offset: u64) -> Result<u64, Error> {
        let page = self.map.page_of(offset);
        match page.map(|page| (page, self.page_kind(page))) {
            Some((page, PageKind::Run(pages))) if offset == self.map.page_start(page) => Ok(pages),
            _ => Err(Error::Corrupted {
                what: "run of pages",
                offset,
            }),
        }
    }

    /// Frees a run together with the cell that owned it.
    pub(crate) fn free_run(&self, lane: u64, step: &Pending) -> Result<(), Error> {
        let _pages = self.lock(Domain::Pages, false)?;
        self.perform(lane, step)?;
        if let Some(page) = self.map.page_of(word::offset(step.word)) {
            self.page_hint().fetch_min(page, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Gives the memory of long free runs back to the system; 4 MiB stay. Returns the bytes.
    ///
    /// The manager calls it now and then: punching holes is slow (12 ms for 64 MiB), so no
    /// operation pays for it. The run is allocated first, so nobody else can touch it meanwhile.
    pub fn trim(&self) -> Result<u64, Error> {
        for class in 0..CLASS_SIZES.len() {
            self.return_empty_pages(class)?;
        }
        let mut given = 0;
        let mut kept = 0;
        let mut page = 0;
        while let Some((start, count)) = self.next_backed_run(page) {
            page = start + count;
            let spared = count.min(SLACK_PAGES.saturating_sub(kept));
            kept += spared;
            let (start, count) = (start + spared, count - spared);
            if count >= STEP_PAGES {
                given += self.give_back(start, count)?;
            }
        }
        Ok(given)
    }

    fn next_backed_run(&self, from: u64) -> Option<(u64, u64)> {
        let high = self.page_high();
        let mut start = from;
        while start < high && self.page_kind(start) != PageKind::Backed {
            start += match self.page_kind(start) {
                PageKind::Run(pages) => pages.max(1),
                _ => 1,
            };
        }
        let mut end = start;
        while end < high && self.page_kind(end) == PageKind::Backed {
            end += 1;
        }
        (end > start).then_some((start, end - start))
    }

    fn give_back(&self, start: u64, count: u64) -> Result<u64, Error> {
        let mut operation = self.begin()?;
        let entry = operation.reserve_entry(Fate::Shell, Fate::Shell)?;
        let offset = self.map.page_start(start);
        {
            let _pages = self.lock(Domain::Pages, false)?;
            if (start..start + count).any(|page| self.page_kind(page) != PageKind::Backed) {
                return Ok(0);
            }
            let owned = word::of_block(offset);
            self.perform(
                operation.lane(),
                &Pending {
                    operation: Step::AllocateRun,
                    word: owned,
                    cell: entry,
                    done: owned,
                    extra: count,
                },
            )?;
        }
        let discarded = self.backing.discard(offset, count * PAGE);
        let _pages = self.lock(Domain::Pages, false)?;
        self.give_back_done(&operation, start, count, entry, discarded.is_ok())?;
        discarded.map(|()| count * PAGE)
    }

    fn give_back_done(
        &self,
        operation: &Operation<'_>,
        start: u64,
        count: u64,
        entry: u64,
        unbacked: bool,
    ) -> Result<(), Error> {
        // CRASH: punched but still a run; the reaper frees it as backed pages, which then fault in
        // one by one until they are trimmed again.
        self.perform(
            operation.lane(),
            &Pending {
                operation: Step::FreeRun,
                word: word::of_block(self.map.page_start(start)),
                cell: entry,
                done: 0,
                extra: count,
            },
        )?;
        if unbacked {
            for page in start..start + count {
                self.set_page(page, PageKind::Unbacked);
            }
        }
        self.page_hint().fetch_min(start, Ordering::Relaxed);
        Ok(())
    }
}
