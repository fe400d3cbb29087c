//! Places in line that nobody sleeps on, beside threads that sleep on theirs.

use std::time::Duration;

use coheld_shm::{Segment, word as ownership};
use coheld_store::{
    Condition, Event, Input, Lock, Output, Purpose, Queue, Standing, Wait, kinds::referent as kind,
    word,
};
use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicU32, Ordering};
use shuttle::thread::scope;

use crate::{World, check, wait_until};

fn number(value: i64) -> Input<'static> {
    Input::Word(word::from_int(value).unwrap())
}

fn number_of(output: &Output) -> i64 {
    match output {
        Output::Word(found) => word::to_int(*found).expect("a number"),
        _ => panic!("not a number"),
    }
}

/// What a loop of tasks does: tries, and sleeps until the bell rings.
fn by_bell<T>(segment: &Segment, mut attempt: impl FnMut() -> Option<T>) -> T {
    loop {
        segment.listen_to_bell().unwrap();
        if let Some(done) = attempt() {
            return done;
        }
        segment.sleep_by_bell(Duration::MAX).unwrap();
    }
}

/// Two tasks of a loop and a thread of another process get the items of two who put them.
fn through_a_shared_place(maxsize: u64) {
    let world = World::new(2, kind::QUEUE, Queue::auxiliary(maxsize));
    let taken = Mutex::new(Vec::new());
    scope(|scope| {
        let (world, taken) = (&world, &taken);
        scope.spawn(move || {
            let referent = world.of(0);
            let queue = Queue::new(&referent);
            let mut standing = Standing::new(&referent, Purpose::Get).unwrap();
            for left in [1, 0] {
                let item = by_bell(referent.segment(), || {
                    queue.attempt_get(Some(&mut standing)).unwrap()
                });
                taken.lock().unwrap().push(number_of(&item));
                if left == 0 {
                    standing.leave().unwrap();
                } else {
                    standing.rotate().unwrap();
                }
            }
        });
        scope.spawn(move || {
            let referent = world.of(1);
            let item = Queue::new(&referent).get(Wait::Forever).unwrap();
            taken.lock().unwrap().push(number_of(&item));
        });
        let referent = world.of(1);
        for item in 0..3 {
            Queue::new(&referent)
                .put(&number(item), Wait::Forever)
                .unwrap();
        }
    });
    let mut taken = taken.into_inner().unwrap();
    taken.sort_unstable();
    assert_eq!(taken, [0, 1, 2]);
    assert!(!world.of(0).lock().unwrap().has_line());
}

#[test]
fn tasks_that_share_a_place_get_one_item_each() {
    check(|| through_a_shared_place(0));
}

#[test]
fn tasks_that_share_a_place_leave_room_for_those_who_put() {
    check(|| through_a_shared_place(1));
}

#[test]
fn a_place_that_is_given_up_at_any_moment_leaves_nobody_behind() {
    check(|| {
        let world = World::new(2, kind::QUEUE, Queue::auxiliary(0));
        scope(|scope| {
            let world = &world;
            scope.spawn(move || {
                let referent = world.of(0);
                let queue = Queue::new(&referent);
                let mut standing = Standing::new(&referent, Purpose::Get).unwrap();
                match queue.attempt_get(Some(&mut standing)).unwrap() {
                    // For the other one.
                    Some(_) => queue.put(&number(1), Wait::Forever).unwrap(),
                    // Cancelled: nobody looks at the signal.
                    None => drop(standing),
                }
            });
            scope.spawn(move || {
                Queue::new(&world.of(1)).get(Wait::Forever).unwrap();
            });
            let put = Queue::new(&world.of(1)).put(&number(0), Wait::Forever);
            put.unwrap();
        });
        assert!(!world.of(0).lock().unwrap().has_line());
    });
}

#[test]
fn a_lock_goes_from_sleepers_to_places_and_back() {
    check(|| {
        let world = World::new(2, kind::LOCK, 0);
        let inside = AtomicU32::new(0);
        let enter = || assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
        let leave = || assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
        scope(|scope| {
            let (world, enter, leave) = (&world, &enter, &leave);
            for thread in 0..2 {
                scope.spawn(move || {
                    let referent = world.of(thread);
                    let lock = Lock::new(&referent);
                    if thread == 0 {
                        let mut standing = Standing::new(&referent, Purpose::Acquire).unwrap();
                        for _ in 0..2 {
                            let _ = by_bell(referent.segment(), || {
                                lock.attempt(false, Some(&mut standing)).unwrap()
                            });
                            standing.rotate().unwrap();
                            enter();
                            leave();
                            lock.release().unwrap();
                        }
                    } else {
                        for _ in 0..2 {
                            assert!(lock.acquire(Wait::Forever).unwrap().is_some());
                            enter();
                            leave();
                            lock.release().unwrap();
                        }
                    }
                });
            }
        });
        assert!(!world.of(0).lock().unwrap().has_line());
    });
}

#[test]
fn an_event_rings_the_bell() {
    check(|| {
        let world = World::new(2, kind::EVENT, 0);
        scope(|scope| {
            let world = &world;
            scope.spawn(move || {
                let referent = world.of(0);
                let event = Event::new(&referent);
                let places = [(); 2].map(|()| Standing::new(&referent, Purpose::Event).unwrap());
                for standing in &places {
                    by_bell(referent.segment(), || {
                        event.attempt(Some(standing)).unwrap().then_some(())
                    });
                }
            });
            scope.spawn(move || assert!(Event::new(&world.of(1)).wait(Wait::Forever).unwrap()));
            Event::new(&world.of(1)).set().unwrap();
        });
        assert!(!world.of(0).lock().unwrap().has_line());
    });
}

#[test]
fn a_notification_that_nobody_comes_for_goes_to_the_next() {
    check(|| {
        let world = World::new(2, kind::CONDITION, 0);
        let (lock, generation) = world.members[0].create_referent(kind::LOCK, 0).unwrap();
        let edge = Input::Edge(ownership::of_edge(lock, generation));
        Condition::new(&world.of(0)).initialize(&edge).unwrap();
        world.members[0].release(lock, generation).unwrap();
        let referent = world.of(0);
        let condition = Condition::new(&referent);
        let lock = || {
            let _ = condition.acquire(Wait::Forever).unwrap().expect("for ever");
        };
        lock();
        let (standing, depth) = condition.stand().unwrap();
        assert_eq!(depth, 1);
        scope(|scope| {
            let world = &world;
            scope.spawn(move || {
                let referent = world.of(1);
                let condition = Condition::new(&referent);
                assert!(condition.acquire(Wait::Forever).unwrap().is_some());
                assert!(condition.wait(Wait::Forever).unwrap().0);
                condition.release().unwrap();
            });
            wait_until(|| condition.waiting().unwrap() == 2);
            lock();
            condition.notify(1).unwrap();
            assert!(standing.is_signalled());
            condition.release().unwrap();
            drop(standing);
        });
        assert!(!world.of(0).lock().unwrap().has_line());
    });
}
