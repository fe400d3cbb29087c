//! Operations on dicts and sets.

use coheld_shm::Segment;
use coheld_store::{Dict, Input, Key, KeyHasher, Result, Set, kinds, word};

use super::{Case, Place, create};

fn dict_of(segment: &Segment, entries: usize) -> Result<Vec<Place>> {
    let place = create(segment, kinds::referent::DICT)?;
    let hasher = KeyHasher::new(segment.secret());
    let referent = segment.referent(place.offset, place.generation)?;
    let dict = Dict::new(&referent);
    for number in 0..entries {
        let name = key_name(number);
        let text = format!("value number {number}, in a block");
        dict.insert(&Key::str(&name, &hasher), &Input::str(&text))?;
    }
    Ok(vec![place])
}

fn key_name(number: usize) -> String {
    match number % 2 {
        0 => format!("k{number}"),
        _ => format!("key number {number}, in a block"),
    }
}

fn few(segment: &Segment) -> Result<Vec<Place>> {
    dict_of(segment, 4)
}

fn empty(segment: &Segment) -> Result<Vec<Place>> {
    dict_of(segment, 0)
}

/// Filled until the next new key needs a larger table.
fn full(segment: &Segment) -> Result<Vec<Place>> {
    let places = dict_of(segment, 1)?;
    let referent = segment.referent(places[0].offset, places[0].generation)?;
    let hasher = KeyHasher::new(segment.secret());
    let entries = {
        let guard = referent.lock()?;
        let table = segment.block(guard.root())?;
        segment.load(table.payload())? & 0xffff_ffff
    };
    for number in 1..entries as usize {
        let name = key_name(number);
        Dict::new(&referent).insert(&Key::str(&name, &hasher), &small())?;
    }
    Ok(places)
}

/// Just grown, so that there is room for some more keys.
fn roomy(segment: &Segment) -> Result<Vec<Place>> {
    let places = full(segment)?;
    let referent = segment.referent(places[0].offset, places[0].generation)?;
    let hasher = KeyHasher::new(segment.secret());
    Dict::new(&referent).insert(&Key::str("one more", &hasher), &large())?;
    Ok(places)
}

fn small() -> Input<'static> {
    Input::Word(word::from_int(7).unwrap_or(word::NONE))
}

fn large() -> Input<'static> {
    Input::str("a new value, too long for a word")
}

fn on(
    segment: &Segment,
    places: &[Place],
    act: impl FnOnce(&Dict<'_>, &KeyHasher) -> Result<()>,
) -> Result<()> {
    let hasher = KeyHasher::new(segment.secret());
    let referent = segment.referent(places[0].offset, places[0].generation)?;
    act(&Dict::new(&referent), &hasher)
}

fn set_of(segment: &Segment) -> Result<Vec<Place>> {
    let place = create(segment, kinds::referent::SET)?;
    let hasher = KeyHasher::new(segment.secret());
    let referent = segment.referent(place.offset, place.generation)?;
    for number in 0..4 {
        Set::new(&referent).add(&Key::str(&key_name(number), &hasher))?;
    }
    Ok(vec![place])
}

macro_rules! case {
    ($name:literal, $build:expr, $sample:literal, |$dict:ident, $hasher:ident| $act:expr) => {
        Case {
            name: $name,
            build: $build,
            run: |segment, places| on(segment, places, |$dict, $hasher| $act),
            sample: $sample,
            stranger: false,
        }
    };
}

macro_rules! set_case {
    ($name:literal, |$set:ident, $hasher:ident| $act:expr) => {
        Case {
            name: $name,
            build: set_of,
            run: |segment, places| {
                let $hasher = &KeyHasher::new(segment.secret());
                let referent = segment.referent(places[0].offset, places[0].generation)?;
                let $set = Set::new(&referent);
                $act
            },
            sample: false,
            stranger: false,
        }
    };
}

const NEW: &str = "a new key, too long for a word";

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("dict insert, small", few, true, |dict, hasher| {
            dict.insert(&Key::str("new", hasher), &small())
        }),
        case!("dict insert, blocks", few, true, |dict, hasher| {
            dict.insert(&Key::str(NEW, hasher), &large())
        }),
        case!(
            "dict insert into an empty dict",
            empty,
            false,
            |dict, hasher| { dict.insert(&Key::str(NEW, hasher), &large()) }
        ),
        case!("dict insert with growth", full, true, |dict, hasher| {
            dict.insert(&Key::str(NEW, hasher), &large())
        }),
        case!("dict overwrite", few, true, |dict, hasher| {
            dict.insert(&Key::str("k2", hasher), &large())
        }),
        case!("dict delete", few, true, |dict, hasher| {
            dict.delete(&Key::str(&key_name(1), hasher)).map(drop)
        }),
        case!("dict delete the last entry", few, false, |dict, hasher| {
            dict.delete(&Key::str(&key_name(3), hasher)).map(drop)
        }),
        case!("dict pop", few, false, |dict, hasher| {
            dict.remove(&Key::str("k0", hasher)).map(drop)
        }),
        case!("dict popitem", few, true, |dict, _hasher| dict
            .pop_last()
            .map(drop)),
        case!("dict setdefault", few, false, |dict, hasher| {
            dict.set_default(&Key::str(NEW, hasher), &large()).map(drop)
        }),
        case!("dict update, mixed", few, true, |dict, hasher| {
            dict.update(&[
                (Key::str("k0", hasher), large()),
                (Key::str(NEW, hasher), large()),
                (Key::str("k2", hasher), small()),
                (Key::str("n", hasher), small()),
            ])
        }),
        case!(
            "dict update in place, mixed",
            roomy,
            true,
            |dict, hasher| {
                dict.update(&[
                    (Key::str("k0", hasher), large()),
                    (Key::str(NEW, hasher), large()),
                    (Key::str("one more", hasher), small()),
                ])
            }
        ),
        case!(
            "dict update in place, new keys",
            roomy,
            false,
            |dict, hasher| {
                dict.update(&[
                    (Key::str(NEW, hasher), large()),
                    (Key::str("n", hasher), small()),
                ])
            }
        ),
        case!("dict update, new keys only", few, false, |dict, hasher| {
            dict.update(&[
                (Key::str(NEW, hasher), large()),
                (Key::str("n", hasher), small()),
            ])
        }),
        case!("dict update with growth", full, false, |dict, hasher| {
            dict.update(&[
                (Key::str("k0", hasher), large()),
                (Key::str(NEW, hasher), large()),
                (Key::str("n", hasher), small()),
            ])
        }),
        case!("dict clear", few, false, |dict, _hasher| dict.clear()),
        case!("dict replaced as a whole", few, false, |dict, hasher| {
            dict.replace(
                &[
                    (Key::str("k0", hasher), large()),
                    (Key::str(NEW, hasher), small()),
                ],
                None,
            )
        }),
        set_case!("set add", |set, hasher| set
            .add(&Key::str(NEW, hasher))
            .map(drop)),
        set_case!("set discard", |set, hasher| {
            set.discard(&Key::str(&key_name(1), hasher)).map(drop)
        }),
        set_case!("set pop", |set, _hasher| set.pop_any().map(drop)),
        set_case!("set update", |set, hasher| {
            set.update(&[
                Key::str(NEW, hasher),
                Key::str("k0", hasher),
                Key::str("n", hasher),
            ])
        }),
        set_case!("set remove_all", |set, hasher| {
            let (first, second) = (key_name(1), key_name(2));
            set.remove_all(&[Key::str(&first, hasher), Key::str(&second, hasher)], None)
        }),
    ]
}
