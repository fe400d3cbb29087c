//! Values and arrays, against what they should hold.
#![allow(
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "indices of small models change their sign all the time"
)]

mod common;

use coheld_shm::Segment;
use coheld_store::{
    Array, IndexProblem, Input, Output, Slice, StoreError, Updated, Value, arithmetic, kinds, word,
};
use common::{Held, Item, any_item, bind, segment, sound};
use proptest::prelude::*;

#[test]
fn a_value_is_none_until_it_is_set() {
    let segment = segment(1 << 20);
    let held = Held::new(&segment, kinds::referent::VALUE, 0);
    let value = Value::new(&held.referent);
    assert_eq!(value.get().unwrap().inline_word(), Some(word::NONE));
    let version = value.version().unwrap();
    value.set(&Input::str("x")).unwrap();
    assert_eq!(value.get().unwrap().inline_word(), word::from_str("x"));
    assert!(value.version().unwrap() > version);
}

#[test]
fn a_large_value_comes_back_whole() {
    let segment = segment(8 << 20);
    let held = Held::new(&segment, kinds::referent::VALUE, 0);
    let value = Value::new(&held.referent);
    let bytes: Vec<u8> = (0..1_u32 << 20).map(|at| (at * 7 / 8) as u8).collect();
    value.set(&Input::bytes(&bytes)).unwrap();
    let Output::Block {
        kind, bytes: found, ..
    } = value.get().unwrap()
    else {
        panic!("a block was stored")
    };
    assert!(kind == kinds::block::BYTES && found == bytes);
    held.release();
    assert_eq!(sound(&segment).blocks, 0);
}

#[test]
fn a_counter() {
    let segment = segment(1 << 20);
    let held = Held::new(&segment, kinds::referent::VALUE, 0);
    let value = Value::new(&held.referent);
    let int = |number| word::from_int(number).unwrap();
    let add = |old| arithmetic::add(old, int(2));
    // Nothing was ever stored: that is None, to which nothing can be added.
    assert_eq!(
        value.update_word(add).unwrap(),
        Updated::Unchanged {
            old: Some(word::NONE)
        }
    );
    value.set(&Input::Word(int(-2))).unwrap();
    for number in [-2, 0, 2] {
        let version = value.version().unwrap();
        let (old, new) = (Some(int(number)), int(number + 2));
        assert_eq!(
            value.update_word(add).unwrap(),
            Updated::Stored { old, new }
        );
        assert_eq!(value.get().unwrap().inline_word(), Some(new));
        assert!(value.version().unwrap() > version);
    }
    let version = value.version().unwrap();
    value.update_word(|_| None).unwrap();
    assert_eq!(value.version().unwrap(), version);
    for wrong in [word::EMPTY, word::from_block(4096)] {
        let refused = value.update_word(|_| Some(wrong));
        assert!(matches!(refused, Err(StoreError::WrongType)));
    }
    assert_eq!(value.get().unwrap().inline_word(), Some(int(4)));
}

/// What lies in a block, and a proxy, is none of the function's business.
#[test]
fn a_counter_leaves_other_values_alone() {
    let segment = segment(1 << 20);
    let inner = Held::new(&segment, kinds::referent::LIST, 0);
    let held = Held::new(&segment, kinds::referent::VALUE, 0);
    let value = Value::new(&held.referent);
    for input in [Input::str("text of many bytes"), Input::Edge(inner.edge())] {
        value.set(&input).unwrap();
        let version = value.version().unwrap();
        let updated = value.update_word(|_| Some(word::NONE)).unwrap();
        assert_eq!(updated, Updated::NotInline);
        assert_eq!(value.version().unwrap(), version);
    }
    assert_eq!(sound(&segment).edges, 1);
    let list = coheld_store::Value::new(&inner.referent);
    let refused = list.update_word(|_| Some(word::NONE));
    assert!(matches!(refused, Err(StoreError::WrongKind { .. })));
}

/// What was computed from a version is stored only as long as it is the version.
#[test]
fn a_change_that_came_too_late() {
    let segment = segment(1 << 20);
    let held = Held::new(&segment, kinds::referent::VALUE, 0);
    let value = Value::new(&held.referent);
    let inputs = [
        Input::NONE,
        Input::str("a value in a block"),
        Input::str("another value in a block"),
        Input::str("short"),
    ];
    for input in inputs {
        let seen = value.version().unwrap();
        value.set_if(&input, seen).unwrap();
        let content = Item::taken(&segment, value.get().unwrap());
        for late in inputs {
            let refused = value.set_if(&late, seen);
            assert!(matches!(refused, Err(StoreError::Changed)));
            assert_eq!(Item::taken(&segment, value.get().unwrap()), content);
        }
        sound(&segment);
    }
    held.release();
    assert_eq!(sound(&segment).blocks, 0);
}

/// A proxy that is stored over itself brings one edge and takes one.
#[test]
fn the_same_proxy_twice_is_one_edge() {
    let segment = segment(1 << 20);
    let inner = Held::new(&segment, kinds::referent::VALUE, 0);
    let outer = Held::new(&segment, kinds::referent::VALUE, 0);
    let value = Value::new(&outer.referent);
    for _ in 0..3 {
        value.set(&Input::Edge(inner.edge())).unwrap();
        assert_eq!(sound(&segment).edges, 1);
    }
    value.set(&Input::NONE).unwrap();
    assert_eq!(sound(&segment).edges, 0);
}

/// The inner referent lives as long as the edge, and goes with it.
#[test]
fn an_edge_keeps_its_referent() {
    let segment = segment(1 << 20);
    let inner = Held::new(&segment, kinds::referent::VALUE, 0);
    let outer = Held::new(&segment, kinds::referent::VALUE, 0);
    let word = inner.edge();
    Value::new(&inner.referent)
        .set(&Input::str("inside of it"))
        .unwrap();
    Value::new(&outer.referent).set(&Input::Edge(word)).unwrap();
    inner.release();
    assert_eq!(sound(&segment).referents, 2);
    assert_eq!(
        Item::taken(&segment, Value::new(&outer.referent).get().unwrap()),
        Item::Edge(word)
    );
    outer.release();
    let report = sound(&segment);
    assert_eq!((report.referents, report.blocks), (0, 0));
}

/// Items of two bytes, one to each 16 bits of the words around them.
fn viewed<'s>(segment: &'s Segment, items: &[u16]) -> Held<'s> {
    let held = Held::new(segment, kinds::referent::ARRAY, Array::auxiliary(b'H', 2));
    let bytes: Vec<u8> = items.iter().flat_map(|item| item.to_le_bytes()).collect();
    Array::new(&held.referent).replace(&bytes).unwrap();
    held
}

#[test]
fn what_has_been_viewed_stays_where_it_is() {
    let segment = segment(1 << 20);
    let held = viewed(&segment, &[1, 2, 3, 4, 5, 6, 7]);
    let array = Array::new(&held.referent);
    let extent = array.extent().unwrap();
    assert_eq!(
        (extent.count, extent.item_size, extent.typecode),
        (7, 2, b'H')
    );
    let part = |start, stop, step| Slice {
        start: Some(start),
        stop: Some(stop),
        step: Some(step),
    };
    array
        .set_slice(part(1, 3, 1), &[20, 0, 30, 0], None)
        .unwrap();
    array
        .set_slice(part(6, 2, -2), &[70, 0, 50, 0], None)
        .unwrap();
    array.set_slice(part(3, 3, 1), &[], None).unwrap();
    let seen = |index: u64| segment.load_item(extent.offset + 2 * index, 2).unwrap();
    let items: Vec<u64> = (0..7).map(seen).collect();
    assert_eq!(items, [1, 20, 30, 4, 50, 6, 70]);
    segment.store_item(extent.offset + 6, 2, 40).unwrap();
    assert_eq!(array.get(3).unwrap(), 40);
    for (slice, bytes) in [
        (Slice::FULL, &[1, 0][..]),
        (part(0, 1, 1), &[1, 0, 2, 0]),
        (part(0, 2, 1), &[]),
    ] {
        let refused = array.set_slice(slice, bytes, None);
        assert!(matches!(refused, Err(StoreError::Viewed)), "{refused:?}");
    }
    array.replace(&[9; 14]).unwrap();
    assert_eq!(array.extent().unwrap(), extent);
    assert_eq!(seen(6), 0x0909);
    sound(&segment);
    held.release();
    assert_eq!(sound(&segment).blocks, 0);
}

/// How often each item is written.
const ROUNDS: u16 = 20_000;

/// An item used to be written together with its neighbours in the word, which takes the lock that
/// who writes through a view has not.
#[test]
fn neighbours_that_are_written_through_a_view_are_left_alone() {
    let segment = segment(1 << 20);
    let held = viewed(&segment, &[0; 4]);
    let array = Array::new(&held.referent);
    let extent = array.extent().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=ROUNDS {
                let at = extent.offset + 2;
                segment.store_item(at, 2, round.into()).unwrap();
                assert_eq!(segment.load_item(at, 2).unwrap(), u64::from(round));
            }
        });
        for round in 1..=ROUNDS {
            array.set(0, round.into()).unwrap();
        }
    });
    assert_eq!(
        (array.get(0).unwrap(), array.get(1).unwrap()),
        (20_000, 20_000)
    );
    held.release();
}

proptest! {
    #[test]
    fn a_value_holds_what_was_set_last(values in proptest::collection::vec(any_item(), 1..20)) {
        let segment = segment(2 << 20);
        let inner: Vec<Held<'_>> =
            (0..3).map(|_| Held::new(&segment, kinds::referent::LIST, 0)).collect();
        let edges: Vec<u64> = inner.iter().map(Held::edge).collect();
        let held = Held::new(&segment, kinds::referent::VALUE, 0);
        let value = Value::new(&held.referent);
        for item in values {
            let item = bind(&item, &edges);
            value.set(&item.input()).unwrap();
            prop_assert_eq!(Item::taken(&segment, value.get().unwrap()), item);
            sound(&segment);
        }
        held.release();
        prop_assert_eq!(sound(&segment).blocks, 0);
    }

    #[test]
    fn an_array_is_a_vec_of_items(
        size in prop_oneof![Just(1_u8), Just(2), Just(4), Just(8)],
        start in proptest::collection::vec(any::<u64>(), 0..20),
        steps in proptest::collection::vec((-25_i64..25, -25_i64..25, -3_i64..4,
            proptest::collection::vec(any::<u64>(), 0..6)), 0..20),
    ) {
        let segment = segment(1 << 20);
        let auxiliary = Array::auxiliary(b'q', size);
        let held = Held::new(&segment, kinds::referent::ARRAY, auxiliary);
        let array = Array::new(&held.referent);
        let mask = u64::MAX >> (64 - 8 * u32::from(size));
        let mut model: Vec<u64> = start.iter().map(|item| item & mask).collect();
        let raw = |items: &[u64]| -> Vec<u8> {
            items.iter().flat_map(|item| item.to_le_bytes()[..usize::from(size)].to_vec()).collect()
        };
        array.replace(&raw(&model)).unwrap();
        prop_assert_eq!((array.typecode().unwrap(), array.item_size().unwrap()), (b'q', size));
        for (first, second, stride, items) in steps {
            // One item.
            let at = if first < 0 { first + model.len() as i64 } else { first };
            match model.get_mut(usize::try_from(at).unwrap_or(usize::MAX)) {
                Some(item) => {
                    let new = items.first().copied().unwrap_or(7);
                    array.set(first, new).unwrap();
                    *item = new & mask;
                    prop_assert_eq!(array.get(first).unwrap(), *item);
                }
                None => {
                    let got = array.get(first);
                    prop_assert!(matches!(got, Err(StoreError::Index(IndexProblem::Get))));
                    let done = array.set(first, 0);
                    prop_assert!(matches!(done, Err(StoreError::Index(IndexProblem::Assign))));
                }
            }
            // A slice.
            let slice = Slice { start: Some(first), stop: Some(second), step: Some(stride) };
            if stride == 0 {
                prop_assert!(matches!(array.slice(slice), Err(StoreError::ZeroStep)));
                continue;
            }
            let picked = slice.resolve(model.len() as u64).unwrap();
            let indices: Vec<usize> =
                (0..picked.count).map(|number| picked.index(number) as usize).collect();
            let expected: Vec<u64> = indices.iter().map(|&index| model[index]).collect();
            prop_assert_eq!(array.slice(slice).unwrap(), raw(&expected));
            let items: Vec<u64> = items.iter().map(|item| item & mask).collect();
            let done = array.set_slice(slice, &raw(&items), None);
            if stride == 1 {
                done.unwrap();
                let start = picked.start as usize;
                model.splice(start..start + indices.len(), items);
            } else if indices.len() == items.len() {
                done.unwrap();
                indices.into_iter().zip(items).for_each(|(index, item)| model[index] = item);
            } else {
                let refused = matches!(done, Err(StoreError::SliceSize { .. }));
                prop_assert!(refused);
            }
            prop_assert_eq!(array.to_bytes().unwrap(), raw(&model));
            prop_assert_eq!(array.len().unwrap(), model.len() as u64);
            sound(&segment);
        }
        held.release();
        prop_assert_eq!(sound(&segment).blocks, 0);
    }
}
