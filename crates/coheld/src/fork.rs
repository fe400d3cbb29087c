//! Forking: the child is a member of its own from its first instruction on.
//!
//! Before the fork the parent takes a slot for the child in every segment and holds for it what
//! it holds itself, so nothing that the child inherits can go away. In the child only system calls
//! and atomics are left to do, since the fork may have caught other threads anywhere.
//!
//! For the same reason no thread may be inside a mutex of this crate while another one forks: the
//! child would find it locked for ever. So every one of them is locked through [`guarded`], which
//! passes a gate that a fork closes. Nothing waits, and nothing that could need a lock of the
//! language runtime runs, while a thread is past the gate.
#![allow(
    clippy::disallowed_types,
    reason = "a gate of this process, not of the segment"
)]

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use crate::{Attachment, control, host, registry, wire};

/// Bit 31: closed. Below: how many threads are past the gate.
static GATE: AtomicU32 = AtomicU32::new(0);
const CLOSED: u32 = 1 << 31;

/// How long to sleep before looking at the gate again. Forks take some hundred microseconds.
const NAP: Duration = Duration::from_micros(50);

thread_local! {
    /// The attachments that the fork under way has prepared.
    static PREPARED: RefCell<Vec<Arc<Attachment>>> = const { RefCell::new(Vec::new()) };
}

/// A thread past the gate.
struct Pass;

impl Pass {
    fn enter() -> Self {
        loop {
            // Acquire: pairs with the Release that opens the gate after a fork.
            if GATE.fetch_add(1, Ordering::Acquire) & CLOSED == 0 {
                return Self;
            }
            GATE.fetch_sub(1, Ordering::Relaxed);
            host::pause(NAP);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        // Release: pairs with the Acquire in `close_gate`; the mutex is unlocked by then.
        GATE.fetch_sub(1, Ordering::Release);
    }
}

/// Runs `work` on what `mutex` guards, with no fork meanwhile.
///
/// `work` is short, never waits, and does not come back here.
pub(crate) fn guarded<T, R>(mutex: &Mutex<T>, work: impl FnOnce(&mut T) -> R) -> R {
    let _pass = Pass::enter();
    // Nothing in this crate leaves a table half changed by panicking.
    let mut content = mutex.lock().unwrap_or_else(PoisonError::into_inner);
    work(&mut content)
}

/// As `guarded`, for the thread that has closed the gate.
pub(crate) fn behind_gate<T, R>(mutex: &Mutex<T>, work: impl FnOnce(&mut T) -> R) -> R {
    let mut content = mutex.lock().unwrap_or_else(PoisonError::into_inner);
    work(&mut content)
}

/// Has the handlers run at every fork from now on.
pub(crate) fn register() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        if let Err(error) = coheld_shm::os::fork::register_handlers(prepare, parent, child) {
            // A child then joins by itself when it first touches a segment.
            log::warn!("forks cannot be prepared for: {error}");
        }
    });
}

/// Leaves every segment, for a process that was forked to do something else and needs nothing of
/// what it inherited: its holds end, though the handles are still there. Using one of them joins
/// its segment anew.
pub fn leave_all() {
    for attachment in registry::all() {
        attachment.segment().leave();
    }
}

extern "C" fn prepare() {
    // No `host::pause` here: the runtime is in the middle of a fork.
    while GATE.fetch_or(CLOSED, Ordering::Acquire) & CLOSED != 0 {
        std::thread::sleep(NAP);
    }
    // Acquire: pairs with the Release in `Pass::drop`.
    while GATE.load(Ordering::Acquire) != CLOSED {
        std::thread::sleep(NAP);
    }
    host::begin_fork();
    let attachments = registry::all_behind_gate();
    for attachment in &attachments {
        attachment.prepare_fork();
    }
    let _ = PREPARED.try_with(|prepared| prepared.replace(attachments));
}

extern "C" fn parent() {
    host::end_fork();
    wire::note_fork();
    let prepared = PREPARED.try_with(RefCell::take);
    // Release: pairs with the Acquire in `Pass::enter`.
    GATE.fetch_and(!CLOSED, Ordering::Release);
    // After the gate is open: the last of an attachment goes through it.
    drop(prepared);
}

extern "C" fn child() {
    host::end_fork();
    let prepared = PREPARED.try_with(RefCell::take).unwrap_or_default();
    for attachment in &prepared {
        attachment.adopt_fork();
    }
    registry::forget_unfinished_behind_gate();
    control::close_inherited_listeners();
    wire::forget_inherited();
    // Threads that waited at the gate are not here.
    GATE.store(0, Ordering::Release);
    drop(prepared);
}
