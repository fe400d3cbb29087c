//! Objects of any Python class behind proxies: calling their methods, and being their host.

mod call;

pub(crate) use self::call::{call_method, move_to_manager};
