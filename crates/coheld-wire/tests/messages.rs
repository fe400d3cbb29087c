//! Messages of stock managers, and what Python makes of ours, for every interpreter found on this
//! machine.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use coheld_wire::message::{
    Address, ProxyRecord, Reply, ReplyKind, Request, Token, exception, proxied, raised, request,
    returned, traceback,
};
use coheld_wire::pickle::Term;
use coheld_wire::xmlrpc::{self, Value};

mod interpreters;

struct Python(Child);

impl Python {
    fn start(interpreter: &str) -> Self {
        let process = Command::new(interpreter)
            .args(["-c", include_str!("python/messages.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        Self(process.unwrap())
    }

    fn receive(&mut self) -> Vec<u8> {
        let output = self.0.stdout.as_mut().unwrap();
        let mut length = [0; 8];
        output.read_exact(&mut length).expect("python is gone");
        let mut bytes = vec![0; u64::from_le_bytes(length) as usize];
        output.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn send(&mut self, message: &[u8]) {
        let input = self.0.stdin.as_mut().unwrap();
        let length = (message.len() as u64).to_le_bytes();
        // If Python has found something wrong, it tells so itself.
        let _ = input
            .write_all(&length)
            .and_then(|()| input.write_all(message));
        let _ = input.flush();
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn addresses() -> [Address; 4] {
    [
        Address::None,
        Address::Text("/tmp/socket".into()),
        Address::Bytes(b"\0name".to_vec()),
        Address::Host("localhost".into(), 50000),
    ]
}

fn token(address: Address) -> Token {
    Token {
        typeid: "list".into(),
        address,
        id: "7f00".into(),
    }
}

/// Reads what Python writes in one protocol.
fn read(python: &mut Python, protocol: u8) {
    let bytes = python.receive();
    let dummy = Request::read(&bytes).unwrap();
    assert_eq!((dummy.ident(), dummy.method()), (None, "dummy"));
    assert!(dummy.arguments().is_empty() && dummy.keywords().next().is_none());
    let bytes = python.receive();
    let get = Request::read(&bytes).unwrap();
    assert_eq!((get.ident(), get.method()), (Some("7f00"), "get"));
    assert_eq!(get.graph().text(get.arguments()[0]), Some("k"));
    assert_eq!(get.keywords().next().unwrap().0, "block");

    for address in addresses() {
        if matches!(address, Address::Bytes(_)) && protocol < 3 {
            continue;
        }
        let expected = token(address);
        let bytes = python.receive();
        let reply = Reply::read(&bytes).unwrap();
        assert_eq!(reply.kind(), ReplyKind::Proxy);
        assert_eq!(
            reply.proxy(),
            Some((vec!["append", "pop"], expected.clone()))
        );
        let bytes = python.receive();
        let reply = Reply::read(&bytes).unwrap();
        let list = reply.graph().sequence(reply.result()).unwrap();
        let proxy = ProxyRecord::read(reply.graph(), list[0]).unwrap();
        assert_eq!(proxy.class, ("multiprocessing.managers", "ListProxy"));
        assert_eq!(
            (proxy.token, proxy.serializer, proxy.exposed),
            (expected, "pickle", None)
        );
    }
    let bytes = python.receive();
    let reply = Reply::read(&bytes).unwrap();
    let list = reply.graph().sequence(reply.result()).unwrap();
    let proxy = ProxyRecord::read(reply.graph(), list[0]).unwrap();
    assert_eq!(proxy.class, ("multiprocessing.managers", "AutoProxy"));
    assert_eq!(proxy.exposed, Some(vec!["get", "put"]));

    let bytes = python.receive();
    let reply = Reply::read(&bytes).unwrap();
    let error = reply.exception().unwrap();
    assert_eq!((error.module, error.class), ("builtins", "KeyError"));
    assert_eq!(reply.graph().text(error.arguments[0]), Some("zz"));
    assert_eq!(error.state, None);
    let bytes = python.receive();
    let reply = Reply::read(&bytes).unwrap();
    let error = reply.exception().unwrap();
    assert_eq!((error.module, error.class), ("_queue", "Empty"));
    assert_eq!(reply.graph().dict(error.state.unwrap()).unwrap().count(), 1);
    let bytes = python.receive();
    let reply = Reply::read(&bytes).unwrap();
    assert_eq!(reply.kind(), ReplyKind::Traceback);
    assert!(reply.text().unwrap().starts_with("Traceback\n\u{fffd}"));
    let bytes = python.receive();
    let reply = Reply::read(&bytes).unwrap();
    assert_eq!(reply.kind(), ReplyKind::Unserializable);
    assert_eq!(reply.text().unwrap(), "<lock>");
    assert!(python.receive().is_empty());
}

fn read_texts(python: &mut Python) {
    let value = Value::Array(vec![
        Value::Int(1),
        Value::Bool(true),
        Value::Nil,
        Value::Double(2.5),
        Value::String("a<&>\n\u{e9}".into()),
        Value::Base64(vec![b'x'; 100]),
        Value::Struct(vec![("k".into(), Value::Array(vec![]))]),
    ]);
    let expected = xmlrpc::Request {
        ident: None,
        method: "dummy".into(),
        arguments: vec![value.clone(), Value::DateTime("20260101T00:00:00".into())],
        keywords: vec![("k".into(), Value::Int(1))],
    };
    let bytes = python.receive();
    assert_eq!(xmlrpc::Request::read(&bytes), Ok(expected.clone()));
    assert_eq!(expected.write(), Ok(bytes));
    let kind = ReplyKind::Return;
    let expected = xmlrpc::Reply {
        kind,
        result: value,
    };
    assert_eq!(xmlrpc::Reply::read(&python.receive()), Ok(expected));
}

fn write(python: &mut Python) {
    let named = [("block", Term::Bool(false))];
    let arguments = [Term::text("k"), Term::bytes(vec![0])];
    for message in [
        request(None, "dummy", &[], &[]).unwrap(),
        returned(&Term::None).unwrap(),
        traceback("text"),
        request(Some("7f00"), "__len__", &[], &[]).unwrap(),
        request(Some("7f00"), "get", &arguments, &named).unwrap(),
    ] {
        python.send(&message);
    }
    for address in addresses() {
        python.send(&proxied(&["append"], &token(address)).unwrap());
    }
    let proxy = ProxyRecord {
        class: ("multiprocessing.managers", "AutoProxy"),
        token: token(Address::None),
        serializer: "pickle",
        exposed: Some(vec!["get", "put"]),
        keywords: Vec::new(),
    };
    python.send(&returned(&proxy.term()).unwrap());
    for error in [
        exception("builtins", "KeyError", [Term::text("zz")]),
        exception("_queue", "Empty", []),
        exception("queue", "Full", []),
        exception("threading", "BrokenBarrierError", []),
    ] {
        python.send(&raised(&error).unwrap());
    }
    let request = xmlrpc::Request {
        ident: Some("7f00".into()),
        method: "append".into(),
        arguments: vec![
            Value::Int(1 << 40),
            Value::Bool(false),
            Value::Double(0.1),
            Value::String("a\r\n<\u{20ac}>".into()),
            Value::Array(vec![Value::Struct(vec![(
                String::new(),
                Value::Array(vec![]),
            )])]),
            Value::Base64((0..=255).collect()),
            Value::DateTime("20260101T00:00:00".into()),
        ],
        keywords: vec![("k".into(), Value::Nil)],
    };
    python.send(&request.write().unwrap());
}

#[test]
fn messages_are_understood_in_both_directions() {
    let interpreters = interpreters::all();
    assert!(!interpreters.is_empty(), "there is no python3");
    for interpreter in interpreters {
        let mut python = Python::start(&interpreter);
        for protocol in 0..=5 {
            read(&mut python, protocol);
        }
        read_texts(&mut python);
        write(&mut python);
        let mut said = String::new();
        let output = python.0.stdout.as_mut().unwrap();
        output.read_to_string(&mut said).unwrap();
        assert_eq!(said.trim(), "fine", "{interpreter}");
    }
}
