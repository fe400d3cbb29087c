//! Queues.

use coheld_shm::{Error, Host};
use coheld_store::{Input, Output, Queue, StoreError, Wait, kinds::referent as kind, word};
use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicU32, Ordering};
use shuttle::thread::scope;

use crate::{World, check};

fn number(value: i64) -> Input<'static> {
    Input::Word(word::from_int(value).unwrap())
}

fn number_of(output: &Output) -> i64 {
    match output {
        Output::Word(found) => word::to_int(*found).expect("a number"),
        _ => panic!("not a number"),
    }
}

/// Two who put two items each, two who get two items each.
fn through_a_queue(maxsize: u64) {
    let world = World::new(2, kind::QUEUE, Queue::auxiliary(maxsize));
    let taken = Mutex::new(Vec::new());
    scope(|scope| {
        for (thread, first) in [0, 10].into_iter().enumerate() {
            let (world, taken) = (&world, &taken);
            scope.spawn(move || {
                let referent = world.of(thread);
                for item in [first, first + 1].map(number) {
                    Queue::new(&referent).put(&item, Wait::Forever).unwrap();
                }
            });
            scope.spawn(move || {
                let referent = world.of(thread);
                let get = || Queue::new(&referent).get(Wait::Forever).unwrap();
                let own = [number_of(&get()), number_of(&get())];
                if own[0] / 10 == own[1] / 10 {
                    assert!(own[0] < own[1], "{own:?}");
                }
                taken.lock().unwrap().extend(own);
            });
        }
    });
    let mut taken = taken.into_inner().unwrap();
    taken.sort_unstable();
    assert_eq!(taken, [0, 1, 10, 11]);
    assert!(!world.of(0).lock().unwrap().has_line());
}

#[test]
fn a_queue_for_one_item_hands_each_on_once() {
    check(|| through_a_queue(1));
}

#[test]
fn a_queue_for_two_items_hands_each_on_once() {
    check(|| through_a_queue(2));
}

#[test]
fn items_that_come_one_by_one_find_all_who_wait() {
    check(|| {
        let world = World::new(2, kind::QUEUE, Queue::auxiliary(0));
        scope(|scope| {
            for thread in 0..3 {
                let world = &world;
                scope.spawn(move || {
                    Queue::new(&world.of(thread)).get(Wait::Forever).unwrap();
                });
            }
            for item in 0..3 {
                let put = Queue::new(&world.of(1)).put(&number(item), Wait::Forever);
                put.unwrap();
            }
        });
        assert!(Queue::new(&world.of(0)).is_empty().unwrap());
    });
}

#[test]
fn room_that_comes_bit_by_bit_finds_all_who_wait() {
    check(|| {
        let world = World::new(2, kind::QUEUE, Queue::auxiliary(2));
        let referent = world.of(1);
        let queue = Queue::new(&referent);
        for item in 0..2 {
            queue.put(&number(item), Wait::Forever).unwrap();
        }
        scope(|scope| {
            for thread in 0..2 {
                let world = &world;
                scope.spawn(move || {
                    let put = Queue::new(&world.of(thread)).put(&number(2), Wait::Forever);
                    put.unwrap();
                });
            }
            queue.get(Wait::Forever).unwrap();
            // Past those in line, if it is quick.
            let _ = queue.put(&number(3), Wait::No);
            queue.get(Wait::Forever).unwrap();
            queue.get(Wait::Forever).unwrap();
        });
        assert!(!referent.lock().unwrap().has_line());
    });
}

shuttle::thread_local! {
    /// At which of its next sleeps the thread is interrupted; 0: at none.
    static INTERRUPTED_SLEEP: AtomicU32 = AtomicU32::new(0);
}

/// A language with a signal handler that raises.
struct Raising;

impl Host for Raising {
    fn interrupted(&self) -> bool {
        INTERRUPTED_SLEEP.with(|sleep| {
            let left = sleep.load(Ordering::SeqCst);
            sleep.store(left.saturating_sub(1), Ordering::SeqCst);
            left == 1
        })
    }
}

/// Two who get an item, one of whom is interrupted at some sleep, in line or for the referent's own
/// lock.
fn interrupted(at: u32) {
    let world = World::new(2, kind::QUEUE, Queue::auxiliary(0));
    for member in &world.members {
        member.set_host(&Raising);
    }
    scope(|scope| {
        for (thread, at) in [at, 0].into_iter().enumerate() {
            let world = &world;
            scope.spawn(move || {
                let referent = world.of(thread);
                let queue = Queue::new(&referent);
                INTERRUPTED_SLEEP.with(|sleep| sleep.store(at, Ordering::SeqCst));
                let got = queue.get(Wait::Forever);
                INTERRUPTED_SLEEP.with(|sleep| sleep.store(0, Ordering::SeqCst));
                match got {
                    // For the other one.
                    Ok(_) => queue.put(&number(1), Wait::Forever).unwrap(),
                    Err(error) => assert!(matches!(error, StoreError::Shm(Error::Interrupted))),
                }
            });
        }
        let referent = world.of(1);
        let queue = Queue::new(&referent);
        queue.put(&number(0), Wait::Forever).unwrap();
        for _ in 0..3 {
            // Now and then somebody has the lock of the referent.
            queue.maxsize().unwrap();
        }
    });
}

#[test]
fn who_is_interrupted_leaves_nobody_behind() {
    check(|| interrupted(1));
    check(|| interrupted(2));
}

#[test]
fn who_joins_goes_on_when_all_is_done() {
    check(|| {
        let world = World::new(2, kind::JOINABLE_QUEUE, Queue::auxiliary(0));
        let done = AtomicU32::new(0);
        scope(|scope| {
            let referent = world.of(0);
            let queue = Queue::new(&referent);
            for item in 0..2 {
                queue.put(&number(item), Wait::Forever).unwrap();
            }
            for thread in 0..2 {
                let (world, done) = (&world, &done);
                scope.spawn(move || {
                    let referent = world.of(thread);
                    let queue = Queue::new(&referent);
                    queue.get(Wait::Forever).unwrap();
                    done.fetch_add(1, Ordering::SeqCst);
                    queue.task_done().unwrap();
                });
            }
            scope.spawn(|| {
                assert!(Queue::new(&world.of(1)).join(Wait::Forever).unwrap());
                assert_eq!(done.load(Ordering::SeqCst), 2);
            });
            assert!(queue.join(Wait::Forever).unwrap());
            assert_eq!(done.load(Ordering::SeqCst), 2);
        });
    });
}

#[test]
fn a_shutdown_is_heard_by_all_who_get() {
    check(|| {
        let world = World::new(2, kind::QUEUE, Queue::auxiliary(0));
        scope(|scope| {
            for thread in 0..3 {
                let world = &world;
                scope.spawn(move || {
                    let got = Queue::new(&world.of(thread)).get(Wait::Forever);
                    assert!(matches!(got, Err(StoreError::ShutDown)));
                });
            }
            Queue::new(&world.of(1)).shut_down(false).unwrap();
        });
    });
}

#[test]
fn a_shutdown_is_heard_by_those_who_put_and_join() {
    check(|| {
        let world = World::new(2, kind::JOINABLE_QUEUE, Queue::auxiliary(1));
        Queue::new(&world.of(0))
            .put(&number(0), Wait::Forever)
            .unwrap();
        scope(|scope| {
            for thread in 0..2 {
                let world = &world;
                scope.spawn(move || {
                    let put = Queue::new(&world.of(thread)).put(&number(1), Wait::Forever);
                    assert!(matches!(put, Err(StoreError::ShutDown)));
                });
            }
            scope.spawn(|| assert!(Queue::new(&world.of(0)).join(Wait::Forever).unwrap()));
            Queue::new(&world.of(1)).shut_down(true).unwrap();
        });
    });
}
