//! Requests and replies.

use super::{Value, XmlError, read, write};
use crate::message::ReplyKind;

/// A request: which method of which object is to be called, and with what.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The identity of the object; none for functions of the server.
    pub ident: Option<String>,
    /// The name of the method or function.
    pub method: String,
    /// The arguments.
    pub arguments: Vec<Value>,
    /// The named arguments.
    pub keywords: Vec<(String, Value)>,
}

impl Request {
    /// Reads the message.
    pub fn read(message: &[u8]) -> Result<Self, XmlError> {
        let bad = |why| Err(XmlError::NotAMessage { why });
        let Value::Array(parts) = read(message)? else {
            return bad("it is no array of four");
        };
        let Ok([ident, method, arguments, keywords]) = <[Value; 4]>::try_from(parts) else {
            return bad("it is no array of four");
        };
        let ident = match ident {
            Value::Nil => None,
            Value::String(ident) => Some(ident),
            _ => return bad("the identity of the object is neither text nor nil"),
        };
        let Value::String(method) = method else {
            return bad("the name of the method is no text");
        };
        let Value::Array(arguments) = arguments else {
            return bad("the arguments are no array");
        };
        let Value::Struct(keywords) = keywords else {
            return bad("the named arguments are no struct");
        };
        Ok(Self {
            ident,
            method,
            arguments,
            keywords,
        })
    }

    /// Writes the message.
    pub fn write(&self) -> Result<Vec<u8>, XmlError> {
        let ident = self.ident.clone().map_or(Value::Nil, Value::String);
        write(&Value::Array(vec![
            ident,
            Value::String(self.method.clone()),
            Value::Array(self.arguments.clone()),
            Value::Struct(self.keywords.clone()),
        ]))
    }
}

/// A reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// What the result is.
    pub kind: ReplyKind,
    /// The result.
    pub result: Value,
}

impl Reply {
    /// Reads the message.
    pub fn read(message: &[u8]) -> Result<Self, XmlError> {
        let bad = |why| Err(XmlError::NotAMessage { why });
        let Value::Array(parts) = read(message)? else {
            return bad("it is no array of two");
        };
        let Ok([kind, result]) = <[Value; 2]>::try_from(parts) else {
            return bad("it is no array of two");
        };
        let kind = match kind {
            Value::String(name) => ReplyKind::by_name(&name),
            _ => None,
        };
        match kind {
            Some(kind) => Ok(Self { kind, result }),
            None => bad("it is of an unknown kind"),
        }
    }

    /// Writes the message.
    pub fn write(&self) -> Result<Vec<u8>, XmlError> {
        let kind = Value::String(self.kind.name().to_owned());
        write(&Value::Array(vec![kind, self.result.clone()]))
    }
}
