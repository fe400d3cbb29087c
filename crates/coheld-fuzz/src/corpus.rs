//! Good messages to begin with.

use coheld_wire::auth::Generation;
use coheld_wire::frame::encode;
use coheld_wire::handshake::Handshake;
use coheld_wire::message::{
    Address, ProxyRecord, Token, exception, proxied, raised, request, returned, traceback,
};
use coheld_wire::pickle::Term;
use coheld_wire::xmlrpc::{self, Value};

use crate::targets::{CLIENT_NONCE, KEY, SERVER_NONCE};

/// Pickles: of every protocol, and of everything that can be in them.
#[must_use]
pub fn pickles() -> Vec<Vec<u8>> {
    let literal: [&[u8]; 12] = [
        b"(lp0\nNaI01\naI7\naL-1180591620717411303424L\naF1.5\naVa\\u20ac\np1\naS'o\\x41'\nag1\na.",
        b"(dp0\nI1\n(lp1\nI2\nasI3\n(I4\nI5\ntp2\ns.",
        b"((lp0\n(g0\ntp1\na00g1\n.",
        b"(I1\nicopy_reg\nmade\n(cmodule\nname\noF-inf\n\x87.",
        b"\x80\x02c__builtin__\nset\nq\x00]q\x01(K\x01M\xe8\x03J\xff\xff\xff\xffe\x85q\x02Rq\x03.",
        b"\x80\x02cm\nC\nq\x00)\x81q\x01}q\x02(X\x01\0\0\0aq\x03h\x01X\x01\0\0\0bq\x04h\x02ub.",
        b"\x80\x03C\x03abcq\x00B\x02\0\0\0xyG?\xf0\0\0\0\0\0\0\x8a\x02\xff\x7f\x87.",
        b"\x80\x04\x8f\x94(K\x01\x8c\x01a\x94\x90(K\x02h\x01\x91\x94]\x94(h\x00h\x01h\x02e\x87.",
        b"\x80\x04\x8c\x01m\x94\x8c\x01C\x94\x93\x94K\x01\x85\x94}\x94\x8c\x01kNs\
            \x92\x94(K\x01K\x02e(K\x03K\x04uh\x00b.",
        b"\x80\x05\x96\x03\0\0\0\0\0\0\0abc\x942\x8e\x01\0\0\0\0\0\0\0z\x87.",
        b"]q\0h\0K\x01\x86q\x01ah\x01.",
        b"}q\0(K\x01\x8c\x01m\x8c\x01f\x93]q\x01(h\0h\0e\x85Rq\x02K\x02h\x01u.",
    ];
    let mut pickles: Vec<Vec<u8>> = literal.iter().map(|pickle| pickle.to_vec()).collect();
    pickles.extend(requests());
    pickles.extend(replies());
    pickles
}

fn token(address: Address) -> Token {
    Token {
        typeid: "list".into(),
        address,
        id: "7f00".into(),
    }
}

/// Requests to a manager.
#[must_use]
pub fn requests() -> Vec<Vec<u8>> {
    let token = token(Address::Host("localhost".into(), 50000));
    let proxy = ProxyRecord {
        class: ("multiprocessing.managers", "AutoProxy"),
        token: token.clone(),
        serializer: "pickle",
        exposed: Some(vec!["append", "pop"]),
        keywords: Vec::new(),
    };
    let nested = Term::Dict(vec![(
        Term::text("k"),
        Term::Tuple(vec![Term::Float(0.5), Term::bytes(vec![0, 255])]),
    )]);
    let named = [("block", Term::Bool(true)), ("timeout", Term::None)];
    let several = vec![Term::Int(5), Term::Int(1 << 40), nested];
    let written = [
        request(None, "dummy", &[], &[]),
        request(
            None,
            "create",
            &[Term::text("list"), Term::List(several)],
            &[],
        ),
        request(Some("7f00"), "get", &[], &named),
        request(Some("7f00"), "append", &[proxy.term()], &[]),
        request(None, "incref", &[token.term()], &[]),
    ];
    written.into_iter().flatten().collect()
}

/// Replies of a manager.
#[must_use]
pub fn replies() -> Vec<Vec<u8>> {
    let text = token(Address::Text("/tmp/pymp-x/listener-y".into()));
    let bytes = token(Address::Bytes(b"\0name".to_vec()));
    let written = [
        returned(&Term::None),
        returned(&Term::List(vec![
            Term::text("\u{e9}"),
            Term::global("builtins", "int"),
        ])),
        raised(&exception("builtins", "KeyError", [Term::text("zz")])),
        proxied(&["append", "pop"], &text),
        proxied(&[], &bytes),
        Ok(traceback("Traceback (most recent call last)")),
    ];
    written.into_iter().flatten().collect()
}

/// Messages in XML.
#[must_use]
pub fn texts() -> Vec<Vec<u8>> {
    let value = Value::Array(vec![
        Value::Nil,
        Value::Bool(true),
        Value::Int(-5),
        Value::Double(1.5e300),
        Value::String("a<&>\r\n\u{e9}".into()),
        Value::Base64(vec![7; 100]),
        Value::Struct(vec![("k".into(), Value::Array(vec![]))]),
        Value::DateTime("20260101T00:00:00".into()),
    ]);
    let request = xmlrpc::Request {
        ident: Some("7f00".into()),
        method: "append".into(),
        arguments: vec![value.clone()],
        keywords: vec![("k".into(), Value::Int(1))],
    };
    let free = "<?xml version='1.0'?><!-- c --><params><param><value>bare&#65;<![CDATA[<]]>\
                &quot;</value></param></params>";
    let mut texts: Vec<Vec<u8>> = xmlrpc::write(&value).into_iter().collect();
    texts.extend(request.write());
    texts.push(free.into());
    texts
}

/// Streams of frames.
#[must_use]
pub fn streams() -> Vec<Vec<u8>> {
    let long = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 2, b'o', b'k'];
    vec![
        [encode(b"first"), encode(b""), encode(&[7; 300])].concat(),
        [&long[..], &encode(b"abc")].concat(),
        [encode(b"x"), vec![0xff; 12]].concat(),
    ]
}

/// What the other end says in a handshake, each message behind the byte of its length. The first
/// byte tells which end listens to it.
#[must_use]
pub fn handshakes() -> Vec<Vec<u8>> {
    let mut said = Vec::new();
    for server_generation in [Generation::Legacy, Generation::Modern] {
        for client_generation in [Generation::Legacy, Generation::Modern] {
            let (mut server, opening) = Handshake::server(KEY, server_generation, &SERVER_NONCE);
            let mut client = Handshake::client(KEY, client_generation, &CLIENT_NONCE);
            let mut by_server = vec![client_generation as u8 | 2];
            let mut by_client = vec![server_generation as u8];
            let mut message = Some(opening);
            while let Some(bytes) = message.take() {
                push(&mut by_server, &bytes);
                let Ok(step) = client.receive(&bytes) else {
                    break;
                };
                let Some(answer) = step.send else { break };
                push(&mut by_client, &answer);
                // The server may have two things to say.
                message = match server.receive(&answer) {
                    Ok(step) => step.send,
                    Err(_) => None,
                };
            }
            said.extend([by_server, by_client]);
        }
    }
    said
}

fn push(all: &mut Vec<u8>, message: &[u8]) {
    all.push(message.len() as u8);
    all.extend_from_slice(message);
}
