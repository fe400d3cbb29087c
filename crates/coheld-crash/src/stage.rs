//! Memory on which a recovery is walked: shared with the child that recovers, and nobody's else.
//!
//! The members of the image are not here as processes. As in
//! [`SnapshotBacking`](coheld_shm::backing::SnapshotBacking), it is declared which of them live.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "memory that is shared with a forked child, and words that are private to it"
)]

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use std::io;
use std::sync::Arc;

use coheld_shm::{
    Error,
    backing::{Backing, ProcessIdentity},
};

use crate::image::Image;

/// Shared memory without a name.
pub(crate) struct Stage {
    base: *mut u8,
    length: usize,
}

// SAFETY: the mapping lives as long as `self`; what is in it is accessed by the segment code as
// shared memory, and by `bytes` and `set` while no process of the segment runs.
unsafe impl Send for Stage {}
// SAFETY: as for `Send`.
unsafe impl Sync for Stage {}

impl Stage {
    pub(crate) fn new(length: usize) -> io::Result<Arc<Self>> {
        // SAFETY: a new mapping at a place that the kernel chooses.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Arc::new(Self {
            base: base.cast(),
            length,
        }))
    }

    /// Makes the memory hold `image`. Nobody may be using it.
    pub(crate) fn set(&self, image: &Image) {
        assert_eq!(image.length(), self.length, "the image fits the stage");
        // SAFETY: `length` bytes are valid at `base` as long as `self` lives; nobody uses them
        // meanwhile (documented above).
        let memory = unsafe { std::slice::from_raw_parts_mut(self.base, self.length) };
        image.copy_to(memory);
    }

    /// What it holds, while every other process that has it is stopped or gone.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `length` bytes are valid at `base` as long as `self` lives; nobody writes them
        // meanwhile (documented above).
        unsafe { std::slice::from_raw_parts(self.base, self.length) }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`; nothing refers to it any more.
        unsafe { libc::munmap(self.base.cast(), self.length) };
    }
}

/// A segment on a stage, as one process sees it.
pub(crate) struct StageBacking {
    stage: Arc<Stage>,
    /// One bit for each slot whose member lives. A process adds its own, in its private memory.
    alive: AtomicU64,
    /// Seconds by which the clock is ahead.
    ahead: u64,
    member_cell: AtomicU32,
}

impl StageBacking {
    /// Of all members of the image only those in `alive` live.
    pub(crate) fn new(stage: &Arc<Stage>, alive: &[u32], ahead: u64) -> Self {
        let bits = alive.iter().fold(0, |bits, &slot| bits | 1 << slot);
        Self {
            stage: Arc::clone(stage),
            alive: AtomicU64::new(bits),
            ahead,
            member_cell: AtomicU32::new(0),
        }
    }
}

impl Backing for StageBacking {
    fn base(&self) -> *mut u8 {
        self.stage.base
    }

    fn capacity(&self) -> u64 {
        self.stage.length as u64
    }

    fn commit(&self, _from: u64, _length: u64) -> Result<(), Error> {
        Ok(())
    }

    fn discard(&self, from: u64, length: u64) -> Result<(), Error> {
        let sound = from
            .checked_add(length)
            .is_some_and(|end| end <= self.capacity());
        assert!(sound, "the range is on the stage");
        let at = self.stage.base.wrapping_add(from as usize);
        // SAFETY: a range of the mapping (checked above) that nobody needs any more.
        unsafe { libc::madvise(at.cast(), length as usize, libc::MADV_REMOVE) };
        Ok(())
    }

    fn take_slot(&self, slot: u32) -> Result<bool, Error> {
        // Relaxed: a word of one thread.
        self.alive.fetch_or(1 << slot, Ordering::Relaxed);
        Ok(true)
    }

    fn release_slot(&self, slot: u32) {
        // Relaxed: as above.
        self.alive.fetch_and(!(1 << slot), Ordering::Relaxed);
    }

    fn is_alive(&self, slot: u32, _identity: &ProcessIdentity) -> bool {
        // Relaxed: as above.
        self.alive.load(Ordering::Relaxed) & 1 << slot != 0
    }

    fn identity(&self) -> ProcessIdentity {
        // The same for all, so that what different children do can be compared.
        ProcessIdentity {
            pid: 1,
            ..ProcessIdentity::default()
        }
    }

    fn wait(&self, _offset: u64, _expected: u32, _timeout: Duration) {
        std::thread::yield_now();
    }

    fn wake(&self, _offset: u64, _count: u32) {}

    fn member_cell(&self) -> &AtomicU32 {
        &self.member_cell
    }

    fn now_seconds(&self) -> u64 {
        coheld_shm::os::clock::now_seconds() + self.ahead
    }

    fn descriptor(&self) -> Option<i32> {
        None
    }
}
