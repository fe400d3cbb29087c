//! Queues between members: each item once, nobody left waiting.
#![allow(
    clippy::disallowed_types,
    reason = "counters between the threads of a test"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::scope;

use coheld_store::{Input, Output, Queue, StoreError, Wait, kinds::referent as kind, word};
use common::{Held, Item, long, members, options, seen, short, sound, wait_until};

fn number(value: i64) -> Input<'static> {
    Input::Word(word::from_int(value).unwrap())
}

#[test]
fn a_queue_delivers_each_item_once() {
    const ITEMS: i64 = 3_000;
    let (_, members) = members(4, &options());
    let held = Held::new(&members[0], kind::QUEUE, Queue::auxiliary(7));
    let taken: Arc<Vec<AtomicU32>> = Arc::new((0..2 * ITEMS).map(|_| AtomicU32::new(0)).collect());
    scope(|scope| {
        for (member, producer) in (0..2_i64).enumerate() {
            let (held, members) = (&held, &members);
            scope.spawn(move || {
                let referent = seen(&members[member], held);
                let queue = Queue::new(&referent);
                for item in 0..ITEMS {
                    let value = producer * ITEMS + item;
                    let item = match value % 5 {
                        0 => Item::text(&format!("a text that needs a block: {value}")),
                        _ => Item::int(value),
                    };
                    queue.put(&item.input(), long()).unwrap();
                }
            });
        }
        for consumer in 2..4 {
            let (held, members) = (&held, &members);
            let taken = Arc::clone(&taken);
            scope.spawn(move || {
                let referent = seen(&members[consumer], held);
                let queue = Queue::new(&referent);
                for _ in 0..ITEMS {
                    let value = match queue.get(long()).unwrap() {
                        Output::Word(word) => word::to_int(word).unwrap(),
                        Output::Block { bytes, .. } => {
                            let text = String::from_utf8(bytes).unwrap();
                            text.rsplit(' ').next().unwrap().parse().unwrap()
                        }
                        Output::Edge(_) => panic!("no proxies were put"),
                    };
                    assert_eq!(
                        taken[usize::try_from(value).unwrap()].fetch_add(1, Ordering::SeqCst),
                        0
                    );
                    queue.task_done().unwrap();
                }
            });
        }
        let queue = Queue::new(&held.referent);
        wait_until(|| taken[0].load(Ordering::SeqCst) == 1);
        assert!(queue.join(long()).unwrap());
    });
    assert!(taken.iter().all(|count| count.load(Ordering::SeqCst) == 1));
    let queue = Queue::new(&held.referent);
    assert_eq!(queue.len().unwrap(), 0);
    assert!(matches!(
        queue.task_done(),
        Err(StoreError::TaskDoneTooOften)
    ));
    assert!(matches!(queue.get(short()), Err(StoreError::Empty)));
    for value in 0..7 {
        queue.put(&number(value), Wait::No).unwrap();
    }
    assert!(matches!(
        queue.put(&number(7), Wait::No),
        Err(StoreError::Full)
    ));
    assert!(matches!(
        queue.put(&number(7), short()),
        Err(StoreError::Full)
    ));
    assert_eq!(queue.unfinished().unwrap(), 7);
    for member in &members {
        member
            .release(held.referent.offset(), held.referent.generation())
            .unwrap();
    }
    assert_eq!(sound(&members[0]).blocks, 0);
}

#[test]
fn a_queue_is_shut_down() {
    let (_, members) = members(2, &options());
    let held = Held::new(&members[0], kind::JOINABLE_QUEUE, Queue::auxiliary(2));
    let queue = Queue::new(&held.referent);
    let shut = |outcome: Result<Output, StoreError>| matches!(outcome, Err(StoreError::ShutDown));
    scope(|scope| {
        let getter = scope.spawn(|| {
            let referent = seen(&members[1], &held);
            Queue::new(&referent).get(long())
        });
        wait_until(|| held.referent.lock().unwrap().has_line());
        queue.shut_down(false).unwrap();
        assert!(shut(getter.join().unwrap()));
    });
    assert!(matches!(
        queue.put(&number(1), Wait::No),
        Err(StoreError::ShutDown)
    ));
    let held = Held::new(&members[0], kind::QUEUE, Queue::auxiliary(2));
    let queue = Queue::new(&held.referent);
    queue.put(&number(1), Wait::No).unwrap();
    queue.put(&number(2), Wait::No).unwrap();
    scope(|scope| {
        let putter = scope.spawn(|| {
            let referent = seen(&members[1], &held);
            Queue::new(&referent).put(&number(3), long())
        });
        wait_until(|| held.referent.lock().unwrap().has_line());
        queue.shut_down(false).unwrap();
        assert!(matches!(putter.join().unwrap(), Err(StoreError::ShutDown)));
    });
    assert!(queue.get(Wait::No).is_ok());
    queue.shut_down(true).unwrap();
    assert!(shut(queue.get(Wait::No)));
    assert_eq!(queue.unfinished().unwrap(), 1);
    queue.task_done().unwrap();
    assert!(queue.join(Wait::No).unwrap());
}

#[test]
fn a_dead_waiter_holds_up_nobody() {
    let (backing, members) = members(3, &options());
    let held = Held::new(&members[0], kind::QUEUE, 0);
    let queue = Queue::new(&held.referent);
    let referent = seen(&members[2], &held);
    let dead = members[2].waiter().unwrap();
    referent.lock().unwrap().enqueue(&dead, 0, 0);
    scope(|scope| {
        let getter = scope.spawn(|| {
            let referent = seen(&members[1], &held);
            Queue::new(&referent).get(long())
        });
        wait_until(|| held.referent.lock().unwrap().in_line() == 2);
        // The wake-up goes to the first in line, who does not come.
        queue.put(&number(5), Wait::No).unwrap();
        assert!(getter.join().unwrap().is_ok());
    });
    backing.declare_dead(members[2].own_slot().unwrap());
    assert_eq!(members[0].reap_dead(), 1);
    assert!(!held.referent.lock().unwrap().has_line());
    std::mem::forget(dead);
}

/// An item that came between the dropping and the marking stayed.
#[test]
fn nothing_is_left_by_a_shut_down_at_once() {
    for _ in 0..300 {
        let (_, members) = members(2, &options());
        let held = Held::new(&members[0], kind::QUEUE, 0);
        scope(|scope| {
            scope.spawn(|| {
                let referent = seen(&members[1], &held);
                let _ = Queue::new(&referent).put(&number(1), Wait::No);
            });
            Queue::new(&held.referent).shut_down(true).unwrap();
        });
        let left = Queue::new(&held.referent).get(Wait::No);
        assert!(matches!(left, Err(StoreError::ShutDown)));
    }
}
