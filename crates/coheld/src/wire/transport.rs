//! Connections that somebody else makes: a program's own, encrypted ones for instance.

use std::os::fd::RawFd;

use super::{Connection, Patience};
use crate::Error;

/// Makes connections to one manager.
pub trait Dial: Send + Sync {
    /// A new connection, over which both ends have proved to have the key.
    fn dial(&self) -> Result<Box<dyn Transport>, Error>;
}

/// A connection that [`Dial`] has made.
pub trait Transport: Send {
    /// Sends one message.
    fn send(&mut self, message: &[u8]) -> Result<(), Error>;

    /// Receives one message; `None`: the other end has gone.
    fn receive(&mut self, patience: Patience) -> Result<Option<Vec<u8>>, Error>;

    /// Whether the other end has gone, or has said something that nobody asked for.
    fn is_stale(&self) -> bool;
}

/// A connection of either kind.
pub(super) enum Line {
    Own(Connection),
    Foreign(Box<dyn Transport>),
}

impl Line {
    pub(super) fn send(&mut self, message: &[u8], patience: Patience) -> Result<(), Error> {
        match self {
            Self::Own(connection) => connection.send(message, patience),
            Self::Foreign(transport) => transport.send(message),
        }
    }

    pub(super) fn receive(&mut self, patience: Patience) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Own(connection) => connection.receive(patience),
            Self::Foreign(transport) => transport.receive(patience),
        }
    }

    pub(super) fn is_stale(&self) -> bool {
        match self {
            Self::Own(connection) => connection.is_stale(),
            Self::Foreign(transport) => transport.is_stale(),
        }
    }

    /// The number of the descriptor; below zero if that is not ours to close.
    pub(super) fn descriptor(&self) -> RawFd {
        match self {
            Self::Own(connection) => connection.descriptor(),
            Self::Foreign(_) => -1,
        }
    }
}
