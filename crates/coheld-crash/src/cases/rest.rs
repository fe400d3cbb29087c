//! What is done once or seldom to structures that other files are about: arrays, making things
//! ready, replacing them as a whole, waiting in vain, values that are proxies.

use coheld_shm::{HostPlace, Segment, word as shm_word};
use coheld_store::{
    Array, Barrier, Buffer, Channel, Condition, Dict, Event, Hosted, Input, Key, KeyHasher, List,
    Lock, Queue, Result, Semaphore, Set, Slice, StoreError, Value, Wait, kinds::referent as kind,
    word,
};

use super::{Case, Place, Row, at, cases_of, create_with};

fn small(number: i64) -> Input<'static> {
    Input::Word(word::from_int(number).unwrap_or(word::NONE))
}

fn text() -> Input<'static> {
    Input::str("a value that needs a block of its own")
}

fn edge(place: &Place) -> Input<'static> {
    Input::Edge(shm_word::of_edge(place.offset, place.generation))
}

/// Ten items of two bytes.
fn array(segment: &Segment) -> Result<Vec<Place>> {
    let place = create_with(segment, kind::ARRAY, Array::auxiliary(b'h', 2))?;
    Array::new(&at(segment, &place)?).replace(&[5; 20])?;
    Ok(vec![place])
}

/// The same after somebody has looked at the items themselves.
fn viewed_array(segment: &Segment) -> Result<Vec<Place>> {
    let places = array(segment)?;
    Array::new(&at(segment, &places[0])?).extent()?;
    Ok(places)
}

fn array_fill(segment: &Segment, places: &[Place]) -> Result<()> {
    Array::new(&at(segment, &places[0])?).replace(&[9; 20])
}

fn array_set(segment: &Segment, places: &[Place]) -> Result<()> {
    Array::new(&at(segment, &places[0])?).set(3, 77)
}

fn array_slice(segment: &Segment, places: &[Place]) -> Result<()> {
    let slice = Slice {
        start: Some(1),
        stop: Some(8),
        step: Some(3),
    };
    Array::new(&at(segment, &places[0])?).set_slice(slice, &[1, 0, 2, 0, 3, 0], None)
}

fn array_replace(segment: &Segment, places: &[Place]) -> Result<()> {
    Array::new(&at(segment, &places[0])?).replace(&[9; 12])
}

/// Bytes as a referent of their own, which the caller holds.
fn buffer(segment: &Segment) -> Result<Place> {
    let place = create_with(segment, kind::BUFFER, 0)?;
    Buffer::new(&at(segment, &place)?).fill(&[7; 600])?;
    Ok(place)
}

fn empty_dict(segment: &Segment) -> Result<Vec<Place>> {
    Ok(vec![create_with(segment, kind::DICT, 0)?])
}

/// A dict with such bytes under `k`.
fn dict_of_bytes(segment: &Segment) -> Result<Vec<Place>> {
    let place = create_with(segment, kind::DICT, 0)?;
    dict_put_bytes(segment, &[place])?;
    Ok(vec![place])
}

fn dict_put_bytes(segment: &Segment, places: &[Place]) -> Result<()> {
    let hasher = KeyHasher::new(segment.secret());
    let bytes = buffer(segment)?;
    Dict::new(&at(segment, &places[0])?).insert(&Key::str("k", &hasher), &edge(&bytes))?;
    Ok(segment.release(bytes.offset, bytes.generation)?)
}

fn dict_remove_bytes(segment: &Segment, places: &[Place]) -> Result<()> {
    let hasher = KeyHasher::new(segment.secret());
    Dict::new(&at(segment, &places[0])?)
        .remove(&Key::str("k", &hasher))
        .map(drop)
}

fn list(segment: &Segment) -> Result<Vec<Place>> {
    let place = create_with(segment, kind::LIST, 0)?;
    let referent = at(segment, &place)?;
    let list = List::new(&referent);
    for number in 0..3 {
        list.append(&text())?;
        list.append(&small(number))?;
    }
    Ok(vec![place])
}

/// A list, as its only element another one, and a third one.
fn lists(segment: &Segment) -> Result<Vec<Place>> {
    let place = create_with(segment, kind::LIST, 0)?;
    let (inner, other) = (list(segment)?[0], list(segment)?[0]);
    List::new(&at(segment, &place)?).append(&edge(&inner))?;
    segment.release(inner.offset, inner.generation)?;
    Ok(vec![place, inner, other])
}

fn list_replace(segment: &Segment, places: &[Place]) -> Result<()> {
    List::new(&at(segment, &places[0])?).replace(&[text(), small(1)], None)
}

fn list_delete_indices(segment: &Segment, places: &[Place]) -> Result<()> {
    List::new(&at(segment, &places[0])?).delete_indices(&[0, 3, 4], None)
}

fn list_repeat_never(segment: &Segment, places: &[Place]) -> Result<()> {
    List::new(&at(segment, &places[0])?).repeat(0)
}

fn list_set_edge(segment: &Segment, places: &[Place]) -> Result<()> {
    List::new(&at(segment, &places[0])?).set(0, &edge(&places[2]))
}

fn list_of_numbers(segment: &Segment, length: i64) -> Result<Place> {
    let place = create_with(segment, kind::LIST, 0)?;
    for number in 0..length {
        List::new(&at(segment, &place)?).append(&small(number))?;
    }
    Ok(place)
}

/// A list that takes a smaller array when one more element goes.
fn sparse(segment: &Segment) -> Result<Vec<Place>> {
    const LENGTH: i64 = 64;
    let scratch = list_of_numbers(segment, LENGTH)?;
    let root = || Ok::<u64, StoreError>(at(segment, &scratch)?.lock()?.root());
    let (full, mut popped) = (root()?, 0);
    while root()? == full && popped < LENGTH {
        List::new(&at(segment, &scratch)?).pop(-1)?;
        popped += 1;
    }
    segment.release(scratch.offset, scratch.generation)?;
    let place = list_of_numbers(segment, LENGTH)?;
    for _ in 1..popped {
        List::new(&at(segment, &place)?).pop(-1)?;
    }
    Ok(vec![place])
}

fn list_pop(segment: &Segment, places: &[Place]) -> Result<()> {
    List::new(&at(segment, &places[0])?).pop(-1).map(drop)
}

fn dict(segment: &Segment) -> Result<Vec<Place>> {
    let place = create_with(segment, kind::DICT, 0)?;
    let hasher = KeyHasher::new(segment.secret());
    let referent = at(segment, &place)?;
    let inner = list(segment)?[0];
    Dict::new(&referent).insert(&Key::str("list", &hasher), &edge(&inner))?;
    segment.release(inner.offset, inner.generation)?;
    Ok(vec![place, inner])
}

fn dict_overwrite_edge(segment: &Segment, places: &[Place]) -> Result<()> {
    let hasher = KeyHasher::new(segment.secret());
    Dict::new(&at(segment, &places[0])?).insert(&Key::str("list", &hasher), &text())
}

fn set(segment: &Segment) -> Result<Vec<Place>> {
    let place = create_with(segment, kind::SET, 0)?;
    let hasher = KeyHasher::new(segment.secret());
    let referent = at(segment, &place)?;
    for key in ["a", "b", "a key that needs a block"] {
        Set::new(&referent).add(&Key::str(key, &hasher))?;
    }
    Ok(vec![place])
}

fn set_replace(segment: &Segment, places: &[Place]) -> Result<()> {
    let hasher = KeyHasher::new(segment.secret());
    let keys = [
        Key::str("b", &hasher),
        Key::str("another key, in a block", &hasher),
    ];
    Set::new(&at(segment, &places[0])?).replace(&keys, None)
}

fn set_clear(segment: &Segment, places: &[Place]) -> Result<()> {
    Set::new(&at(segment, &places[0])?).clear()
}

/// A value that is a list, and another list.
fn value(segment: &Segment) -> Result<Vec<Place>> {
    let place = create_with(segment, kind::VALUE, 0)?;
    let (inner, other) = (list(segment)?[0], list(segment)?[0]);
    Value::new(&at(segment, &place)?).set(&edge(&inner))?;
    segment.release(inner.offset, inner.generation)?;
    Ok(vec![place, inner, other])
}

fn value_set_edge(segment: &Segment, places: &[Place]) -> Result<()> {
    Value::new(&at(segment, &places[0])?).set(&edge(&places[2]))
}

fn queue(segment: &Segment) -> Result<Vec<Place>> {
    let place = create_with(segment, kind::QUEUE, Queue::auxiliary(0))?;
    let inner = list(segment)?[0];
    Queue::new(&at(segment, &place)?).put(&edge(&inner), Wait::No)?;
    segment.release(inner.offset, inner.generation)?;
    Ok(vec![place, inner])
}

fn queue_put_edge(segment: &Segment, places: &[Place]) -> Result<()> {
    Queue::new(&at(segment, &places[0])?).put(&edge(&places[1]), Wait::No)
}

/// Items until the next one needs a larger array.
fn full_queue(segment: &Segment) -> Result<Vec<Place>> {
    let place = create_with(segment, kind::QUEUE, Queue::auxiliary(0))?;
    let referent = at(segment, &place)?;
    let queue = Queue::new(&referent);
    queue.put(&small(0), Wait::No)?;
    let room = {
        let guard = referent.lock()?;
        segment.block(guard.root())?.room / 8
    };
    for _ in 1..room {
        queue.put(&small(1), Wait::No)?;
    }
    Ok(vec![place])
}

fn queue_put(segment: &Segment, places: &[Place]) -> Result<()> {
    Queue::new(&at(segment, &places[0])?).put(&text(), Wait::No)
}

fn make_semaphore(segment: &Segment, _places: &[Place]) -> Result<()> {
    let place = create_with(segment, kind::BOUNDED_SEMAPHORE, 0)?;
    Semaphore::new(&at(segment, &place)?).initialize(2)
}

fn event(segment: &Segment) -> Result<Vec<Place>> {
    let place = create_with(segment, kind::EVENT, 0)?;
    Event::new(&at(segment, &place)?).set()?;
    Ok(vec![place])
}

fn event_clear(segment: &Segment, places: &[Place]) -> Result<()> {
    Event::new(&at(segment, &places[0])?).clear()
}

fn lock(segment: &Segment) -> Result<Vec<Place>> {
    Ok(vec![create_with(segment, kind::LOCK, 0)?])
}

fn lock_acquire_and_free(segment: &Segment, places: &[Place]) -> Result<()> {
    let referent = at(segment, &places[0])?;
    let lock = Lock::new(&referent);
    let _ = lock.acquire(Wait::No)?.ok_or(StoreError::Changed)?;
    // Its owner lives.
    lock.free_from_dead()?;
    lock.release()
}

fn condition(segment: &Segment) -> Result<Vec<Place>> {
    let (place, lock) = (create_with(segment, kind::CONDITION, 0)?, lock(segment)?[0]);
    Condition::new(&at(segment, &place)?).initialize(&edge(&lock))?;
    Ok(vec![place, lock])
}

fn make_condition(segment: &Segment, _places: &[Place]) -> Result<()> {
    condition(segment).map(drop)
}

fn condition_wait_in_vain(segment: &Segment, places: &[Place]) -> Result<()> {
    let referent = at(segment, &places[0])?;
    let condition = Condition::new(&referent);
    let _ = condition.acquire(Wait::No)?.ok_or(StoreError::Changed)?;
    let (notified, _) = condition.wait(Wait::No)?;
    if notified {
        return Err(StoreError::Changed);
    }
    condition.release()
}

fn barrier(segment: &Segment) -> Result<Vec<Place>> {
    Ok(vec![create_with(segment, kind::BARRIER, 2)?])
}

fn make_barrier(segment: &Segment, _places: &[Place]) -> Result<()> {
    Barrier::new(&at(segment, &barrier(segment)?[0])?).initialize(&text())
}

fn barrier_wait_in_vain(segment: &Segment, places: &[Place]) -> Result<()> {
    let referent = at(segment, &places[0])?;
    match Barrier::new(&referent).wait::<()>(Wait::No, None) {
        Err(StoreError::BrokenBarrier) => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(StoreError::Changed),
    }
}

fn channel(segment: &Segment) -> Result<Vec<Place>> {
    let place = create_with(segment, kind::CHANNEL, 0)?;
    Channel::prepare(&at(segment, &place)?, segment.own_tag()?)?;
    Ok(vec![place])
}

fn channel_accept(segment: &Segment, places: &[Place]) -> Result<()> {
    let referent = at(segment, &places[0])?;
    Channel::open(&referent)?.accept(segment.own_tag()?)
}

fn publish(segment: &Segment, _places: &[Place]) -> Result<()> {
    let place = create_with(segment, kind::HOSTED, 0)?;
    let host = HostPlace {
        inbox: 0x4_0000,
        generation: 1,
        tag: segment.own_tag()?,
    };
    Hosted::fill(&at(segment, &place)?, host, 3)
}

const ROWS: &[Row] = &[
    ("array set", array, array_set, true, false),
    ("array slice assignment", array, array_slice, false, false),
    (
        "array slice assignment in place",
        viewed_array,
        array_slice,
        true,
        false,
    ),
    (
        "array filled in place",
        viewed_array,
        array_fill,
        false,
        false,
    ),
    (
        "dict gets bytes of their own",
        empty_dict,
        dict_put_bytes,
        true,
        false,
    ),
    (
        "dict drops bytes of their own",
        dict_of_bytes,
        dict_remove_bytes,
        false,
        false,
    ),
    (
        "array replaced as a whole",
        array,
        array_replace,
        false,
        false,
    ),
    ("list replaced as a whole", list, list_replace, false, false),
    (
        "list delete at several places",
        list,
        list_delete_indices,
        false,
        false,
    ),
    (
        "list repeat, not at all",
        list,
        list_repeat_never,
        false,
        false,
    ),
    ("list pop that shrinks it", sparse, list_pop, false, false),
    (
        "list set, proxy over proxy",
        lists,
        list_set_edge,
        false,
        true,
    ),
    (
        "dict overwrite a proxy",
        dict,
        dict_overwrite_edge,
        false,
        true,
    ),
    ("set replaced as a whole", set, set_replace, false, false),
    ("set clear", set, set_clear, false, false),
    (
        "value set, proxy over proxy",
        value,
        value_set_edge,
        false,
        true,
    ),
    ("queue: put a proxy", queue, queue_put_edge, false, false),
    (
        "queue: put with growth",
        full_queue,
        queue_put,
        false,
        false,
    ),
    ("semaphore: make one", lock, make_semaphore, false, false),
    ("event: clear", event, event_clear, false, false),
    (
        "lock: acquire, free from nobody, release",
        lock,
        lock_acquire_and_free,
        false,
        false,
    ),
    ("condition: make one", lock, make_condition, false, false),
    (
        "condition: wait in vain",
        condition,
        condition_wait_in_vain,
        false,
        false,
    ),
    ("barrier: make one", lock, make_barrier, false, false),
    (
        "barrier: wait in vain",
        barrier,
        barrier_wait_in_vain,
        false,
        false,
    ),
    ("channel: accept", channel, channel_accept, false, false),
    ("hosted: publish", lock, publish, false, false),
];

pub(super) fn cases() -> Vec<Case> {
    cases_of(ROWS)
}
