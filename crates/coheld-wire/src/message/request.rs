//! Requests.

use super::BadMessage;
use crate::pickle::{ExtractError, Graph, Number, Term, Writer};

/// A request: which method of which object is to be called, and with what.
#[derive(Clone, Debug)]
pub struct Request<'p> {
    graph: Graph<'p>,
    ident: Number,
    method: Number,
    arguments: Number,
    keywords: Number,
}

impl<'p> Request<'p> {
    /// Reads the message.
    pub fn read(payload: &'p [u8]) -> Result<Self, BadMessage> {
        let graph = super::read(payload)?;
        let bad = |why| Err(BadMessage::NotARequest { why });
        let Some(&[ident, method, arguments, keywords]) = graph.sequence(graph.root()) else {
            return bad("it is no tuple of four");
        };
        if !graph.is_none(ident) && graph.text(ident).is_none() {
            return bad("the identity of the object is neither text nor None");
        }
        if graph.text(method).is_none() {
            return bad("the name of the method is no text");
        }
        if graph.sequence(arguments).is_none() {
            return bad("the arguments are neither a tuple nor a list");
        }
        let Some(mut pairs) = graph.dict(keywords) else {
            return bad("the named arguments are no dict");
        };
        if !pairs.all(|(name, _)| graph.text(name).is_some()) {
            return bad("the name of a named argument is no text");
        }
        drop(pairs);
        Ok(Self {
            graph,
            ident,
            method,
            arguments,
            keywords,
        })
    }

    /// The identity of the object; none for functions of the server.
    pub fn ident(&self) -> Option<&str> {
        self.graph.text(self.ident)
    }

    /// The name of the method or function.
    pub fn method(&self) -> &str {
        self.graph.text(self.method).unwrap_or_default()
    }

    /// The arguments.
    pub fn arguments(&self) -> &[Number] {
        self.graph.sequence(self.arguments).unwrap_or_default()
    }

    /// The named arguments. If a name occurs twice, the last one counts.
    pub fn keywords(&self) -> impl Iterator<Item = (&str, Number)> {
        let pairs = self.graph.dict(self.keywords).into_iter().flatten();
        pairs.filter_map(|(name, value)| Some((self.graph.text(name)?, value)))
    }

    /// What the numbers belong to.
    pub fn graph(&self) -> &Graph<'p> {
        &self.graph
    }
}

/// A request to call a method of an object, or a function of the server.
pub fn request(
    ident: Option<&str>,
    method: &str,
    arguments: &[Term<'_>],
    keywords: &[(&str, Term<'_>)],
) -> Result<Vec<u8>, ExtractError> {
    request_with(ident, method, |writer| {
        writer.open_tuple(arguments.len());
        arguments
            .iter()
            .try_for_each(|argument| writer.term(argument))?;
        writer.close_tuple(arguments.len());
        if !arguments.is_empty() {
            writer.remember();
        }
        writer.open_dict(0);
        writer.remember();
        for (name, value) in keywords {
            writer.text(name);
            writer.term(value)?;
            writer.close_dict(1);
        }
        Ok(())
    })
}

/// A request whose two last parts, the tuple of arguments and the dict of named ones, are written
/// by the caller.
pub fn request_with<E>(
    ident: Option<&str>,
    method: &str,
    arguments: impl FnOnce(&mut Writer) -> Result<(), E>,
) -> Result<Vec<u8>, E> {
    let mut writer = Writer::new();
    writer.open_tuple(4);
    match ident {
        Some(ident) => {
            writer.text(ident);
            writer.remember();
        }
        None => writer.none(),
    }
    writer.text(method);
    writer.remember();
    arguments(&mut writer)?;
    writer.close_tuple(4);
    writer.remember();
    Ok(writer.finish())
}
