//! The methods of hosted objects, which only their host knows.

use super::raise;
use super::raised::Exception;
use crate::hosted::{self, Reply, ReplyKind, Request};
use crate::token::Place;
use crate::value::{ValueError, pickle};
use crate::{Attachment, Error, Handle, Pickle, Proxy, Value, key};
use std::sync::Arc;

/// The name under which hosts give copies of their objects.
const COPY: &str = "#GETVALUE";

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
    let (body, proxies) = pickle::Writer::pickle(&pair)?;
    if !proxies.is_empty() {
        let why = "a proxy as an argument of a hosted object takes a Python process; put it into \
                   a shared dict or list and pass its key or index";
        return Err(ValueError::Unwritable(why.into()).into());
    }
    let handle = proxy.handle();
    let Reply { kind, body, .. } = hosted::call(handle, &Request::new(name, &body), None)?;
    match kind {
        ReplyKind::Return => Ok(pickle::read(&body, &[]).unwrap_or_else(|| {
            // Something that only Python can make sense of.
            Value::Pickle(Pickle::new(body))
        })),
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
    if exception != Exception::Other {
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
    let bad = |why| Error::BadToken { why };
    let token = pickle::read_hosted(body).ok_or(bad("a host has sent one in an unknown form"))?;
    if token.segment != key::encode(&attachment.segment_id()) {
        return Err(bad("it belongs to another segment"));
    }
    let place = Place::parse(&token.id);
    let place = place.ok_or(bad("its identity is not a hexadecimal number"))?;
    let handle = if token.is_leased {
        Handle::redeem(attachment, place.lease())
    } else {
        Handle::acquire(attachment, place.offset, place.generation)
    };
    Proxy::from_handle(handle?)
}
