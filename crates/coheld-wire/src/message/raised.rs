//! Exceptions, as they are pickled.

use crate::pickle::{Change, Graph, Number, Term};

/// An exception: the call of its class, and perhaps attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raised<'g> {
    /// The module of its class.
    pub module: &'g str,
    /// The name of its class.
    pub class: &'g str,
    /// What it was made with.
    pub arguments: &'g [Number],
    /// The dict of its attributes, if it has any.
    pub state: Option<Number>,
}

impl<'g> Raised<'g> {
    /// Reads the exception that a node is. Any call of a class or function looks like one.
    pub fn read(graph: &'g Graph<'_>, number: Number) -> Option<Self> {
        let call = graph.call(number)?;
        Some(Self {
            module: call.module,
            class: call.name,
            arguments: call.arguments,
            state: match call.changes.last() {
                Some(Change::State(state)) => Some(*state),
                _ => None,
            },
        })
    }
}

/// An exception as a value to be written, for example `exception("_queue", "Empty", [])` or
/// `exception("threading", "BrokenBarrierError", [])`.
pub fn exception<'t>(
    module: &'t str,
    class: &'t str,
    arguments: impl IntoIterator<Item = Term<'t>>,
) -> Term<'t> {
    Term::call(module, class, arguments)
}
