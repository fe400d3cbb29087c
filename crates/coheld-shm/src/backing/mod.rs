//! What a segment stands on: memory, liveness, waiting and time.
//!
//! Everything above works over this seam, so the same code serves a memfd shared by processes
//! ([`MemfdBacking`]), one that is only looked at ([`ObservedBacking`]), a buffer shared by the
//! threads of a test ([`HeapBacking`]) and a copied image of a segment on which recovery is tried
//! ([`SnapshotBacking`]).

// The atomics of the core, not the facade: the member cell of a memfd backing is a word of a
// page that the kernel wipes, which no model checker can stand in for.
use core::sync::atomic::AtomicU32;
use core::time::Duration;

use crate::{Error, os::clock};

mod heap;
mod memfd;
mod observed;
#[cfg(shuttle)]
mod sleepers;
mod snapshot;

pub use heap::HeapBacking;
pub use memfd::MemfdBacking;
pub use observed::ObservedBacking;
pub use snapshot::SnapshotBacking;

/// Who a process is, for liveness. The process id is as seen in its own namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessIdentity {
    /// Process id in its own pid namespace.
    pub pid: u32,
    /// Start time in clock ticks since boot; 0 if it could not be learnt.
    pub start_time: u64,
    /// Inode of the pid namespace; 0 if `/proc` does not show that namespace.
    pub pid_namespace: u64,
}

/// The memory of one segment and the services of the system around it.
pub trait Backing: Send + Sync {
    /// Start of the memory: page aligned, valid for `capacity()` bytes as long as `self` lives.
    fn base(&self) -> *mut u8;

    /// Bytes that can be addressed from `base()`.
    fn capacity(&self) -> u64;

    /// Makes pages real, so that touching them cannot fail. `Error::OutOfMemory` if there are
    /// none; the content is the same in any case.
    fn commit(&self, from: u64, length: u64) -> Result<(), Error>;

    /// Gives whole pages back; they read as zero from now on.
    fn discard(&self, from: u64, length: u64) -> Result<(), Error>;

    /// Marks member slot `slot` as held by this process until its end. `false`: another process
    /// holds it.
    fn take_slot(&self, slot: u32) -> Result<bool, Error>;

    /// Gives up what `take_slot` took.
    fn release_slot(&self, slot: u32);

    /// Whether the process that took `slot` still lives. `identity` is what that process wrote
    /// beside the slot.
    fn is_alive(&self, slot: u32, identity: &ProcessIdentity) -> bool;

    /// Who the calling process is. Allocates nothing and may be called right after a fork.
    fn identity(&self) -> ProcessIdentity;

    /// Sleeps while the `u32` at `offset` is `expected`, at most `timeout`. May return early for
    /// no reason.
    fn wait(&self, offset: u64, expected: u32, timeout: Duration);

    /// Wakes up to `count` waiters of the `u32` at `offset`.
    fn wake(&self, offset: u64, count: u32);

    /// A word private to this process that reads 0 in a forked child.
    fn member_cell(&self) -> &AtomicU32;

    /// Seconds since boot, the same for every process of the machine.
    fn now_seconds(&self) -> u64;

    /// Milliseconds of a clock that stands still while the machine is suspended, the same for every
    /// process of the machine.
    fn now_milliseconds(&self) -> u64 {
        clock::now_milliseconds()
    }

    /// The file descriptor of the memory, to hand over to another process.
    fn descriptor(&self) -> Option<i32>;

    /// Whether no process that has the memory can take it from under the others.
    fn is_sealed(&self) -> bool {
        true
    }
}
