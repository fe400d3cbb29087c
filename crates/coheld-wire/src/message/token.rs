//! Tokens: where an object is.

use super::MANAGERS;
use crate::pickle::{Change, Graph, Made, Node, Number, Object, Term};

/// The address of a manager, as programs write it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// No address, as of a manager that was not started.
    None,
    /// The path of a Unix socket; an abstract one if it begins with NUL.
    Text(String),
    /// The name of an abstract Unix socket, which begins with NUL.
    Bytes(Vec<u8>),
    /// Host and port.
    Host(String, u16),
}

impl Address {
    /// Reads the address that a node is.
    pub fn read(graph: &Graph<'_>, number: Number) -> Option<Self> {
        match &graph[number] {
            Node::None => Some(Self::None),
            Node::Text(text) => Some(Self::Text(text.clone().into_owned())),
            Node::Bytes(bytes) => Some(Self::Bytes(bytes.to_vec())),
            Node::Tuple(pair) | Node::List(pair) => {
                let &[host, port] = pair.as_slice() else {
                    return None;
                };
                let port = u16::try_from(graph.int(port)?).ok()?;
                Some(Self::Host(graph.text(host)?.to_owned(), port))
            }
            _ => None,
        }
    }

    /// The address as a value to be written.
    pub fn term(&self) -> Term<'_> {
        match self {
            Self::None => Term::None,
            Self::Text(text) => Term::text(text.as_str()),
            Self::Bytes(bytes) => Term::bytes(bytes.as_slice()),
            Self::Host(host, port) => {
                Term::Tuple(vec![Term::text(host.as_str()), Term::Int(i64::from(*port))])
            }
        }
    }
}

/// A `multiprocessing.managers.Token`: it names an object of a manager.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    /// The name under which the type is registered.
    pub typeid: String,
    /// The address of the manager.
    pub address: Address,
    /// The identity of the object there.
    pub id: String,
}

impl Token {
    /// Reads the token that a node is, in whatever way it is pickled.
    pub fn read(graph: &Graph<'_>, number: Number) -> Option<Self> {
        let Node::Object(object) = &graph[number] else {
            return None;
        };
        let &[typeid, address, id] = fields(graph, object)? else {
            return None;
        };
        Some(Self {
            typeid: graph.text(typeid)?.to_owned(),
            address: Address::read(graph, address)?,
            id: graph.text(id)?.to_owned(),
        })
    }

    /// The token as a value to be written, in the way of Python's pickler.
    pub fn term(&self) -> Term<'_> {
        let state = vec![
            Term::text(self.typeid.as_str()),
            self.address.term(),
            Term::text(self.id.as_str()),
        ];
        Term::Instance {
            module: MANAGERS.into(),
            name: "Token".into(),
            state: Box::new(Term::Tuple(state)),
        }
    }
}

/// The fields of a token: its state, or what its class is called with.
fn fields<'g>(graph: &'g Graph<'_>, object: &Object) -> Option<&'g [Number]> {
    let is_token = |class: Number| graph.global(class) == Some((MANAGERS, "Token"));
    let (class, arguments) = match object.made {
        Made::New { class, arguments } => (class, arguments),
        Made::Call {
            function,
            arguments,
        } => (function, arguments),
        Made::NewWith { .. } => return None,
    };
    let state = match object.changes.as_slice() {
        [] if is_token(class) && matches!(object.made, Made::Call { .. }) => arguments,
        [Change::State(state)] if is_token(class) => *state,
        // The protocols 0 and 1 have a function that makes an object of any class.
        [Change::State(state)] if graph.global(class) == Some(("copyreg", "_reconstructor")) => {
            let first = graph.tuple(arguments)?.first()?;
            is_token(*first).then_some(*state)?
        }
        _ => return None,
    };
    graph.tuple(state)
}
