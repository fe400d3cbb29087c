//! Tests of the table through the dict and the set.

mod corruption;
mod memory;
mod model;
mod recovery;
mod shape;
mod sharing;

use coheld_shm::backing::HeapBacking;
use coheld_shm::{Options, Referent, Segment};

use super::layout::{DELETED, Table};
use crate::key::KeyHasher;
use crate::{Dict, Input, Key, Output, kinds, verify, word};

/// A segment in ordinary memory with one dict in it.
struct Fixture {
    segment: Segment,
    backing: HeapBacking,
    place: (u64, u32),
    hasher: KeyHasher,
}

impl Fixture {
    fn new() -> Self {
        Self::of_kind(kinds::referent::DICT)
    }

    fn of_kind(kind: u8) -> Self {
        let backing = HeapBacking::new(64 << 20);
        let options = Options {
            member_limit: 4,
            lanes_per_member: 4,
            secret: [0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210],
            ..Options::default()
        };
        let segment = Segment::create(Box::new(backing.clone()), &options).unwrap();
        segment.set_mender(crate::MENDER);
        segment.join().unwrap();
        let place = segment.create_referent(kind, 0).unwrap();
        let hasher = KeyHasher::new(segment.secret());
        Self {
            segment,
            backing,
            place,
            hasher,
        }
    }

    fn referent(&self) -> Referent<'_> {
        self.segment.referent(self.place.0, self.place.1).unwrap()
    }

    /// The invariants of `layout`, and those of the whole segment.
    fn check(&self) {
        check_table(&self.referent());
        if let Err(problems) = verify(&self.segment) {
            panic!("{problems:?}");
        }
    }

    /// Nothing but the referent itself is left in the segment.
    fn check_empty(&self) {
        let report = verify(&self.segment).unwrap();
        assert_eq!((report.referents, report.blocks, report.edges), (1, 0, 0));
    }
}

fn check_table(referent: &Referent<'_>) {
    let guard = referent.lock().unwrap();
    let Some(table) = Table::open(&guard).unwrap() else {
        return;
    };
    let mut named = vec![0; table.used as usize];
    let mut fill = 0;
    for slot in 0..table.shape.index {
        let found = table.slot(slot).unwrap();
        fill += u32::from(found != 0);
        if found != 0 && found != DELETED {
            let entry = table.named_by(found).expect("a slot names a used entry");
            named[entry as usize] += 1;
        }
    }
    let mut live = 0;
    for entry in 0..table.used {
        let is_live = table.key(entry).unwrap() != word::EMPTY;
        live += u32::from(is_live);
        assert_eq!(named[entry as usize], u32::from(is_live), "entry {entry}");
        assert_eq!(table.value(entry).unwrap() != word::EMPTY, is_live);
    }
    assert!(table.used == 0 || table.key(table.used - 1).unwrap() != word::EMPTY);
    assert_eq!(table.live().unwrap(), live);
    assert_eq!(table.fill().unwrap(), fill);
    assert!(fill <= table.shape.fill_limit());
}

/// The number of an inline integer.
fn number(output: Option<Output>) -> Option<i64> {
    output.map(|output| word::to_int(output.inline_word().unwrap()).unwrap())
}

fn integer(value: i64) -> Input<'static> {
    Input::Word(word::from_int(value).unwrap())
}

fn integer_key(value: i64, hasher: &KeyHasher) -> Key<'static> {
    Key::from_word(word::from_int(value).unwrap(), hasher).unwrap()
}

/// Text longer than a word.
fn long(value: impl std::fmt::Display) -> String {
    format!("a text beyond a word {value}")
}

#[test]
fn one_entry() {
    let fixture = Fixture::new();
    let referent = fixture.referent();
    let dict = Dict::new(&referent);
    let key = Key::str("key", &fixture.hasher);
    assert!(dict.is_empty().unwrap());
    assert!(dict.get(&key).unwrap().is_none());
    dict.insert(&key, &integer(1)).unwrap();
    assert_eq!(number(dict.get(&key).unwrap()), Some(1));
    dict.insert(&key, &integer(2)).unwrap();
    assert_eq!(number(dict.get(&key).unwrap()), Some(2));
    assert_eq!(dict.len().unwrap(), 1);
    fixture.check();
    assert_eq!(number(dict.remove(&key).unwrap()), Some(2));
    assert!(dict.remove(&key).unwrap().is_none());
    assert!(!dict.contains(&key).unwrap());
    fixture.check();
    dict.clear().unwrap();
    fixture.check_empty();
}

#[test]
fn an_overwritten_key_keeps_its_first_form() {
    let fixture = Fixture::new();
    let referent = fixture.referent();
    let dict = Dict::new(&referent);
    let one = integer_key(1, &fixture.hasher);
    let truth = Key::from_word(word::TRUE, &fixture.hasher).unwrap();
    dict.insert(&one, &integer(10)).unwrap();
    dict.insert(&truth, &integer(20)).unwrap();
    dict.update(&[
        (truth, integer(30)),
        (integer_key(2, &fixture.hasher), integer(40)),
    ])
    .unwrap();
    let words = dict.snapshot_items().unwrap();
    let expected: Vec<u64> = [1, 30, 2, 40]
        .iter()
        .map(|value| word::from_int(*value).unwrap())
        .collect();
    assert_eq!(words.words().unwrap(), expected);
    fixture.check();
}

#[test]
fn every_nan_is_another_key() {
    let fixture = Fixture::new();
    let referent = fixture.referent();
    let dict = Dict::new(&referent);
    let nan = Key::from_word(word::NAN, &fixture.hasher).unwrap();
    for round in 0..20 {
        dict.insert(&nan, &integer(round)).unwrap();
        assert!(!dict.contains(&nan).unwrap());
    }
    dict.update(&[(nan, integer(1)), (nan, integer(2))])
        .unwrap();
    assert_eq!(dict.len().unwrap(), 22);
    fixture.check();
    while dict.pop_last().unwrap().is_some() {}
    fixture.check();
}

#[test]
fn values_of_every_kind_come_back() {
    let fixture = Fixture::new();
    let referent = fixture.referent();
    let dict = Dict::new(&referent);
    let large = vec![7u8; 3 << 20];
    let mut scratch = [0; 8];
    let key = |value| integer_key(value, &fixture.hasher);
    dict.insert(&key(0), &Input::bytes(&large)).unwrap();
    dict.insert(&key(1), &Input::float(1e300, &mut scratch))
        .unwrap();
    dict.insert(&key(2), &Input::pickle(b"pickle", &[]))
        .unwrap();
    let Some(Output::Block { kind, bytes, edges }) = dict.get(&key(0)).unwrap() else {
        panic!()
    };
    assert_eq!((kind, edges.len()), (kinds::block::BYTES, 0));
    assert!(bytes == large);
    let Some(Output::Block {
        kind: kinds::block::FLOAT,
        bytes,
        ..
    }) = dict.get(&key(1)).unwrap()
    else {
        panic!()
    };
    assert_eq!(bytes, 1e300f64.to_le_bytes());
    fixture.check();
    let Some(Output::Block { kind, bytes, .. }) = dict.remove(&key(2)).unwrap() else {
        panic!()
    };
    assert_eq!(
        (kind, bytes.as_slice()),
        (kinds::block::PICKLE, b"pickle".as_slice())
    );
    let Some((_, Output::Block { .. })) = dict.pop_last().unwrap() else {
        panic!()
    };
    fixture.check();
    dict.insert(&key(0), &integer(1)).unwrap();
    fixture.check();
    assert_eq!(number(dict.remove(&key(0)).unwrap()), Some(1));
    dict.clear().unwrap();
    fixture.check_empty();
}

#[test]
fn values_of_every_size_come_back() {
    let fixture = Fixture::new();
    let referent = fixture.referent();
    let dict = Dict::new(&referent);
    let key = Key::str("key", &fixture.hasher);
    for size in [8_u32, 255, 256, 257, 20_000, 100_000, 30_000, 1_000_000, 9] {
        let value: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        dict.insert(&key, &Input::bytes(&value)).unwrap();
        for _ in 0..2 {
            let Some(Output::Block { bytes, .. }) = dict.get(&key).unwrap() else {
                panic!()
            };
            assert!(bytes == value, "{size}");
            crate::output::recycle(bytes);
        }
    }
    dict.clear().unwrap();
    fixture.check_empty();
}

#[test]
fn proxies_are_counted_with_the_words_that_hold_them() {
    let fixture = Fixture::new();
    let referent = fixture.referent();
    let dict = Dict::new(&referent);
    let (offset, generation) = fixture
        .segment
        .create_referent(kinds::referent::LIST, 0)
        .unwrap();
    let edge = coheld_shm::word::of_edge(offset, generation);
    let key = |value| integer_key(value, &fixture.hasher);
    for value in 0..3 {
        dict.insert(&key(value), &Input::Edge(edge)).unwrap();
    }
    dict.insert(&key(1), &Input::Edge(edge)).unwrap();
    dict.insert(&key(3), &Input::pickle(b"two of them", &[edge, edge]))
        .unwrap();
    fixture.check();
    assert_eq!(verify(&fixture.segment).unwrap().edges, 5);
    let Some(Output::Block { edges, .. }) = dict.get(&key(3)).unwrap() else {
        panic!()
    };
    assert_eq!(edges.len(), 2);
    for lease in edges {
        fixture.segment.drop_lease(lease).unwrap();
    }
    dict.update(&[(key(3), integer(1)), (key(4), Input::Edge(edge))])
        .unwrap();
    assert_eq!(verify(&fixture.segment).unwrap().edges, 4);
    assert!(dict.delete(&key(0)).unwrap());
    let Some(Output::Edge(lease)) = dict.remove(&key(1)).unwrap() else {
        panic!()
    };
    fixture.segment.drop_lease(lease).unwrap();
    assert_eq!(verify(&fixture.segment).unwrap().edges, 2);
    fixture.segment.release(offset, generation).unwrap();
    assert_eq!(fixture.segment.count_referents(), 2);
    dict.clear().unwrap();
    assert_eq!(fixture.segment.count_referents(), 1);
    fixture.check_empty();
}

#[test]
fn a_counter() {
    use super::Updated;
    let fixture = Fixture::new();
    let referent = fixture.referent();
    let dict = Dict::new(&referent);
    let text = long("counter");
    let key = Key::str(&text, &fixture.hasher);
    let add = |word: Option<u64>| word::from_int(word.and_then(word::to_int).unwrap_or(0) + 1);
    assert_eq!(
        dict.update_word(&key, |_| None).unwrap(),
        Updated::Unchanged { old: None }
    );
    for round in 0..5 {
        let Updated::Stored { old, new } = dict.update_word(&key, add).unwrap() else {
            panic!()
        };
        assert_eq!(old.and_then(word::to_int).unwrap_or(0), round);
        assert_eq!(word::to_int(new), Some(round + 1));
    }
    // Any value that fits in a word is handed to the function, any other is not.
    let text = word::from_str("text").unwrap();
    dict.insert(&key, &Input::str("text")).unwrap();
    assert_eq!(
        dict.update_word(&key, |_| None).unwrap(),
        Updated::Unchanged { old: Some(text) }
    );
    assert_eq!(
        dict.update_word(&key, |_| Some(word::NONE)).unwrap(),
        Updated::Stored {
            old: Some(text),
            new: word::NONE
        }
    );
    dict.insert(&key, &Input::str("text of many bytes"))
        .unwrap();
    assert_eq!(dict.update_word(&key, add).unwrap(), Updated::NotInline);
    fixture.check();
}

/// A function may not bring in a word that would own something.
#[test]
fn a_counter_owns_nothing() {
    let fixture = Fixture::new();
    let referent = fixture.referent();
    let dict = Dict::new(&referent);
    let key = Key::str("n", &fixture.hasher);
    for there in [false, true] {
        for wrong in [word::EMPTY, word::from_block(4096)] {
            let refused = dict.update_word(&key, |_| Some(wrong));
            assert!(matches!(refused, Err(crate::StoreError::WrongType)));
        }
        assert_eq!(dict.contains(&key).unwrap(), there);
        dict.insert(&key, &Input::NONE).unwrap();
    }
    fixture.check();
}

/// What was computed from a version is stored only as long as it is the version.
#[test]
fn a_change_that_came_too_late() {
    let fixture = Fixture::new();
    let referent = fixture.referent();
    let dict = Dict::new(&referent);
    let (text, other) = (long("key"), long("other"));
    let (key, other) = (
        Key::str(&text, &fixture.hasher),
        Key::str(&other, &fixture.hasher),
    );
    let values = [Input::NONE, Input::str("a value in a block"), Input::NONE];
    for value in values {
        let seen = dict.version().unwrap();
        dict.insert(&other, &value).unwrap();
        let refused = dict.insert_if(&key, &value, seen);
        assert!(matches!(refused, Err(crate::StoreError::Changed)));
        assert!(!dict.contains(&key).unwrap());
    }
    for value in values {
        let seen = dict.version().unwrap();
        dict.insert_if(&key, &value, seen).unwrap();
        assert!(dict.version().unwrap() > seen);
        let refused = dict.insert_if(&key, &Input::NONE, seen);
        assert!(matches!(refused, Err(crate::StoreError::Changed)));
        let refused = dict.delete_if(&key, seen);
        assert!(matches!(refused, Err(crate::StoreError::Changed)));
        assert!(dict.contains(&key).unwrap());
    }
    assert!(dict.delete_if(&key, dict.version().unwrap()).unwrap());
    assert!(!dict.delete_if(&key, dict.version().unwrap()).unwrap());
    assert_eq!(dict.len().unwrap(), 1);
    fixture.check();
    dict.clear().unwrap();
    fixture.check_empty();
}

#[test]
fn set_default_keeps_what_is_there() {
    let fixture = Fixture::new();
    let referent = fixture.referent();
    let dict = Dict::new(&referent);
    let (text, value) = (long("key"), long("value"));
    let key = Key::str(&text, &fixture.hasher);
    assert!(
        dict.set_default(&key, &Input::str(&value))
            .unwrap()
            .is_none()
    );
    let Some(Output::Block { bytes, .. }) = dict.set_default(&key, &Input::NONE).unwrap() else {
        panic!()
    };
    assert_eq!(bytes, value.as_bytes());
    fixture.check();
}

#[test]
fn replace_minds_the_version() {
    let fixture = Fixture::new();
    let referent = fixture.referent();
    let dict = Dict::new(&referent);
    let key = |value| integer_key(value, &fixture.hasher);
    let version = dict.version().unwrap();
    dict.insert(&key(1), &integer(1)).unwrap();
    let pairs = [
        (key(5), integer(5)),
        (key(6), integer(6)),
        (key(5), integer(7)),
    ];
    let refused = dict.replace(&pairs, Some(version));
    assert!(matches!(refused, Err(crate::StoreError::Changed)));
    dict.replace(&pairs, Some(dict.version().unwrap())).unwrap();
    assert_eq!(dict.len().unwrap(), 2);
    assert_eq!(number(dict.get(&key(5)).unwrap()), Some(7));
    fixture.check();
    dict.replace(&[], None).unwrap();
    fixture.check_empty();
}
