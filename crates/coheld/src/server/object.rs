//! Calls of objects, answered in the words of the standard library.

use coheld_store::{Array, Slice};

use super::arrival::Request;
use super::departure::{Raise, Reply};
use super::describe;
use super::exposed::{class_name, exposed};
use crate::call::{self, Exception};
use crate::value::with_unread_pickles;
use crate::wire::References;
use crate::{Error, Kind, NamespaceProxy, Proxy, StoreError, Value, ValueProxy};

/// Methods that answer with an iterator.
const ITERATING: &[&str] = &["__iter__", "__reversed__"];
/// Methods that change an object and return it: as from the standard library's server, a copy.
const IN_PLACE: &[&str] = &["__imul__", "__ior__", "__iand__", "__isub__", "__ixor__"];

/// Methods that return what is stored, and look into none of it.
const RETURNING: &[&str] = &[
    "__getitem__",
    "__getattribute__",
    "__iter__",
    "__reversed__",
    "copy",
    "get",
    "get_nowait",
    "items",
    "pop",
    "popitem",
    "setdefault",
    "values",
];

/// How deep the argument of a method is taken apart.
fn opened(request: &Request<'_>, place: usize) -> usize {
    match (request.method, place) {
        // A sequence of pairs, too.
        ("update" | "__ior__", 0) => 2,
        ("__setitem__", 1) if request.is_slice(0) => 1,
        ("extend" | "__iadd__" | "__add__" | "__or__" | "__ror__" | "fromkeys", 0) => 1,
        (name, _) if exposed(Kind::Set).contains(&name) && !is_of_elements(name) => 1,
        _ => 0,
    }
}

/// Whether a method of sets, or another one of that name, takes single elements.
fn is_of_elements(name: &str) -> bool {
    matches!(
        name,
        "add" | "discard" | "remove" | "__contains__" | "pop" | "clear" | "copy"
    )
}

/// Answers a call of an object; `Err`: nobody is there any more to be answered.
pub(super) fn answer(
    references: &References,
    ident: &str,
    request: &Request<'_>,
) -> Result<Reply, Error> {
    let proxy = match references.find(ident).and_then(Proxy::from_handle) {
        Ok(proxy) => proxy,
        Err(error) => return Ok(unknown_object(ident, &error)),
    };
    match call(references, &proxy, request) {
        Err(error) => failed(&error, request.method, || {
            first_argument(references, request)
        }),
        answered => answered,
    }
}

fn call(references: &References, proxy: &Proxy, request: &Request<'_>) -> Result<Reply, Error> {
    let (kind, method) = (proxy.kind(), request.method);
    let is_native = proxy.referent()?.kind() == kind.number();
    if kind != Kind::Hosted && !exposed(kind).contains(&method) {
        return without_being_exposed(proxy, method);
    }
    let arguments = match request.values(0, |place| opened(request, place), references) {
        Ok(arguments) => arguments,
        Err(error) => return Ok(Reply::Traceback(traceback(&[&class_and_text(&error)]))),
    };
    let keywords = request.named(references)?;
    if kind == Kind::Array
        && is_native
        && let ("__getitem__", [Value::Slice(slice)]) = (method, &arguments[..])
    {
        return array(proxy, *slice);
    }
    let work = || call::call_with_keywords(proxy, method, arguments, &keywords);
    let result = if RETURNING.contains(&method) {
        with_unread_pickles(work)?
    } else {
        work()?
    };
    if ITERATING.contains(&method) {
        return Ok(Reply::Iterator(call::elements(&result)?));
    }
    if IN_PLACE.contains(&method) {
        return copy(proxy);
    }
    Ok(Reply::Return(result))
}

/// What every object answers, whether its proxies know of it or not.
fn without_being_exposed(proxy: &Proxy, method: &str) -> Result<Reply, Error> {
    match method {
        "__str__" | "__repr__" => describe::describe(proxy).map(|text| Reply::Return(text.into())),
        "#GETVALUE" => copy(proxy),
        _ => Ok(not_exposed(proxy.kind(), method)),
    }
}

/// A copy of an object, of the class that the standard library's server has.
fn copy(proxy: &Proxy) -> Result<Reply, Error> {
    match proxy.kind() {
        Kind::Array => array(proxy, Slice::FULL),
        Kind::Namespace => {
            let namespace = NamespaceProxy::try_from(proxy.clone())?;
            let items = with_unread_pickles(|| namespace.items())?;
            Ok(Reply::Instance("Namespace", items))
        }
        Kind::Value => {
            let value = ValueProxy::try_from(proxy.clone())?;
            let value = with_unread_pickles(|| value.get())?;
            let typecode = describe::typecode_of_value(proxy)?;
            let attributes = [("_typecode", typecode), ("_value", value)];
            let attributes = attributes.map(|(name, value)| (name.to_owned(), value));
            Ok(Reply::Instance("Value", attributes.into()))
        }
        Kind::List | Kind::Dict | Kind::Set | Kind::Hosted => {
            with_unread_pickles(|| call::copy(proxy)).map(Reply::Return)
        }
        kind => Ok(Reply::Unserializable(traceback(&[&format!(
            "TypeError: cannot pickle '{}' object",
            class_name(kind)
        )]))),
    }
}

fn array(proxy: &Proxy, slice: Slice) -> Result<Reply, Error> {
    let referent = proxy.referent()?;
    let array = Array::new(&referent);
    Ok(Reply::Array(array.typecode()?, array.slice(slice)?))
}

/// What is left of a request to say which key was meant.
fn first_argument(references: &References, request: &Request<'_>) -> Option<Value> {
    let arguments = request.values(0, |_| 0, references).ok()?;
    arguments.into_iter().next()
}

/// The reply for an error of a method; `Err`: the client is gone.
fn failed(
    error: &Error,
    method: &str,
    argument: impl FnOnce() -> Option<Value>,
) -> Result<Reply, Error> {
    if let Error::Shm(coheld_shm::Error::Interrupted)
    | Error::Store(StoreError::Shm(coheld_shm::Error::Interrupted)) = error
    {
        return Err(coheld_shm::Error::Interrupted.into());
    }
    let message = match error {
        Error::Raised(raised) => raised.message.clone(),
        other => other.to_string(),
    };
    // Python raises some classes bare.
    let text = |message: String| {
        let message = Some(message).filter(|message| !message.is_empty());
        message.map(Value::from).into_iter().collect::<Vec<_>>()
    };
    let builtin = |class| Raise {
        module: "builtins",
        class,
        arguments: text(message.clone()),
    };
    Ok(Reply::Error(match error.exception() {
        Exception::KeyError => Raise {
            module: "builtins",
            class: "KeyError",
            arguments: vec![
                match method {
                    // The key itself, and not how it looks.
                    "__getitem__" | "__delitem__" | "pop" | "remove" => argument(),
                    _ => None,
                }
                .unwrap_or_else(|| Value::from(message.trim_matches('\''))),
            ],
        },
        Exception::RemoteError => return Ok(Reply::Traceback(message)),
        Exception::BrokenBarrierError => Raise {
            module: "threading",
            class: "BrokenBarrierError",
            arguments: text(message),
        },
        Exception::Empty | Exception::Full | Exception::ShutDown => Raise {
            module: "queue",
            class: match error.exception() {
                Exception::Empty => "Empty",
                Exception::Full => "Full",
                _ => "ShutDown",
            },
            arguments: Vec::new(),
        },
        Exception::AttributeError => builtin("AttributeError"),
        Exception::ConnectionError => builtin("ConnectionError"),
        Exception::IndexError => builtin("IndexError"),
        Exception::MemoryError => builtin("MemoryError"),
        Exception::OverflowError => builtin("OverflowError"),
        Exception::StopIteration => builtin("StopIteration"),
        Exception::TimeoutError => builtin("TimeoutError"),
        Exception::TypeError => builtin("TypeError"),
        Exception::ValueError => builtin("ValueError"),
        Exception::Other => builtin("Exception"),
        // The class of an owner that died is Coheld's, which not every client has.
        Exception::RuntimeError | Exception::OwnerDiedError | Exception::KeyboardInterrupt => {
            builtin("RuntimeError")
        }
    }))
}

fn unknown_object(ident: &str, error: &Error) -> Reply {
    log::debug!("a client has named {ident:?}, which is no object: {error}");
    Reply::Traceback(traceback(&[&format!("KeyError: {}", Value::from(ident))]))
}

fn not_exposed(kind: Kind, method: &str) -> Reply {
    let names = exposed(kind).iter().map(|name| format!("'{name}'"));
    let names = names.collect::<Vec<_>>().join(", ");
    let class = class_name(kind);
    let refused = format!(
        "AttributeError: method '{method}' of <class '{class}'> object is not in \
         exposed={{{names}}}"
    );
    let missing = format!("KeyError: {}", Value::from(method));
    Reply::Traceback(traceback(&[&refused, &missing]))
}

/// The last line of a traceback.
pub(super) fn class_and_text(error: &Error) -> String {
    match error {
        Error::Raised(raised) => raised.to_string(),
        other => format!("{}: {other}", other.exception()),
    }
}

/// A text that looks like a traceback of Python, of errors of which each led to the next one.
pub(super) fn traceback(errors: &[&str]) -> String {
    const BETWEEN: &str =
        "\nDuring handling of the above exception, another exception occurred:\n\n";
    let one = |error: &&str| {
        format!(
            "Traceback (most recent call last):\n  in a server of Coheld without Python\n{error}\n"
        )
    };
    errors.iter().map(one).collect::<Vec<_>>().join(BETWEEN)
}
