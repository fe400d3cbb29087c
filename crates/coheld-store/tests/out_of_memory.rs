//! Running out of memory in the middle of an operation: an error, and nothing has changed.

mod common;

use coheld_shm::backing::HeapBacking;
use coheld_shm::{Error, Segment};
use coheld_store::{Array, Input, List, Result, Slice, StoreError, Value, kinds};
use common::{Held, Item, inputs, items, options, sound};

/// Something that is done to a list.
type Attempt<'a> = dyn Fn(List<'_>) -> Result<()> + 'a;

/// So much more memory there is with each try.
const STEP: u64 = 16 * 1024;

/// Runs `attempt` with more and more memory until it succeeds; after each failure `unchanged` has
/// to find everything as it was. Returns the number of failures.
fn press(
    backing: &HeapBacking,
    segment: &Segment,
    attempt: impl Fn() -> Result<()>,
    unchanged: impl Fn(),
) -> usize {
    for failures in 0..10_000 {
        backing.set_commit_limit(backing.committed() + failures * STEP);
        let done = attempt();
        backing.set_commit_limit(u64::MAX);
        match done {
            Ok(()) => {
                sound(segment);
                return failures as usize;
            }
            Err(StoreError::Shm(Error::OutOfMemory { .. })) => {}
            Err(other) => panic!("{other}"),
        }
        sound(segment);
        unchanged();
    }
    panic!("no amount of memory was enough");
}

#[test]
fn a_list_is_as_it_was() {
    let big = |tag: u8, size: usize| Item::of(&Input::bytes(&vec![tag; size]));
    let mut model: Vec<Item> = (0..9_000).map(Item::int).collect();
    model.extend((0..12).map(|tag| big(tag, 30_000)));
    let news: Vec<Item> = (0..24).map(|tag| big(tag, 50_000)).collect();
    let reversed: Vec<u32> = (0..model.len() as u32).rev().collect();
    let spread = Slice {
        start: Some(100),
        stop: Some(148),
        step: Some(2),
    };
    let every_second = Slice {
        start: None,
        stop: None,
        step: Some(2),
    };
    let attempts: [&Attempt<'_>; 10] = [
        &|list| list.extend(&inputs(&news), None),
        &|list| list.set_slice(Slice::range(10, 9_005), &inputs(&news), None),
        &|list| list.set_slice(spread, &inputs(&news), None),
        &|list| list.replace(&inputs(&news), None),
        &|list| list.insert(4_000, &news[0].input()),
        &|list| list.set(-1, &big(1, 200_000).input()),
        &|list| list.delete_slice(every_second, None),
        &|list| list.permute(&reversed, None),
        &|list| list.reverse(),
        &|list| list.repeat(3),
    ];
    for (number, attempt) in attempts.into_iter().enumerate() {
        let backing = HeapBacking::new(64 << 20);
        let segment = Segment::create(Box::new(backing.clone()), &options()).unwrap();
        segment.join().unwrap();
        let held = Held::new(&segment, kinds::referent::LIST, 0);
        let list = List::new(&held.referent);
        list.replace(&inputs(&model), None).unwrap();
        // No page that was freed on the way here shall help the attempt.
        let filler = Held::new(&segment, kinds::referent::LIST, 0);
        backing.set_commit_limit(backing.committed());
        while List::new(&filler.referent).append(&news[0].input()).is_ok() {}
        let failures = press(
            &backing,
            &segment,
            || attempt(list),
            || {
                let found = items(&segment, list.snapshot().unwrap());
                assert!(found == model, "attempt {number} left its traces");
            },
        );
        assert!(failures > 0, "attempt {number} never ran out of memory");
        held.release();
        filler.release();
        assert_eq!(sound(&segment).blocks, 0);
    }
}

#[test]
fn a_value_and_an_array_are_as_they_were() {
    let backing = HeapBacking::new(64 << 20);
    let segment = Segment::create(Box::new(backing.clone()), &options()).unwrap();
    segment.join().unwrap();
    let held = Held::new(&segment, kinds::referent::VALUE, 0);
    let value = Value::new(&held.referent);
    let old = Item::of(&Input::bytes(&vec![1; 100_000]));
    value.set(&old.input()).unwrap();
    let new = vec![2; 1_000_000];
    let failures = press(
        &backing,
        &segment,
        || value.set(&Input::bytes(&new)),
        || assert_eq!(Item::taken(&segment, value.get().unwrap()), old),
    );
    assert!(failures > 0);
    let auxiliary = Array::auxiliary(b'd', 8);
    let other = Held::new(&segment, kinds::referent::ARRAY, auxiliary);
    let array = Array::new(&other.referent);
    array.replace(&vec![3; 80_000]).unwrap();
    let failures = press(
        &backing,
        &segment,
        || array.set_slice(Slice::range(5, 5), &new, None),
        || assert_eq!(array.to_bytes().unwrap(), vec![3; 80_000]),
    );
    assert!(failures > 0);
}

/// Removing gives memory back, but does not need any.
#[test]
fn a_list_shrinks_if_it_can() {
    let backing = HeapBacking::new(64 << 20);
    let segment = Segment::create(Box::new(backing.clone()), &options()).unwrap();
    segment.join().unwrap();
    for (memory, starved) in [(u64::MAX, false), (0, true)] {
        let held = Held::new(&segment, kinds::referent::LIST, 0);
        let list = List::new(&held.referent);
        for value in 0..50_000 {
            list.append(&Item::int(value).input()).unwrap();
        }
        let filler = Held::new(&segment, kinds::referent::LIST, 0);
        backing.set_commit_limit(memory);
        while starved
            && List::new(&filler.referent)
                .append(&Input::bytes(&[9; 400]))
                .is_ok()
        {}
        for left in (0..50_000).rev() {
            let popped = match left % 3 {
                0 => list.pop(0).map(drop),
                1 => list.delete(-1, None),
                _ => list.pop(-1).map(drop),
            };
            popped.unwrap();
        }
        assert_eq!(list.len().unwrap(), 0);
        backing.set_commit_limit(u64::MAX);
        filler.release();
        let bytes = sound(&segment).bytes;
        assert!(starved || bytes < 1_000, "{bytes} bytes for an empty list");
        held.release();
        assert_eq!(sound(&segment).blocks, 0);
    }
}
