//! POSIX record locks on single bytes of the memory file: the kernel's word on who lives.
//!
//! The kernel drops them when the process ends, whatever way it ends, before its parent has
//! collected it and in every pid namespace; a forked child does not have them. The price: closing
//! *any* descriptor of the same file drops all of them, hence one descriptor per process.
//!
//! Plain `F_SETLK`, not `F_OFD_SETLK`: an open-file lock would live on in forked children.

use std::os::fd::RawFd;

use super::last_refusal;
use crate::Error;

/// Takes byte `index`; `false` if another process has it. Asks only the kernel, so it may be
/// called right after a fork.
pub fn take(descriptor: RawFd, index: u32) -> Result<bool, Error> {
    loop {
        let mut request = request(libc::F_WRLCK, index);
        if control(descriptor, libc::F_SETLK, &mut request) {
            return Ok(true);
        }
        match std::io::Error::last_os_error().raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::EAGAIN | libc::EACCES) => return Ok(false),
            _ => return Err(last_refusal("fcntl(F_SETLK)")),
        }
    }
}

/// Gives byte `index` up.
pub fn release(descriptor: RawFd, index: u32) {
    // Fails only for a descriptor that is gone, and the lock went with it.
    let _ = control(
        descriptor,
        libc::F_SETLK,
        &mut request(libc::F_UNLCK, index),
    );
}

/// Whether another process has byte `index`. Own locks do not show.
pub fn is_taken(descriptor: RawFd, index: u32) -> Result<bool, Error> {
    let mut request = request(libc::F_WRLCK, index);
    if control(descriptor, libc::F_GETLK, &mut request) {
        Ok(i32::from(request.l_type) != libc::F_UNLCK)
    } else {
        Err(last_refusal("fcntl(F_GETLK)"))
    }
}

fn request(kind: i32, index: u32) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: index.into(),
        l_len: 1,
        l_pid: 0,
    }
}

fn control(descriptor: RawFd, command: i32, request: &mut libc::flock) -> bool {
    let request: *mut libc::flock = request;
    // SAFETY: `request` points to a `flock` that lives and is not shared for the whole call, and
    // both commands used here read and write exactly one `flock`. A wrong descriptor is EBADF.
    unsafe { libc::fcntl(descriptor, command, request) == 0 }
}
