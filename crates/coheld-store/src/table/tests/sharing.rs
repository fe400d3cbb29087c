//! Several processes (views of one segment) at the same dict.

use std::thread;

use super::*;

#[test]
fn nothing_is_lost_between_processes() {
    const EACH: i64 = 2000;
    let fixture = Fixture::new();
    let place = fixture.place;
    thread::scope(|scope| {
        for number in 0..3 {
            let backing = fixture.backing.clone();
            let hasher = fixture.hasher;
            scope.spawn(move || {
                let segment = Segment::attach(Box::new(backing)).unwrap();
                segment.set_mender(crate::MENDER);
                segment.join().unwrap();
                let referent = segment.referent(place.0, place.1).unwrap();
                work(&Dict::new(&referent), &hasher, number, EACH);
            });
        }
    });
    let referent = fixture.referent();
    let dict = Dict::new(&referent);
    let text = long("counter");
    let counter = dict.get(&Key::str(&text, &fixture.hasher)).unwrap();
    assert_eq!(number(counter), Some(3 * EACH));
    // The counter, one key of each process, and what each round left behind.
    assert_eq!(dict.len().unwrap(), 1 + 3 + 3 * EACH.unsigned_abs() / 10);
    fixture.check();
    dict.clear().unwrap();
    fixture.check_empty();
}

/// Numbers too large for a word are added to on a copy, and only if nobody was faster.
#[test]
fn no_sum_is_lost_between_processes() {
    const EACH: u64 = 500;
    let fixture = Fixture::new();
    let place = fixture.place;
    let text = long("sum");
    thread::scope(|scope| {
        for _ in 0..3 {
            let (backing, hasher, text) = (fixture.backing.clone(), fixture.hasher, &text);
            scope.spawn(move || {
                let segment = Segment::attach(Box::new(backing)).unwrap();
                segment.set_mender(crate::MENDER);
                segment.join().unwrap();
                let referent = segment.referent(place.0, place.1).unwrap();
                let (dict, key) = (Dict::new(&referent), Key::str(text, &hasher));
                for _ in 0..EACH {
                    while !try_to_add(&dict, &key) {}
                }
            });
        }
    });
    let referent = fixture.referent();
    let dict = Dict::new(&referent);
    let sum = sum_of(dict.get(&Key::str(&text, &fixture.hasher)).unwrap());
    assert_eq!(sum, u64::from(u32::MAX) << 32 | (3 * EACH));
    fixture.check();
    dict.clear().unwrap();
    fixture.check_empty();
}

fn try_to_add(dict: &Dict<'_>, key: &Key<'_>) -> bool {
    let version = dict.version().unwrap();
    let sum = sum_of(dict.get(key).unwrap()) + 1;
    let bytes = sum.to_le_bytes();
    match dict.insert_if(key, &Input::bytes(&bytes), version) {
        Ok(()) => true,
        Err(crate::StoreError::Changed) => false,
        Err(error) => panic!("{error}"),
    }
}

fn sum_of(output: Option<Output>) -> u64 {
    match output {
        None => u64::from(u32::MAX) << 32,
        Some(Output::Block { bytes, .. }) => u64::from_le_bytes(bytes.try_into().unwrap()),
        other => panic!("{other:?}"),
    }
}

/// One process's part: every operation that can get in the way of the others.
fn work(dict: &Dict<'_>, hasher: &KeyHasher, number: i64, rounds: i64) {
    let counter = long("counter");
    let own = long(number);
    for round in 0..rounds {
        let add = |old: Option<u64>| word::from_int(old.and_then(word::to_int).unwrap_or(0) + 1);
        dict.update_word(&Key::str(&counter, hasher), add).unwrap();
        let value = long(round);
        let key = Key::str(&own, hasher);
        dict.insert(&key, &Input::str(&value)).unwrap();
        match dict.get(&key).unwrap() {
            Some(Output::Block { bytes, .. }) => assert_eq!(bytes, value.as_bytes()),
            other => panic!("{other:?}"),
        }
        let mine = |step: i64| long(format!("{number} {round} {step}"));
        let texts: Vec<String> = (0..4).map(mine).collect();
        let pairs: Vec<_> = texts
            .iter()
            .map(|text| (Key::str(text, hasher), Input::str(text)))
            .collect();
        dict.update(&pairs).unwrap();
        dict.update(&[pairs[0], (key, Input::str(&value)), pairs[1]])
            .unwrap();
        assert!(dict.remove(&pairs[0].0).unwrap().is_some());
        assert!(dict.delete(&pairs[1].0).unwrap());
        assert!(dict.delete(&pairs[2].0).unwrap());
        if round % 10 != 0 {
            assert!(dict.delete(&pairs[3].0).unwrap());
        }
    }
}
