//! Replies.

use std::borrow::Cow;

use super::{BadMessage, Raised, Token};
use crate::pickle::{ExtractError, Graph, Number, Term, Writer};

/// What a reply says about its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyKind {
    /// It is what the method returned.
    Return,
    /// It is the exception that the method raised.
    Error,
    /// It is the text of a traceback: the server could not serve the request.
    Traceback,
    /// It is the text of what could not be pickled.
    Unserializable,
    /// It is the names of methods and the token of an object that stays in the server.
    Proxy,
}

impl ReplyKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Return,
        Self::Error,
        Self::Traceback,
        Self::Unserializable,
        Self::Proxy,
    ];

    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Return => "#RETURN",
            Self::Error => "#ERROR",
            Self::Traceback => "#TRACEBACK",
            Self::Unserializable => "#UNSERIALIZABLE",
            Self::Proxy => "#PROXY",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A reply.
#[derive(Clone, Debug)]
pub struct Reply<'p> {
    graph: Graph<'p>,
    kind: ReplyKind,
    result: Number,
}

impl<'p> Reply<'p> {
    /// Reads the message.
    pub fn read(payload: &'p [u8]) -> Result<Self, BadMessage> {
        let graph = super::read(payload)?;
        let bad = |why| Err(BadMessage::NotAReply { why });
        let Some(&[kind, result]) = graph.sequence(graph.root()) else {
            return bad("it is no tuple of two");
        };
        let Some(kind) = graph.text(kind).and_then(ReplyKind::by_name) else {
            return bad("it is of an unknown kind");
        };
        let reply = Self {
            graph,
            kind,
            result,
        };
        match kind {
            ReplyKind::Traceback | ReplyKind::Unserializable if reply.text().is_none() => {
                bad("the description of a failure is no text")
            }
            ReplyKind::Proxy if reply.proxy().is_none() => {
                bad("it has no names of methods and token of an object")
            }
            _ => Ok(reply),
        }
    }

    /// What the result is.
    pub fn kind(&self) -> ReplyKind {
        self.kind
    }

    /// The result.
    pub fn result(&self) -> Number {
        self.result
    }

    /// What the number of the result belongs to.
    pub fn graph(&self) -> &Graph<'p> {
        &self.graph
    }

    /// The text that the result is.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        self.graph.text_lossy(self.result)
    }

    /// The exception that the result is.
    pub fn exception(&self) -> Option<Raised<'_>> {
        Raised::read(&self.graph, self.result)
    }

    /// Names of methods and a token, as a reply of the kind [`ReplyKind::Proxy`] has them.
    pub fn proxy(&self) -> Option<(Vec<&str>, Token)> {
        let &[exposed, token] = self.graph.sequence(self.result)? else {
            return None;
        };
        let exposed = self.graph.sequence(exposed)?;
        let names = exposed.iter().map(|name| self.graph.text(*name));
        Some((
            names.collect::<Option<_>>()?,
            Token::read(&self.graph, token)?,
        ))
    }
}

/// A reply whose result is written by the caller.
pub fn reply_with<E>(
    kind: ReplyKind,
    result: impl FnOnce(&mut Writer) -> Result<(), E>,
) -> Result<Vec<u8>, E> {
    let mut writer = Writer::new();
    writer.open_tuple(2);
    writer.text(kind.name());
    writer.remember();
    result(&mut writer)?;
    writer.close_tuple(2);
    writer.remember();
    Ok(writer.finish())
}

/// The reply that a method returned this.
pub fn returned(result: &Term<'_>) -> Result<Vec<u8>, ExtractError> {
    reply_with(ReplyKind::Return, |writer| writer.term(result))
}

/// The reply that a method raised this, see [`exception`](super::exception).
pub fn raised(exception: &Term<'_>) -> Result<Vec<u8>, ExtractError> {
    reply_with(ReplyKind::Error, |writer| writer.term(exception))
}

/// The reply that the request could not be served.
#[must_use]
pub fn traceback(text: &str) -> Vec<u8> {
    failed(ReplyKind::Traceback, text)
}

/// The reply that the result cannot be pickled.
#[must_use]
pub fn unserializable(text: &str) -> Vec<u8> {
    failed(ReplyKind::Unserializable, text)
}

fn failed(kind: ReplyKind, text: &str) -> Vec<u8> {
    let written = reply_with(kind, |writer| {
        writer.text(text);
        writer.remember();
        Ok::<(), std::convert::Infallible>(())
    });
    match written {
        Ok(bytes) => bytes,
        Err(never) => match never {},
    }
}

/// The reply that the result stays in the server under this token, with these methods.
pub fn proxied(exposed: &[&str], token: &Token) -> Result<Vec<u8>, ExtractError> {
    let names = exposed.iter().map(|name| Term::text(*name)).collect();
    let pair = Term::Tuple(vec![Term::Tuple(names), token.term()]);
    reply_with(ReplyKind::Proxy, |writer| writer.term(&pair))
}
