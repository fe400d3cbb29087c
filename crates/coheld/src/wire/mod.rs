//! The protocol of the standard library: for clients and managers that share no memory with this
//! process, because they are on another machine, or know nothing of Coheld.
//!
//! * [`Link`]: the way to such a manager, and [`Remote`]: a reference to an object of it;
//! * [`ServeClient`]: what serves such clients, and [`References`]: what they hold;
//! * [`Connection`]: messages in either direction.

mod connection;
mod dialing;
mod ident;
mod lines;
mod link;
mod references;
mod remote;
mod reports;
mod request;
mod transport;

pub(crate) use self::lines::{forget_inherited, note_fork};
pub use self::{
    connection::{Connection, Patience},
    ident::{ident, place_of},
    link::Link,
    references::{Client, Membership, References, SessionId},
    remote::Remote,
    request::Serializer,
    transport::{Dial, Transport},
};

/// Serves clients that speak the protocol of the standard library.
pub trait ServeClient: Send + Sync {
    /// Serves a client that has proved to have the key, until it goes. Called on a thread of its
    /// own, which need not be the one that serves in the end.
    fn serve(&self, client: NewClient);

    /// Cleans up what can be cleaned up. Called about once a second.
    fn sweep(&self);
}

/// A client that has proved to have the key.
pub struct NewClient {
    /// Where its messages come from.
    pub connection: Connection,
    /// What it has said of itself, if it is one of Coheld.
    pub introduction: Option<Introduction>,
}

/// What a client of Coheld says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// Which of the connections of a manager belong to the same process.
    pub session: SessionId,
    /// The session of the process that this one was forked from.
    pub parent: Option<SessionId>,
}
