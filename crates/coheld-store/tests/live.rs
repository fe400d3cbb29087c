//! Looking over a segment in use: what is wrong is found, and no change is taken for damage.
#![allow(
    clippy::disallowed_types,
    reason = "a flag between the threads of a test"
)]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};

use coheld_shm::backing::HeapBacking;
use coheld_shm::{Fate, Segment};
use coheld_store::survey::{self, Sketch};
use coheld_store::verify::{self, LOOKS};
use coheld_store::{Dict, Key, KeyHasher, List, Lock, Problem, Value, Wait, kinds};
use common::{Held, Item, inputs, options, segment};

#[test]
fn a_leak_is_found_beside_an_operation_under_way() {
    let segment = segment(1 << 20);
    let mut leaking = segment.begin().unwrap();
    let block = leaking
        .allocate(100, kinds::block::BYTES, Fate::Keep, Fate::Keep)
        .unwrap();
    drop(leaking);
    let mut under_way = segment.begin().unwrap();
    under_way
        .allocate(200, kinds::block::BYTES, Fate::Shell, Fate::Keep)
        .unwrap();
    let mut pauses = 0;
    let found = verify::examine(&segment, |_| pauses += 1);
    let leaked = Problem::Leaked {
        block,
        kind: kinds::block::BYTES,
        bytes: 128,
    };
    assert_eq!(found.problems, [leaked]);
    assert_eq!((found.looks, pauses), (LOOKS, LOOKS - 1));
}

#[test]
fn what_is_over_in_the_next_look_is_no_damage() {
    let segment = segment(1 << 20);
    let held = Held::new(&segment, kinds::referent::VALUE, 0);
    Value::new(&held.referent)
        .set(&Item::text("a text of some length").input())
        .unwrap();
    let cell = held.referent.lock().unwrap().root_cell();
    let root = segment.load(cell).unwrap();
    segment.store(cell, root + 64).unwrap();
    assert!(!verify::look(&segment).problems.is_empty());
    let found = verify::examine(&segment, |_| segment.store(cell, root).unwrap());
    assert_eq!(found.problems, []);
    assert_eq!(found.looks, 3);
}

#[test]
fn sizes_are_those_of_the_blocks_below() {
    let segment = segment(1 << 20);
    let held = Held::new(&segment, kinds::referent::LIST, 0);
    let list = List::new(&held.referent);
    list.append(&Item::text("more than seven").input()).unwrap();
    let look = verify::look(&segment);
    assert_eq!((look.problems.len(), look.restless), (0, 0));
    let size: u64 = look.sizes.iter().map(|size| size.bytes).sum();
    assert_eq!(size, 256 + look.report.bytes);
}

/// Changes a list, a dict and a value all the time, also what they consist of.
fn write(segment: &Segment, places: [(u64, u32); 3], done: &AtomicBool) {
    let [list, dict, value] = places.map(|(offset, generation)| {
        segment.acquire(offset, generation).unwrap();
        segment.referent(offset, generation).unwrap()
    });
    let (list, dict, value) = (List::new(&list), Dict::new(&dict), Value::new(&value));
    let hasher = KeyHasher::new(segment.secret());
    let mut turn = 0_u64;
    while !done.load(Ordering::Relaxed) {
        turn += 1;
        let text = format!("text number {turn:0$}", (turn % 90) as usize);
        let item = Item::text(&text);
        list.insert(0, &item.input()).unwrap();
        if turn.is_multiple_of(3) {
            let _ = list.pop(1);
        }
        if turn.is_multiple_of(200) {
            list.clear().unwrap();
        }
        let name = format!("key number {}", turn % 50);
        let key = Key::str(&name, &hasher);
        if turn.is_multiple_of(5) {
            let _ = dict.delete(&key);
        } else {
            let _ = dict.insert(&key, &item.input());
        }
        value.set(&item.input()).unwrap();
    }
}

#[test]
fn a_segment_that_others_change_all_the_time_is_sound() {
    let backing = HeapBacking::new(64 << 20);
    let other = backing.clone();
    let first = Segment::create(Box::new(backing), &options()).unwrap();
    first.join().unwrap();
    let second = Segment::attach(Box::new(other)).unwrap();
    second.join().unwrap();
    let kinds = [
        kinds::referent::LIST,
        kinds::referent::DICT,
        kinds::referent::VALUE,
    ];
    let held = kinds.map(|kind| Held::new(&first, kind, 0));
    let places = [0, 1, 2].map(|index: usize| {
        let referent = held[index].referent;
        (referent.offset(), referent.generation())
    });
    let resting = Held::new(&first, kinds::referent::LIST, 0);
    let long = [Item::text("a text that rests here for ever")];
    List::new(&resting.referent)
        .extend(&inputs(&long), None)
        .unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| write(&second, places, &done));
        let mut found = Vec::new();
        for _ in 0..40 {
            let mut examination = verify::examine(&first, |_| std::thread::yield_now());
            found.append(&mut examination.problems);
        }
        done.store(true, Ordering::Relaxed);
        assert_eq!(found, []);
    });
}

#[test]
fn a_lock_of_the_dead_is_freed_and_its_next_owner_told() {
    let backing = HeapBacking::new(1 << 20);
    let other = backing.clone();
    let first = Segment::create(Box::new(backing), &options()).unwrap();
    first.join().unwrap();
    let held = Held::new(&first, kinds::referent::LOCK, 0);
    let (offset, generation) = (held.referent.offset(), held.referent.generation());
    {
        let second = Segment::attach(Box::new(other)).unwrap();
        second.join().unwrap();
        let referent = second.referent(offset, generation).unwrap();
        let acquired = Lock::new(&referent).acquire(Wait::No).unwrap();
        assert!(acquired.is_some());
        let view = first.referent_at(offset).unwrap();
        let Sketch::Lock { owner, .. } = survey::sketch(&first, &view) else {
            panic!("a lock is a lock");
        };
        assert_eq!(owner.map(coheld_shm::Owner::word), Some(view.words[0]));
        // Of the living it is not taken.
        assert!(!Lock::new(&held.referent).free_from_dead().unwrap());
        // The view ends with its process.
    }
    assert!(Lock::new(&held.referent).free_from_dead().unwrap());
    assert!(!Lock::new(&held.referent).free_from_dead().unwrap());
    let acquired = Lock::new(&held.referent).acquire(Wait::No).unwrap();
    assert!(acquired.unwrap().owner_died.is_some());
}
