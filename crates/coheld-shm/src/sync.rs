//! Atomics, or what a model checker puts in their place: the one place of this crate that names
//! `core::sync::atomic`.
//!
//! * `--cfg loom`: loom's atomics, which know about orderings. Good for a few cells.
//! * `--cfg shuttle`: the atomics of the core, so that they can lie over the memory of a segment,
//!   each of whose operations lets shuttle's scheduler choose who goes on. Good for whole
//!   operations of many threads, in one order of all stores.
#![allow(
    clippy::disallowed_types,
    reason = "this module is the owner of the raw atomics"
)]

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{Ordering, fence};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(not(any(loom, shuttle)))]
pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64};
// For the items of arrays, of which no model is made.
#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicU8, AtomicU16};
#[cfg(shuttle)]
pub(crate) use scheduled::{AtomicU32, AtomicU64};

#[cfg(shuttle)]
pub(crate) use shuttle::{sync::Mutex, thread_local};
#[cfg(not(any(loom, shuttle)))]
pub(crate) use std::{sync::Mutex, thread_local};

/// Whether a model is run, in which rounds of spinning are so many states more and nothing else.
pub(crate) const MODEL: bool = cfg!(any(loom, shuttle));

/// Keeps the compiler from moving stores across a point at which a death must find them in order.
///
/// A killed process stops between two machine instructions, so program order is all that recovery
/// needs; no processor fence is involved.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) fn program_order() {
    core::sync::atomic::compiler_fence(Ordering::SeqCst);
}

/// A hint that the caller is spinning.
#[inline]
pub(crate) fn spin() {
    #[cfg(not(any(loom, shuttle)))]
    core::hint::spin_loop();
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(shuttle)]
    shuttle::thread::yield_now();
}

/// Lets other threads run.
pub(crate) fn yield_now() {
    #[cfg(not(any(loom, shuttle)))]
    std::thread::yield_now();
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(shuttle)]
    shuttle::thread::yield_now();
}

/// The atomics of the core with a choice of the scheduler before each operation.
#[cfg(shuttle)]
#[allow(
    dead_code,
    missing_docs,
    reason = "one set for both widths; each operation is that of the core's atomic"
)]
mod scheduled {
    use core::sync::atomic::{self, Ordering};
    use std::time::Duration;

    /// Another thread may go on here. Not `yield_now`, after which shuttle would rather let others
    /// go on: a thread is interrupted here as well as anywhere.
    fn choice() {
        // Shuttle knows no time; to sleep is to be interrupted.
        shuttle::thread::sleep(Duration::ZERO);
    }

    macro_rules! scheduled {
        ($name:ident, $value:ty) => {
            #[repr(transparent)]
            pub struct $name(atomic::$name);

            impl $name {
                pub const fn new(value: $value) -> Self {
                    Self(atomic::$name::new(value))
                }

                /// # Safety
                ///
                /// As for the core's atomic.
                pub const unsafe fn from_ptr<'a>(pointer: *mut $value) -> &'a Self {
                    // SAFETY: the caller promises what the core's atomic asks for, and the type
                    // is a transparent wrapper of it.
                    unsafe { &*pointer.cast() }
                }

                pub fn load(&self, order: Ordering) -> $value {
                    choice();
                    self.0.load(order)
                }

                pub fn store(&self, value: $value, order: Ordering) {
                    choice();
                    self.0.store(value, order);
                }

                pub fn swap(&self, value: $value, order: Ordering) -> $value {
                    choice();
                    self.0.swap(value, order)
                }

                pub fn compare_exchange(
                    &self,
                    current: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    choice();
                    self.0.compare_exchange(current, new, success, failure)
                }

                pub fn compare_exchange_weak(
                    &self,
                    current: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    self.compare_exchange(current, new, success, failure)
                }

                pub fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                    choice();
                    self.0.fetch_add(value, order)
                }

                pub fn fetch_and(&self, value: $value, order: Ordering) -> $value {
                    choice();
                    self.0.fetch_and(value, order)
                }

                pub fn fetch_max(&self, value: $value, order: Ordering) -> $value {
                    choice();
                    self.0.fetch_max(value, order)
                }

                pub fn fetch_min(&self, value: $value, order: Ordering) -> $value {
                    choice();
                    self.0.fetch_min(value, order)
                }

                pub fn fetch_update(
                    &self,
                    set: Ordering,
                    fetch: Ordering,
                    update: impl FnMut($value) -> Option<$value>,
                ) -> Result<$value, $value> {
                    choice();
                    self.0.fetch_update(set, fetch, update)
                }
            }
        };
    }

    scheduled!(AtomicU32, u32);
    scheduled!(AtomicU64, u64);
}
