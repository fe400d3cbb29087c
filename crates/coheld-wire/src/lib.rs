//! The wire protocols of Coheld, as pure functions of bytes: nothing here reads or writes a socket.
//!
//! * [`frame`]: how messages are cut out of a stream;
//! * [`auth`]: one direction of the authentication, challenger and responder;
//! * [`handshake`]: both directions in the order in which the two ends take their turns.
//!
//! All of it is what `multiprocessing.connection` of `CPython` speaks, in both of its generations.

#![forbid(unsafe_code)]

pub mod auth;
pub mod digest;
pub mod frame;
pub mod handshake;
