//! Two members of one segment at once: nothing is lost, nothing comes twice, nothing is left.
#![allow(
    clippy::disallowed_types,
    reason = "a flag between the threads of a test"
)]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};

use coheld_shm::Segment;
use coheld_shm::backing::HeapBacking;
use coheld_store::{
    Array, Dict, Input, Key, KeyHasher, List, Output, Slice, StoreError, Value, kinds, word,
};
use common::{Held, Item, options, sound};

/// A segment and a second member's view of it.
fn members() -> (Segment, Segment) {
    let backing = HeapBacking::new(64 << 20);
    let other = backing.clone();
    let first = Segment::create(Box::new(backing), &options()).unwrap();
    first.join().unwrap();
    let second = Segment::attach(Box::new(other)).unwrap();
    second.join().unwrap();
    (first, second)
}

/// Every third number as text that needs a block.
fn number(value: u32) -> Item {
    if value.is_multiple_of(3) {
        Item::text(&format!("number {value:08}"))
    } else {
        Item::int(i64::from(value))
    }
}

#[test]
fn a_queue_loses_nothing_and_repeats_nothing() {
    const COUNT: u32 = 20_000;
    let (first, second) = members();
    let held = Held::new(&first, kinds::referent::LIST, 0);
    let (offset, generation) = (held.referent.offset(), held.referent.generation());
    let done = AtomicBool::new(false);
    let taken = std::thread::scope(|scope| {
        let taker = scope.spawn(|| {
            second.acquire(offset, generation).unwrap();
            let referent = second.referent(offset, generation).unwrap();
            let list = List::new(&referent);
            let mut taken = Vec::new();
            loop {
                // The flag is read before the list, so an empty list after it is the end.
                let last = done.load(Ordering::Acquire);
                match list.pop(0) {
                    Ok(output) => taken.push(Item::taken(&second, output)),
                    Err(StoreError::Empty) if last => break,
                    Err(StoreError::Empty) => std::thread::yield_now(),
                    Err(error) => panic!("{error}"),
                }
            }
            second.release(offset, generation).unwrap();
            taken
        });
        let list = List::new(&held.referent);
        for value in (0..COUNT).step_by(4) {
            list.append(&number(value).input()).unwrap();
            list.append(&number(value + 1).input()).unwrap();
            let pair = [number(value + 2), number(value + 3)];
            list.extend(&common::inputs(&pair), None).unwrap();
        }
        done.store(true, Ordering::Release);
        taker.join().unwrap()
    });
    let expected: Vec<Item> = (0..COUNT).map(number).collect();
    assert!(taken == expected, "the numbers came in another order");
    held.release();
    assert_eq!(sound(&first).referents, 0);
    assert_eq!(sound(&second).blocks, 0);
}

/// Both members do everything to one list at once; whatever comes out, the segment stays sound.
#[test]
fn everything_at_once_stays_sound() {
    let (first, second) = members();
    let inner = Held::new(&first, kinds::referent::VALUE, 0);
    let edge = inner.edge();
    let held = Held::new(&first, kinds::referent::LIST, 0);
    let (offset, generation) = (held.referent.offset(), held.referent.generation());
    let work = |segment: &Segment, seed: u64| {
        segment.acquire(offset, generation).unwrap();
        let referent = segment.referent(offset, generation).unwrap();
        let list = List::new(&referent);
        let mut state = seed;
        for _ in 0..6_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let pick = state >> 33;
            let index = (pick >> 8).cast_signed() % 12 - 6;
            let values = [
                number(pick as u32),
                Item::int(1),
                Item::Edge(edge),
                number(3),
            ];
            let inputs = common::inputs(&values);
            let done = match pick % 11 {
                0 => list.append(&inputs[0]),
                1 => list.insert(index, &inputs[2]),
                2 => list.set(index, &inputs[(pick >> 20) as usize % 4]),
                3 => list
                    .pop(index)
                    .map(|output| drop(Item::taken(segment, output))),
                4 => list.delete(index, None),
                5 => list.extend(&inputs, None),
                6 => list.delete_slice(
                    Slice {
                        start: Some(index),
                        stop: None,
                        step: Some(2),
                    },
                    None,
                ),
                7 => list.set_slice(Slice::range(index, 40), &inputs, None),
                8 => list.reverse(),
                9 => list
                    .snapshot()
                    .map(|snapshot| drop(common::items(segment, snapshot))),
                _ => list
                    .repeat(2)
                    .and_then(|()| list.delete_slice(Slice::range(20, i64::MAX), None)),
            };
            match done {
                Ok(()) | Err(StoreError::Index(_) | StoreError::Empty | StoreError::Changed) => {}
                Err(error) => panic!("{error}"),
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| work(&second, 1));
        work(&first, 2);
    });
    sound(&first);
    second.release(offset, generation).unwrap();
    held.release();
    inner.release();
    assert_eq!(sound(&first).referents, 0);
    assert_eq!(sound(&first).blocks, 0);
}

/// A reader never sees half of an item, nor half of a change.
#[test]
fn values_and_items_change_whole() {
    let (first, second) = members();
    let value = Held::new(&first, kinds::referent::VALUE, 0);
    let array = Held::new(&first, kinds::referent::ARRAY, Array::auxiliary(b'I', 4));
    let (value_at, array_at) = (value.referent.offset(), array.referent.offset());
    let texts: Vec<String> = (0..4).map(|number| number.to_string().repeat(40)).collect();
    Value::new(&value.referent)
        .set(&Input::str(&texts[0]))
        .unwrap();
    Array::new(&array.referent).replace(&[0; 40]).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let value = second
                .referent(value_at, value.referent.generation())
                .unwrap();
            let array = second
                .referent(array_at, array.referent.generation())
                .unwrap();
            while !done.load(Ordering::Relaxed) {
                let found = Item::taken(&second, Value::new(&value).get().unwrap());
                assert!(texts.iter().any(|text| found == Item::text(text)));
                let item = Array::new(&array).get(3).unwrap();
                assert_eq!(item, (item & 0xff) * 0x0101_0101);
            }
        });
        for round in 0..30_000_u64 {
            let text = &texts[round as usize % 4];
            Value::new(&value.referent).set(&Input::str(text)).unwrap();
            Array::new(&array.referent)
                .set(3, round % 251 * 0x0101_0101)
                .unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    sound(&first);
}

/// Reads that take no lock, while the table they look into grows, is rebuilt and is freed.
#[test]
fn a_glance_never_sees_a_table_between_two_states() {
    const STABLE: i64 = 40;
    const ROUNDS: i64 = 300;
    let (first, second) = members();
    let held = Held::new(&first, kinds::referent::DICT, 0);
    let (offset, generation) = (held.referent.offset(), held.referent.generation());
    let hasher = KeyHasher::new(first.secret());
    let integer = |value: i64| Input::Word(word::from_int(value).unwrap());
    let key = |value: i64| Key::from_word(word::from_int(value).unwrap(), &hasher).unwrap();
    let dict = Dict::new(&held.referent);
    for stable in 0..STABLE {
        dict.insert(&key(stable), &integer(stable)).unwrap();
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            second.acquire(offset, generation).unwrap();
            let referent = second.referent(offset, generation).unwrap();
            let dict = Dict::new(&referent);
            let mut looks = 0_u64;
            while !done.load(Ordering::Acquire) {
                for stable in 0..STABLE {
                    match dict.get(&key(stable)).unwrap() {
                        Some(Output::Word(found)) => assert_eq!(word::to_int(found), Some(stable)),
                        other => panic!("{stable} is {other:?}"),
                    }
                    looks += 1;
                }
            }
            second.release(offset, generation).unwrap();
            looks
        });
        for round in 0..ROUNDS {
            for extra in STABLE..STABLE + 200 {
                dict.insert(&key(extra), &integer(round)).unwrap();
            }
            for extra in STABLE..STABLE + 200 {
                assert!(dict.delete(&key(extra)).unwrap());
            }
            let stable = key(round % STABLE);
            dict.insert(&stable, &integer(round % STABLE)).unwrap();
        }
        done.store(true, Ordering::Release);
        assert!(reader.join().unwrap() > 0, "nobody read");
    });
    held.release();
    assert_eq!(sound(&first).referents, 0);
}
