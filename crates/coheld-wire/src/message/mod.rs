//! Requests and replies of `multiprocessing.managers`, in the serializer `pickle`.
//!
//! A request is the pickle of `(ident, method, arguments, keywords)`, a reply that of
//! `(kind, result)`. [`Request::read`] and [`Reply::read`] look at them without making the values,
//! which stay nodes of a graph; the functions beside them write them. What the values themselves
//! say to a manager is read by [`Token`], [`ProxyRecord`] and [`Raised`].
//!
//! ```
//! use coheld_wire::message::{Reply, ReplyKind, Request, request, returned};
//! use coheld_wire::pickle::Term;
//!
//! let bytes = request(Some("7f0012ab"), "append", &[Term::Int(5)], &[])?;
//! let request = Request::read(&bytes)?;
//! assert_eq!((request.ident(), request.method()), (Some("7f0012ab"), "append"));
//! assert_eq!(request.graph().int(request.arguments()[0]), Some(5));
//!
//! let bytes = returned(&Term::None)?;
//! let reply = Reply::read(&bytes)?;
//! assert_eq!(reply.kind(), ReplyKind::Return);
//! assert!(reply.graph().is_none(reply.result()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod proxy;
mod raised;
mod reply;
mod request;
mod token;

use std::fmt;

pub use self::proxy::ProxyRecord;
pub use self::raised::{Raised, exception};
pub use self::reply::{
    Reply, ReplyKind, proxied, raised, reply_with, returned, traceback, unserializable,
};
pub use self::request::{Request, request, request_with};
pub use self::token::{Address, Token};
use crate::pickle::{Graph, Malformed};

/// The module whose classes and functions are named in messages.
const MANAGERS: &str = "multiprocessing.managers";

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadMessage {
    /// They are no pickle.
    Malformed(Malformed),
    /// There are bytes behind the pickle.
    Trailing {
        /// How many.
        count: usize,
    },
    /// The pickle is something else than a request.
    NotARequest {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The pickle is something else than a reply.
    NotAReply {
        /// What is wrong with it.
        why: &'static str,
    },
}

impl fmt::Display for BadMessage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(formatter),
            Self::Trailing { count } => {
                write!(formatter, "bad message: {count} bytes follow the pickle")
            }
            Self::NotARequest { why } => write!(formatter, "bad request: {why}"),
            Self::NotAReply { why } => write!(formatter, "bad reply: {why}"),
        }
    }
}

impl std::error::Error for BadMessage {}

impl From<Malformed> for BadMessage {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// The graph of a message, which is one pickle and nothing else.
fn read(payload: &[u8]) -> Result<Graph<'_>, BadMessage> {
    let graph = Graph::read(payload)?;
    match payload.len() - graph.length() {
        0 => Ok(graph),
        count => Err(BadMessage::Trailing { count }),
    }
}

#[cfg(test)]
mod tests;
