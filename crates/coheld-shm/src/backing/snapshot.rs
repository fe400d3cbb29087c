//! A copied image of a segment, on which recovery can be tried without touching the original.

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Backing, HeapBacking, ProcessIdentity};
use crate::Error;

/// A private copy of a segment whose members are declared dead or alive by the test.
pub struct SnapshotBacking {
    memory: HeapBacking,
    /// Members that died. All others count as alive.
    dead: Mutex<HashSet<u32>>,
}

impl SnapshotBacking {
    /// A copy of `image`; the members in `dead_slots` have died, all others live.
    #[must_use]
    pub fn new(image: &[u8], dead_slots: &[u32]) -> Self {
        let memory = HeapBacking::exact(image.len() as u64);
        memory.fill(image);
        Self {
            memory,
            dead: Mutex::new(dead_slots.iter().copied().collect()),
        }
    }

    /// The content as it is now, for instance to try recovery of a death during recovery.
    #[must_use]
    pub fn image(&self) -> Vec<u8> {
        self.memory.image()
    }

    /// Writes the `u32` at `offset`, as a process of the image might that goes on: nobody but the
    /// member that looks at the image runs here, and what it waits for has to come from somewhere.
    ///
    /// # Panics
    ///
    /// If there is no such offset.
    pub fn change(&self, offset: u64, value: u32) {
        // Release: pairs with the Acquire of whoever takes a lock or reads a message.
        self.memory
            .half_word(offset)
            .store(value, Ordering::Release);
    }

    /// Moves the clock of this image on, for leases and reservations to run out.
    pub fn advance_clock(&self, seconds: u64) {
        self.memory.advance_clock(seconds);
    }

    fn dead(&self) -> MutexGuard<'_, HashSet<u32>> {
        self.dead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backing for SnapshotBacking {
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
        // The processes of the image are not here to hold a lock, so any slot that the member
        // table shows as free can be had.
        self.dead().remove(&slot);
        self.memory.take_slot(slot)
    }

    fn release_slot(&self, slot: u32) {
        self.memory.release_slot(slot);
    }

    fn is_alive(&self, slot: u32, _identity: &ProcessIdentity) -> bool {
        !self.dead().contains(&slot)
    }

    fn identity(&self) -> ProcessIdentity {
        self.memory.identity()
    }

    fn wait(&self, offset: u64, expected: u32, timeout: Duration) {
        self.memory.wait(offset, expected, timeout);
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

    fn now_milliseconds(&self) -> u64 {
        self.memory.now_milliseconds()
    }

    fn descriptor(&self) -> Option<i32> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_a_copy_and_knows_the_dead() {
        let original = HeapBacking::new(1 << 16);
        let mut image = original.image();
        image[100] = 42;
        let snapshot = SnapshotBacking::new(&image, &[2]);
        assert_eq!(snapshot.image(), image);
        assert_eq!(original.image()[100], 0);
        let nobody = ProcessIdentity::default();
        assert!(!snapshot.is_alive(2, &nobody));
        assert!(snapshot.is_alive(3, &nobody));
        assert_eq!(snapshot.take_slot(2), Ok(true));
        assert!(snapshot.is_alive(2, &nobody));
    }
}
