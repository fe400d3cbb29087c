//! The verifier finds what is wrong, and nothing in a sound segment.

mod common;

use coheld_shm::{Fate, Segment};
use coheld_store::{Dict, Input, Key, KeyHasher, List, Problem, Value, kinds, verify};
use common::{Held, Item, inputs, segment, sound};

/// The problems of a segment that has some.
fn problems(segment: &Segment) -> Vec<Problem> {
    verify(segment).expect_err("something is wrong")
}

/// Offset of the first word of the block that is the root of a referent.
fn first_word(held: &Held<'_>) -> u64 {
    held.referent.lock().unwrap().root() - 6 + 16
}

#[test]
fn a_sound_segment_is_reported_in_numbers() {
    let segment = segment(1 << 20);
    let inner = Held::new(&segment, kinds::referent::VALUE, 0);
    let held = Held::new(&segment, kinds::referent::LIST, 0);
    let values = [
        Item::text("more than seven"),
        Item::Edge(inner.edge()),
        Item::int(1),
    ];
    List::new(&held.referent)
        .extend(&inputs(&values), None)
        .unwrap();
    let report = sound(&segment);
    assert_eq!((report.referents, report.blocks, report.edges), (2, 2, 1));
    assert!(report.bytes >= 16 + 15 + 16 + 24);
}

#[test]
fn a_leak_is_found() {
    let segment = segment(1 << 20);
    let mut operation = segment.begin().unwrap();
    let block = operation
        .allocate(100, kinds::block::BYTES, Fate::Keep, Fate::Keep)
        .unwrap();
    drop(operation);
    let leaked = Problem::Leaked {
        block,
        kind: kinds::block::BYTES,
        bytes: 128,
    };
    assert_eq!(problems(&segment), [leaked]);
}

#[test]
fn an_operation_under_way_is_found() {
    let segment = segment(1 << 20);
    let mut operation = segment.begin().unwrap();
    operation
        .allocate(100, kinds::block::BYTES, Fate::Shell, Fate::Keep)
        .unwrap();
    assert!(problems(&segment).contains(&Problem::LaneInUse));
    drop(operation);
    sound(&segment);
}

#[test]
fn a_second_owner_is_found() {
    let segment = segment(1 << 20);
    let held = Held::new(&segment, kinds::referent::LIST, 0);
    let values = [
        Item::text("more than seven"),
        Item::text("another long text"),
    ];
    List::new(&held.referent)
        .extend(&inputs(&values), None)
        .unwrap();
    let at = first_word(&held);
    let first = segment.load(at).unwrap();
    segment.store(at + 8, first).unwrap();
    let problems = problems(&segment);
    let twice = Problem::OwnedTwice {
        block: first - 6,
        referent: held.referent.offset(),
    };
    assert!(problems.contains(&twice));
    assert!(
        problems
            .iter()
            .any(|problem| matches!(problem, Problem::Leaked { .. }))
    );
}

#[test]
fn a_word_that_names_nothing_is_found() {
    let segment = segment(1 << 20);
    let held = Held::new(&segment, kinds::referent::LIST, 0);
    List::new(&held.referent)
        .extend(&[Input::NONE; 3], None)
        .unwrap();
    let at = first_word(&held);
    let wrong = (at + 0x4000) & !15;
    segment.store(at, wrong | 6).unwrap();
    segment.store(at + 8, wrong | 7).unwrap();
    segment.store(at + 16, 0).unwrap();
    let referent = held.referent.offset();
    let problems = problems(&segment);
    assert!(problems.contains(&Problem::Dangling {
        word: wrong | 6,
        referent
    }));
    assert!(problems.contains(&Problem::LostEdge {
        word: wrong | 7,
        referent
    }));
    assert!(
        problems
            .iter()
            .any(|problem| matches!(problem, Problem::Broken { .. }))
    );
}

#[test]
fn a_wrong_edge_count_is_found() {
    let segment = segment(1 << 20);
    let inner = Held::new(&segment, kinds::referent::LIST, 0);
    let outer = Held::new(&segment, kinds::referent::VALUE, 0);
    Value::new(&outer.referent)
        .set(&Input::Edge(inner.edge()))
        .unwrap();
    let root = outer.referent.lock().unwrap().root_cell();
    segment.store(root, 0).unwrap();
    let referent = inner.referent.offset();
    assert_eq!(
        problems(&segment),
        [Problem::EdgeCount {
            referent,
            counted: 1,
            found: 0
        }]
    );
}

#[test]
fn an_index_that_forgot_a_key_is_found() {
    let segment = segment(1 << 20);
    let held = Held::new(&segment, kinds::referent::DICT, 0);
    let hasher = KeyHasher::new(segment.secret());
    let dict = Dict::new(&held.referent);
    for name in ["one", "two", "a longer name"] {
        dict.insert(&Key::str(name, &hasher), &Input::NONE).unwrap();
    }
    sound(&segment);
    let head = first_word(&held);
    let shape = segment.load(head).unwrap();
    let index = head + 8 * (4 + 2 * (shape & 0xffff_ffff));
    let taken = (0..shape >> 32)
        .map(|slot| index + 8 * slot)
        .find(|&cell| segment.load(cell).unwrap() != 0)
        .expect("a slot that names an entry");
    segment.store(taken, 0).unwrap();
    let broken = |problem: &Problem| matches!(problem, Problem::Broken { .. });
    let problems = problems(&segment);
    assert!(
        problems.len() >= 2 && problems.iter().all(broken),
        "{problems:?}"
    );
}
