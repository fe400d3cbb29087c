//! The bytes of stock managers, and messages that are none.

use super::*;
use crate::pickle::Term;

#[test]
fn simple_messages_have_the_bytes_of_python() {
    let dummy = b"\x80\x04\x95\x10\0\0\0\0\0\0\0(N\x8c\x05dummy\x94)}\x94t\x94.";
    assert_eq!(request(None, "dummy", &[], &[]).unwrap(), dummy);
    let none = b"\x80\x04\x95\x0e\0\0\0\0\0\0\0\x8c\x07#RETURN\x94N\x86\x94.";
    assert_eq!(returned(&Term::None).unwrap(), none);
    let length = request(Some("7f0123456789"), "__len__", &[], &[]).unwrap();
    assert_eq!(length.len(), 43);
    assert_eq!(returned(&Term::Int(2)).unwrap().len(), 26);
    let failed = b"\x80\x04\x95\x13\0\0\0\0\0\0\0\x8c\x0a#TRACEBACK\x94\x8c\x01x\x94\x86\x94.";
    assert_eq!(traceback("x")[..2], failed[..2]);
    assert_eq!(traceback("x")[11..], failed[11..]);
}

#[test]
fn a_request_is_read_as_it_was_written() {
    let bytes = request(
        Some("ab"),
        "get",
        &[Term::text("k"), Term::Tuple(vec![])],
        &[("block", Term::Bool(true)), ("timeout", Term::Float(0.5))],
    )
    .unwrap();
    let request = Request::read(&bytes).unwrap();
    assert_eq!(request.ident(), Some("ab"));
    assert_eq!(request.method(), "get");
    let (graph, arguments) = (request.graph(), request.arguments());
    assert_eq!(graph.text(arguments[0]), Some("k"));
    assert_eq!(graph.tuple(arguments[1]), Some(&[][..]));
    let names: Vec<&str> = request.keywords().map(|(name, _)| name).collect();
    assert_eq!(names, ["block", "timeout"]);
}

#[test]
fn requests_of_another_form_are_told() {
    let read = |bytes: &[u8]| Request::read(bytes).unwrap_err().to_string();
    assert_eq!(read(b""), "bad pickle: it is cut off (at byte 0)");
    assert_eq!(read(b"N."), "bad request: it is no tuple of four");
    let ident = "bad request: the identity of the object is neither text nor None";
    assert_eq!(read(b"(K\x01X\x01\0\0\0a)}t."), ident);
    assert_eq!(
        read(b"(NN)}t."),
        "bad request: the name of the method is no text"
    );
    let arguments = "bad request: the arguments are neither a tuple nor a list";
    assert_eq!(read(b"(NX\x01\0\0\0aN}t."), arguments);
    let keywords = "bad request: the named arguments are no dict";
    assert_eq!(read(b"(NX\x01\0\0\0a)Nt."), keywords);
    let name = "bad request: the name of a named argument is no text";
    assert_eq!(read(b"(NX\x01\0\0\0a)}K\x01K\x01st."), name);
    let trailing = "bad message: 2 bytes follow the pickle";
    assert_eq!(read(b"(NX\x01\0\0\0a]}t.N."), trailing);
    assert!(Request::read(b"(NX\x01\0\0\0a]}t.").is_ok());
}

#[test]
fn replies_say_what_they_are() {
    let bytes = raised(&exception("builtins", "KeyError", [Term::text("zz")])).unwrap();
    let reply = Reply::read(&bytes).unwrap();
    assert_eq!(reply.kind(), ReplyKind::Error);
    let raised = reply.exception().unwrap();
    assert_eq!((raised.module, raised.class), ("builtins", "KeyError"));
    assert_eq!(reply.graph().text(raised.arguments[0]), Some("zz"));
    assert_eq!(raised.state, None);

    let bytes = unserializable("<lock>");
    let reply = Reply::read(&bytes).unwrap();
    assert_eq!(reply.kind(), ReplyKind::Unserializable);
    assert_eq!(reply.text().unwrap(), "<lock>");

    let read = |bytes: &[u8]| Reply::read(bytes).unwrap_err().to_string();
    assert_eq!(read(b"N."), "bad reply: it is no tuple of two");
    assert_eq!(read(b"NN\x86."), "bad reply: it is of an unknown kind");
    let text = "bad reply: the description of a failure is no text";
    assert_eq!(read(b"\x8c\x0a#TRACEBACKN\x86."), text);
    let proxy = "bad reply: it has no names of methods and token of an object";
    assert_eq!(read(b"\x8c\x06#PROXYN\x86."), proxy);
}

#[test]
fn tokens_come_back_with_every_address() {
    let addresses = [
        Address::None,
        Address::Text("/tmp/pymp-x/sock-1".into()),
        Address::Bytes(b"\0name".to_vec()),
        Address::Host("localhost".into(), 50000),
    ];
    for address in addresses {
        let token = Token {
            typeid: "list".into(),
            address,
            id: "7f00".into(),
        };
        let bytes = proxied(&["append", "pop"], &token).unwrap();
        let reply = Reply::read(&bytes).unwrap();
        assert_eq!(reply.proxy(), Some((vec!["append", "pop"], token.clone())));
        let record = ProxyRecord {
            class: (MANAGERS, "ListProxy"),
            token,
            serializer: "pickle",
            exposed: Some(vec!["append"]),
            keywords: Vec::new(),
        };
        let bytes = returned(&record.term()).unwrap();
        let reply = Reply::read(&bytes).unwrap();
        let read = ProxyRecord::read(reply.graph(), reply.result()).unwrap();
        assert_eq!((read.class, &read.token), (record.class, &record.token));
        assert_eq!(
            (read.serializer, &read.exposed),
            ("pickle", &record.exposed)
        );
        assert_eq!(read.keywords[0].0, "exposed");
    }
}
