//! Queues, between the threads of one process.
#![allow(clippy::disallowed_types, reason = "tests count what threads see")]

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use coheld::{Bytes, Error, ListProxy, Manager, Proxy, QueueProxy, StoreError, Value};
use serde::{Deserialize, Serialize};

/// After this a test fails that would hang.
const PATIENCE: Duration = Duration::from_secs(60);
const MOMENT: Duration = Duration::from_millis(20);

fn manager() -> Manager {
    Manager::start().unwrap()
}

fn is_shut_down<T>(done: Result<T, Error>) -> bool {
    done.is_err_and(|error| matches!(error, Error::Store(StoreError::ShutDown)))
}

#[test]
fn items_come_in_the_order_in_which_they_were_put() {
    let manager = manager();
    let queue = manager.queue::<Value>(0).unwrap();
    let items = [
        Value::from(1),
        Value::from("a text that needs a block of its own"),
        Value::Tuple(vec![Value::None, Value::from(2.5)]),
        Value::Bytes(vec![7; 1 << 20]),
    ];
    for item in &items {
        queue.put(item).unwrap();
    }
    assert_eq!((queue.len().unwrap(), queue.maxsize().unwrap()), (4, 0));
    assert!(!queue.is_full().unwrap());
    for item in &items {
        assert_eq!(queue.get().unwrap(), *item);
    }
    assert!(queue.is_empty().unwrap());
}

#[test]
fn typed_items() {
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Job {
        name: String,
        payload: Bytes,
    }

    let manager = manager();
    let queue = manager.queue::<Job>(0).unwrap();
    let job = Job {
        name: "sweep".to_owned(),
        payload: Bytes(vec![1, 2, 3]),
    };
    queue.put(&job).unwrap();
    assert_eq!(queue.get().unwrap(), job);

    // What is no `Job` is an error, and taken out all the same.
    let numbers = QueueProxy::<i64>::try_from(Proxy::from(&queue)).unwrap();
    numbers.put(&1).unwrap();
    numbers.put(&2).unwrap();
    assert!(matches!(queue.get(), Err(Error::Value(_))));
    assert_eq!(numbers.try_get().unwrap(), Some(2));
}

#[test]
fn proxies_travel_through_a_queue() {
    let manager = manager();
    let queue = manager.queue::<ListProxy<String>>(0).unwrap();
    let list = manager.list::<String>().unwrap();
    queue.put(&list).unwrap();
    queue.put_proxy(&list).unwrap();
    list.append("on the way").unwrap();
    drop(list);
    assert_eq!(manager.number_of_objects(), 2);
    let list = queue.get().unwrap();
    assert_eq!(list.to_vec().unwrap(), ["on the way"]);
    assert_eq!(queue.get().unwrap(), list);
    drop(list);
    assert_eq!(manager.number_of_objects(), 1);

    // A queue goes with what is in it.
    let inner = manager.list::<String>().unwrap();
    queue.put(&inner).unwrap();
    drop(inner);
    drop(queue);
    assert_eq!(manager.number_of_objects(), 0);
}

#[test]
fn a_full_queue_makes_wait() {
    let manager = manager();
    let queue = manager.queue::<i64>(2).unwrap();
    assert!(queue.try_put(&1).unwrap() && queue.put_for(&2, PATIENCE).unwrap());
    assert!(queue.is_full().unwrap() && queue.maxsize().unwrap() == 2);
    assert!(!queue.try_put(&3).unwrap());
    assert!(!queue.put_for(&3, MOMENT).unwrap());
    assert!(!queue.put_until(&3, Instant::now()).unwrap());
    thread::scope(|scope| {
        let waiting = scope.spawn(|| queue.put_for(&3, PATIENCE).unwrap());
        assert_eq!(queue.get().unwrap(), 1);
        assert!(waiting.join().unwrap());
    });
    assert_eq!([queue.get().unwrap(), queue.get().unwrap()], [2, 3]);
    assert_eq!(queue.try_get().unwrap(), None);
    assert_eq!(queue.get_for(MOMENT).unwrap(), None);
    assert_eq!(queue.get_until(Instant::now()).unwrap(), None);
    assert_eq!(queue.get_for(Duration::ZERO).unwrap(), None);
}

#[test]
fn each_item_is_gotten_once() {
    const PRODUCERS: i64 = 3;
    const ITEMS: i64 = 1_000;
    let manager = manager();
    for maxsize in [0, 1, 7] {
        let queue = manager.queue::<i64>(maxsize).unwrap();
        let gotten = Mutex::new(Vec::new());
        let producing = AtomicUsize::new(PRODUCERS as usize);
        thread::scope(|scope| {
            for producer in 0..PRODUCERS {
                let (queue, producing) = (queue.clone(), &producing);
                scope.spawn(move || {
                    for item in 0..ITEMS {
                        let item = producer * ITEMS + item;
                        assert!(queue.put_for(&item, PATIENCE).unwrap());
                    }
                    if producing.fetch_sub(1, Ordering::SeqCst) == 1 {
                        queue.shut_down(false).unwrap();
                    }
                });
            }
            for _ in 0..3 {
                let (queue, gotten) = (queue.clone(), &gotten);
                scope.spawn(move || {
                    let mine: Vec<i64> = queue.iter().map(Result::unwrap).collect();
                    // Each producer's items come in their order.
                    for producer in 0..PRODUCERS {
                        let from = |item: &&i64| **item / ITEMS == producer;
                        assert!(mine.iter().filter(from).is_sorted());
                    }
                    gotten.lock().unwrap().extend(mine);
                });
            }
        });
        let gotten = gotten.into_inner().unwrap();
        assert_eq!(gotten.len(), (PRODUCERS * ITEMS) as usize);
        let distinct: BTreeSet<i64> = gotten.into_iter().collect();
        assert!(distinct.into_iter().eq(0..PRODUCERS * ITEMS));
    }
}

#[test]
fn joining_waits_for_the_work() {
    const ITEMS: usize = 50;
    let manager = manager();
    let queue = manager.joinable_queue::<usize>(0).unwrap();
    queue.join().unwrap();
    let worked = AtomicUsize::new(0);
    thread::scope(|scope| {
        for item in 0..ITEMS {
            queue.put(&item).unwrap();
        }
        assert_eq!(queue.unfinished().unwrap(), ITEMS as u64);
        assert!(!queue.join_for(MOMENT).unwrap());
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in queue.iter().map(Result::unwrap) {
                    worked.fetch_add(1, Ordering::SeqCst);
                    queue.task_done().unwrap();
                }
            });
        }
        assert!(queue.join_for(PATIENCE).unwrap());
        assert_eq!(worked.load(Ordering::SeqCst), ITEMS);
        queue.shut_down(false).unwrap();
    });
    assert!(matches!(
        queue.task_done(),
        Err(Error::Store(StoreError::TaskDoneTooOften))
    ));
    assert!(queue.join_until(Instant::now()).unwrap());
}

#[test]
fn shutting_down_wakes_everybody() {
    let manager = manager();
    let empty = manager.queue::<i64>(0).unwrap();
    let full = manager.queue::<i64>(1).unwrap();
    full.put(&1).unwrap();
    thread::scope(|scope| {
        let getting: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| is_shut_down(empty.get_for(PATIENCE))))
            .collect();
        let putting: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| is_shut_down(full.put_for(&2, PATIENCE))))
            .collect();
        thread::sleep(MOMENT);
        empty.shut_down(false).unwrap();
        full.shut_down(false).unwrap();
        for thread in getting.into_iter().chain(putting) {
            assert!(thread.join().unwrap());
        }
    });
    assert!(is_shut_down(full.try_put(&2)));
    assert_eq!(full.get().unwrap(), 1);
    assert!(is_shut_down(full.try_get()));

    let dropped = manager.joinable_queue::<i64>(0).unwrap();
    for item in 0..3 {
        dropped.put(&item).unwrap();
    }
    dropped.shut_down(true).unwrap();
    assert!(is_shut_down(dropped.get()));
    // What was thrown away is not waited for.
    assert!(dropped.join_for(PATIENCE).unwrap());
    assert_eq!(
        (dropped.len().unwrap(), dropped.unfinished().unwrap()),
        (0, 0)
    );
}
