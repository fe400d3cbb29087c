//! The memory of one round: a damaged copy of an image in which nobody waits for ever.
#![allow(
    clippy::disallowed_types,
    reason = "the seam below the segment, which is not the segment's own code"
)]

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use coheld_shm::Error;
use coheld_shm::backing::{Backing, ProcessIdentity, SnapshotBacking};

/// Waits after which whoever is waited for does what he is waited for.
const PATIENCE: u64 = 3;
/// Waits after which all other members are dead.
const LIFE: u64 = 2_000;
/// Waits after which the round is given up: for a lock, say, that this very process has according
/// to a damaged word.
const END: u64 = 50_000;

/// Why a round ends without a result that could be looked at: it waits for somebody who, if the
/// image were true, would come.
pub struct GivenUp;

/// The image, and how often it was waited on.
pub struct Stage {
    memory: SnapshotBacking,
    waits: AtomicU64,
}

impl Stage {
    /// A copy of `image`; the members in `dead` have died, all others live for now.
    pub fn new(image: &[u8], dead: &[u32]) -> Self {
        Self {
            memory: SnapshotBacking::new(image, dead),
            waits: AtomicU64::new(0),
        }
    }

    fn waits(&self) -> u64 {
        // Relaxed: one thread counts.
        self.waits.load(Ordering::Relaxed)
    }
}

impl Backing for Stage {
    fn base(&self) -> *mut u8 {
        self.memory.base()
    }

    fn capacity(&self) -> u64 {
        self.memory.capacity()
    }

    fn commit(&self, from: u64, length: u64) -> Result<(), Error> {
        self.memory.commit(from, length)
    }

    fn discard(&self, from: u64, length: u64) -> Result<(), Error> {
        self.memory.discard(from, length)
    }

    fn take_slot(&self, slot: u32) -> Result<bool, Error> {
        self.memory.take_slot(slot)
    }

    fn release_slot(&self, slot: u32) {
        self.memory.release_slot(slot);
    }

    fn is_alive(&self, slot: u32, identity: &ProcessIdentity) -> bool {
        self.waits() < LIFE && self.memory.is_alive(slot, identity)
    }

    fn identity(&self) -> ProcessIdentity {
        self.memory.identity()
    }

    /// Nobody else runs here. So the owner of a lock, or the end of a reservation, comes after a
    /// few waits.
    fn wait(&self, offset: u64, expected: u32, _timeout: Duration) {
        let waits = self.waits.fetch_add(1, Ordering::Relaxed);
        if waits.is_multiple_of(PATIENCE) && expected != 0 {
            self.memory.change(offset, 0);
        }
        if waits.is_multiple_of(LIFE) {
            self.memory.advance_clock(1);
        }
        if waits > END && !thread::panicking() {
            std::panic::resume_unwind(Box::new(GivenUp));
        }
    }

    fn wake(&self, offset: u64, count: u32) {
        self.memory.wake(offset, count);
    }

    fn member_cell(&self) -> &AtomicU32 {
        self.memory.member_cell()
    }

    fn now_seconds(&self) -> u64 {
        self.memory.now_seconds()
    }

    fn descriptor(&self) -> Option<i32> {
        None
    }
}
