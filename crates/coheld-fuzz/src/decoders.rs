//! What the Rust API makes of bytes that somebody else has written: tokens, values in the segment
//! with the proxies in their pickles, messages of calls.

use coheld::hosted::{Reply, ReplyKind, Request};
use coheld::token::Place;
use coheld::{Address, Manager, SegmentOptions, Token, Value, ValueProxy};
use coheld_store::kinds::block as kind;
use coheld_store::{Input, StoreError, word};

/// Bytes of the segment in which values are looked at: more than the longest message takes.
const CAPACITY: u64 = 16 << 20;
/// In the place of the kind of a block: eight bytes that are a word follow.
pub const WORD: u8 = 0xff;

/// A segment with a value in it, into which anything is written, and what the value may name.
struct Shared {
    value: ValueProxy<Value>,
    edges: [u64; 3],
    // Dropped after the proxies.
    _others: [ValueProxy<Value>; 3],
    _manager: Manager,
}

impl Shared {
    fn new() -> Result<Self, coheld::Error> {
        let options = SegmentOptions {
            capacity: CAPACITY,
            member_limit: 4,
            ..SegmentOptions::default()
        };
        let manager = Manager::start_with(&options)?;
        let make = || ValueProxy::create(manager.attachment(), &Value::None);
        let others = [make()?, make()?, make()?];
        Ok(Self {
            value: make()?,
            edges: [&others[0], &others[1], &others[2]]
                .map(|proxy| proxy.as_proxy().handle().edge_word()),
            _others: others,
            _manager: manager,
        })
    }
}

thread_local! {
    /// One manager for all rounds; it goes with the thread.
    static SHARED: Shared = Shared::new().expect("a manager of this process");
}

/// Looks at the text of a token, of a place and of an address.
///
/// # Panics
///
/// If what was read is not what it is written as.
#[must_use]
pub fn token(message: &[u8]) -> bool {
    let _ = Address::from_bytes(message).map(|address| address.to_string());
    let Ok(text) = str::from_utf8(message) else {
        return false;
    };
    if let Some(place) = Place::parse(text) {
        assert_eq!(Place::parse(&place.text()), Some(place));
        let _ = place.lease();
    }
    let Ok(token) = text.parse::<Token>() else {
        return false;
    };
    assert_eq!(
        token.to_string().parse::<Token>().ok().as_ref(),
        Some(&token)
    );
    let _ = token.lease();
    true
}

/// Puts a block or a word into a value as it is, and reads it. The message is the kind of the
/// block, how many of the edges go with it, and its bytes.
///
/// # Panics
///
/// If the value that was read is another one when it is written and read once more.
#[must_use]
pub fn stored(message: &[u8]) -> bool {
    let Some((&[kind, edges], bytes)) = message.split_first_chunk() else {
        return false;
    };
    SHARED.with(|shared| {
        let input = if kind == WORD {
            let word = bytes
                .first_chunk()
                .map_or(0, |word| u64::from_le_bytes(*word));
            // What owns something cannot be made up.
            if !word::is_inline(word) {
                return false;
            }
            Input::Word(word)
        } else {
            let edges = &shared.edges[..usize::from(edges) % (shared.edges.len() + 1)];
            Input::Block { kind, bytes, edges }
        };
        let handle = shared.value.as_proxy().handle();
        let written = handle
            .referent()
            .map_err(|error| error.to_string())
            .and_then(|referent| {
                let value = coheld_store::Value::new(&referent);
                value.set(&input).map_err(|error| error.to_string())
            });
        written.expect("there is room for it");
        let Ok(value) = shared.value.get() else {
            return false;
        };
        let shown = format!("{value:?} {value}");
        shared
            .value
            .set(&value)
            .expect("what was read can be stored");
        let again = shared.value.get().expect("what was stored can be read");
        assert_eq!(shown, format!("{again:?} {again}"));
        true
    })
}

/// Looks at a message of a call: the first byte says which side it goes to.
///
/// # Panics
///
/// If what was read is not what it is written as.
#[must_use]
pub fn call(message: &[u8]) -> bool {
    match message.split_first() {
        Some((0, request)) => Request::decode(request).is_ok_and(|request| {
            assert!(request.method.len() + request.body.len() < message.len());
            true
        }),
        Some((_, reply)) => Reply::decode(reply.to_vec()).is_ok_and(|read| {
            let (kind, body) = (read.kind, read.body.clone());
            let again = Reply::decode(read.encode()).expect("what was written is a reply");
            assert_eq!((again.kind, &again.body), (kind, &body));
            true
        }),
        None => false,
    }
}

/// Tokens, places and addresses.
#[must_use]
pub fn tokens() -> Vec<Vec<u8>> {
    let id = "0123456789abcdef".repeat(2);
    let tokens = [
        Address::Path("/tmp/with space/and\n".into()),
        Address::Abstract(b"name\0\xff".to_vec()),
        Address::Tcp {
            host: "::1".into(),
            port: 50000,
        },
    ]
    .map(|address| format!("coheld1 {id} 2 12340 7f {address}").into_bytes());
    tokens.to_vec()
}

/// Blocks and words.
#[must_use]
pub fn stored_values() -> Vec<Vec<u8>> {
    let block = |kind: u8, edges: u8, bytes: &[u8]| [&[kind, edges], bytes].concat();
    let edge: &[u8] = b"\x80\x05]\x94(\x8c\x0fcoheld._coheld\x8c\x0d_rebuild_edge\x93(K\x00\
        \x8c\x0fcoheld.managers\x8c\x0aValueProxy\x93\x8c\x05Value\x8c\x06picklet\x94Re.";
    let mut values = vec![
        block(kind::BIGINT, 0, &[0xff; 20]),
        block(kind::STR, 0, "a text of \u{20ac}".as_bytes()),
        block(kind::STR_SURROGATE, 0, b"a \xed\xa0\x80"),
        block(kind::BYTES, 0, &[7; 30]),
        block(kind::FLOAT, 0, &(1.0_f64 / 3.0).to_le_bytes()),
        block(kind::PICKLE, 1, edge),
        block(kind::PICKLE, 0, b"\x80\x05]\x94(K\x01h\x00e."),
        block(
            kind::PICKLE,
            0,
            b"\x80\x05cbuiltins\nslice\nK\x01NK\x02\x87R.",
        ),
    ];
    for pickle in crate::corpus::pickles() {
        values.push(block(kind::PICKLE, 3, &pickle));
    }
    let key: Result<_, StoreError> = crate::image::scene::tuple_key();
    if let Ok(Input::Block { bytes, .. }) = key.as_ref().map(coheld_store::TupleKey::input) {
        values.push(block(kind::KEY, 0, bytes));
    }
    let words = [
        word::from_int(-5),
        word::from_float(0.5),
        word::from_str("short"),
    ];
    let words = words
        .into_iter()
        .chain([word::from_bytes(b"bytes"), Some(word::TRUE)]);
    values.extend(
        words
            .flatten()
            .map(|word| block(WORD, 0, &word.to_le_bytes())),
    );
    values
}

/// Requests and replies.
#[must_use]
pub fn calls() -> Vec<Vec<u8>> {
    let request = |name: &str, body: &[u8]| {
        let length = (name.len() as u16).to_le_bytes();
        [&[0][..], &[5; 8], &[1], &length, name.as_bytes(), body].concat()
    };
    let mut calls = vec![request("append", b"\x80\x05)."), request("", b"")];
    for kind in ReplyKind::ALL {
        calls.push([vec![1], Reply::new(kind, &b"body"[..]).encode()].concat());
    }
    calls
}
