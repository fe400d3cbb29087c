//! A segment that is only looked at: mapped to be read, by a process that is no member.
//!
//! The kernel refuses every store, so whoever looks cannot change anything, not even by mistake: a
//! store ends the process that looks. No slot is taken, nobody waits for an observer, and none of
//! the members can tell that there is one.

use core::ptr::NonNull;
use core::sync::atomic::AtomicU32;
use core::time::Duration;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use super::{Backing, ProcessIdentity};
use crate::Error;
use crate::os::memfd::{self, FileId};
use crate::os::{clock, process, record_lock};

/// The memory of somebody else's segment, for reading.
pub struct ObservedBacking {
    base: NonNull<u8>,
    capacity: u64,
    file: OwnedFd,
    id: FileId,
    own: ProcessIdentity,
    /// Always 0: an observer is no member.
    member_cell: AtomicU32,
}

// SAFETY: `base` is the start of a mapping that lives as long as `self` and is only read, through
// atomics or copies; all else is Send.
unsafe impl Send for ObservedBacking {}
// SAFETY: as for Send: nothing in `self` changes after it was made.
unsafe impl Sync for ObservedBacking {}

impl ObservedBacking {
    /// The memory of a segment. The process must not be one of its members: that this closes its
    /// descriptor in the end would make the other members believe that the process is dead.
    pub fn new(file: OwnedFd) -> Result<Self, Error> {
        let capacity = memfd::readable_size(file.as_fd())?;
        let id = memfd::file_id(&file)?;
        let base = memfd::map_to_read(file.as_fd(), capacity)?;
        Ok(Self {
            base,
            capacity,
            file,
            id,
            own: process::identity(),
            member_cell: AtomicU32::new(0),
        })
    }
}

impl Drop for ObservedBacking {
    fn drop(&mut self) {
        // SAFETY: the mapping made when `self` was; every use of it borrows `self`, so there is
        // none left.
        unsafe { memfd::unmap(self.base, self.capacity as usize) };
    }
}

impl Backing for ObservedBacking {
    fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    fn capacity(&self) -> u64 {
        self.capacity
    }

    fn commit(&self, _from: u64, _length: u64) -> Result<(), Error> {
        Err(Error::Observed)
    }

    fn discard(&self, _from: u64, _length: u64) -> Result<(), Error> {
        Err(Error::Observed)
    }

    fn take_slot(&self, _slot: u32) -> Result<bool, Error> {
        Err(Error::Observed)
    }

    fn release_slot(&self, _slot: u32) {}

    fn is_alive(&self, slot: u32, identity: &ProcessIdentity) -> bool {
        record_lock::is_taken(self.file.as_raw_fd(), slot) == Ok(true)
            || process::runs_with(&self.own, identity, self.id)
    }

    fn identity(&self) -> ProcessIdentity {
        self.own
    }

    fn wait(&self, _offset: u64, _expected: u32, timeout: Duration) {
        std::thread::sleep(timeout);
    }

    fn wake(&self, _offset: u64, _count: u32) {}

    fn member_cell(&self) -> &AtomicU32 {
        &self.member_cell
    }

    fn now_seconds(&self) -> u64 {
        clock::now_seconds().wrapping_add_signed(-clock::ahead().boottime)
    }

    fn descriptor(&self) -> Option<i32> {
        Some(self.file.as_raw_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Segment, backing::MemfdBacking};

    #[test]
    fn a_segment_is_read_and_cannot_be_joined() {
        let file = memfd::create().unwrap();
        memfd::resize(file.as_fd(), 1 << 20).unwrap();
        memfd::seal(file.as_fd()).unwrap();
        let backing = MemfdBacking::from_fd(file.try_clone().unwrap()).unwrap();
        let options = Options {
            member_limit: 4,
            id: [7; 16],
            ..Options::default()
        };
        let segment = Segment::create(Box::new(backing), &options).unwrap();
        let observed = Segment::attach(Box::new(ObservedBacking::new(file).unwrap())).unwrap();
        assert_eq!(observed.id(), segment.id());
        assert_eq!(observed.join(), Err(Error::Observed));
        assert_eq!(observed.reap_dead(), 0);
        assert_eq!(observed.member_high(), 0);
    }

    #[test]
    fn what_is_no_segment_is_refused() {
        let file = memfd::create().unwrap();
        assert!(matches!(
            ObservedBacking::new(file),
            Err(Error::NotASegment { .. })
        ));
    }
}
