//! The owner-tagged lock: four bytes, taken by one compare-and-swap, mended after a death.
//!
//! [`word`] is the algorithm on any `AtomicU32` (loom checks it); the segment supplies the
//! environment: sleeping on the word, and asking whether an owner lives.

pub mod word;
