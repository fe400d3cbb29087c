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
//! * [`observe`]: looking at a segment from outside, for tools;
//! * [`control`]: the server and client between which segments are handed over.

#![forbid(unsafe_code)]

mod address;
mod attachment;
mod call;
pub mod control;
mod error;
pub mod exposed;
mod fork;
mod handle;
mod holders;
mod host;
pub mod hosted;
mod key;
mod manager;
pub mod observe;
pub mod process;
pub mod proxy;
mod registry;
pub mod server;
mod stream;
pub mod token;
pub mod value;
pub mod wire;

pub use address::Address;
pub use attachment::{Attachment, SegmentOptions};
pub use call::{Exception, Raised};
pub use coheld_store::{Acquired, Slice, StoreError, Wait};
pub use error::Error;
pub use exposed::{ExposedProxy, Streamed, share};
pub use fork::leave_all;
pub use handle::Handle;
pub use host::set_host;
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
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What generated code names.
#[doc(hidden)]
pub mod __private {
    pub use serde;
}

/// The blocks of Rust in the documents, as tests. A tidy test sees to it that none is missing.
#[cfg(doctest)]
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
