//! What Rust wants to know of the pickles in which hosts answer: which exception was raised, which
//! hosted object is the result. Nothing of it is executed.

use coheld_wire::message::Raised;
use coheld_wire::pickle::Graph;

use super::arrival::HostedToken;
use super::read::read_node;
use crate::proxy::Interface;
use crate::value::Value;

/// An exception that a method raised.
#[derive(Debug, PartialEq)]
pub(crate) struct Exception {
    /// The module of its class.
    pub(crate) module: String,
    /// The name of its class.
    pub(crate) class: String,
    /// What it was made with, as far as Rust has values for it; else nothing.
    pub(crate) arguments: Vec<Value>,
    /// Where it was raised, as Python prints it.
    pub(crate) traceback: String,
}

/// The exception in the pickle of the pair of an exception, pickled by itself, and the text of its
/// traceback.
pub(crate) fn read_exception(pickle: &[u8]) -> Option<Exception> {
    let graph = Graph::read(pickle).ok()?;
    let &[pickled, traceback] = graph.tuple(graph.root())? else {
        return None;
    };
    let traceback = graph.text_lossy(traceback)?.into_owned();
    let graph = Graph::read(graph.bytes(pickled)?).ok()?;
    let raised = Raised::read(&graph, graph.root())?;
    let value = |&argument| read_node(&graph, argument, &[]);
    let arguments = raised.arguments.iter().map(value).collect::<Option<_>>();
    Some(Exception {
        module: raised.module.to_owned(),
        class: raised.class.to_owned(),
        arguments: arguments.unwrap_or_default(),
        traceback,
    })
}

/// The token and what is known of the methods in the pickle of the triple of names of methods, a
/// token and a class.
pub(crate) fn read_hosted(pickle: &[u8]) -> Option<(HostedToken, Option<Interface>)> {
    let graph = Graph::read(pickle).ok()?;
    let &[exposed, token, _] = graph.tuple(graph.root())? else {
        return None;
    };
    let token = HostedToken::read(&graph, token)?;
    let names = graph.sequence(exposed).map(<[_]>::iter);
    let names = names.and_then(|mut names| {
        names.try_fold(Vec::new(), |mut all, name| {
            all.push(graph.text(*name)?.to_owned());
            Some(all)
        })
    });
    let interface = names.map(|names| Interface::new(token.typeid.as_str(), names));
    Some((token, interface))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `pickle.dumps((pickle.dumps(KeyError("k")), "Traceback"))`.
    const KEY_ERROR: &[u8] =
        b"\x80\x05\x95>\x00\x00\x00\x00\x00\x00\x00C,\x80\x05\x95!\x00\x00\x00\x00\
        \x00\x00\x00\x8c\x08builtins\x94\x8c\x08KeyError\x94\x93\x94\x8c\x01k\x94\
        \x85\x94R\x94.\x94\x8c\x09Traceback\x94\x86\x94.";

    #[test]
    fn an_exception_says_its_class_and_arguments() {
        let expected = Exception {
            module: "builtins".into(),
            class: "KeyError".into(),
            arguments: vec![Value::from("k")],
            traceback: "Traceback".into(),
        };
        assert_eq!(read_exception(KEY_ERROR), Some(expected));
        assert_eq!(read_hosted(KEY_ERROR), None);
    }

    #[test]
    fn a_token_says_where_the_object_is() {
        // As `pickle.dumps(((), Token("X", b"a", "ab", "cd", True), None), 5)`.
        let pickle = b"\x80\x05)\x8c\x0ecoheld._coheld\x8c\x05Token\x93(\x8c\x01XC\x01a\x8c\x02ab\
            \x8c\x02cd\x88tRN\x87.";
        let token = HostedToken {
            typeid: "X".into(),
            id: "ab".into(),
            segment: "cd".into(),
            is_leased: true,
        };
        let interface = Interface::new("X", [""; 0]);
        assert_eq!(read_hosted(pickle), Some((token, Some(interface))));
    }

    #[test]
    fn cut_pickles_are_nothing() {
        for length in 0..KEY_ERROR.len() {
            assert_eq!(read_exception(&KEY_ERROR[..length]), None);
        }
    }
}
