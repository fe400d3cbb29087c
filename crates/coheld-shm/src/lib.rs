//! The memory of Coheld: one segment that many processes map, and everything that keeps it whole.
//!
//! This crate knows no values. It knows *words* that own heap blocks or hold references, blocks
//! that carry such words, referents with a lock in front of them, members that live and die, and
//! lanes in which an operation writes down what it is about to do, so that whoever comes after a
//! death can finish it or take it back. See `docs/layout.md`, `docs/locking.md` and
//! `docs/recovery.md`.
//!
//! Invariants that the modules below keep:
//!
//! 1. Every offset read from the segment is checked before it is used ([`Error::Corrupted`]).
//! 2. No reference to payload bytes exists, only atomics on 4- and 8-byte cells and copies.
//! 3. A heap block or data edge is owned by exactly one cell at every instruction.
//! 4. Lock order: referent, then size class, then pages. No two referent locks at once.
#![deny(unsafe_op_in_unsafe_fn)]
#![allow(
    clippy::disallowed_types,
    reason = "the owner of the atomics; see `sync`"
)]

mod bitmap;
mod glance;
pub mod lock;
#[cfg(all(test, loom))]
mod loom_tests;
mod sync;

#[cfg(not(loom))]
pub mod backing;
#[cfg(not(loom))]
mod error;
#[cfg(not(loom))]
mod heap;
#[cfg(not(loom))]
mod host;
#[cfg(not(loom))]
mod inspect;
#[cfg(not(loom))]
mod journal;
#[cfg(not(loom))]
mod lane;
#[cfg(not(loom))]
pub mod layout;
#[cfg(not(loom))]
mod lease;
#[cfg(not(loom))]
pub mod line;
/// The part of it that the models are about.
#[cfg(all(test, loom))]
mod line {
    pub(crate) mod bell;
    pub(crate) mod signal;
}
mod member;
#[cfg(not(loom))]
mod message;
/// The part of it that the models are about.
#[cfg(all(test, loom))]
mod message {
    pub(crate) mod word;
}
#[cfg(not(loom))]
mod operation;
#[cfg(not(loom))]
pub mod os;
#[cfg(not(loom))]
mod reclaim;
#[cfg(not(loom))]
mod recovery;
#[cfg(not(loom))]
mod referent;
#[cfg(not(loom))]
mod reservation;
#[cfg(not(loom))]
mod segment;
pub mod word;

#[cfg(not(loom))]
pub use self::{
    error::Error,
    heap::Block,
    host::Host,
    inspect::{LockPlace, LockView, MemberState, MemberView, ReferentView, Statistics, WaitView},
    lease::Lease,
    line::{Lost, Owner, Sign, Waiter, Wakes},
    member::fork::Reservation,
    member::manager::HostPlace,
    message::{Message, Posted},
    operation::{Fate, Operation},
    referent::{Glance, Guard, Look, Referent},
    reservation::Reserved,
    segment::{Mender, Options, Segment},
};
