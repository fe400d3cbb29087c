//! Coming and going: joining, forking, leaving; holds, leases, reservations, memory.

use std::sync::{Mutex, PoisonError};

use coheld_shm::{Error, Fate, Host, Lease, Reservation, Segment, word as shm_word};
use coheld_store::{Input, List, Result, StoreError, kinds};

use super::{Case, Place, Row, at, cases_of, create};

/// What the maker of the places has prepared for the child, which inherits it by being forked.
static RESERVED: Mutex<Option<Reservation>> = Mutex::new(None);

/// More than fits in a slab: a run of pages of its own.
const LARGE: u64 = 100_000;
const BYTES: u8 = kinds::block::BYTES;

/// Waits for no lock longer than it has to.
struct Impatient;

impl Host for Impatient {
    fn interrupted(&self) -> bool {
        true
    }
}

fn list(segment: &Segment) -> Result<Vec<Place>> {
    let place = create(segment, kinds::referent::LIST)?;
    let referent = at(segment, &place)?;
    List::new(&referent).append(&Input::str("a value inside a list, in a block"))?;
    Ok(vec![place])
}

/// A list, and one that only a lease keeps.
fn leased(segment: &Segment) -> Result<Vec<Place>> {
    let places = two_lists(segment)?;
    segment.lease(places[1].offset, places[1].generation)?;
    segment.release(places[1].offset, places[1].generation)?;
    Ok(places)
}

/// A list, and one that only the first one keeps.
fn nested(segment: &Segment) -> Result<Vec<Place>> {
    let places = two_lists(segment)?;
    let outer = at(segment, &places[0])?;
    List::new(&outer).append(&Input::Edge(edge(&places[1])))?;
    segment.release(places[1].offset, places[1].generation)?;
    Ok(places)
}

fn two_lists(segment: &Segment) -> Result<Vec<Place>> {
    Ok([list(segment)?, list(segment)?].concat())
}

fn reserved(segment: &Segment) -> Result<Vec<Place>> {
    let places = list(segment)?;
    let held = places.iter().map(|place| (place.offset, place.generation));
    let reservation = segment.prepare_fork(held)?;
    *RESERVED.lock().unwrap_or_else(PoisonError::into_inner) = reservation;
    Ok(places)
}

fn edge(place: &Place) -> u64 {
    shm_word::of_edge(place.offset, place.generation)
}

fn join(segment: &Segment, _places: &[Place]) -> Result<()> {
    Ok(segment.join()?)
}

fn hold(segment: &Segment, places: &[Place]) -> Result<()> {
    Ok(segment.acquire(places[0].offset, places[0].generation)?)
}

fn let_go(segment: &Segment, places: &[Place]) -> Result<()> {
    Ok(segment.release(places[0].offset, places[0].generation)?)
}

fn join_and_leave(segment: &Segment, places: &[Place]) -> Result<()> {
    hold(segment, places)?;
    segment.leave();
    Ok(())
}

/// What others hold stays, what only this member holds goes.
fn retire(segment: &Segment, _places: &[Place]) -> Result<()> {
    list(segment)?;
    segment.retire();
    Ok(())
}

fn prepare_fork(segment: &Segment, places: &[Place]) -> Result<()> {
    let held = places.iter().map(|place| (place.offset, place.generation));
    segment
        .prepare_fork(held)?
        .ok_or(StoreError::Changed)
        .map(drop)
}

/// The second list is locked, as by another thread of the process that forks.
fn prepare_fork_and_give_up(segment: &Segment, places: &[Place]) -> Result<()> {
    segment.set_host(&Impatient);
    let locked = at(segment, &places[1])?;
    let guard = locked.lock()?;
    let held = places.iter().map(|place| (place.offset, place.generation));
    let given_up = segment.prepare_fork(held).err();
    drop(guard);
    match given_up {
        Some(Error::Interrupted) => Ok(()),
        _ => Err(StoreError::Changed),
    }
}

fn adopt_fork(segment: &Segment, _places: &[Place]) -> Result<()> {
    let reservation = *RESERVED.lock().unwrap_or_else(PoisonError::into_inner);
    if segment.adopt_fork(reservation) {
        Ok(())
    } else {
        Err(StoreError::Changed)
    }
}

/// The child was told of the list by nobody: it holds it because its parent did.
fn adopt_fork_and_let_go(segment: &Segment, places: &[Place]) -> Result<()> {
    adopt_fork(segment, places)?;
    let_go(segment, places)
}

fn lease(segment: &Segment, places: &[Place]) -> Result<()> {
    Ok(segment
        .lease(places[0].offset, places[0].generation)
        .map(drop)?)
}

fn redeem(segment: &Segment, places: &[Place]) -> Result<()> {
    Ok(segment
        .redeem_lease(Lease::counted(edge(&places[1])))
        .map(drop)?)
}

fn drop_lease(segment: &Segment, places: &[Place]) -> Result<()> {
    Ok(segment.drop_lease(Lease::counted(edge(&places[1])))?)
}

/// Reads the edge to the second list out of the first one.
fn read_edge(segment: &Segment, places: &[Place]) -> Result<Lease> {
    let outer = at(segment, &places[0])?;
    let guard = outer.lock()?;
    let lease = segment.lease_edge(edge(&places[1]))?;
    drop(guard);
    Ok(lease)
}

fn read_and_adopt(segment: &Segment, places: &[Place]) -> Result<()> {
    let lease = read_edge(segment, places)?;
    Ok(segment.redeem_lease(lease).map(drop)?)
}

/// By the time that it lets go of what it has read, nobody else refers to that.
fn read_remove_let_go(segment: &Segment, places: &[Place]) -> Result<()> {
    let lease = read_edge(segment, places)?;
    let outer = at(segment, &places[0])?;
    List::new(&outer).clear()?;
    Ok(segment.drop_lease(lease)?)
}

fn reserve_and_append(segment: &Segment, places: &[Place]) -> Result<()> {
    let referent = at(segment, &places[0])?;
    let reserved = referent.reserve()?;
    List::new(&referent).append(&Input::str("what it was reserved for, in a block"))?;
    drop(reserved);
    Ok(())
}

/// As often as a page has room for, and once more.
fn allocate_and_free(segment: &Segment, _places: &[Place]) -> Result<()> {
    for payload in [LARGE, 40_000, 40_000, 1_000] {
        let mut operation = segment.begin()?;
        operation.allocate(payload, BYTES, Fate::Tree, Fate::Keep)?;
        operation.allocate(payload, BYTES, Fate::Tree, Fate::Keep)?;
        operation.finish()?;
    }
    Ok(())
}

/// Nothing is in use; the pages of the size classes become free pages.
fn trim(segment: &Segment, _places: &[Place]) -> Result<()> {
    let mut operation = segment.begin()?;
    operation.allocate(5_000, BYTES, Fate::Tree, Fate::Keep)?;
    operation.finish()?;
    Ok(segment.trim().map(drop)?)
}

fn bell(segment: &Segment, _places: &[Place]) -> Result<()> {
    segment.listen_to_bell()?;
    segment.ring_bell()?;
    Ok(segment.bell_rings().map(drop)?)
}

/// What an operation is run on, what it is, whether the short run includes it, and whether a
const ROWS: &[Row] = &[
    ("member: join", list, join, true, true),
    ("member: join, hold", list, hold, false, true),
    ("member: let go", list, let_go, false, false),
    (
        "member: join, hold, leave",
        list,
        join_and_leave,
        false,
        true,
    ),
    ("member: retire", list, retire, true, false),
    (
        "fork: reserve a slot for the child",
        list,
        prepare_fork,
        true,
        false,
    ),
    (
        "fork: reserve a slot, give up",
        two_lists,
        prepare_fork_and_give_up,
        true,
        false,
    ),
    (
        "fork: the child takes its slot",
        reserved,
        adopt_fork,
        true,
        true,
    ),
    (
        "fork: the child takes its slot, lets go",
        reserved,
        adopt_fork_and_let_go,
        false,
        true,
    ),
    ("lease: take one", list, lease, false, false),
    (
        "lease: redeem the last reference",
        leased,
        redeem,
        false,
        true,
    ),
    (
        "lease: drop the last reference",
        leased,
        drop_lease,
        true,
        true,
    ),
    ("edge: read, adopt", nested, read_and_adopt, false, true),
    (
        "edge: read, removed meanwhile, let go",
        nested,
        read_remove_let_go,
        true,
        true,
    ),
    (
        "reservation: reserve, append",
        list,
        reserve_and_append,
        false,
        false,
    ),
    (
        "heap: allocate and free blocks and runs",
        list,
        allocate_and_free,
        false,
        false,
    ),
    ("heap: return empty pages", list, trim, false, false),
    ("bell: listen, ring", list, bell, false, false),
];

pub(super) fn cases() -> Vec<Case> {
    cases_of(ROWS)
}
