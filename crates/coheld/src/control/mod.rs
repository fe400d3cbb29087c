//! The control plane: how processes come by the segment of a manager.
//!
//! A conversation is short: authentication in the manner of `multiprocessing.connection`, one
//! request, one reply, and for `ATTACH` the file descriptor of the segment. Nothing of it is needed
//! again as long as a process stays attached.

mod channel;
mod client;
mod conversation;
mod doorman;
mod listener;
mod origin;
mod protocol;
mod reaper;
mod server;

pub(crate) use client::{Answered, borrow_segment, dial, join};
pub use client::{connect, ping, shutdown};
pub use server::{Ending, Server, Stopper};

pub(crate) use listener::close_inherited_listeners;
