//! A segment in ordinary memory, for tests: no kernel object, no system calls, runs under Miri.
//!
//! Clones are views of one buffer, and every clone plays a process of its own: it has its own
//! member cell and identity, and dropping it ends that "process".
//!
//! In a model of threads (`--cfg shuttle`) no time passes: who waits sleeps until somebody wakes
//! him.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use std::alloc::{self, Layout};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
#[cfg(not(shuttle))]
use std::time::Instant;

#[cfg(shuttle)]
use super::sleepers::Sleepers;
use super::{Backing, ProcessIdentity};
use crate::Error;

/// Alignment of the base. Heap pages are this large, so their addresses are as in a real segment.
const ALIGNMENT: usize = 64 * 1024;
/// Granularity of `commit` and `discard`, as of the machine's pages.
const PAGE: u64 = 4096;

/// A view of a buffer in ordinary memory. `clone` makes another "process".
pub struct HeapBacking {
    buffer: Arc<Buffer>,
    /// Number of this view, from 1: its process id and its key in the table of slots.
    view: u32,
    member_cell: AtomicU32,
}

struct Buffer {
    allocation: *mut u8,
    layout: Layout,
    base: *mut u8,
    capacity: u64,
    commit_limit: AtomicU64,
    clock: AtomicU64,
    views: AtomicU32,
    state: Mutex<State>,
    #[cfg(shuttle)]
    sleepers: Sleepers,
}

#[derive(Default)]
struct State {
    /// Slot -> view that holds it.
    slots: HashMap<u32, u32>,
    /// One bit per committed page.
    committed: Vec<u64>,
    committed_pages: u64,
}

// SAFETY: `allocation` and `base` point into one allocation that is freed only by `Drop`, when no
// view is left. What is behind `base` is accessed by the segment code through atomics or under
// segment locks, as shared memory between processes would be; the rest of `Buffer` is Sync.
unsafe impl Send for Buffer {}
// SAFETY: as for Send: every field but the two pointers is Sync, and the pointers are only read.
unsafe impl Sync for Buffer {}

impl HeapBacking {
    /// A zeroed buffer of `capacity` bytes (rounded up to 64 KiB) with one view.
    ///
    /// # Panics
    ///
    /// If the machine has no such amount of memory; a test has nothing better to do then.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        // Over-allocating at a small alignment lets the allocator hand out untouched zero pages;
        // asking for the large alignment would make it write every byte.
        Self::allocated(capacity, ALIGNMENT, 16)
    }

    /// The same with nothing of the allocation in front of the buffer or behind it, so that an
    /// address sanitizer sees whoever reads there.
    pub(super) fn exact(capacity: u64) -> Self {
        Self::allocated(capacity, 0, ALIGNMENT)
    }

    fn allocated(capacity: u64, slack: usize, alignment: usize) -> Self {
        let size = usize::try_from(capacity).unwrap_or(usize::MAX / 2);
        let size = size.max(1).next_multiple_of(ALIGNMENT);
        let layout = Layout::from_size_align(size + slack, alignment).expect("capacity fits usize");
        // SAFETY: `layout.size()` is at least `size`, which is at least ALIGNMENT, hence not zero.
        let allocation = unsafe { alloc::alloc_zeroed(layout) };
        if allocation.is_null() {
            alloc::handle_alloc_error(layout);
        }
        let shift = allocation.align_offset(ALIGNMENT);
        // SAFETY: `shift` is 0 if the allocation is aligned to ALIGNMENT; else it is below
        // ALIGNMENT, which is what the allocation has beyond `size` bytes then.
        let base = unsafe { allocation.add(shift) };
        let capacity = size as u64;
        let committed = vec![0; (capacity / PAGE).div_ceil(64) as usize];
        let buffer = Buffer {
            allocation,
            layout,
            base,
            capacity,
            commit_limit: AtomicU64::new(u64::MAX),
            clock: AtomicU64::new(1_000),
            views: AtomicU32::new(1),
            state: Mutex::new(State {
                committed,
                ..State::default()
            }),
            #[cfg(shuttle)]
            sleepers: Sleepers::default(),
        };
        Self {
            buffer: Arc::new(buffer),
            view: 1,
            member_cell: AtomicU32::new(0),
        }
    }

    /// From now on the holder of `slot` counts as dead, whatever its view goes on doing.
    pub fn declare_dead(&self, slot: u32) {
        self.buffer.state().slots.remove(&slot);
    }

    /// Commits beyond `bytes` in all are refused from now on.
    pub fn set_commit_limit(&self, bytes: u64) {
        self.buffer.commit_limit.store(bytes, Ordering::Relaxed);
    }

    /// Bytes committed now.
    #[must_use]
    pub fn committed(&self) -> u64 {
        self.buffer.state().committed_pages * PAGE
    }

    /// Lets time pass for `now_seconds`, which does not move by itself.
    pub fn advance_clock(&self, seconds: u64) {
        self.buffer.clock.fetch_add(seconds, Ordering::Relaxed);
    }

    /// The whole content, copied word by word; other views may be writing meanwhile.
    #[must_use]
    pub fn image(&self) -> Vec<u8> {
        let mut image = Vec::with_capacity(self.buffer.capacity as usize);
        for offset in (0..self.buffer.capacity).step_by(8) {
            image.extend_from_slice(&self.word(offset).load(Ordering::Relaxed).to_le_bytes());
        }
        image
    }

    /// Copies `image` to the start of the buffer, before anything else uses it.
    pub(super) fn fill(&self, image: &[u8]) {
        assert!(
            image.len() as u64 <= self.buffer.capacity,
            "the image fits the buffer"
        );
        // SAFETY: `image.len()` <= capacity bytes are valid at `base`, and `image` is borrowed
        // from elsewhere, so the two do not overlap.
        unsafe {
            self.buffer
                .base
                .copy_from_nonoverlapping(image.as_ptr(), image.len());
        };
    }

    fn word(&self, offset: u64) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.buffer.capacity);
        // SAFETY: `offset` + 8 <= capacity, so the result is inside the allocation.
        let pointer = unsafe { self.buffer.base.add(offset as usize) };
        // SAFETY: `base` is 64 KiB aligned and `offset` a multiple of 8; the allocation lives as
        // long as `self`, and all concurrent access to the buffer is atomic.
        unsafe { AtomicU64::from_ptr(pointer.cast()) }
    }

    pub(super) fn half_word(&self, offset: u64) -> &AtomicU32 {
        assert!(offset.is_multiple_of(4) && offset + 4 <= self.buffer.capacity);
        // SAFETY: `offset` + 4 <= capacity, so the result is inside the allocation.
        let pointer = unsafe { self.buffer.base.add(offset as usize) };
        // SAFETY: `base` is 64 KiB aligned and `offset` a multiple of 4; the allocation lives as
        // long as `self`, and all concurrent access to the buffer is atomic.
        unsafe { AtomicU32::from_ptr(pointer.cast()) }
    }

    fn page_range(&self, from: u64, length: u64) -> Result<core::ops::Range<u64>, Error> {
        let end = from
            .checked_add(length)
            .filter(|&end| end <= self.buffer.capacity);
        let Some(end) = end else {
            let capacity = self.buffer.capacity;
            return Err(Error::OutOfMemory {
                requested: length,
                capacity,
            });
        };
        Ok(from / PAGE..end.div_ceil(PAGE))
    }
}

impl Clone for HeapBacking {
    fn clone(&self) -> Self {
        let view = self.buffer.views.fetch_add(1, Ordering::Relaxed) + 1;
        Self {
            buffer: Arc::clone(&self.buffer),
            view,
            member_cell: AtomicU32::new(0),
        }
    }
}

impl Drop for HeapBacking {
    /// The kernel drops the locks of a process that ends; so does a view.
    fn drop(&mut self) {
        self.buffer
            .state()
            .slots
            .retain(|_, view| *view != self.view);
    }
}

impl Buffer {
    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panics while holding it leaves nothing half done here.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: `allocation` came from `alloc_zeroed` with this very layout and is freed once.
        unsafe { alloc::dealloc(self.allocation, self.layout) };
    }
}

impl Backing for HeapBacking {
    fn base(&self) -> *mut u8 {
        self.buffer.base
    }

    fn capacity(&self) -> u64 {
        self.buffer.capacity
    }

    fn commit(&self, from: u64, length: u64) -> Result<(), Error> {
        let pages = self.page_range(from, length)?;
        let mut state = self.buffer.state();
        let fresh = pages
            .clone()
            .filter(|page| !state.is_committed(*page))
            .count() as u64;
        let limit = self.buffer.commit_limit.load(Ordering::Relaxed);
        if (state.committed_pages + fresh) * PAGE > limit {
            return Err(Error::OutOfMemory {
                requested: length,
                capacity: limit,
            });
        }
        for page in pages {
            state.committed[(page / 64) as usize] |= 1 << (page % 64);
        }
        state.committed_pages += fresh;
        Ok(())
    }

    fn discard(&self, from: u64, length: u64) -> Result<(), Error> {
        let pages = self.page_range(from, length)?;
        let mut state = self.buffer.state();
        for page in pages {
            if state.is_committed(page) {
                state.committed[(page / 64) as usize] &= !(1 << (page % 64));
                state.committed_pages -= 1;
            }
            for offset in (page * PAGE..(page + 1) * PAGE).step_by(8) {
                self.word(offset).store(0, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn take_slot(&self, slot: u32) -> Result<bool, Error> {
        let mut state = self.buffer.state();
        Ok(*state.slots.entry(slot).or_insert(self.view) == self.view)
    }

    fn release_slot(&self, slot: u32) {
        let mut state = self.buffer.state();
        if state.slots.get(&slot) == Some(&self.view) {
            state.slots.remove(&slot);
        }
    }

    fn is_alive(&self, slot: u32, _identity: &ProcessIdentity) -> bool {
        self.buffer.state().slots.contains_key(&slot)
    }

    fn identity(&self) -> ProcessIdentity {
        ProcessIdentity {
            pid: self.view,
            start_time: u64::from(self.view),
            pid_namespace: 1,
        }
    }

    #[cfg(shuttle)]
    fn wait(&self, offset: u64, expected: u32, _timeout: Duration) {
        let is_expected = || self.half_word(offset).load(Ordering::SeqCst) == expected;
        self.buffer.sleepers.wait(offset, is_expected);
    }

    #[cfg(shuttle)]
    fn wake(&self, offset: u64, count: u32) {
        self.buffer.sleepers.wake(offset, count);
    }

    #[cfg(not(shuttle))]
    fn wait(&self, offset: u64, expected: u32, timeout: Duration) {
        let word = self.half_word(offset);
        let start = Instant::now();
        // SeqCst, as strong as the kernel's own look at a futex word.
        while word.load(Ordering::SeqCst) == expected && start.elapsed() < timeout {
            std::thread::sleep(Duration::from_micros(20));
        }
    }

    #[cfg(not(shuttle))]
    fn wake(&self, _offset: u64, _count: u32) {
        // Waiters look at the word by themselves.
    }

    fn member_cell(&self) -> &AtomicU32 {
        &self.member_cell
    }

    fn now_seconds(&self) -> u64 {
        self.buffer.clock.load(Ordering::Relaxed)
    }

    fn descriptor(&self) -> Option<i32> {
        None
    }
}

impl State {
    fn is_committed(&self, page: u64) -> bool {
        self.committed[(page / 64) as usize] >> (page % 64) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_share_memory_but_not_their_member_cell() {
        let first = HeapBacking::new(1 << 20);
        let second = first.clone();
        first.word(64).store(7, Ordering::Relaxed);
        assert_eq!(second.word(64).load(Ordering::Relaxed), 7);
        first.member_cell().store(3, Ordering::Relaxed);
        assert_eq!(second.member_cell().load(Ordering::Relaxed), 0);
        assert_ne!(first.identity(), second.identity());
        assert!(first.base().addr().is_multiple_of(ALIGNMENT));
    }

    #[test]
    fn a_slot_belongs_to_one_view_until_that_view_ends() {
        let first = HeapBacking::new(1 << 16);
        let second = first.clone();
        let identity = second.identity();
        assert_eq!(second.take_slot(4), Ok(true));
        assert_eq!(first.take_slot(4), Ok(false));
        assert!(first.is_alive(4, &identity));
        drop(second);
        assert!(!first.is_alive(4, &identity));
        assert_eq!(first.take_slot(4), Ok(true));
        first.declare_dead(4);
        assert!(!first.is_alive(4, &first.identity()));
    }

    #[test]
    fn commit_stops_at_the_limit_and_discard_gives_back_zeros() {
        let backing = HeapBacking::new(1 << 20);
        backing.set_commit_limit(2 * PAGE);
        backing.commit(0, 2 * PAGE).unwrap();
        backing.commit(PAGE, PAGE).unwrap();
        let refused = backing.commit(2 * PAGE, 1);
        assert_eq!(
            refused,
            Err(Error::OutOfMemory {
                requested: 1,
                capacity: 2 * PAGE
            })
        );
        backing.word(PAGE).store(9, Ordering::Relaxed);
        backing.discard(PAGE, PAGE).unwrap();
        assert_eq!(backing.word(PAGE).load(Ordering::Relaxed), 0);
        assert_eq!(backing.committed(), PAGE);
        assert!(backing.commit(1 << 20, 1).is_err());
    }

    #[test]
    fn a_wait_ends_when_the_word_moves_or_time_is_up() {
        let backing = HeapBacking::new(1 << 16);
        backing.wait(8, 0, Duration::from_millis(1));
        backing.wait(8, 1, Duration::from_secs(3600));
    }
}
