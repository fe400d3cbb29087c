//! A segment in a memory file that other processes map as well.
//!
//! The mapping stays where it is as long as this value lives, and this process has exactly one
//! descriptor of the file: closing any other one would drop the record lock that proves it alive.
//! Programs that become daemons close descriptors they do not know, ours included, and may open
//! something else under the same number. So the descriptor is looked at before each use; without
//! it, memory is taken and given back through the mapping, and liveness is judged by `/proc`.
//!
//! Where the system lets nobody make memory files at all, the same goes for a mapping that never
//! had one: forked children share it, and nobody else can be handed it.

use core::any::Any;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use super::{Backing, ProcessIdentity};
use crate::Error;
use crate::os::fork::ForkPage;
use crate::os::memfd::{self, FileId};
use crate::os::{clock, futex, process, record_lock};

/// Capacities are multiples of this, the size of a heap page.
const GRANULE: u64 = 64 * 1024;
/// Smallest capacity that `create` goes down to where the system refuses more.
const SMALLEST: u64 = 1024 * 1024;

/// In the place of a descriptor where there never was one.
const NO_DESCRIPTOR: RawFd = -1;

// What this process knows about itself, in words of the fork page.
const PID: usize = 0;
const START_TIME: usize = 1;
const PID_NAMESPACE: usize = 2;
const HELD_SLOT: usize = 3;
const SECONDS_AHEAD: usize = 4;
const MILLISECONDS_AHEAD: usize = 5;

/// Memory in a sealed, sparse memory file.
pub struct MemfdBacking {
    base: NonNull<u8>,
    capacity: u64,
    descriptor: RawFd,
    file: FileId,
    fork_page: ForkPage,
    /// Dropped last.
    companion: Option<Box<dyn Any + Send + Sync>>,
}

// SAFETY: `base` is the start of a mapping that lives as long as `self`; what is behind it is
// accessed by the segment code through atomics or under segment locks. All else is Send.
unsafe impl Send for MemfdBacking {}
// SAFETY: as for Send: nothing in `self` changes after it was made, except through atomics.
unsafe impl Sync for MemfdBacking {}

impl MemfdBacking {
    /// A new, empty memory file of up to `capacity` bytes. Only what is committed takes memory,
    /// but the limits on file size and address space of this process count the whole of it;
    /// where they do not allow `capacity`, it is halved until they do.
    pub fn create(capacity: u64) -> Result<Self, Error> {
        let fork_page = ForkPage::new()?;
        let wanted = capacity.clamp(SMALLEST, 1 << 47).next_multiple_of(GRANULE);
        let file = match memfd::create() {
            Err(error) if memfd::is_prohibition(&error) => {
                return Self::create_without_file(wanted, fork_page).ok_or(error);
            }
            made => made?,
        };
        // Asked beforehand, because going over this limit is a signal and not an error.
        let limit = memfd::file_size_limit();
        if limit < SMALLEST {
            return Err(Error::TooSmall {
                capacity: limit,
                least: SMALLEST,
            });
        }
        let mut allowed = wanted;
        while allowed > limit {
            allowed = halved(allowed);
        }
        let (base, capacity) = mapped_within_limits(allowed, |capacity| {
            memfd::resize(file.as_fd(), capacity)?;
            memfd::map(file.as_fd(), capacity)
        })?;
        let sealed = memfd::seal(file.as_fd()).and_then(|()| memfd::file_id(&file));
        Self::assemble(file, sealed, base, capacity, fork_page)
    }

    /// As `create`, without a memory file. `None`: no such memory, or nothing by which forked
    /// children could be known to live.
    fn create_without_file(wanted: u64, fork_page: ForkPage) -> Option<Self> {
        if process::identity().pid_namespace == 0 {
            return None;
        }
        let (base, capacity) = mapped_within_limits(wanted, memfd::map_without_file).ok()?;
        let mut backing = Self {
            base,
            capacity,
            descriptor: NO_DESCRIPTOR,
            file: FileId {
                device: 0,
                inode: 0,
            },
            fork_page,
            companion: None,
        };
        // `backing` takes the mapping away again if there is no telling what it is of.
        backing.file = process::mapped_file(base.as_ptr())?;
        Some(backing)
    }

    /// The memory of a file that another process handed over.
    ///
    /// The file must not be open in this process in any other way: this value closes its
    /// descriptor at the end, and that drops every record lock the process has on the file.
    pub fn from_fd(file: OwnedFd) -> Result<Self, Error> {
        let fork_page = ForkPage::new()?;
        let capacity = memfd::sealed_size(file.as_fd())?;
        if capacity < SMALLEST || !capacity.is_multiple_of(GRANULE) {
            return Err(Error::NotASegment {
                why: "its size is not that of a segment",
            });
        }
        let base = memfd::map(file.as_fd(), capacity).map_err(|error| match error {
            Error::Os { errno, .. } => Error::CannotMap {
                bytes: capacity,
                errno,
            },
            error => error,
        })?;
        let id = memfd::file_id(&file);
        Self::assemble(file, id, base, capacity, fork_page)
    }

    /// Keeps `companion` and drops it when mapping and descriptor are gone: then, and not earlier,
    /// this process may open the file again.
    #[must_use]
    pub fn with_companion(mut self, companion: Box<dyn Any + Send + Sync>) -> Self {
        self.companion = Some(companion);
        self
    }

    fn assemble(
        file: OwnedFd,
        id: Result<FileId, Error>,
        base: NonNull<u8>,
        capacity: u64,
        fork_page: ForkPage,
    ) -> Result<Self, Error> {
        match id {
            Ok(id) => Ok(Self {
                base,
                capacity,
                descriptor: file.into_raw_fd(),
                file: id,
                fork_page,
                companion: None,
            }),
            Err(error) => {
                // SAFETY: the mapping of `capacity` bytes at `base` was made by the caller just
                // now and is known to nobody else.
                unsafe { memfd::unmap(base, capacity as usize) };
                Err(error)
            }
        }
    }

    /// The descriptor, unless the program has closed it.
    fn file(&self) -> Option<BorrowedFd<'_>> {
        if self.descriptor == NO_DESCRIPTOR {
            return None;
        }
        // SAFETY: `descriptor` is not -1, so it came from an OwnedFd. If the program has closed
        // it, the only use made of it here is fstat, which then fails or shows another file.
        let file = unsafe { BorrowedFd::borrow_raw(self.descriptor) };
        (memfd::file_id(file) == Ok(self.file)).then_some(file)
    }

    /// The slot this process holds, plus 1. A forked child holds none, as with the lock itself.
    fn held_slot(&self) -> &AtomicU64 {
        self.fork_page.extra(HELD_SLOT)
    }

    /// How far a clock of this process is ahead of the machine's.
    fn ahead(&self, index: usize) -> u64 {
        // It is noted together with the identity.
        self.identity();
        self.fork_page.extra(index).load(Ordering::Relaxed)
    }

    /// The `u32` at `offset`, for the kernel to look at.
    fn word(&self, offset: u64) -> Option<&AtomicU32> {
        if !offset.is_multiple_of(4) || offset.checked_add(4)? > self.capacity {
            return None;
        }
        let pointer = self.base.as_ptr().wrapping_add(offset as usize);
        // SAFETY: `offset` + 4 <= capacity and is a multiple of 4, `base` is page aligned, the
        // mapping lives as long as `self`, and this word is accessed by atomics alone.
        Some(unsafe { AtomicU32::from_ptr(pointer.cast()) })
    }

    /// Checks a range and turns the refusals of the kernel into the error of this layer.
    fn on_range(
        &self,
        from: u64,
        length: u64,
        call: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let out_of_memory = Error::OutOfMemory {
            requested: length,
            capacity: self.capacity,
        };
        if from
            .checked_add(length)
            .is_none_or(|end| end > self.capacity)
        {
            return Err(out_of_memory);
        }
        match call() {
            Err(error) if memfd::is_shortage(&error) => Err(out_of_memory),
            outcome => outcome,
        }
    }
}

/// Maps `capacity` bytes, or half of that and so on where the address space is too small; how many
/// it has become.
fn mapped_within_limits(
    mut capacity: u64,
    mut map: impl FnMut(u64) -> Result<NonNull<u8>, Error>,
) -> Result<(NonNull<u8>, u64), Error> {
    loop {
        match map(capacity) {
            Err(error) if memfd::is_too_much(&error) && capacity > SMALLEST => {
                capacity = halved(capacity);
            }
            mapped => return mapped.map(|base| (base, capacity)),
        }
    }
}

/// Half of a capacity, still a multiple of the granule.
fn halved(capacity: u64) -> u64 {
    (capacity / 2 / GRANULE * GRANULE).max(SMALLEST)
}

impl Drop for MemfdBacking {
    fn drop(&mut self) {
        if self.file().is_some() {
            // SAFETY: taken from an OwnedFd when `self` was made, and still that very file, so
            // nobody else has closed it. A program that closes foreign descriptors at this very
            // moment closes a number twice, as it would anywhere.
            drop(unsafe { OwnedFd::from_raw_fd(self.descriptor) });
        }
        // SAFETY: the mapping made when `self` was; every use of it borrows `self`, so there is
        // none left.
        unsafe { memfd::unmap(self.base, self.capacity as usize) };
    }
}

impl Backing for MemfdBacking {
    fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    fn capacity(&self) -> u64 {
        self.capacity
    }

    fn commit(&self, from: u64, length: u64) -> Result<(), Error> {
        self.on_range(from, length, || match self.file() {
            Some(file) => memfd::commit(file, from, length),
            // SAFETY: `on_range` has checked that the range is inside the mapping.
            None => unsafe { memfd::commit_mapped(self.base, from, length) },
        })
    }

    fn discard(&self, from: u64, length: u64) -> Result<(), Error> {
        self.on_range(from, length, || match self.file() {
            Some(file) => memfd::discard(file, from, length),
            // SAFETY: `on_range` has checked that the range is inside the mapping; that nobody
            // needs its content is the meaning of `discard`.
            None => unsafe { memfd::discard_mapped(self.base, from, length) },
        })
    }

    fn take_slot(&self, slot: u32) -> Result<bool, Error> {
        let taken = match self.file() {
            Some(_) => record_lock::take(self.descriptor, slot)?,
            // Without a descriptor there is no lock to be had, and the identity beside the slot
            // speaks for this process. That is less: it cannot be seen from another pid namespace.
            None => true,
        };
        if taken {
            // Relaxed: read only by threads that learnt of the slot through the segment.
            self.held_slot()
                .store(u64::from(slot) + 1, Ordering::Relaxed);
        }
        Ok(taken)
    }

    fn release_slot(&self, slot: u32) {
        // Relaxed: as in `take_slot`; a slot taken meanwhile stays noted.
        let _ = self.held_slot().compare_exchange(
            u64::from(slot) + 1,
            0,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        if self.file().is_some() {
            record_lock::release(self.descriptor, slot);
        }
    }

    fn is_alive(&self, slot: u32, identity: &ProcessIdentity) -> bool {
        let locked = self.file().is_some_and(|_| {
            // A refusal says nothing about the other process; /proc has to tell.
            record_lock::is_taken(self.descriptor, slot) == Ok(true)
        });
        // Asked first, for a lock that shows is another process's, whatever it calls itself: in
        // two pid namespaces without a /proc of their own, two processes call themselves alike.
        if locked {
            return true;
        }
        let own = self.identity();
        if own == *identity {
            // The kernel does not show a process its own locks. A slot of this very process that
            // it does not hold is from before an `exec`, which keeps id and start time.
            return self.held_slot().load(Ordering::Relaxed) == u64::from(slot) + 1;
        }
        // No lock is no proof of death: the process may have closed every descriptor.
        process::runs_with(&own, identity, self.file)
    }

    fn identity(&self) -> ProcessIdentity {
        let [pid, start_time, pid_namespace] =
            [PID, START_TIME, PID_NAMESPACE].map(|index| self.fork_page.extra(index));
        // Acquire: pairs with the Release below, so a nonzero pid comes with all the rest.
        let known = pid.load(Ordering::Acquire);
        if known != 0 {
            return ProcessIdentity {
                pid: known as u32,
                start_time: start_time.load(Ordering::Relaxed),
                pid_namespace: pid_namespace.load(Ordering::Relaxed),
            };
        }
        let identity = process::identity();
        let ahead = clock::ahead();
        for (index, ahead) in [
            (SECONDS_AHEAD, ahead.boottime),
            (MILLISECONDS_AHEAD, ahead.monotonic),
        ] {
            let word = self.fork_page.extra(index);
            word.store(ahead.cast_unsigned(), Ordering::Relaxed);
        }
        // Threads that get here together write the same values.
        start_time.store(identity.start_time, Ordering::Relaxed);
        pid_namespace.store(identity.pid_namespace, Ordering::Relaxed);
        // Release: pairs with the Acquire above.
        pid.store(identity.pid.into(), Ordering::Release);
        identity
    }

    fn wait(&self, offset: u64, expected: u32, timeout: Duration) {
        if let Some(word) = self.word(offset) {
            futex::wait(word, expected, timeout);
        }
    }

    fn wake(&self, offset: u64, count: u32) {
        if let Some(word) = self.word(offset) {
            futex::wake(word, count);
        }
    }

    fn member_cell(&self) -> &AtomicU32 {
        self.fork_page.cell()
    }

    fn now_seconds(&self) -> u64 {
        clock::now_seconds().wrapping_sub(self.ahead(SECONDS_AHEAD))
    }

    fn now_milliseconds(&self) -> u64 {
        clock::now_milliseconds().wrapping_sub(self.ahead(MILLISECONDS_AHEAD))
    }

    fn descriptor(&self) -> Option<i32> {
        self.file().map(|_| self.descriptor)
    }

    fn is_sealed(&self) -> bool {
        self.file().is_none_or(memfd::is_sealed)
    }
}

#[cfg(test)]
mod tests;
