//! The memory file: made, sealed, mapped, committed, given back.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FallocateFlags, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags};
use rustix::process::Resource;

use super::refused;
use crate::Error;

/// Bytes asked of the kernel in one call. A signal takes back what one call has done so far, so
/// a program with a fast interval timer would never get through one big call.
const STEP: u64 = 1024 * 1024;
/// Page size that single touches step by. Larger real pages are merely touched more than once.
const TOUCH_STEP: u64 = 4096;

/// Nobody may truncate the file under its users (SIGBUS), grow it, or take the seals off.
const SEALS: SealFlags = SealFlags::GROW
    .union(SealFlags::SHRINK)
    .union(SealFlags::SEAL);

/// The folder of memory files for systems that let a process make no nameless ones.
const SHARED_MEMORY: &core::ffi::CStr = c"/dev/shm";
/// What the kernel calls the file system of that folder (`TMPFS_MAGIC` of `magic.h`).
const TMPFS: i64 = 0x0102_1994;

/// Which file a descriptor or mapping belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    pub device: u64,
    pub inode: u64,
}

/// A new memory file, empty and not yet sealed. Where `memfd_create` is forbidden, as by a seccomp
/// filter, it is a file without a name in `/dev/shm`, which cannot be sealed.
pub fn create() -> Result<OwnedFd, Error> {
    match create_sealable() {
        Err(Error::Os { errno, .. }) if is_forbidden(errno) => {
            create_in_shared_memory().map_err(|_| Error::Os {
                call: "memfd_create",
                errno,
            })
        }
        made => made,
    }
}

/// Whether the system will refuse a call again, whatever there is of memory and descriptors.
fn is_forbidden(errno: i32) -> bool {
    matches!(errno, libc::EPERM | libc::EACCES | libc::ENOSYS)
}

/// Whether an error is such a refusal.
pub fn is_prohibition(error: &Error) -> bool {
    matches!(error, Error::Os { errno, .. } if is_forbidden(*errno))
}

/// As `memfd_create`, of the system's visible file system for memory. The file never has a name,
/// so it goes with its last user as well.
fn create_in_shared_memory() -> Result<OwnedFd, Error> {
    // EXCL: nor can it get a name later.
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::EXCL;
    let made = rustix::fs::open(SHARED_MEMORY, flags, Mode::RUSR | Mode::WUSR);
    let file = made.map_err(|errno| refused("open(O_TMPFILE)", errno))?;
    // A disk would be written to, and has no such seals to be told by.
    if is_in_shared_memory(file.as_fd())? {
        Ok(file)
    } else {
        Err(refused("open(O_TMPFILE)", Errno::OPNOTSUPP))
    }
}

/// Whether a file is one that `create_in_shared_memory` makes: of this user alone, without a name,
/// of a file system in memory.
fn is_in_shared_memory(file: BorrowedFd<'_>) -> Result<bool, Error> {
    let system = rustix::fs::fstatfs(file).map_err(|errno| refused("fstatfs", errno))?;
    let status = rustix::fs::fstat(file).map_err(|errno| refused("fstat", errno))?;
    Ok(system.f_type == TMPFS
        // Those of memfd_create are of a file system of that type as well.
        && rustix::fs::fcntl_get_seals(file) == Ok(SealFlags::SEAL)
        && status.st_nlink == 0
        && status.st_uid == super::process::effective_user()
        && !Mode::from_raw_mode(status.st_mode).intersects(Mode::RWXG | Mode::RWXO))
}

/// Whether the size of a file is fixed: not where it had to be made without `memfd_create`.
pub fn is_sealed(file: BorrowedFd<'_>) -> bool {
    rustix::fs::fcntl_get_seals(file).is_ok_and(|seals| seals.contains(SEALS))
}

fn create_sealable() -> Result<OwnedFd, Error> {
    let plain = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Systems with vm.memfd_noexec=2 insist on the first form, kernels before 6.3 on the second.
    let made = match rustix::fs::memfd_create(c"coheld", plain | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => rustix::fs::memfd_create(c"coheld", plain),
        made => made,
    };
    made.map_err(|errno| refused("memfd_create", errno))
}

/// The largest file size that will not raise SIGXFSZ.
pub fn file_size_limit() -> u64 {
    rustix::process::getrlimit(Resource::Fsize)
        .current
        .unwrap_or(u64::MAX)
}

/// Sets the size; the file stays sparse.
pub fn resize(file: BorrowedFd<'_>, size: u64) -> Result<(), Error> {
    rustix::fs::ftruncate(file, size).map_err(|errno| refused("ftruncate", errno))
}

/// Fixes the size for ever, unless the file is of the kind that cannot be sealed.
pub fn seal(file: BorrowedFd<'_>) -> Result<(), Error> {
    if is_in_shared_memory(file)? {
        return Ok(());
    }
    rustix::fs::fcntl_add_seals(file, SEALS).map_err(|errno| refused("fcntl(F_ADD_SEALS)", errno))
}

/// The size of a file that was handed over, after a look at whether it can be trusted.
pub fn sealed_size(file: BorrowedFd<'_>) -> Result<u64, Error> {
    let size = readable_size(file)?;
    let flags = rustix::fs::fcntl_getfl(file).map_err(|errno| refused("fcntl(F_GETFL)", errno))?;
    if flags & OFlags::RWMODE != OFlags::RDWR {
        return Err(Error::NotASegment {
            why: "its descriptor is not open for writing",
        });
    }
    Ok(size)
}

/// The same for a file that is only to be read.
pub fn readable_size(file: BorrowedFd<'_>) -> Result<u64, Error> {
    let Ok(seals) = rustix::fs::fcntl_get_seals(file) else {
        return Err(Error::NotASegment {
            why: "it is not a memory file",
        });
    };
    if !seals.contains(SEALS) && !is_in_shared_memory(file)? {
        return Err(Error::NotASegment {
            why: "its size is not sealed",
        });
    }
    if seals.intersects(SealFlags::WRITE | SealFlags::FUTURE_WRITE) {
        return Err(Error::NotASegment {
            why: "it is sealed against writing",
        });
    }
    let status = rustix::fs::fstat(file).map_err(|errno| refused("fstat", errno))?;
    Ok(status.st_size.unsigned_abs())
}

/// Which file this is.
pub fn file_id(file: impl AsFd) -> Result<FileId, Error> {
    let status = rustix::fs::fstat(file).map_err(|errno| refused("fstat", errno))?;
    Ok(FileId {
        device: status.st_dev,
        inode: status.st_ino,
    })
}

/// Maps the whole file, shared and without reserving memory for it.
pub fn map(file: BorrowedFd<'_>, length: u64) -> Result<NonNull<u8>, Error> {
    map_for(file, length, ProtFlags::READ | ProtFlags::WRITE)
}

/// Maps the whole file to be read: a store into it ends the process, so there is none.
pub fn map_to_read(file: BorrowedFd<'_>, length: u64) -> Result<NonNull<u8>, Error> {
    map_for(file, length, ProtFlags::READ)
}

/// Maps as much memory that is shared with forked children only: no file, so nobody can be given
/// it.
pub fn map_without_file(length: u64) -> Result<NonNull<u8>, Error> {
    let length = address_space(length)?;
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a null hint without MAP_FIXED only adds a mapping where there was none.
    let start =
        unsafe { rustix::mm::mmap_anonymous(core::ptr::null_mut(), length, access, MAPPING) };
    keep_from_dumps(start, length)
}

const MAPPING: MapFlags = MapFlags::SHARED.union(MapFlags::NORESERVE);

fn map_for(file: BorrowedFd<'_>, length: u64, access: ProtFlags) -> Result<NonNull<u8>, Error> {
    let length = address_space(length)?;
    // SAFETY: a null hint without MAP_FIXED only adds a mapping where there was none.
    let start =
        unsafe { rustix::mm::mmap(core::ptr::null_mut(), length, access, MAPPING, file, 0) };
    keep_from_dumps(start, length)
}

fn address_space(length: u64) -> Result<usize, Error> {
    usize::try_from(length).map_err(|_| Error::TooLarge {
        what: "a mapping",
        requested: length,
        limit: isize::MAX.cast_unsigned() as u64,
    })
}

/// Keeps a mapping that was just made out of core dumps, if it was made.
fn keep_from_dumps(
    mapped: Result<*mut core::ffi::c_void, Errno>,
    length: usize,
) -> Result<NonNull<u8>, Error> {
    let start = mapped.map_err(|errno| refused("mmap", errno))?;
    // Shared data of all processes in every core dump helps nobody. Not fatal where refused.
    // SAFETY: exactly the mapping that was made; MADV_DONTDUMP changes no content.
    let _ = unsafe { rustix::mm::madvise(start, length, Advice::LinuxDontDump) };
    NonNull::new(start.cast()).ok_or(Error::Os {
        call: "mmap",
        errno: libc::ENOMEM,
    })
}

/// Takes a mapping away.
///
/// # Safety
///
/// `start..start + length` is one mapping made by `map` or `super::fork::ForkPage`, and nothing
/// uses it any more.
pub unsafe fn unmap(start: NonNull<u8>, length: usize) {
    // SAFETY: passed on to the caller. Refusal leaves the mapping, which is only a leak.
    let _ = unsafe { rustix::mm::munmap(start.as_ptr().cast(), length) };
}

/// Makes the pages of a range real, or reports that there are none; content is kept.
pub fn commit(file: BorrowedFd<'_>, from: u64, length: u64) -> Result<(), Error> {
    in_steps(from, length, "fallocate", |start, step| {
        rustix::fs::fallocate(file, FallocateFlags::empty(), start, step)
    })
}

/// Gives the pages of a range back; they read as zero.
pub fn discard(file: BorrowedFd<'_>, from: u64, length: u64) -> Result<(), Error> {
    in_steps(from, length, "fallocate(PUNCH_HOLE)", |start, step| {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        rustix::fs::fallocate(file, flags, start, step)
    })
}

/// As `commit`, through the mapping, for a process that has lost its descriptor.
///
/// # Safety
///
/// `base + from .. base + from + length` is inside a mapping made by `map`.
pub unsafe fn commit_mapped(base: NonNull<u8>, from: u64, length: u64) -> Result<(), Error> {
    let first = from / TOUCH_STEP * TOUCH_STEP;
    let populated = in_steps(first, length + (from - first), "madvise", |start, step| {
        let start = base.as_ptr().wrapping_add(start as usize).cast();
        // SAFETY: inside the mapping by the caller's promise; MADV_POPULATE_WRITE faults pages in
        // and keeps their content.
        unsafe { rustix::mm::madvise(start, step as usize, Advice::LinuxPopulateWrite) }
    });
    match populated {
        Err(Error::Os {
            errno: libc::EINVAL,
            ..
        }) => {}
        // The page fault that found no memory is reported as a bad address.
        Err(Error::Os {
            errno: libc::EFAULT,
            ..
        }) => {
            return Err(Error::Os {
                call: "madvise(MADV_POPULATE_WRITE)",
                errno: libc::ENOMEM,
            });
        }
        populated => return populated,
    }
    // Kernels before 5.14: touch. Running out of memory here is a SIGBUS, which no such kernel
    // can avoid without a descriptor.
    for offset in (first..from + length).step_by(TOUCH_STEP as usize) {
        let word = base.as_ptr().wrapping_add(offset as usize).cast();
        // SAFETY: inside the mapping by the caller's promise, page aligned, and the adding of
        // nothing changes no content however many others use the word.
        unsafe { AtomicU32::from_ptr(word) }.fetch_add(0, Ordering::Relaxed);
    }
    Ok(())
}

/// As `discard`, through the mapping, for a process that has lost its descriptor.
///
/// # Safety
///
/// `base + from .. base + from + length` is inside a mapping made by `map`, and nobody needs its
/// content.
pub unsafe fn discard_mapped(base: NonNull<u8>, from: u64, length: u64) -> Result<(), Error> {
    in_steps(from, length, "madvise(MADV_REMOVE)", |start, step| {
        let start = base.as_ptr().wrapping_add(start as usize).cast();
        // SAFETY: passed on to the caller.
        unsafe { rustix::mm::madvise(start, step as usize, Advice::LinuxRemove) }
    })
}

/// Whether the system refused a call because it has no memory or address space left.
pub fn is_shortage(error: &Error) -> bool {
    matches!(
        error,
        Error::Os {
            errno: libc::ENOMEM | libc::ENOSPC,
            ..
        }
    )
}

/// Whether the system might grant less than it has refused. Valgrind, which has little address
/// space for the program that it runs, answers with `EINVAL`.
pub fn is_too_much(error: &Error) -> bool {
    let is_invalid = matches!(
        error,
        Error::Os {
            errno: libc::EINVAL,
            ..
        }
    );
    is_invalid || is_shortage(error)
}

/// Runs `call` over a range piece by piece, again after each interruption.
fn in_steps(
    from: u64,
    length: u64,
    name: &'static str,
    mut call: impl FnMut(u64, u64) -> Result<(), Errno>,
) -> Result<(), Error> {
    let end = from + length;
    let mut start = from;
    while start < end {
        let step = STEP.min(end - start);
        match call(start, step) {
            Ok(()) => start += step,
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(errno) => return Err(refused(name, errno)),
        }
    }
    Ok(())
}
