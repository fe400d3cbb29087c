//! The serializer `xmlrpclib`: requests and replies as XML.
//!
//! Each message is the text of `xmlrpc.client.dumps((message,), allow_none=True)`. There are fewer
//! types than in pickles: tuples arrive as lists, keys of dicts are text, and Python itself sends
//! integers of 32 bits only.
//!
//! ```
//! use coheld_wire::xmlrpc::{self, Request, Value};
//!
//! let request = Request {
//!     ident: Some("7f00".into()),
//!     method: "append".into(),
//!     arguments: vec![Value::Int(5)],
//!     keywords: vec![],
//! };
//! assert_eq!(Request::read(&request.write()?)?, request);
//! assert!(xmlrpc::read(b"<params></params>").is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod message;
mod read;
mod write;

use std::fmt;

pub use self::message::{Reply, Request};
pub use self::read::read;
pub use self::write::write;

/// How deep values can be nested.
pub const DEPTH_LIMIT: usize = 500;

/// A value of XML-RPC.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// `None`.
    Nil,
    /// `True` or `False`.
    Bool(bool),
    /// An integer. Python reads any, and sends those of 32 bits.
    Int(i64),
    /// A float.
    Double(f64),
    /// Text.
    String(String),
    /// Bytes, which Python gets as `xmlrpc.client.Binary`.
    Base64(Vec<u8>),
    /// A list.
    Array(Vec<Value>),
    /// A dict in its order.
    Struct(Vec<(String, Value)>),
    /// A time, as it is written: `20260101T00:00:00`.
    DateTime(String),
}

/// Why a message could not be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum XmlError {
    /// The bytes are no such message.
    Malformed {
        /// About where.
        offset: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// The value is something else than a message.
    NotAMessage {
        /// What is wrong with it.
        why: &'static str,
    },
    /// Values are nested too deeply.
    TooDeep,
    /// XML has no way to write this character.
    Unwritable(char),
}

impl fmt::Display for XmlError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { offset, why } => {
                write!(formatter, "bad XML-RPC: {why} (near byte {offset})")
            }
            Self::NotAMessage { why } => write!(formatter, "bad message in XML-RPC: {why}"),
            Self::TooDeep => write!(
                formatter,
                "values are nested more than {DEPTH_LIMIT} deep; pass the inner ones separately"
            ),
            Self::Unwritable(character) => write!(
                formatter,
                "text with the character {character:?} cannot be sent as XML; use the serializer \
                 'pickle', or bytes"
            ),
        }
    }
}

impl std::error::Error for XmlError {}

#[cfg(test)]
mod tests;
