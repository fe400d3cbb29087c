//! Objects of a manager, through the protocol of the standard library.

use std::sync::Arc;
use std::time::Duration;

use coheld::wire::{Link, Remote, Serializer};
use coheld_wire::pickle::{Change, Graph, Made, Node, Number, Term, Writer};
use serde_json::Value;

use crate::arguments::Manager;
use crate::failure::{Failure, Kind};
use crate::{json, key};

/// How long a manager may take to make an object known.
const PATIENCE: Duration = Duration::from_secs(10);

/// A manager that has been reached.
pub(crate) struct Managed {
    link: Arc<Link>,
}

/// An object of a manager.
pub(crate) struct Object {
    remote: Remote,
    /// The names of the methods that it has.
    methods: Vec<String>,
}

/// What the manager has answered with, beside a result.
enum Problem {
    /// An exception: its class, and its text.
    Raised(String, String),
    /// A report of Python.
    Text(String),
}

impl Managed {
    /// Connects.
    pub(crate) fn connect(manager: &Manager) -> Result<Self, Failure> {
        let authkey = key::find(&manager.key)?;
        let link = Link::connect(&manager.address, &authkey, Serializer::Pickle)?;
        Ok(Self { link })
    }

    /// What the server function of this name answers.
    pub(crate) fn ask(&self, function: &str) -> Result<Value, Failure> {
        let reply = self
            .link
            .ask(&request(None, function, &[])?, function, Some(PATIENCE))?;
        read(&reply, json::show)
    }

    /// The object that is shared by a name.
    pub(crate) fn object(&self, name: &str) -> Result<Object, Failure> {
        let request = request(None, "create", &[Term::text(name)])?;
        let reply = self.link.ask(&request, "create", Some(PATIENCE))?;
        let (ident, methods) = read(&reply, made)
            .map_err(|failure| failure.hint(format!("does the manager share {name:?}? coheld ls")))?
            .ok_or_else(strange)?;
        Ok(Object {
            remote: self.link.adopt(ident),
            methods,
        })
    }
}

impl Object {
    /// Whether it has all of these methods.
    pub(crate) fn has(&self, methods: &[&str]) -> bool {
        methods
            .iter()
            .all(|method| self.methods.iter().any(|own| own == method))
    }

    /// Calls a method.
    pub(crate) fn call(&self, method: &str, arguments: &[Term<'_>]) -> Result<Value, Failure> {
        let request = request(Some(self.remote.ident()), method, arguments)?;
        let reply = self.remote.link().call(&request, method, None)?;
        let known = self.methods.join(", ");
        read(&reply, json::show).map_err(|failure| match failure.hint {
            None if failure.message.contains("is not in exposed") => {
                failure.hint(format!("it has these methods: {known}"))
            }
            _ => failure,
        })
    }
}

fn request(ident: Option<&str>, method: &str, arguments: &[Term<'_>]) -> Result<Vec<u8>, Failure> {
    let mut writer = Writer::new();
    let request = Term::Tuple(vec![
        ident.map_or(Term::None, Term::text),
        Term::text(method),
        Term::Tuple(arguments.to_vec()),
        Term::Dict(Vec::new()),
    ]);
    let written = writer.term(&request);
    written.map_err(|error| Failure::new(Kind::Usage, error.to_string()))?;
    Ok(writer.finish())
}

/// The name of a new object and its methods.
fn made(graph: &Graph<'_>, result: Number) -> Option<(String, Vec<String>)> {
    let &[ident, methods] = graph.sequence(result)? else {
        return None;
    };
    let methods = graph.sequence(methods)?.iter();
    let methods = methods.map(|&name| graph.text(name).map(str::to_owned));
    Some((
        graph.text(ident)?.to_owned(),
        methods.collect::<Option<_>>()?,
    ))
}

/// The result in a reply.
fn read<T>(reply: &[u8], result: impl FnOnce(&Graph<'_>, Number) -> T) -> Result<T, Failure> {
    let graph = Graph::read(reply).map_err(|error| {
        Failure::new(
            Kind::Refused,
            format!("the manager has answered nonsense: {error}"),
        )
    })?;
    let Some(&[kind, body]) = graph.sequence(graph.root()) else {
        return Err(strange());
    };
    let problem = match graph.text(kind) {
        Some("#RETURN") => return Ok(result(&graph, body)),
        Some("#ERROR") => exception(&graph, body),
        // What managers of Coheld in Python tell clients of their own.
        Some("#RAISED") => pair(&graph, body).and_then(|(pickle, _)| raised(&graph, pickle)),
        Some("#FAILED") => {
            let text = pair(&graph, body).and_then(|(text, _)| graph.text(text));
            text.map(|text| Problem::Text(text.to_owned()))
        }
        Some("#TRACEBACK" | "#UNSERIALIZABLE") => {
            graph.text(body).map(|text| Problem::Text(text.to_owned()))
        }
        Some("#PROXY") => return Err(shared_result()),
        _ => None,
    };
    Err(problem.map_or_else(strange, Problem::into))
}

fn pair(graph: &Graph<'_>, number: Number) -> Option<(Number, Number)> {
    match graph.sequence(number)? {
        &[one, two] => Some((one, two)),
        _ => None,
    }
}

fn raised(graph: &Graph<'_>, pickle: Number) -> Option<Problem> {
    let inner = Graph::read(graph.bytes(pickle)?).ok()?;
    exception(&inner, inner.root())
}

/// An exception as Python ends a traceback.
fn exception(graph: &Graph<'_>, number: Number) -> Option<Problem> {
    let Node::Object(object) = &graph[number] else {
        return None;
    };
    let (Made::Call {
        function: class,
        arguments,
    }
    | Made::New { class, arguments }
    | Made::NewWith {
        class, arguments, ..
    }) = object.made;
    let class = match graph.global(class) {
        Some(("builtins", name)) => name.to_owned(),
        Some((module, name)) => format!("{}.{name}", module.trim_start_matches('_')),
        // The class that this server has for a name that not every version of Python has.
        None => "Exception".to_owned(),
    };
    let arguments = graph.sequence(arguments)?;
    let shown = arguments
        .iter()
        .map(|&argument| match json::show(graph, argument) {
            Value::String(text) => text,
            other => other.to_string(),
        });
    let text = shown.collect::<Vec<_>>().join(", ");
    let is_changed = |change: &Change| matches!(change, Change::State(_));
    debug_assert!(object.changes.iter().all(is_changed));
    Some(Problem::Raised(class, text))
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let message = match problem {
            Problem::Raised(class, text) if text.is_empty() => class,
            Problem::Raised(class, text) => format!("{class}: {text}"),
            // The last line of a traceback says what was wrong.
            Problem::Text(text) => {
                let last = text
                    .trim_end()
                    .rsplit('\n')
                    .find(|line| !line.starts_with(' '));
                last.unwrap_or(&text).to_owned()
            }
        };
        Self::new(Kind::Refused, message)
    }
}

fn strange() -> Failure {
    Failure::new(
        Kind::Refused,
        "the manager has answered in a form that is unknown here",
    )
}

fn shared_result() -> Failure {
    Failure::new(
        Kind::Refused,
        "the result is a shared object itself, and stays with the manager",
    )
    .hint("have the program share it by a name of its own")
}
