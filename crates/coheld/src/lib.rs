//! Shared objects for processes.
//!
//! A [`Manager`] owns a segment of shared memory; every process that attaches to it works on the
//! objects in there directly. The manager itself is asked only for the segment, and goes on
//! cleaning up after processes that died.
//!
//! * [`Manager`]: starts one in this process, or connects to one of another;
//! * [`Attachment`]: this process's access to one segment;
//! * [`Handle`]: one proxy's reference to a referent;
//! * [`Token`]: the name of a referent, for handing it to another process as text;
//! * [`proxy`]: lists, dicts, sets, values, arrays and namespaces, locks, semaphores, events,
//!   conditions, barriers and queues, typed or not;
//! * [`exposed`]: types of the program as shared objects, with typed proxies, by the attribute
//!   [`expose`](macro@expose);
//! * [`process`]: functions of the program run by other processes, as threads run them;
//! * [`hosted`]: what these are made of: objects that live in one process, which the others call;
//! * [`value`]: what can be in them;
//! * [`server`]: a manager without Python, for clients of the standard library too;
//! * [`observe`]: looking at a segment from outside, for tools.
//!
//! ```
//! use coheld::Manager;
//!
//! let manager = Manager::start()?;
//! let counts = manager.dict::<String, i64>()?;
//! std::thread::scope(|scope| {
//!     for _ in 0..4 {
//!         // Threads or processes: it is the same, with `process::spawn` and a clone of the proxy.
//!         scope.spawn(|| counts.increment("visitors", 1));
//!     }
//! });
//! assert_eq!(counts.get("visitors")?, Some(4));
//! # Ok::<(), coheld::Error>(())
//! ```
//!
//! # Features
//!
//! * `macros`, on by default: the attribute [`expose`](macro@expose).
//! * `tokio`: `executor::tokio`, on which async methods of exposed types run.
//!
//! # What is promised
//!
//! The versions of this crate follow Semantic Versioning: what is on these pages is changed
//! incompatibly by a new version before the first dot only (before 1.0: before the second). Enums
//! that may get more cases are `#[non_exhaustive]`. Not promised are what these pages do not show,
//! the text of errors, what `Debug` writes, and the crates `coheld-shm`, `coheld-store` and
//! `coheld-wire`, beyond those types of theirs that are named here.
//!
//! It is compiled by Rust 1.88 and newer; that a version needs a newer one is no incompatible
//! change, and the changelog says so. The processes that share a segment need the same layout of
//! it, which has a version of its own.
//!
//! All types are `Send` and `Sync` but the guards of locks that belong to the thread that has taken
//! them, [`RLockGuard`] and [`ConditionGuard`], and what describes a process before it is started.
//! A panic on account of arguments, of what other processes send, or of what is in the segment, is
//! a defect.

#![forbid(unsafe_code)]
#![warn(missing_debug_implementations)]

mod address;
mod attachment;
mod call;
// For the other crates of this project only; nothing of it is promised.
#[allow(missing_debug_implementations, reason = "of no use to programs")]
#[doc(hidden)]
pub mod control;
mod error;
#[cfg(feature = "tokio")]
pub mod executor;
pub mod exposed;
mod fork;
mod handle;
mod holders;
mod host;
pub mod hosted;
mod key;
mod manager;
pub mod observe;
mod order;
pub mod process;
pub mod proxy;
mod registry;
pub mod server;
mod stream;
pub mod token;
pub mod value;
// For the other crates of this project only; nothing of it is promised.
#[allow(missing_debug_implementations, reason = "of no use to programs")]
#[doc(hidden)]
pub mod wire;

pub use address::Address;
pub use attachment::{Attachment, SegmentOptions};
pub use call::{Exception, Raised};
pub use coheld_store::{Acquired, Slice, StoreError, Wait};
pub use error::Error;
pub use exposed::{ExposedProxy, Streamed, share};
pub use handle::Handle;
pub use key::{AUTHKEY_VARIABLE, MD5_VARIABLE, authkey_from_environment, new_authkey};
pub use manager::Manager;
pub use proxy::{
    ArrayProxy, ArrayView, BarrierProxy, BytesRef, ConditionGuard, ConditionProxy, DictProxy,
    EventProxy, HoldsLock, Interface, Kind, ListProxy, LockGuard, LockProxy, NamespaceProxy,
    Permit, Proxy, QueueProxy, RLockGuard, RLockProxy, SemaphoreProxy, SetProxy, ValueProxy,
};
pub use server::Server;
pub use token::Token;
pub use value::{BigInt, Bytes, Pickle, Value, ValueError};

#[cfg(feature = "macros")]
pub use coheld_macros::expose;

/// A result of this crate.
///
/// ```
/// fn total(numbers: &coheld::ListProxy<i64>) -> coheld::Result<i64> {
///     Ok(numbers.iter()?.sum())
/// }
///
/// let manager = coheld::Manager::start()?;
/// assert_eq!(total(&manager.list()?)?, 0);
/// # Ok::<(), coheld::Error>(())
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

// For the other crates of this project only; nothing of it is promised.
#[doc(hidden)]
pub use {fork::leave_all, host::set_host};

/// What generated code names.
#[doc(hidden)]
pub mod __private {
    pub use serde;
}

/// The blocks of Rust in the documents, as tests. A tidy test sees to it that none is missing.
#[cfg(all(doctest, feature = "tokio"))]
mod documents {
    macro_rules! documents {
        ($($name:ident = $path:literal;)*) => {
            $(
                #[doc = include_str!(concat!("../../../", $path))]
                struct $name;
            )*
        };
    }

    documents! {
        Readme = "README.md";
        Introduction = "docs/introduction.md";
        GuideRust = "docs/guide-rust.md";
        Rust = "docs/rust.md";
    }
}
