//! The methods of hosted objects, which only their host knows.

use std::sync::Arc;

use super::raise;
use super::raised::Exception;
use crate::hosted::{self, Reply, ReplyKind, Request};
use crate::value::pickle;
use crate::{Attachment, Error, Proxy, Value};

/// The name under which hosts give copies of their objects.
const COPY: &str = "#GETVALUE";

/// The class of the exceptions that stand for errors of methods of Rust. Their messages begin with
/// the type of the error.
pub(crate) const METHOD_ERROR: (&str, &str) = ("coheld.errors", "MethodError");

/// A copy of a hosted object.
pub(super) fn copy(proxy: &Proxy) -> Result<Value, Error> {
    call(proxy, COPY, &[], &[])
}

/// Calls a method of a hosted object.
pub(super) fn call(
    proxy: &Proxy,
    name: &str,
    arguments: &[Value],
    keywords: &[(String, Value)],
) -> Result<Value, Error> {
    let named = keywords.iter();
    let named = named.map(|(name, value)| (Value::from(name.as_str()), value.clone()));
    let named = Value::Dict(named.collect());
    let pair = Value::Tuple(vec![Value::Tuple(arguments.to_vec()), named]);
    // Whoever reads the message has the leases, or they run out.
    let (body, _) = pickle::write_message(&pair)?;
    let handle = proxy.handle();
    let Reply { kind, body, .. } = hosted::call(handle, &Request::new(name, &body), proxy.limit())?;
    match kind {
        ReplyKind::Return => pickle::read_message(&body, handle.attachment()),
        ReplyKind::Error => Err(raised(&body)),
        ReplyKind::Traceback | ReplyKind::Unserializable => {
            let text = String::from_utf8_lossy(&body);
            Err(raise(Exception::RemoteError, text.trim_end()))
        }
        ReplyKind::Proxy => Ok(Value::Proxy(hosted_result(handle.attachment(), &body)?)),
        ReplyKind::Nested | ReplyKind::Gone => Err(Error::Protocol {
            why: "a call was answered with what is no answer",
        }),
    }
}

/// The error for a pickled exception.
fn raised(body: &[u8]) -> Error {
    let Some(found) = pickle::read_exception(body) else {
        return raise(Exception::Other, "an exception that only Python can read");
    };
    log::debug!("raised in another process:\n{}", found.traceback);
    let exception = Exception::from_python(&found.module, &found.class);
    let message = match (exception, found.arguments.as_slice()) {
        (_, []) => String::new(),
        // Python prints the key as a program would write it.
        (Exception::KeyError, [key]) => key.to_string(),
        (_, [Value::Str(text)]) => text.clone(),
        (_, [other]) => other.to_string(),
        (_, several) => Value::Tuple(several.to_vec()).to_string(),
    };
    if exception != Exception::Other
        || (found.module.as_str(), found.class.as_str()) == METHOD_ERROR
    {
        return raise(exception, message);
    }
    let class = format!("{}.{}", found.module, found.class);
    let text = match message.as_str() {
        "" => class,
        message => format!("{class}: {message}"),
    };
    raise(exception, text)
}

/// The proxy of a hosted object that a method returned.
fn hosted_result(attachment: &Arc<Attachment>, body: &[u8]) -> Result<Proxy, Error> {
    let read = pickle::read_hosted(body).ok_or(Error::BadToken {
        why: "a host has sent one in an unknown form",
    });
    let (token, interface) = read?;
    Proxy::with_interface(token.redeem(attachment)?, interface)
}
