//! Proxies, as they are pickled.

use super::{MANAGERS, Token};
use crate::pickle::{Graph, Number, Term};

/// A pickled proxy: the call of `multiprocessing.managers.RebuildProxy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyRecord<'g> {
    /// Module and name of its class, or of the function `AutoProxy`.
    pub class: (&'g str, &'g str),
    /// The object that it is a proxy of.
    pub token: Token,
    /// The name of the serializer.
    pub serializer: &'g str,
    /// The names of its methods, if they are told.
    pub exposed: Option<Vec<&'g str>>,
    /// All of its named arguments.
    pub keywords: Vec<(&'g str, Number)>,
}

impl<'g> ProxyRecord<'g> {
    /// Reads the proxy that a node is.
    pub fn read(graph: &'g Graph<'_>, number: Number) -> Option<Self> {
        let call = graph.call(number)?;
        let &[class, token, serializer, keywords] = call.arguments else {
            return None;
        };
        if (call.module, call.name) != (MANAGERS, "RebuildProxy") || !call.changes.is_empty() {
            return None;
        }
        let named = |(name, value)| Some((graph.text(name)?, value));
        let keywords: Vec<_> = graph.dict(keywords)?.map(named).collect::<Option<_>>()?;
        let told = keywords.iter().rfind(|(name, _)| *name == "exposed");
        let exposed = match told {
            Some((_, names)) if !graph.is_none(*names) => {
                let names = graph.sequence(*names)?.iter();
                Some(names.map(|name| graph.text(*name)).collect::<Option<_>>()?)
            }
            _ => None,
        };
        Some(Self {
            class: graph.global(class)?,
            token: Token::read(graph, token)?,
            serializer: graph.text(serializer)?,
            exposed,
            keywords,
        })
    }

    /// The proxy as a value to be written. Of the named arguments only `exposed` is.
    pub fn term(&self) -> Term<'_> {
        let (module, class) = self.class;
        let keywords = self.exposed.iter().map(|names| {
            let names = names.iter().map(|name| Term::text(*name));
            (Term::text("exposed"), Term::Tuple(names.collect()))
        });
        Term::call(
            MANAGERS,
            "RebuildProxy",
            [
                Term::global(module, class),
                self.token.term(),
                Term::text(self.serializer),
                Term::Dict(keywords.collect()),
            ],
        )
    }
}
