//! Locks, semaphores, events, conditions, barriers and queues; others stand in line.

use coheld_shm::{Referent, Segment, word as shm_word};
use coheld_store::{
    Barrier, Condition, Event, Input, Lock, Purpose, Queue, Result, Semaphore, Standing,
    StoreError, Wait, kinds::referent as kind, sync::companion, word,
};

use super::{Case, Place, Row, at, cases_of, create_with};

/// Lets this process wait for `role` of a referent, without a thread that does.
fn stand(referent: &Referent<'_>, role: u32, payload: u64) -> Result<()> {
    let waiter = referent.segment().waiter()?;
    referent.lock()?.enqueue(&waiter, role, payload);
    core::mem::forget(waiter);
    Ok(())
}

fn in_time<T>(found: Option<T>) -> Result<()> {
    found.map(drop).ok_or(StoreError::Changed)
}

fn lock(segment: &Segment) -> Result<Vec<Place>> {
    Ok(vec![create_with(segment, kind::LOCK, 0)?])
}

fn rlock(segment: &Segment) -> Result<Vec<Place>> {
    Ok(vec![create_with(segment, kind::RLOCK, 0)?])
}

/// Somebody waits for the lock, which the operation acquires and releases.
fn lock_with_line(segment: &Segment) -> Result<Vec<Place>> {
    let places = lock(segment)?;
    stand(&at(segment, &places[0])?, 0, 0)?;
    Ok(places)
}

fn acquire(segment: &Segment, places: &[Place]) -> Result<()> {
    in_time(Lock::new(&at(segment, &places[0])?).acquire(Wait::No)?)
}

fn acquire_and_release(segment: &Segment, places: &[Place]) -> Result<()> {
    acquire(segment, places)?;
    Lock::new(&at(segment, &places[0])?).release()
}

fn acquire_twice(segment: &Segment, places: &[Place]) -> Result<()> {
    acquire(segment, places)?;
    acquire_and_release(segment, places)
}

fn semaphore(segment: &Segment) -> Result<Vec<Place>> {
    let place = create_with(segment, kind::SEMAPHORE, 0)?;
    Semaphore::new(&at(segment, &place)?).initialize(3)?;
    Ok(vec![place])
}

/// A semaphore whose permits travel, and somebody who waits for more of them.
fn counting(segment: &Segment) -> Result<Vec<Place>> {
    let place = create_with(segment, kind::SEMAPHORE, 0)?;
    let referent = at(segment, &place)?;
    Semaphore::new(&referent).initialize(0)?;
    Semaphore::new(&referent).release(2)?;
    stand(&referent, 0, 0)?;
    Ok(vec![place])
}

fn take_permit(segment: &Segment, places: &[Place]) -> Result<()> {
    in_time(Semaphore::new(&at(segment, &places[0])?).acquire(Wait::No)?)
}

fn take_and_give(segment: &Segment, places: &[Place]) -> Result<()> {
    take_permit(segment, places)?;
    take_permit(segment, places)?;
    Semaphore::new(&at(segment, &places[0])?).release(1)
}

fn give_permit(segment: &Segment, places: &[Place]) -> Result<()> {
    Semaphore::new(&at(segment, &places[0])?).release(1)
}

/// An event for which three wait.
fn event(segment: &Segment) -> Result<Vec<Place>> {
    let place = create_with(segment, kind::EVENT, 0)?;
    (0..3).try_for_each(|_| stand(&at(segment, &place)?, 0, 0))?;
    Ok(vec![place])
}

fn set(segment: &Segment, places: &[Place]) -> Result<()> {
    Event::new(&at(segment, &places[0])?).set()
}

/// An event with two in line who are told by the bell of this process.
fn event_with_bell(segment: &Segment) -> Result<Vec<Place>> {
    let place = create_with(segment, kind::EVENT, 0)?;
    for _ in 0..2 {
        core::mem::forget(Standing::new(&at(segment, &place)?, Purpose::Event)?);
    }
    Ok(vec![place])
}

/// A condition with three in line, whose lock is already acquired.
fn condition(segment: &Segment) -> Result<Vec<Place>> {
    let place = create_with(segment, kind::CONDITION, 0)?;
    let lock = create_with(segment, kind::LOCK, 0)?;
    let edge = shm_word::of_edge(lock.offset, lock.generation);
    let referent = at(segment, &place)?;
    Condition::new(&referent).initialize(&Input::Edge(edge))?;
    acquire(segment, &[lock])?;
    (0..3).try_for_each(|_| stand(&referent, 0, 0))?;
    Ok(vec![place])
}

fn notify_one(segment: &Segment, places: &[Place]) -> Result<()> {
    Condition::new(&at(segment, &places[0])?).notify(1)
}

fn notify_all(segment: &Segment, places: &[Place]) -> Result<()> {
    Condition::new(&at(segment, &places[0])?).notify(u64::MAX)
}

/// A barrier at which the last of three is missing.
fn barrier(segment: &Segment) -> Result<Vec<Place>> {
    let place = create_with(segment, kind::BARRIER, 3)?;
    (0..2).try_for_each(|number| stand(&at(segment, &place)?, 0, number))?;
    Ok(vec![place])
}

fn arrive(segment: &Segment, places: &[Place]) -> Result<()> {
    Barrier::new(&at(segment, &places[0])?)
        .wait::<()>(Wait::Forever, None)
        .map(drop)
}

fn abort(segment: &Segment, places: &[Place]) -> Result<()> {
    Barrier::new(&at(segment, &places[0])?).abort()
}

fn reset(segment: &Segment, places: &[Place]) -> Result<()> {
    Barrier::new(&at(segment, &places[0])?).reset()
}

const LONG_ITEM: &str = "an item that needs a block of its own";

/// A queue of a few items, of both sorts; a getter, a putter and a joiner stand in line.
fn queue(segment: &Segment) -> Result<Vec<Place>> {
    let place = create_with(segment, kind::QUEUE, Queue::auxiliary(40))?;
    let referent = at(segment, &place)?;
    let queue = Queue::new(&referent);
    for number in 0..3 {
        queue.put(&small(number), Wait::No)?;
        queue.put(&Input::str(LONG_ITEM), Wait::No)?;
    }
    (0..3).try_for_each(|role| stand(&referent, role, 0))?;
    Ok(vec![place])
}

/// The same with a text at its beginning.
fn queue_of_text(segment: &Segment) -> Result<Vec<Place>> {
    let places = queue(segment)?;
    get(segment, &places)?;
    Ok(places)
}

/// One item, not yet taken.
fn last_task(segment: &Segment) -> Result<Vec<Place>> {
    let place = create_with(segment, kind::JOINABLE_QUEUE, Queue::auxiliary(0))?;
    let referent = at(segment, &place)?;
    let queue = Queue::new(&referent);
    queue.put(&small(1), Wait::No)?;
    queue.get(Wait::No)?;
    stand(&referent, 2, 0)?;
    Ok(vec![place])
}

fn small(number: i64) -> Input<'static> {
    Input::Word(word::from_int(number).unwrap_or(word::NONE))
}

fn put(segment: &Segment, places: &[Place]) -> Result<()> {
    Queue::new(&at(segment, &places[0])?).put(&small(9), Wait::No)
}

fn put_text(segment: &Segment, places: &[Place]) -> Result<()> {
    Queue::new(&at(segment, &places[0])?).put(&Input::str(LONG_ITEM), Wait::No)
}

fn get(segment: &Segment, places: &[Place]) -> Result<()> {
    Queue::new(&at(segment, &places[0])?)
        .get(Wait::No)
        .map(drop)
}

fn task_done(segment: &Segment, places: &[Place]) -> Result<()> {
    Queue::new(&at(segment, &places[0])?).task_done()
}

fn shut_down(segment: &Segment, places: &[Place]) -> Result<()> {
    Queue::new(&at(segment, &places[0])?).shut_down(false)
}

fn shut_down_at_once(segment: &Segment, places: &[Place]) -> Result<()> {
    Queue::new(&at(segment, &places[0])?).shut_down(true)
}

/// Comes in line behind others and leaves it again.
fn come_and_go(segment: &Segment, places: &[Place]) -> Result<()> {
    let referent = at(segment, &places[0])?;
    let waiter = segment.waiter()?;
    referent.lock()?.enqueue(&waiter, 0, 0);
    referent.lock()?.leave(&waiter);
    Ok(())
}

/// What a loop does whose tasks wait for items: one of them gets one, another one goes on waiting
/// behind those of other processes, and is cancelled.
fn take_by_standing(segment: &Segment, places: &[Place]) -> Result<()> {
    let referent = at(segment, &places[0])?;
    let mut standing = Standing::new(&referent, Purpose::Get)?;
    in_time(Queue::new(&referent).attempt_get(Some(&mut standing))?)?;
    standing.rotate()?;
    standing.leave()
}

fn list(segment: &Segment) -> Result<Vec<Place>> {
    Ok(vec![create_with(segment, kind::LIST, 0)?])
}

fn make_lock(segment: &Segment, places: &[Place]) -> Result<()> {
    companion(&at(segment, &places[0])?).map(drop)
}

const ROWS: &[Row] = &[
    ("list: make its lock", list, make_lock, false, false),
    ("lock: acquire", lock, acquire, false, false),
    (
        "lock: acquire, release",
        lock_with_line,
        acquire_and_release,
        true,
        false,
    ),
    (
        "rlock: acquire twice, release once",
        rlock,
        acquire_twice,
        false,
        false,
    ),
    ("semaphore: acquire", semaphore, take_permit, true, false),
    (
        "semaphore: acquire twice, release once",
        semaphore,
        take_and_give,
        false,
        false,
    ),
    (
        "semaphore: acquire what somebody else released",
        counting,
        take_permit,
        false,
        false,
    ),
    (
        "semaphore: release what somebody else acquires",
        counting,
        give_permit,
        true,
        false,
    ),
    ("event: set with three in line", event, set, true, false),
    (
        "condition: notify one of three",
        condition,
        notify_one,
        false,
        false,
    ),
    (
        "event: set with two who hear a bell",
        event_with_bell,
        set,
        false,
        false,
    ),
    (
        "condition: notify all three",
        condition,
        notify_all,
        true,
        false,
    ),
    (
        "barrier: the last one arrives",
        barrier,
        arrive,
        true,
        false,
    ),
    ("barrier: abort", barrier, abort, false, false),
    ("barrier: reset", barrier, reset, false, false),
    ("queue: put a number", queue, put, true, false),
    ("queue: put a text", queue, put_text, false, false),
    ("queue: get a number", queue, get, true, false),
    ("queue: get a text", queue_of_text, get, false, false),
    (
        "queue: the last task done",
        last_task,
        task_done,
        false,
        false,
    ),
    ("queue: shut down", queue, shut_down, false, false),
    (
        "queue: shut down at once",
        queue,
        shut_down_at_once,
        false,
        false,
    ),
    (
        "queue: get a number by a place in line",
        queue,
        take_by_standing,
        false,
        false,
    ),
    (
        "queue: come in line, leave it",
        queue,
        come_and_go,
        false,
        false,
    ),
    (
        "event: come in line, leave it",
        event,
        come_and_go,
        true,
        false,
    ),
];

pub(super) fn cases() -> Vec<Case> {
    cases_of(ROWS)
}
