//! The requests that a link makes by itself, in either serializer of the standard library.

use coheld_wire::xmlrpc;

use crate::call::Exception;
use crate::value::pickle;
use crate::{Error, Raised, Value};

/// How a manager of the standard library writes its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Serializer {
    /// Pickles.
    Pickle,
    /// The XML of `xmlrpc.client`.
    XmlRpc,
}

impl Serializer {
    /// The request for a function of the server itself, with texts as arguments.
    pub(super) fn request(self, function: &str, arguments: &[&str]) -> Result<Vec<u8>, Error> {
        match self {
            Self::Pickle => {
                let arguments = arguments.iter().map(|text| Value::from(*text)).collect();
                let request = Value::Tuple(vec![
                    Value::None,
                    Value::from(function),
                    Value::Tuple(arguments),
                    Value::Dict(Vec::new()),
                ]);
                let (bytes, _) = pickle::Writer::pickle(&request)?;
                Ok(bytes)
            }
            Self::XmlRpc => {
                let text = |text: &str| format!("<value><string>{}</string></value>", escape(text));
                let function = text(function);
                let arguments: String = arguments.iter().map(|argument| text(argument)).collect();
                Ok(format!(
                    "<params><param><value><array><data><value><nil/></value>{function}<value>\
                     <array><data>{arguments}</data></array></value><value><struct></struct>\
                     </value></data></array></value></param></params>"
                )
                .into_bytes())
            }
        }
    }

    /// Makes sure that a reply is a result, and not the report of a failure.
    pub(super) fn check(self, reply: &[u8]) -> Result<(), Error> {
        match self {
            Self::Pickle => result_of_pickle(reply).map(drop),
            Self::XmlRpc => {
                let text = String::from_utf8_lossy(reply);
                if text.contains("<string>#RETURN</string>") {
                    return Ok(());
                }
                Err(refused(text.into_owned()))
            }
        }
    }

    /// The name of the object in the reply to `create`.
    pub(super) fn created(self, reply: &[u8]) -> Result<String, Error> {
        match self {
            Self::Pickle => match result_of_pickle(reply)?.as_items() {
                Some([Value::Str(ident), _]) => Ok(ident.clone()),
                _ => Err(unknown()),
            },
            Self::XmlRpc => {
                self.check(reply)?;
                let reply = xmlrpc::Reply::read(reply).map_err(|_| unknown())?;
                match reply.result {
                    xmlrpc::Value::Array(parts) => match &parts[..] {
                        [xmlrpc::Value::String(ident), _] => Ok(ident.clone()),
                        _ => Err(unknown()),
                    },
                    _ => Err(unknown()),
                }
            }
        }
    }
}

fn result_of_pickle(reply: &[u8]) -> Result<Value, Error> {
    let Some(Value::Tuple(parts)) = pickle::read(reply, &[]) else {
        return Err(unknown());
    };
    match parts.as_slice() {
        [Value::Str(kind), result] if kind == "#RETURN" => Ok(result.clone()),
        [Value::Str(_), Value::Str(text)] => Err(refused(text.clone())),
        // A manager of Coheld adds the exception itself.
        [Value::Str(_), Value::Tuple(failure)] => match failure.as_slice() {
            [Value::Str(text), _] => Err(refused(text.clone())),
            _ => Err(unknown()),
        },
        _ => Err(unknown()),
    }
}

fn refused(text: String) -> Error {
    Error::Raised(Raised {
        exception: Exception::RemoteError,
        message: text,
    })
}

fn unknown() -> Error {
    Error::Protocol {
        why: "no reply of a manager",
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_what_the_standard_library_reads() {
        let request = Serializer::Pickle.request("decref", &["7f"]).unwrap();
        let value = pickle::read(&request, &[]).unwrap();
        assert_eq!(value.to_string(), "(None, 'decref', ('7f',), {})");
        let request = Serializer::XmlRpc.request("dummy", &["<&>"]).unwrap();
        let request = String::from_utf8(request).unwrap();
        assert!(request.contains("<string>dummy</string>"), "{request}");
        assert!(
            request.contains("<string>&lt;&amp;&gt;</string>"),
            "{request}"
        );
    }

    #[test]
    fn a_reply_is_a_result_or_not() {
        let reply = |kind: &str, result: Value| {
            let reply = Value::Tuple(vec![Value::from(kind), result]);
            pickle::Writer::pickle(&reply).unwrap().0
        };
        let check = |reply: &[u8]| Serializer::Pickle.check(reply);
        check(&reply("#RETURN", Value::None)).unwrap();
        let made = Value::Tuple(vec![Value::from("7f"), Value::Tuple(Vec::new())]);
        let ident = Serializer::Pickle.created(&reply("#RETURN", made.clone()));
        assert_eq!(ident.unwrap(), "7f");
        let failed = Serializer::Pickle
            .created(&reply("#FAILED", made))
            .unwrap_err();
        assert_eq!(failed.to_string(), "RemoteError: 7f");
        let refused = check(&reply("#TRACEBACK", Value::from("KeyError"))).unwrap_err();
        assert_eq!(refused.exception(), Exception::RemoteError);
        assert!(matches!(check(b"nonsense"), Err(Error::Protocol { .. })));
        assert!(
            Serializer::XmlRpc
                .check(b"<string>#RETURN</string>")
                .is_ok()
        );
        assert!(
            Serializer::XmlRpc
                .check(b"<string>#TRACEBACK</string>")
                .is_err()
        );
    }
}
