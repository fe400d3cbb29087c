//! Counters: values that change by what they were.

use coheld_shm::Segment;
use coheld_store::{
    Dict, Input, Key, KeyHasher, Result, StoreError, Updated, Value, arithmetic, kinds, word,
};

use super::{Case, Place, create};

const KEY: &str = "the key of a counter, in a block";
const OLD: &str = "a value in a block";
const NEW: &str = "another value in a block";

fn value(segment: &Segment) -> Result<Vec<Place>> {
    with_value(segment, &int(41))
}

fn large_value(segment: &Segment) -> Result<Vec<Place>> {
    with_value(segment, &Input::str(OLD))
}

fn with_value(segment: &Segment, content: &Input<'_>) -> Result<Vec<Place>> {
    let place = create(segment, kinds::referent::VALUE)?;
    let referent = segment.referent(place.offset, place.generation)?;
    Value::new(&referent).set(content)?;
    Ok(vec![place])
}

fn dict(segment: &Segment) -> Result<Vec<Place>> {
    with_entries(segment, &[KEY, "a", "b"])
}

fn dict_without_key(segment: &Segment) -> Result<Vec<Place>> {
    with_entries(segment, &["a", "b"])
}

fn empty_dict(segment: &Segment) -> Result<Vec<Place>> {
    with_entries(segment, &[])
}

fn with_entries(segment: &Segment, keys: &[&str]) -> Result<Vec<Place>> {
    let place = create(segment, kinds::referent::DICT)?;
    let hasher = KeyHasher::new(segment.secret());
    let referent = segment.referent(place.offset, place.generation)?;
    for key in keys {
        Dict::new(&referent).insert(&Key::str(key, &hasher), &int(41))?;
    }
    Ok(vec![place])
}

fn int(value: i64) -> Input<'static> {
    Input::Word(word::from_int(value).unwrap_or(word::NONE))
}

fn add(old: Option<u64>) -> Option<u64> {
    arithmetic::add(old.or(word::from_int(0))?, word::from_int(1)?)
}

fn check(updated: Updated) -> Result<()> {
    match updated {
        Updated::Stored { .. } => Ok(()),
        _ => Err(StoreError::Changed),
    }
}

fn on_value(
    segment: &Segment,
    places: &[Place],
    act: impl FnOnce(&Value<'_>) -> Result<()>,
) -> Result<()> {
    let referent = segment.referent(places[0].offset, places[0].generation)?;
    act(&Value::new(&referent))
}

fn increment_entry(segment: &Segment, places: &[Place]) -> Result<()> {
    let hasher = KeyHasher::new(segment.secret());
    let referent = segment.referent(places[0].offset, places[0].generation)?;
    check(Dict::new(&referent).update_word(&Key::str(KEY, &hasher), add)?)
}

fn replace_entry(segment: &Segment, places: &[Place]) -> Result<()> {
    let hasher = KeyHasher::new(segment.secret());
    let referent = segment.referent(places[0].offset, places[0].generation)?;
    let (dict, key) = (Dict::new(&referent), Key::str(KEY, &hasher));
    let version = dict.version()?;
    dict.insert_if(&key, &Input::str(NEW), version)
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "value increment",
            build: value,
            run: |segment, places| {
                on_value(segment, places, |value| {
                    check(value.update_word(|old| add(Some(old)))?)
                })
            },
            sample: true,
            stranger: false,
        },
        Case {
            name: "value increment beyond a word",
            build: large_value,
            run: |segment, places| {
                on_value(segment, places, |value| {
                    let version = value.version()?;
                    value.set_if(&Input::str(NEW), version)
                })
            },
            sample: false,
            stranger: false,
        },
        Case {
            name: "dict increment of an existing key",
            build: dict,
            run: increment_entry,
            sample: true,
            stranger: false,
        },
        Case {
            name: "dict increment of a missing key",
            build: dict_without_key,
            run: increment_entry,
            sample: true,
            stranger: false,
        },
        Case {
            name: "dict increment into an empty dict",
            build: empty_dict,
            run: increment_entry,
            sample: false,
            stranger: false,
        },
        Case {
            name: "dict increment beyond a word",
            build: dict,
            run: replace_entry,
            sample: false,
            stranger: false,
        },
    ]
}
