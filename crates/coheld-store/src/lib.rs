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

pub mod arithmetic;
pub mod array;
pub mod block;
pub mod buffer;
pub mod channel;
pub mod dict;
pub mod error;
pub mod hosted;
pub mod input;
pub mod key;
pub mod kinds;
pub mod list;
pub mod namespace;
pub mod output;
pub mod queue;
pub mod set;
pub mod slice;
pub mod snapshot;
pub mod survey;
pub mod sync;
mod table;
pub mod value;
pub mod verify;
pub mod word;

use coheld_shm::{Guard, Lost, Mender, Wakes};

pub use self::{
    array::{Array, Extent},
    buffer::Buffer,
    channel::Channel,
    dict::Dict,
    error::{IndexProblem, Result, StoreError},
    hosted::{Hosted, move_to_host},
    input::Input,
    key::{CanonicalBuilder, Key, KeyHasher, TupleKey},
    list::{List, Search},
    namespace::Namespace,
    output::Output,
    queue::Queue,
    set::Set,
    slice::Slice,
    snapshot::{OutputRef, Snapshot},
    sync::{
        Acquired, Arrived, Barrier, Condition, Event, Lock, Passage, Purpose, Semaphore, Standing,
        Wait, Watched,
    },
    table::Updated,
    value::Value,
    verify::{Problem, Report, verify},
    word::Scalar,
};

/// What the dead leave to be done. Given to `Segment::set_mender` by whoever creates or attaches a
/// segment.
pub const MENDER: Mender = Mender { mend, pass_on };

/// Mends a referent whose lock was taken over from the dead.
fn mend(guard: &Guard<'_>) {
    use kinds::referent as kind;
    match guard.kind() {
        kind::DICT | kind::SET | kind::NAMESPACE => table::mend(guard),
        kind::QUEUE | kind::JOINABLE_QUEUE => queue::mend(guard),
        kind::HOSTED => hosted::mend(guard),
        // The others change by one store only, or belong to `sync`.
        _ => sync::mend(guard),
    }
}

/// Gives what a lost waiter was to have to the next in line.
fn pass_on(guard: &Guard<'_>, lost: Lost, wakes: &mut Wakes<'_>) {
    sync::pass_on(guard, lost, wakes);
}
