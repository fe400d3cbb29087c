//! What clients ask of the server itself.

use super::Shared;
use super::arrival::Request;
use super::create;
use super::departure::Reply;
use super::describe;
use super::exposed::exposed;
use super::object::{class_and_text, traceback};
use crate::wire::Client;
use crate::{Error, Kind, Proxy, Value, hosted};

/// Characters of an object's text in the report of what there is.
const SHOWN: usize = 75;

/// What follows the answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// Whatever the connection is for.
    Nothing,
    /// Calls of objects, until the client goes.
    Calls,
    /// The end of the server.
    Stop,
}

/// Answers a request for a function of the server.
pub(super) fn answer(shared: &Shared, client: Client, request: &Request<'_>) -> (Reply, After) {
    let after = match request.method {
        "accept_connection" => After::Calls,
        "shutdown" => After::Stop,
        _ => After::Nothing,
    };
    match call(shared, client, request) {
        Ok(value) => (Reply::Return(value), after),
        Err(Refused::Text(text)) => (Reply::Traceback(traceback(&[&text])), After::Nothing),
        Err(Refused::Error(error)) => {
            let text = class_and_text(&error);
            (Reply::Traceback(traceback(&[&text])), After::Nothing)
        }
    }
}

enum Refused {
    Text(String),
    Error(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

fn call(shared: &Shared, client: Client, request: &Request<'_>) -> Result<Value, Refused> {
    let references = &shared.references;
    let is_session = matches!(client, Client::Session(_));
    let ident = || request.text(0).ok_or_else(|| wrong_arguments(request));
    match request.method {
        "dummy" | "shutdown" | "accept_connection" => Ok(Value::None),
        "create" => create(shared, client, request),
        "incref" | "take" => {
            let ident = ident()?;
            let counted = references.increase(client, ident);
            counted.map_err(|_| unknown_object(ident))?;
            Ok(Value::None)
        }
        "redeem" if is_session => {
            let ident = ident()?;
            let redeemed = references.redeem(client, ident);
            redeemed.map_err(|_| unknown_object(ident))?;
            Ok(Value::None)
        }
        "decref" => {
            let ident = ident()?;
            if !references.decrease(client, ident) && references.find(ident).is_err() {
                return Err(unknown_object(ident));
            }
            Ok(Value::None)
        }
        "get_methods" => {
            let named = || request.text(0).map(str::to_owned);
            let ident = request.token(0).or_else(named);
            let ident = ident.ok_or_else(|| wrong_arguments(request))?;
            let handle = references
                .find(&ident)
                .map_err(|_| unknown_object(&ident))?;
            let kind = Proxy::from_handle(handle)?.kind();
            Ok(names(kind))
        }
        "debug_info" => debug_info(shared).map(Value::from),
        "number_of_objects" => {
            let segment = references.attachment().segment();
            Ok(Value::from(hosted::count_objects(segment)))
        }
        "#names" => shared_names(shared),
        "drop" | "drop_later" | "lend" if is_session => {
            let idents = request.texts().ok_or_else(|| wrong_arguments(request))?;
            for ident in idents {
                match request.method {
                    "drop" => drop(references.decrease(client, ident)),
                    "drop_later" => drop(references.decrease_later(client, ident)),
                    _ => {
                        let handle = references.find(ident);
                        let handle = handle.map_err(|_| unknown_object(ident))?;
                        references.lend(client, handle);
                    }
                }
            }
            Ok(Value::None)
        }
        other => Err(Refused::Text(format!(
            "AssertionError: {} unrecognized",
            Value::from(other)
        ))),
    }
}

fn unknown_object(ident: &str) -> Refused {
    Refused::Text(format!("KeyError: {}", Value::from(ident)))
}

fn wrong_arguments(request: &Request<'_>) -> Refused {
    let (name, count) = (request.method, request.count());
    Refused::Text(format!(
        "TypeError: {name}() does not take these {count} arguments"
    ))
}

/// The names of the methods of a kind of objects, as a tuple.
fn names(kind: Kind) -> Value {
    Value::Tuple(
        exposed(kind)
            .iter()
            .map(|&name| Value::from(name))
            .collect(),
    )
}

fn create(shared: &Shared, client: Client, request: &Request<'_>) -> Result<Value, Refused> {
    let references = &shared.references;
    let typeid = request.text(0).ok_or_else(|| wrong_arguments(request))?;
    let proxy = match shared.find(typeid) {
        Some(_) if request.count() > 1 => {
            return Err(Refused::Text(format!(
                "TypeError: {} is a shared object that exists already, and takes no arguments",
                Value::from(typeid)
            )));
        }
        Some(proxy) => proxy.clone(),
        None => {
            let kind = Kind::ALL.into_iter().find(|kind| kind.typeid() == typeid);
            let kind = kind.filter(|&kind| kind != Kind::Hosted);
            let kind = kind.ok_or_else(|| unknown_type(shared, typeid))?;
            let opened = match kind {
                Kind::Dict => 2,
                Kind::List | Kind::Set | Kind::Array => 1,
                _ => 0,
            };
            let places = request.values(1, |_| opened, references)?;
            let names = request.named(references)?;
            create::create(references.attachment(), kind, places, names)?
        }
    };
    let ident = references.ident(proxy.handle());
    let methods = names(proxy.kind());
    references.hold(client, proxy.handle().clone());
    Ok(Value::Tuple(vec![Value::from(ident), methods]))
}

fn unknown_type(shared: &Shared, typeid: &str) -> Refused {
    if typeid == "Pool" {
        return Refused::Text(
            "NotImplementedError: a pool runs functions of Python, and this server of Coheld has \
             no Python: make the pool in the program, or use a manager of Python"
                .to_owned(),
        );
    }
    let names: Vec<_> = shared.names().collect();
    let shares = match names.as_slice() {
        [] => "nothing by a name of its own".to_owned(),
        names => names.join(", "),
    };
    Refused::Text(format!(
        "KeyError: {}\n  this server of Coheld has no Python: it makes the types of SyncManager \
         but Pool, and shares {shares}",
        Value::from(typeid)
    ))
}

/// Two lines for each object that clients hold.
fn debug_info(shared: &Shared) -> Result<String, Refused> {
    let mut held = shared.references.held();
    held.sort_by(|(one, ..), (two, ..)| one.cmp(two));
    let mut lines = Vec::new();
    for (ident, count, handle) in held {
        let text = describe::describe(&Proxy::from_handle(handle)?)?;
        let shown: String = text.chars().take(SHOWN).collect();
        lines.push(format!("  {ident}:       refcount={count}\n    {shown}"));
    }
    Ok(lines.join("\n"))
}

/// The names, kinds and lengths of what is shared by name: a function that only servers without
/// Python have.
fn shared_names(shared: &Shared) -> Result<Value, Refused> {
    let mut all = Vec::new();
    for (name, proxy) in shared.shares() {
        let length = match proxy.kind() {
            Kind::Queue | Kind::JoinableQueue => proxy.call_method("qsize", &[])?,
            Kind::List | Kind::Dict | Kind::Set | Kind::Array => {
                proxy.call_method("__len__", &[])?
            }
            _ => Value::None,
        };
        let kind = Value::from(proxy.kind().typeid());
        all.push(Value::Tuple(vec![Value::from(name), kind, length]));
    }
    Ok(Value::List(all))
}
