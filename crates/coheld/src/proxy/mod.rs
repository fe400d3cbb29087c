//! Proxies: what a program holds of a shared object.
//!
//! A proxy keeps its object alive. Its methods work on the object directly, in shared memory, and
//! may be called from any thread. What they return are copies.
//!
//! What waits (locks, queues and their like) has three forms of each operation that may have to
//! wait: one that waits as long as it takes, one that does not wait (`try_`), and one that waits
//! for some time (`_for`) or up to a moment (`_until`). Waiting sleeps in the kernel; nobody is
//! asked, and the death of another process wakes whoever waited for it.
//!
//! The typed proxies say what is in the object: a `ListProxy<i64>` is a list of integers, and
//! reading something else from it is an error. With `Value` as the type they take anything, and
//! [`Proxy`] is the form that does not even say which kind of object it is.
//!
//! ```
//! use coheld::{ListProxy, Manager, Proxy, Value};
//!
//! let manager = Manager::start()?;
//! let numbers: ListProxy<i64> = manager.list()?;
//! numbers.extend([2, 3, 5])?;
//! let anything: ListProxy<Value> = Proxy::from(numbers.clone()).try_into()?;
//! anything.append(&Value::from("seven"))?;
//! assert_eq!(numbers.get(2)?, 5);
//! assert!(numbers.get(3).is_err(), "no integer");
//! # Ok::<(), coheld::Error>(())
//! ```

mod array;
mod attempts;
mod barrier;
mod common;
mod condition;
mod dict;
mod dynamic;
mod event;
mod factory;
mod held;
mod interface;
mod kind;
mod list;
mod lock;
mod namespace;
mod queue;
mod rlock;
mod semaphore;
mod set;
mod value;
mod view;

pub use self::{
    array::{ArrayProxy, Item},
    barrier::BarrierProxy,
    condition::{ConditionGuard, ConditionProxy},
    dict::DictProxy,
    dynamic::Proxy,
    event::EventProxy,
    held::HoldsLock,
    interface::Interface,
    kind::Kind,
    list::ListProxy,
    lock::{LockGuard, LockProxy},
    namespace::NamespaceProxy,
    queue::{Items, QueueProxy},
    rlock::{RLockGuard, RLockProxy},
    semaphore::{Permit, SemaphoreProxy},
    set::SetProxy,
    value::ValueProxy,
    view::{ArrayView, BytesRef},
};
pub(crate) use {
    array::{bits_of_value, value_of_bits},
    held::within_seconds,
    interface::ITERATOR,
};
