//! Noticing a fork: a page that reads zero in the child, and handlers that run around it.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64};
use std::os::fd::RawFd;

use rustix::mm::{Advice, MapFlags, ProtFlags};

use super::{memfd, refused};
use crate::Error;

const PAGE: usize = 4096;
/// Words of a fork page beside its cell.
const EXTRA_WORDS: usize = 6;

/// A private page that the kernel hands to a forked child filled with zeros.
///
/// One load tells whether this is still the process that wrote it; no system call is needed.
pub(crate) struct ForkPage {
    start: NonNull<u8>,
}

// SAFETY: the page is owned by this value alone and reached only through atomics.
unsafe impl Send for ForkPage {}
// SAFETY: as for Send.
unsafe impl Sync for ForkPage {}

impl ForkPage {
    /// A new page, all zero.
    pub(crate) fn new() -> Result<Self, Error> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a null hint without MAP_FIXED only adds a mapping where there was none.
        let start = unsafe {
            rustix::mm::mmap_anonymous(core::ptr::null_mut(), PAGE, access, MapFlags::PRIVATE)
        };
        let start = start.map_err(|errno| refused("mmap", errno))?;
        let page = NonNull::new(start.cast())
            .map(|start| Self { start })
            .ok_or(Error::Os {
                call: "mmap",
                errno: libc::ENOMEM,
            })?;
        // SAFETY: exactly the mapping made above, which only `page` knows.
        unsafe { rustix::mm::madvise(start, PAGE, Advice::LinuxWipeOnFork) }
            .map_err(|errno| refused("madvise(MADV_WIPEONFORK)", errno))?;
        Ok(page)
    }

    /// The first word of the page.
    pub(crate) fn cell(&self) -> &AtomicU32 {
        // SAFETY: the page is mapped, page aligned and zeroed as long as `self` lives, all access
        // is atomic, and bytes 0..4 are reached through this method alone.
        unsafe { AtomicU32::from_ptr(self.start.as_ptr().cast()) }
    }

    /// Word `index` of `EXTRA_WORDS` more, for what must be forgotten on a fork as well.
    pub(crate) fn extra(&self, index: usize) -> &AtomicU64 {
        assert!(index < EXTRA_WORDS, "a fork page has no extra word {index}");
        let word = self.start.as_ptr().wrapping_add(8 + 8 * index);
        // SAFETY: bytes 8..56 of the page, 8-byte aligned, mapped as long as `self` lives; all
        // access is atomic.
        unsafe { AtomicU64::from_ptr(word.cast()) }
    }
}

impl Drop for ForkPage {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`; the borrows given out by `cell` have ended.
        unsafe { memfd::unmap(self.start, PAGE) };
    }
}

/// Has `prepare` and `parent` run before and after each fork of this process, and `child` in the
/// new process. `child` may only do what is safe in a signal handler if the process has threads.
///
/// Cannot be undone; register once.
pub fn register_handlers(
    prepare: extern "C" fn(),
    parent: extern "C" fn(),
    child: extern "C" fn(),
) -> Result<(), Error> {
    // SAFETY: the handlers are safe functions of this program that live as long as it does; an
    // extension module is never unloaded.
    let errno = unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
    if errno == 0 {
        Ok(())
    } else {
        Err(Error::Os {
            call: "pthread_atfork",
            errno,
        })
    }
}

/// In a forked child: closes a descriptor whose owner, a thread of the parent, is not here.
pub fn close_in_child(descriptor: RawFd) {
    if descriptor >= 0 {
        // SAFETY: the owner was a thread that the fork did not copy, so nobody in this process
        // will use or close the descriptor; a number that is not open is EBADF.
        let _ = unsafe { libc::close(descriptor) };
    }
}
