//! The other serializer of the standard library, which has plain values only.
//!
//! A request becomes the pickle that would have asked the same, so there is one way to answer both.

use coheld_wire::message::ReplyKind;
use coheld_wire::pickle::{Term, Writer};
use coheld_wire::xmlrpc::{self, Request, XmlError};

use super::departure::Reply;
use super::object::traceback;
use crate::Value;

/// Whether a message is of this serializer.
pub(super) fn is_xml(message: &[u8]) -> bool {
    message.starts_with(b"<")
}

/// The same request as a pickle.
pub(super) fn to_pickle(message: &[u8]) -> Result<Vec<u8>, String> {
    let Request {
        ident,
        method,
        arguments,
        keywords,
    } = Request::read(message).map_err(|error| error.to_string())?;
    let named = keywords.iter();
    let request = Term::Tuple(vec![
        ident.as_deref().map_or(Term::None, Term::text),
        Term::text(&*method),
        Term::Tuple(arguments.iter().map(term).collect()),
        Term::Dict(
            named
                .map(|(name, value)| (Term::text(&**name), term(value)))
                .collect(),
        ),
    ]);
    let mut writer = Writer::new();
    writer.term(&request).map_err(|error| error.to_string())?;
    Ok(writer.finish())
}

fn term(value: &xmlrpc::Value) -> Term<'_> {
    match value {
        xmlrpc::Value::Bool(value) => Term::Bool(*value),
        xmlrpc::Value::Int(value) => Term::Int(*value),
        xmlrpc::Value::Double(value) => Term::Float(*value),
        xmlrpc::Value::String(text) | xmlrpc::Value::DateTime(text) => Term::text(&**text),
        xmlrpc::Value::Base64(bytes) => Term::bytes(&**bytes),
        xmlrpc::Value::Array(items) => Term::List(items.iter().map(term).collect()),
        xmlrpc::Value::Struct(entries) => {
            let entries = entries.iter();
            Term::Dict(
                entries
                    .map(|(name, value)| (Term::text(&**name), term(value)))
                    .collect(),
            )
        }
        _ => Term::None,
    }
}

/// The message of a reply.
pub(super) fn write(reply: &Reply) -> Result<Vec<u8>, XmlError> {
    let text = |text: &String| xmlrpc::Value::String(text.clone());
    let list = |items: &[Value]| {
        let items = items.iter().map(value).collect::<Option<_>>();
        items.map(xmlrpc::Value::Array)
    };
    let (kind, result) = match reply {
        Reply::Return(returned) => (ReplyKind::Return, value(returned)),
        Reply::Iterator(items) => (ReplyKind::Return, list(items)),
        Reply::Array(typecode, items) => {
            let items = crate::call::array_items(*typecode, items);
            (ReplyKind::Return, items.ok().and_then(|items| list(&items)))
        }
        Reply::Instance(_, attributes) => {
            let attributes = attributes.iter();
            let named = attributes.map(|(name, inner)| Some((name.clone(), value(inner)?)));
            let named = named.collect::<Option<_>>().map(xmlrpc::Value::Struct);
            (ReplyKind::Return, named)
        }
        // As the standard library writes objects: their attributes, of which these have none.
        Reply::Error(_) => (ReplyKind::Error, Some(xmlrpc::Value::Struct(Vec::new()))),
        Reply::Traceback(why) => (ReplyKind::Traceback, Some(text(why))),
        Reply::Unserializable(why) => (ReplyKind::Unserializable, Some(text(why))),
    };
    let refused = || {
        let why = traceback(&["TypeError: the result has no form in XML"]);
        (ReplyKind::Unserializable, xmlrpc::Value::String(why))
    };
    let (kind, result) = result.map_or_else(refused, |result| (kind, result));
    xmlrpc::Reply { kind, result }.write()
}

/// The value, if XML has a form for it.
fn value(value: &Value) -> Option<xmlrpc::Value> {
    let all = |items: &[Value]| items.iter().map(self::value).collect::<Option<Vec<_>>>();
    Some(match value {
        Value::None => xmlrpc::Value::Nil,
        Value::Bool(value) => xmlrpc::Value::Bool(*value),
        Value::Int(value) => xmlrpc::Value::Int(*value),
        Value::Float(value) => xmlrpc::Value::Double(*value),
        Value::Str(text) => xmlrpc::Value::String(text.clone()),
        Value::Bytes(bytes) => xmlrpc::Value::Base64(bytes.clone()),
        Value::Tuple(items) | Value::List(items) | Value::Set(items) => {
            xmlrpc::Value::Array(all(items)?)
        }
        Value::Dict(pairs) => {
            let named = pairs.iter().map(|(key, value)| {
                let name = key.as_str()?.to_owned();
                Some((name, self::value(value)?))
            });
            xmlrpc::Value::Struct(named.collect::<Option<_>>()?)
        }
        // What is stored as a pickle may be plain all the same.
        Value::Pickle(pickle) => {
            match crate::value::pickle::read(pickle.as_bytes(), pickle.proxies())? {
                Value::Pickle(_) => return None,
                plain => self::value(&plain)?,
            }
        }
        Value::BigInt(_) | Value::Surrogates(_) | Value::Slice(_) | Value::Proxy(_) => return None,
    })
}
