//! What is fuzzed, and what is promised of it.

use coheld_wire::auth::{Generation, Md5};
use coheld_wire::frame::{Decoder, encode};
use coheld_wire::handshake::Handshake;
use coheld_wire::message::{ProxyRecord, Raised, Reply, Request, Token};
use coheld_wire::pickle::Graph;
use coheld_wire::xmlrpc;

use crate::{corpus, decoders};

/// The key of the handshakes.
pub const KEY: &[u8] = b"key";
/// Only where nothing is to be protected may a nonce be known.
pub const SERVER_NONCE: [u8; 40] = [1; 40];
/// See [`SERVER_NONCE`].
pub const CLIENT_NONCE: [u8; 40] = [2; 40];

/// Longest frame that is taken.
const FRAME_LIMIT: u64 = 1 << 12;

/// Most memory that looking at one message may take: for each of its bytes, and in addition.
const MEMORY_FACTOR: usize = 512;
const MEMORY_BASE: usize = 256 << 10;
/// The same where values are made of pickles, shared parts as often as they are referred to, and
/// written down.
const VALUES_FACTOR: usize = 64 << 10;
const VALUES_BASE: usize = 512 << 20;

/// Something that reads what others have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Frames come out the same however the bytes arrive.
    Frames,
    /// A handshake is over after a wrong message, and never done without a right one.
    Handshake,
    /// A pickle is read or refused, and what is taken out of it can be read.
    Pickle,
    /// A request is read or refused, and so is every part of it.
    Request,
    /// A reply is read or refused, and so is every part of it.
    Reply,
    /// A message in XML is read or refused, and can be written again.
    XmlRpc,
    /// A token is read or refused, and can be written again.
    Token,
    /// A block or word of the segment is read or refused, with the proxies in its pickle, and what
    /// was read can be stored again.
    Stored,
    /// A message of a call is read or refused.
    Call,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Frames,
        Self::Handshake,
        Self::Pickle,
        Self::Request,
        Self::Reply,
        Self::XmlRpc,
        Self::Token,
        Self::Stored,
        Self::Call,
    ];

    /// Good messages to begin with.
    #[must_use]
    pub fn corpus(self) -> Vec<Vec<u8>> {
        match self {
            Self::Frames => corpus::streams(),
            Self::Handshake => corpus::handshakes(),
            Self::Pickle => corpus::pickles(),
            Self::Request => corpus::requests(),
            Self::Reply => corpus::replies(),
            Self::XmlRpc => corpus::texts(),
            Self::Token => decoders::tokens(),
            Self::Stored => decoders::stored_values(),
            Self::Call => decoders::calls(),
        }
    }

    /// Pieces that mean something in its language.
    #[must_use]
    pub fn words(self) -> &'static [&'static [u8]] {
        match self {
            Self::Frames => &[b"\0\0\0\0", b"\0\0\0\x01", b"\xff\xff\xff\xff"],
            Self::Handshake => &[
                b"#CHALLENGE#",
                b"#WELCOME#",
                b"#FAILURE#",
                b"{sha256}",
                b"{md5}",
            ],
            Self::XmlRpc => &[
                b"<value>",
                b"</value>",
                b"<array><data>",
                b"</data></array>",
                b"<nil/>",
                b"&lt;",
                b"<struct>",
                b"<member>",
                b"<name>",
                b"</struct>",
                b"<!DOCTYPE a>",
                b"<![CDATA[",
                b"]]>",
                b"<!--",
                b"-->",
                b"&#1;",
                b"<int>1</int>",
                b"<?x?>",
                b"&a;",
                b"<base64>",
            ],
            Self::Token => &[
                b"coheld1", b" ", b"unix:", b"tcp:", b"%", b"%00", b"[::1]", b":0",
            ],
            Self::Call => &[b"\0", b"\xff\xff", b"\x81", b"\x07"],
            Self::Pickle | Self::Request | Self::Reply | Self::Stored => &[
                b"(",
                b".",
                b"0",
                b"1",
                b"2",
                b"I1\n",
                b"L5L\n",
                b"F1\n",
                b"Va\n",
                b"S'a'\n",
                b"N",
                b"K\x01",
                b"X\x01\0\0\0a",
                b"\x8c\x01a",
                b"]",
                b"}",
                b")",
                b"\x8f",
                b"l",
                b"d",
                b"t",
                b"a",
                b"e",
                b"s",
                b"u",
                b"\x90",
                b"\x91",
                b"\x85",
                b"\x86",
                b"\x87",
                b"R",
                b"b",
                b"o",
                b"\x81",
                b"\x92",
                b"\x93",
                b"\x94",
                b"q\0",
                b"q\x01",
                b"h\0",
                b"h\x01",
                b"h\x02",
                b"p0\n",
                b"g0\n",
                b"cm\nC\n",
                b"im\nC\n",
                b"\x80\x02",
                b"\x95\0\0\0\0\0\0\0\0",
                b"]q\0h\0a",
                b"\x96\x01\0\0\0\0\0\0\0a",
                b"\x8a\x01\xff",
                b"\x8e\x01\0\0\0\0\0\0\0b",
            ],
        }
    }

    /// Most memory that looking at a message of so many bytes may take.
    ///
    /// A byte can make a node with its times, which a growing vector holds twice for a moment, and
    /// what the writer knows of it. Values that are made of a pickle have a bound of their own,
    /// which is the same for all small ones.
    #[must_use]
    pub fn memory_limit(self, length: usize) -> usize {
        match self {
            Self::Stored => VALUES_BASE + VALUES_FACTOR * length,
            _ => MEMORY_BASE + MEMORY_FACTOR * length,
        }
    }

    /// Looks at a message. Whether it is a good one.
    ///
    /// # Panics
    ///
    /// If a promise is broken.
    #[must_use]
    pub fn look(self, message: &[u8]) -> bool {
        match self {
            Self::Frames => frames(message),
            Self::Handshake => handshake(message),
            Self::Pickle => match Graph::read(message) {
                Ok(graph) => pickle(&graph),
                Err(malformed) => {
                    assert!(malformed.offset <= message.len() && !malformed.to_string().is_empty());
                    false
                }
            },
            Self::Request => Request::read(message).is_ok_and(|request| {
                let named = request.keywords().map(|(_, value)| value);
                for part in request.arguments().iter().copied().chain(named) {
                    part_of(request.graph(), part);
                }
                pickle(request.graph())
            }),
            Self::Reply => Reply::read(message).is_ok_and(|reply| {
                let _ = (reply.text(), reply.exception(), reply.proxy());
                part_of(reply.graph(), reply.result());
                pickle(reply.graph())
            }),
            Self::XmlRpc => text(message),
            Self::Token => decoders::token(message),
            Self::Stored => decoders::stored(message),
            Self::Call => decoders::call(message),
        }
    }
}

fn frames(stream: &[u8]) -> bool {
    let mut whole = Decoder::new(FRAME_LIMIT);
    let mut bytewise = Decoder::new(FRAME_LIMIT);
    let (mut rest, mut messages) = (stream, Vec::new());
    let refused = loop {
        match whole.take(&mut rest) {
            Ok(Some(message)) => messages.push(message),
            Ok(None) if rest.is_empty() => break false,
            Ok(None) => (),
            Err(_) => break true,
        }
    };
    let mut found = Vec::new();
    let refused_bytewise = stream
        .iter()
        .any(|byte| match bytewise.take(&mut &[*byte][..]) {
            Ok(message) => {
                found.extend(message);
                false
            }
            Err(_) => true,
        });
    assert_eq!((&messages, refused), (&found, refused_bytewise));
    assert!(messages.iter().map(Vec::len).sum::<usize>() <= stream.len());
    let again: Vec<u8> = messages
        .iter()
        .flat_map(|message| encode(message))
        .collect();
    let mut decoder = Decoder::new(FRAME_LIMIT);
    let mut rest = &again[..];
    for message in &messages {
        assert_eq!(decoder.take(&mut rest).as_ref(), Ok(&Some(message.clone())));
    }
    !messages.is_empty()
}

fn handshake(said: &[u8]) -> bool {
    let Some((&first, mut rest)) = said.split_first() else {
        return false;
    };
    let generation = if first & 1 == 0 {
        Generation::Legacy
    } else {
        Generation::Modern
    };
    let is_server = first & 2 == 0;
    let end = if is_server {
        Handshake::server(KEY, generation, &SERVER_NONCE).0
    } else {
        Handshake::client(KEY, generation, &CLIENT_NONCE)
    };
    let md5 = if first & 4 == 0 {
        Md5::Allowed
    } else {
        Md5::Refused
    };
    let mut end = end.with_md5(md5);
    let (mut steps, mut done) = (0, false);
    while let Some((&length, behind)) = rest.split_first() {
        let message;
        (message, rest) = behind.split_at(behind.len().min(usize::from(length)));
        match end.receive(message) {
            Ok(step) => {
                assert!(!done, "a handshake goes on after its end");
                done = step.done;
                steps += 1;
            }
            Err(failed) => {
                assert!(!failed.error.to_string().is_empty());
                assert!(end.receive(message).is_err(), "a failed handshake goes on");
                break;
            }
        }
    }
    assert!(
        !done || steps == 3,
        "a handshake was done after {steps} messages"
    );
    steps > 0
}

/// Takes a value out of a message, and out of what was taken out.
fn part_of(graph: &Graph<'_>, number: coheld_wire::pickle::Number) {
    let _ = (
        Token::read(graph, number),
        ProxyRecord::read(graph, number),
        Raised::read(graph, number),
    );
    let extract = graph.extract(number);
    let again = Graph::read(&extract).expect("what was taken out is a pickle");
    assert_eq!(again.length(), extract.len());
    assert!(again.node_count() <= extract.len());
    assert_eq!(
        again.extract(again.root()),
        extract,
        "the second time is another"
    );
}

fn pickle(graph: &Graph<'_>) -> bool {
    assert!(graph.node_count() <= graph.length());
    part_of(graph, graph.root());
    true
}

fn text(message: &[u8]) -> bool {
    let _ = (xmlrpc::Request::read(message), xmlrpc::Reply::read(message));
    let Ok(value) = xmlrpc::read(message) else {
        return false;
    };
    // Not every character that is read can be written.
    if let Ok(written) = xmlrpc::write(&value) {
        let again = xmlrpc::read(&written).expect("what was written is a message");
        assert_eq!(format!("{again:?}"), format!("{value:?}"));
    }
    true
}
