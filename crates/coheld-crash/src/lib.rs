//! The crash explorer: runs an operation in a child process one machine instruction at a time and,
//! whenever the segment has changed, tries on a copy what the next process would find if the child
//! had been killed right there.
//!
//! For each such point it checks that
//!
//! * recovery brings the shared structures to the state before the operation or the one after it;
//! * the whole segment verifies: no block lost, none owned twice, all counts and indexes right;
//! * every lock can be taken and the structures can be used;
//! * when the other process is gone as well, nothing is left.
//!
//! From each such point it then has another process mend what the first one has left, which dies at
//! each of its stores, and from some of those points a third one.

pub mod cases;
mod check;
mod explore;
mod image;
mod recovery;
mod stage;
mod step;
mod stores;
mod walk;

pub use explore::{Finding, Outcome, explore};
pub use recovery::explore_recovery;
