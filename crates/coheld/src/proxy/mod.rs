//! Proxies: what a program holds of a shared object.
//!
//! A proxy keeps its object alive. Its methods work on the object directly, in shared memory, and
//! may be called from any thread. What they return are copies.
//!
//! The typed proxies say what is in the object: a `ListProxy<i64>` is a list of integers, and
//! reading something else from it is an error. With `Value` as the type they take anything, and
//! [`Proxy`] is the form that does not even say which kind of object it is.

mod array;
mod common;
mod dict;
mod dynamic;
mod factory;
mod kind;
mod list;
mod namespace;
mod set;
mod value;

pub use self::{
    array::{ArrayProxy, Item},
    dict::DictProxy,
    dynamic::Proxy,
    kind::Kind,
    list::ListProxy,
    namespace::NamespaceProxy,
    set::SetProxy,
    value::ValueProxy,
};
pub(crate) use array::{bits_of_value, value_of_bits};
