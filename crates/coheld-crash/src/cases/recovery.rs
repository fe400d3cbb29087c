//! What is done about the dead: by reaping them, or by going on where they died.

use coheld_shm::Segment;
use coheld_store::{
    Dict, Input, Key, KeyHasher, List, Lock, Queue, Result, Set, StoreError, Value, Wait,
};

use super::{Operation, Place, at};

/// An operation at whose every instruction a member dies, and what the next one does then, who
/// dies as well.
pub struct Case {
    /// What it does.
    pub name: String,
    /// The operation of the first one who dies.
    pub first: super::Case,
    /// What the next one does.
    pub then: Operation,
    /// Whether leases and reservations have run out by then.
    pub late: bool,
    /// At how many deaths of the second one a third one dies.
    pub second: usize,
    /// Whether the short run of the test suite includes it.
    pub sample: bool,
}

/// Cleans up after the dead.
#[allow(clippy::unnecessary_wraps, reason = "an operation like others")]
pub(crate) fn reap(segment: &Segment, _places: &[Place]) -> Result<()> {
    segment.reap_dead();
    Ok(())
}

#[allow(clippy::unnecessary_wraps, reason = "an operation like others")]
fn reap_and_expire(segment: &Segment, _places: &[Place]) -> Result<()> {
    segment.reap_dead();
    segment.expire_leases();
    Ok(())
}

fn text() -> Input<'static> {
    Input::str("what the next one adds, in a block")
}

const KEY: &str = "the key of the next one, in a block";

fn append(segment: &Segment, places: &[Place]) -> Result<()> {
    List::new(&at(segment, &places[0])?).append(&text())
}

fn insert(segment: &Segment, places: &[Place]) -> Result<()> {
    let hasher = KeyHasher::new(segment.secret());
    let referent = at(segment, &places[0])?;
    Dict::new(&referent).insert(&Key::str(KEY, &hasher), &text())
}

fn add(segment: &Segment, places: &[Place]) -> Result<()> {
    let hasher = KeyHasher::new(segment.secret());
    let referent = at(segment, &places[0])?;
    Set::new(&referent).add(&Key::str(KEY, &hasher)).map(drop)
}

fn set(segment: &Segment, places: &[Place]) -> Result<()> {
    Value::new(&at(segment, &places[0])?).set(&text())
}

fn put(segment: &Segment, places: &[Place]) -> Result<()> {
    Queue::new(&at(segment, &places[0])?).put(&text(), Wait::No)
}

fn acquire(segment: &Segment, places: &[Place]) -> Result<()> {
    let referent = at(segment, &places[0])?;
    let acquired = Lock::new(&referent).acquire(Wait::No)?;
    acquired.map(drop).ok_or(StoreError::Changed)
}

/// The operation of the first one, what the next one does, whether that is late, at how many of its
/// deaths a third one dies, and whether the short run includes it.
type Row = (&'static str, &'static str, Operation, bool, usize, bool);

const ROWS: &[Row] = &[
    (
        "list insert in the middle",
        "reaped",
        reap,
        false,
        120,
        true,
    ),
    ("list append with growth", "reaped", reap, false, 120, false),
    (
        "list append, block",
        "appended to",
        append,
        false,
        120,
        true,
    ),
    ("dict insert with growth", "reaped", reap, false, 120, false),
    (
        "dict update in place, mixed",
        "reaped",
        reap,
        false,
        120,
        true,
    ),
    (
        "dict update in place, mixed",
        "inserted into",
        insert,
        false,
        120,
        false,
    ),
    ("dict delete", "inserted into", insert, false, 120, false),
    ("set update", "reaped", reap, false, 120, false),
    ("set update", "added to", add, false, 120, false),
    (
        "value set, block over block",
        "set anew",
        set,
        false,
        120,
        false,
    ),
    ("queue: put a text", "reaped", reap, false, 120, true),
    ("queue: get a text", "put into", put, false, 120, false),
    (
        "semaphore: acquire twice, release once",
        "reaped",
        reap,
        false,
        120,
        false,
    ),
    (
        "barrier: the last one arrives",
        "reaped",
        reap,
        false,
        120,
        false,
    ),
    (
        "condition: notify all three",
        "reaped",
        reap,
        false,
        120,
        false,
    ),
    ("channel: post", "reaped", reap, false, 120, false),
    ("channel: close", "reaped", reap, false, 120, false),
    ("dict: move to a host", "reaped", reap, false, 120, true),
    (
        "nested proxy put into a list",
        "reaped",
        reap,
        false,
        120,
        false,
    ),
    (
        "nested proxy removed, last reference",
        "reaped",
        reap,
        false,
        120,
        true,
    ),
    (
        "list created, filled and dropped",
        "reaped",
        reap,
        false,
        120,
        false,
    ),
    ("member: join", "reaped", reap, false, 120, false),
    ("member: retire", "reaped", reap, false, 120, true),
    (
        "fork: reserve a slot for the child",
        "reaped late",
        reap,
        true,
        120,
        true,
    ),
    (
        "fork: reserve a slot, give up",
        "reaped",
        reap,
        false,
        120,
        false,
    ),
    (
        "fork: the child takes its slot, lets go",
        "reaped",
        reap,
        false,
        120,
        false,
    ),
    (
        "lease: redeem the last reference",
        "expired",
        reap_and_expire,
        true,
        120,
        true,
    ),
    (
        "lease: drop the last reference",
        "expired",
        reap_and_expire,
        true,
        120,
        false,
    ),
    (
        "edge: read, removed meanwhile, let go",
        "reaped",
        reap,
        false,
        120,
        false,
    ),
    (
        "reservation: reserve, append",
        "appended to",
        append,
        false,
        120,
        false,
    ),
    (
        "heap: allocate and free blocks and runs",
        "reaped",
        reap,
        false,
        120,
        false,
    ),
    (
        "heap: return empty pages",
        "reaped",
        reap,
        false,
        120,
        false,
    ),
    (
        "lock: acquire, release",
        "acquired",
        acquire,
        false,
        120,
        false,
    ),
    (
        "queue: get a number by a place in line",
        "put into",
        put,
        false,
        120,
        false,
    ),
    (
        "event: set with two who hear a bell",
        "reaped",
        reap,
        false,
        120,
        false,
    ),
    ("array slice assignment", "reaped", reap, false, 120, false),
    (
        "list set, proxy over proxy",
        "reaped",
        reap,
        false,
        120,
        false,
    ),
];

/// Every case.
///
/// # Panics
///
/// If a row names no case.
#[must_use]
pub fn all() -> Vec<Case> {
    let case = |&(first, what, then, late, second, sample): &Row| {
        let found = super::all().into_iter().find(|case| case.name == first);
        Case {
            name: format!("{first}; {what}"),
            first: found.expect("a row names a case"),
            then,
            late,
            second,
            sample,
        }
    };
    ROWS.iter().map(case).collect()
}
