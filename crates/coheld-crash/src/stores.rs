//! A child process that stops after each of its stores into some memory.
//!
//! An instruction that stores nothing leaves what was there before, so to die at every store is to
//! die at every instruction, and takes a hundredth of the time. The memory is write-protected; the
//! handler of the fault opens it for one instruction, and that of the trap after it closes it.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "signal handlers of a forked child, and the words that tell them of what"
)]

use core::sync::atomic::{AtomicUsize, Ordering};
use std::io;

/// The memory that is watched in this process.
static START: AtomicUsize = AtomicUsize::new(0);
static LENGTH: AtomicUsize = AtomicUsize::new(0);

/// Has this process stop, by SIGSTOP, after each store into `memory`, a whole mapping.
pub(crate) fn stop_at(memory: &[u8]) -> io::Result<()> {
    // Relaxed: one thread.
    START.store(memory.as_ptr() as usize, Ordering::Relaxed);
    LENGTH.store(memory.len(), Ordering::Relaxed);
    handle(libc::SIGSEGV, on_fault as Handler as usize)?;
    handle(libc::SIGTRAP, on_trap as Handler as usize)?;
    protect(libc::PROT_READ)
}

/// Ends that.
pub(crate) fn stop_no_more() {
    // A refusal shows in the next store, which ends the process.
    let _ = protect(libc::PROT_READ | libc::PROT_WRITE);
}

type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

fn handle(signal: libc::c_int, handler: usize) -> io::Result<()> {
    // SAFETY: all-zero bytes are a valid `sigaction`: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: `action` is valid, and the handlers below only make calls that are safe in one.
    let set = unsafe { libc::sigaction(signal, &raw const action, core::ptr::null_mut()) };
    if set == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn protect(protection: libc::c_int) -> io::Result<()> {
    let start = START.load(Ordering::Relaxed) as *mut libc::c_void;
    // SAFETY: a mapping of this process, named by the caller of `stop_at`; a store that is not
    // allowed meanwhile is what the handlers are for.
    let set = unsafe { libc::mprotect(start, LENGTH.load(Ordering::Relaxed), protection) };
    if set == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

extern "C" fn on_fault(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel passes a valid description of the fault.
    let info = unsafe { &*info };
    // SAFETY: the description of a fault has an address.
    let address = unsafe { info.si_addr() } as usize;
    let offset = address.wrapping_sub(START.load(Ordering::Relaxed));
    if offset >= LENGTH.load(Ordering::Relaxed)
        || protect(libc::PROT_READ | libc::PROT_WRITE).is_err()
    {
        // SAFETY: an ordinary fault ends the process when it happens again.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
        return;
    }
    set_trap(context, true);
}

extern "C" fn on_trap(
    _signal: libc::c_int,
    _info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    set_trap(context, false);
    if protect(libc::PROT_READ).is_ok() {
        // SAFETY: a signal to the calling thread.
        unsafe { libc::raise(libc::SIGSTOP) };
    }
}

/// Whether the interrupted thread traps after its next instruction.
#[cfg(target_arch = "x86_64")]
fn set_trap(context: *mut libc::c_void, on: bool) {
    const TRAP_FLAG: libc::greg_t = 1 << 8;
    // SAFETY: the kernel passes the registers of the interrupted thread, as a `ucontext_t`.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    let flags = &mut context.uc_mcontext.gregs[libc::REG_EFL as usize];
    if on {
        *flags |= TRAP_FLAG;
    } else {
        *flags &= !TRAP_FLAG;
    }
}

/// Other processors are single-stepped; see `can_be_caught`.
#[cfg(not(target_arch = "x86_64"))]
fn set_trap(_context: *mut libc::c_void, _on: bool) {}

/// Whether stores can be caught on this processor.
pub(crate) const fn can_be_caught() -> bool {
    cfg!(target_arch = "x86_64")
}
