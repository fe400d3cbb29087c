//! What there is to write: which nodes, what replaces them, which of them are needed again, and
//! which of them lead to something that contains itself.

use std::collections::HashMap;

use super::extract::Rewrite;
use super::graph::{Change, Graph, Node, Number};
use super::term::Term;

/// A look at all nodes that belong to one.
pub(super) struct Survey<'t> {
    seen: HashMap<Number, Seen<'t>>,
}

struct Seen<'t> {
    /// From where it was seen first.
    parent: Option<Number>,
    is_shared: bool,
    /// Whether its parts are still being looked at.
    is_open: bool,
    is_cyclic: bool,
    replacement: Option<Box<Term<'t>>>,
}

enum Visit {
    Enter(Number, Option<Number>),
    Leave(Number),
}

impl<'t> Survey<'t> {
    pub(super) fn new(graph: &Graph<'_>, root: Number, rewrite: &mut Rewrite<'_, 't>) -> Self {
        let mut survey = Self {
            seen: HashMap::new(),
        };
        let mut visits = vec![Visit::Enter(root, None)];
        while let Some(visit) = visits.pop() {
            match visit {
                Visit::Leave(number) => survey.leave(number),
                Visit::Enter(number, _) if is_atom(&graph[number]) => (),
                Visit::Enter(number, parent) if survey.is_known(number, parent) => (),
                Visit::Enter(number, parent) => {
                    let replacement = rewrite(number).map(Box::new);
                    visits.push(Visit::Leave(number));
                    let first = visits.len();
                    let enter = |part| Visit::Enter(part, Some(number));
                    match &replacement {
                        Some(term) => visits.extend(term.nodes().into_iter().map(enter)),
                        None => parts(&graph[number], |part| visits.push(enter(part))),
                    }
                    visits[first..].reverse();
                    let seen = Seen {
                        parent,
                        is_shared: false,
                        is_open: true,
                        is_cyclic: false,
                        replacement,
                    };
                    survey.seen.insert(number, seen);
                }
            }
        }
        survey
    }

    /// Whether the node has been seen before.
    fn is_known(&mut self, number: Number, parent: Option<Number>) -> bool {
        let Some(seen) = self.seen.get_mut(&number) else {
            return false;
        };
        seen.is_shared = true;
        if seen.is_open || seen.is_cyclic {
            self.taint(parent);
        }
        true
    }

    fn leave(&mut self, number: Number) {
        let Some(seen) = self.seen.get_mut(&number) else {
            return;
        };
        seen.is_open = false;
        if seen.is_cyclic {
            let parent = seen.parent;
            self.taint(parent);
        }
    }

    fn taint(&mut self, number: Option<Number>) {
        if let Some(seen) = number.and_then(|number| self.seen.get_mut(&number)) {
            seen.is_cyclic = true;
        }
    }

    pub(super) fn replacement(&self, number: Number) -> Option<&Term<'t>> {
        self.seen.get(&number)?.replacement.as_deref()
    }

    /// Whether the node will be asked for after it was written.
    pub(super) fn is_shared(&self, number: Number) -> bool {
        self.seen.get(&number).is_some_and(|seen| seen.is_shared)
    }

    /// Whether the node contains itself, or something that does.
    pub(super) fn is_cyclic(&self, number: Number) -> bool {
        self.seen.get(&number).is_some_and(|seen| seen.is_cyclic)
    }

    /// All such nodes.
    pub(super) fn cyclic(&self) -> impl Iterator<Item = Number> {
        let cyclic = self.seen.iter().filter(|(_, seen)| seen.is_cyclic);
        cyclic.map(|(number, _)| *number)
    }
}

/// Values whose identity nobody asks for.
fn is_atom(node: &Node<'_>) -> bool {
    matches!(
        node,
        Node::None | Node::Bool(_) | Node::Int(_) | Node::Float(_)
    )
}

fn parts(node: &Node<'_>, visit: impl FnMut(Number)) {
    match node {
        Node::Tuple(items)
        | Node::List(items)
        | Node::Dict(items)
        | Node::Set(items)
        | Node::FrozenSet(items) => items.iter().copied().for_each(visit),
        Node::Object(object) => {
            let items = object.changes.iter().flat_map(Change::items);
            object.made.parts().chain(items.copied()).for_each(visit);
        }
        _ => (),
    }
}
