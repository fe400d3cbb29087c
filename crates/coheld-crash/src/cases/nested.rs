//! Proxies inside structures, values, and the birth and death of referents.

use coheld_shm::{Segment, word as shm_word};
use coheld_store::{Dict, Input, Key, KeyHasher, List, Result, Value, kinds};

use super::{Case, Place, create};

/// A list that holds another list, and the inner one.
fn nested(segment: &Segment) -> Result<Vec<Place>> {
    let places = apart(segment)?;
    put(segment, &places)?;
    Ok(places)
}

fn apart(segment: &Segment) -> Result<Vec<Place>> {
    let outer = create(segment, kinds::referent::LIST)?;
    let inner = create(segment, kinds::referent::LIST)?;
    let referent = segment.referent(inner.offset, inner.generation)?;
    List::new(&referent).append(&Input::str("a value inside the inner list"))?;
    Ok(vec![outer, inner])
}

/// Only the edge keeps the inner list.
fn owned(segment: &Segment) -> Result<Vec<Place>> {
    let places = nested(segment)?;
    segment.release(places[1].offset, places[1].generation)?;
    Ok(vec![places[0]])
}

fn put(segment: &Segment, places: &[Place]) -> Result<()> {
    let outer = segment.referent(places[0].offset, places[0].generation)?;
    let edge = shm_word::of_edge(places[1].offset, places[1].generation);
    List::new(&outer).append(&Input::Edge(edge))
}

fn dict_and_list(segment: &Segment) -> Result<Vec<Place>> {
    let outer = create(segment, kinds::referent::DICT)?;
    let inner = create(segment, kinds::referent::LIST)?;
    Ok(vec![outer, inner])
}

fn put_pickled(segment: &Segment, places: &[Place]) -> Result<()> {
    let hasher = KeyHasher::new(segment.secret());
    let outer = segment.referent(places[0].offset, places[0].generation)?;
    let edge = shm_word::of_edge(places[1].offset, places[1].generation);
    let edges = [edge, edge];
    Dict::new(&outer).insert(
        &Key::str("both", &hasher),
        &Input::pickle(b"opaque to this layer", &edges),
    )
}

fn value(segment: &Segment) -> Result<Vec<Place>> {
    let place = create(segment, kinds::referent::VALUE)?;
    let referent = segment.referent(place.offset, place.generation)?;
    Value::new(&referent).set(&Input::str("the value that was there before"))?;
    Ok(vec![place])
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "nested proxy put into a list",
            build: apart,
            run: put,
            sample: true,
            stranger: false,
        },
        Case {
            name: "nested proxies put into a dict, inside a pickle",
            build: dict_and_list,
            run: put_pickled,
            sample: true,
            stranger: false,
        },
        Case {
            name: "nested proxy removed, held elsewhere",
            build: nested,
            run: |segment, places| {
                let outer = segment.referent(places[0].offset, places[0].generation)?;
                List::new(&outer).delete(0, None)
            },
            sample: false,
            stranger: false,
        },
        Case {
            name: "nested proxy removed, last reference",
            build: owned,
            run: |segment, places| {
                let outer = segment.referent(places[0].offset, places[0].generation)?;
                List::new(&outer).clear()
            },
            sample: true,
            stranger: false,
        },
        Case {
            name: "value set, block over block",
            build: value,
            run: |segment, places| {
                let referent = segment.referent(places[0].offset, places[0].generation)?;
                Value::new(&referent).set(&Input::str("another value, just as long as that"))
            },
            sample: true,
            stranger: false,
        },
        Case {
            name: "list created, filled and dropped",
            build: value,
            run: |segment, _places| {
                let place = create(segment, kinds::referent::LIST)?;
                let referent = segment.referent(place.offset, place.generation)?;
                List::new(&referent).append(&Input::str("a value that dies with the list"))?;
                segment.release(place.offset, place.generation)?;
                Ok(())
            },
            sample: true,
            stranger: false,
        },
        Case {
            name: "proxy taken by another process and dropped",
            build: value,
            run: |segment, places| {
                segment.lease(places[0].offset, places[0].generation)?;
                segment.release(places[0].offset, places[0].generation)?;
                segment.acquire(places[0].offset, places[0].generation)?;
                Ok(())
            },
            sample: false,
            stranger: false,
        },
    ]
}
