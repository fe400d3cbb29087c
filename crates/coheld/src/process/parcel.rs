//! Values on their way between a process and its child, with the proxies in them.
//!
//! A parcel is the pickle of `([(segment, address, key), ...], message)`. The message is what
//! callers and hosts send each other, in which each proxy brings its lease; the list says how to
//! reach the segments that they are in. The keys may travel: parent and child are one user's, and
//! the socket between them is nobody else's.

use std::sync::Arc;

use crate::hosted::Leases;
use crate::proxy::Proxy;
use crate::value::pickle::{Writer, read, read_message, write_message};
use crate::{Address, Attachment, Error, Value, manager};

/// The bytes of a value, and the leases that go with it.
pub(super) fn pack(value: &Value) -> Result<(Vec<u8>, Leases), Error> {
    let mut segments: Vec<Value> = Vec::new();
    for proxy in Writer::pickle(value)?.1 {
        let segment = segment(proxy);
        if !segments.contains(&segment) {
            segments.push(segment);
        }
    }
    let (message, leases) = write_message(value)?;
    let parcel = Value::Tuple(vec![Value::List(segments), Value::Bytes(message)]);
    match Writer::pickle(&parcel) {
        Ok((bytes, _)) => Ok((bytes, leases)),
        Err(error) => {
            leases.give_back();
            Err(error.into())
        }
    }
}

/// The segment that an object is in, and what it takes to reach it.
fn segment(proxy: &Proxy) -> Value {
    let attachment = proxy.attachment();
    Value::Tuple(vec![
        Value::Bytes(attachment.segment_id().to_vec()),
        Value::Str(attachment.address().to_string()),
        Value::Bytes(attachment.authkey().to_vec()),
    ])
}

/// The value of such bytes. Attaches to the segments that this process has not got.
pub(super) fn unpack(bytes: &[u8]) -> Result<Value, Error> {
    let damaged = Error::Protocol {
        why: "what came from the other process is no parcel",
    };
    let Some(Value::Tuple(parts)) = read(bytes, &[]) else {
        return Err(damaged);
    };
    let [Value::List(segments), Value::Bytes(message)] = &*parts else {
        return Err(damaged);
    };
    // They stay until the proxies are there, which keep them from then on.
    let mut attachments = Vec::new();
    for segment in segments {
        attachments.push(attach(segment)?.ok_or(Error::Protocol {
            why: "what came from the other process names no segment",
        })?);
    }
    match attachments.first() {
        Some(attachment) => read_message(message, attachment),
        None => Ok(read(message, &[]).ok_or(damaged)?),
    }
}

/// `None` if that is no segment.
fn attach(segment: &Value) -> Result<Option<Arc<Attachment>>, Error> {
    let Some([id, address, authkey]) = segment.as_items() else {
        return Ok(None);
    };
    let id = id.as_bytes().and_then(|id| id.try_into().ok());
    let (Some(id), Some(address), Some(authkey)) = (id, address.as_str(), authkey.as_bytes())
    else {
        return Ok(None);
    };
    let address: Address = address.parse()?;
    manager::attach(id, &address, authkey).map(Some)
}
