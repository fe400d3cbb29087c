//! Atomics, or loom's model of them: the one place of this crate that names `core::sync::atomic`.
#![allow(
    clippy::disallowed_types,
    reason = "this module is the owner of the raw atomics"
)]

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, compiler_fence, fence};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Keeps the compiler from moving stores across a point at which a death must find them in order.
///
/// A killed process stops between two machine instructions, so program order is all that recovery
/// needs; no processor fence is involved.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) fn program_order() {
    compiler_fence(Ordering::SeqCst);
}

/// A hint that the caller is spinning.
#[inline]
pub(crate) fn spin() {
    #[cfg(not(loom))]
    core::hint::spin_loop();
    #[cfg(loom)]
    loom::thread::yield_now();
}
