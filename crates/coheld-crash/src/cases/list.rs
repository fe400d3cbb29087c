//! Operations on lists, of small values and of values with a block of their own.

use coheld_shm::{Referent, Segment};
use coheld_store::{Input, List, Result, Slice, kinds, word};

use super::{Case, Place, create};

fn list_of(segment: &Segment, length: i64) -> Result<Vec<Place>> {
    let place = create(segment, kinds::referent::LIST)?;
    let referent = segment.referent(place.offset, place.generation)?;
    let list = List::new(&referent);
    for number in 0..length {
        let text = format!("element number {number}, in a block");
        match number % 3 {
            0 => list.append(&Input::str(&text))?,
            _ => list.append(&small(number))?,
        }
    }
    Ok(vec![place])
}

fn small(number: i64) -> Input<'static> {
    Input::Word(word::from_int(number).unwrap_or(word::NONE))
}

fn large() -> Input<'static> {
    Input::str("a new value, too long for a word")
}

fn on(
    segment: &Segment,
    places: &[Place],
    act: impl FnOnce(&List<'_>) -> Result<()>,
) -> Result<()> {
    let referent: Referent<'_> = segment.referent(places[0].offset, places[0].generation)?;
    act(&List::new(&referent))
}

fn few(segment: &Segment) -> Result<Vec<Place>> {
    list_of(segment, 6)
}

/// As long as a list can be without growing at the next append.
fn full(segment: &Segment) -> Result<Vec<Place>> {
    let scratch = list_of(segment, 1)?;
    let referent = segment.referent(scratch[0].offset, scratch[0].generation)?;
    let block = || referent.lock().map(|guard| guard.root());
    let first = block()?;
    let mut length = 1;
    while block()? == first {
        List::new(&referent).append(&small(0))?;
        length += 1;
    }
    segment.release(scratch[0].offset, scratch[0].generation)?;
    list_of(segment, length - 1)
}

fn empty(segment: &Segment) -> Result<Vec<Place>> {
    list_of(segment, 0)
}

macro_rules! case {
    ($name:literal, $build:expr, $sample:literal, |$list:ident| $act:expr) => {
        Case {
            name: $name,
            build: $build,
            run: |segment, places| on(segment, places, |$list| $act),
            sample: $sample,
            stranger: false,
        }
    };
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("list append, small value", few, true, |list| list
            .append(&small(77))),
        case!("list append, block", few, false, |list| list
            .append(&large())),
        case!("list append to an empty list", empty, true, |list| list
            .append(&large())),
        case!("list append with growth", full, true, |list| list
            .append(&large())),
        case!("list set, small over block", few, false, |list| list
            .set(0, &small(5))),
        case!("list set, block over block", few, true, |list| list
            .set(3, &large())),
        case!("list pop", few, false, |list| list.pop(-3).map(drop)),
        case!("list pop last", few, true, |list| list.pop(-1).map(drop)),
        case!("list pop(0), block", few, true, |list| list
            .pop(0)
            .map(drop)),
        case!("list insert in the middle", few, true, |list| list
            .insert(2, &large())),
        case!("list insert at the front", few, false, |list| list
            .insert(0, &large())),
        case!("list delete in the middle", few, true, |list| list
            .delete(3, None)),
        case!("list extend", few, true, |list| {
            list.extend(&[large(), small(1), large()], None)
        }),
        case!("list extend with growth", full, false, |list| {
            list.extend(&[large(), small(1), large()], None)
        }),
        case!("list sort (permute)", few, true, |list| list
            .permute(&[5, 3, 4, 0, 1, 2], None)),
        case!("list reverse", few, false, |list| list.reverse()),
        case!("list slice assignment", few, false, |list| {
            let slice = Slice {
                start: Some(1),
                stop: Some(4),
                step: None,
            };
            list.set_slice(slice, &[large(), large()], None)
        }),
        case!("list slice deletion", few, false, |list| {
            let slice = Slice {
                start: None,
                stop: None,
                step: Some(2),
            };
            list.delete_slice(slice, None)
        }),
        case!("list clear", few, false, |list| list.clear()),
        case!("list repeat", few, false, |list| list.repeat(2)),
    ]
}
