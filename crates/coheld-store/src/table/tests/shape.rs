//! Growing, shrinking, and the churn of insertions and deletions.

use super::*;
use crate::Set;
use crate::table::layout::Shape;

#[test]
fn shapes_are_sound() {
    for entries in [0, 1, 5, 6, 10, 11, 1000, 1 << 20, (1 << 31) / 8 * 5] {
        let shape = Shape::for_entries(entries).unwrap();
        assert!(u64::from(shape.entries) >= entries);
        assert!(shape.entries <= shape.fill_limit());
        assert!(shape.index.is_power_of_two());
    }
    assert!(Shape::for_entries((1 << 31) / 8 * 5 + 1).is_err());
    assert!(Shape::for_entries(u64::MAX).is_err());
}

#[test]
fn ten_thousand_entries_in_order() {
    let fixture = Fixture::new();
    let referent = fixture.referent();
    let dict = Dict::new(&referent);
    for value in 0..10_000 {
        dict.insert(&integer_key(value, &fixture.hasher), &integer(-value))
            .unwrap();
    }
    fixture.check();
    for value in 0..10_000 {
        assert_eq!(
            number(dict.get(&integer_key(value, &fixture.hasher)).unwrap()),
            Some(-value)
        );
    }
    let keys = dict.snapshot_keys().unwrap();
    let expected: Vec<u64> = (0..10_000)
        .map(|value| word::from_int(value).unwrap())
        .collect();
    assert_eq!(keys.words().unwrap(), expected);
    for value in (0..10_000).rev() {
        let (key, _) = dict.pop_last().unwrap().unwrap();
        assert_eq!(key.inline_word(), word::from_int(value));
    }
    fixture.check();
    assert!(dict.pop_last().unwrap().is_none());
}

#[test]
fn growth_with_long_keys_and_values() {
    let fixture = Fixture::new();
    let referent = fixture.referent();
    let dict = Dict::new(&referent);
    for round in 0..2 {
        for value in 0..1000 {
            let (key, text) = (long(value), long(value + round));
            dict.insert(&Key::str(&key, &fixture.hasher), &Input::str(&text))
                .unwrap();
        }
        fixture.check();
    }
    assert_eq!(dict.len().unwrap(), 1000);
    dict.clear().unwrap();
    fixture.check_empty();
}

fn index_size(fixture: &Fixture) -> u32 {
    let referent = fixture.referent();
    let guard = referent.lock().unwrap();
    Table::open(&guard).unwrap().unwrap().shape.index
}

#[test]
fn churn_does_not_grow_the_table() {
    let fixture = Fixture::new();
    let referent = fixture.referent();
    let dict = Dict::new(&referent);
    // A sliding window of keys: deletions at the front.
    for value in 0..5000 {
        dict.insert(&integer_key(value, &fixture.hasher), &integer(value))
            .unwrap();
        if value >= 50 {
            assert!(
                dict.delete(&integer_key(value - 50, &fixture.hasher))
                    .unwrap()
            );
        }
        if value % 500 == 0 {
            fixture.check();
        }
    }
    assert_eq!(dict.len().unwrap(), 50);
    assert!(index_size(&fixture) <= 256);
    // A stack: insertions and deletions at the end, always of another key.
    for value in 5000..10_000 {
        dict.insert(&integer_key(value, &fixture.hasher), &integer(value))
            .unwrap();
        assert!(dict.pop_last().unwrap().is_some());
    }
    fixture.check();
    assert!(index_size(&fixture) <= 256);
    dict.clear().unwrap();
    fixture.check_empty();
}

#[test]
fn a_table_of_deleted_entries_becomes_small_again() {
    let fixture = Fixture::new();
    let referent = fixture.referent();
    let dict = Dict::new(&referent);
    for value in 0..4000 {
        dict.insert(&integer_key(value, &fixture.hasher), &integer(value))
            .unwrap();
    }
    let large = index_size(&fixture);
    for value in 0..3999 {
        assert!(dict.delete(&integer_key(value, &fixture.hasher)).unwrap());
    }
    for value in 4000..8000 {
        dict.insert(&integer_key(value, &fixture.hasher), &integer(value))
            .unwrap();
        assert!(
            dict.delete(&integer_key(value - 1, &fixture.hasher))
                .unwrap()
        );
    }
    assert!(index_size(&fixture) < large);
    assert_eq!(dict.len().unwrap(), 1);
    fixture.check();
}

#[test]
fn a_set_changes_by_many() {
    let fixture = Fixture::of_kind(kinds::referent::SET);
    let referent = fixture.referent();
    let set = Set::new(&referent);
    let texts: Vec<String> = (0..100).map(long).collect();
    let keys: Vec<Key<'_>> = texts
        .iter()
        .map(|text| Key::str(text, &fixture.hasher))
        .collect();
    set.update(&keys[..60]).unwrap();
    set.update(&keys[40..]).unwrap();
    assert_eq!(set.len().unwrap(), 100);
    fixture.check();
    assert!(!set.add(&keys[3]).unwrap());
    set.remove_all(&keys[10..90], None).unwrap();
    set.remove_all(&keys[10..90], None).unwrap();
    assert_eq!(set.len().unwrap(), 20);
    fixture.check();
    assert!(set.contains(&keys[9]).unwrap() && !set.contains(&keys[10]).unwrap());
    assert!(set.add(&keys[10]).unwrap());
    assert!(set.discard(&keys[0]).unwrap() && !set.discard(&keys[0]).unwrap());
    assert!(set.pop_any().unwrap().is_some());
    set.replace(&keys[..2], None).unwrap();
    assert_eq!(set.snapshot().unwrap().len(), 2);
    fixture.check();
    set.clear().unwrap();
    fixture.check_empty();
}

#[test]
fn small_updates_of_a_large_dict() {
    let fixture = Fixture::new();
    let referent = fixture.referent();
    let dict = Dict::new(&referent);
    let texts: Vec<String> = (0..1200).map(long).collect();
    let pair = |value: usize, marker| (Key::str(&texts[value], &fixture.hasher), integer(marker));
    let all: Vec<_> = (0..1000).map(|value| pair(value, 0)).collect();
    dict.update(&all).unwrap();
    fixture.check();
    // All new, in place.
    dict.update(&[pair(1000, 1), pair(1001, 1)]).unwrap();
    // All there, in place.
    dict.update(&[pair(5, 2), pair(6, 2), pair(1001, 2)])
        .unwrap();
    // Mixed.
    dict.update(&[
        pair(7, 3),
        pair(1002, 3),
        pair(8, 3),
        pair(1003, 3),
        pair(7, 4),
    ])
    .unwrap();
    fixture.check();
    assert_eq!(dict.len().unwrap(), 1004);
    for (value, expected) in [
        (0, 0),
        (1000, 1),
        (5, 2),
        (1001, 2),
        (7, 4),
        (1002, 3),
        (8, 3),
    ] {
        assert_eq!(number(dict.get(&pair(value, 0).0).unwrap()), Some(expected));
    }
    dict.clear().unwrap();
    fixture.check_empty();
}
