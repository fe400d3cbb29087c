//! The values and the native referents of Coheld.
//!
//! This crate knows what words mean (see [`word`]), how values become words and blocks ([`Input`],
//! [`Output`]), what makes two keys equal ([`key`]), and the structures: list, dict, set,
//! namespace, value and array. It knows no Python and no sockets, and it has no unsafe code: all
//! memory is reached through `coheld-shm`, which checks every offset.
//!
//! Rules that all operations keep:
//!
//! * Nothing is allocated under a referent lock, neither private memory nor blocks of the segment.
//!   An operation that finds too little room unlocks, makes room, locks and looks again.
//! * Every mutation takes effect by one store, marked `COMMIT:`. What a death before or after it
//!   leaves to be mended is marked `CRASH:`.
//! * Every number read from the segment is checked; wrong ones are [`StoreError::Corrupted`].

#![forbid(unsafe_code)]

pub mod array;
pub mod block;
pub mod dict;
pub mod error;
pub mod input;
pub mod key;
pub mod kinds;
pub mod list;
pub mod namespace;
pub mod output;
pub mod set;
pub mod slice;
pub mod snapshot;
mod table;
pub mod value;
pub mod verify;
pub mod word;

use coheld_shm::Guard;

pub use self::{
    array::Array,
    dict::Dict,
    error::{IndexProblem, Result, StoreError},
    input::Input,
    key::{CanonicalBuilder, Key, KeyHasher, TupleKey},
    list::{List, Search},
    namespace::Namespace,
    output::Output,
    set::Set,
    slice::Slice,
    snapshot::{OutputRef, Snapshot},
    table::Updated,
    value::Value,
    verify::{Problem, Report, verify},
    word::Scalar,
};

/// Mends a referent whose lock was taken over from the dead. Given to `Segment::set_mender` by
/// whoever creates or attaches a segment.
pub fn mend(guard: &Guard<'_>) {
    match guard.kind() {
        kinds::referent::DICT | kinds::referent::SET | kinds::referent::NAMESPACE => {
            table::mend(guard);
        }
        // The others change by one store only.
        _ => {}
    }
}
