//! Locks, semaphores and events.

use coheld_shm::Referent;
use coheld_store::{Event, Lock, Semaphore, Wait, kinds::referent as kind};
use shuttle::sync::atomic::{AtomicU32, Ordering};
use shuttle::thread::scope;

use crate::{World, check, wait_until};

/// Three threads, two of them of one member, which go in twice each.
fn exclusion(
    enter: impl Fn(&Referent<'_>) + Sync,
    leave: impl Fn(&Referent<'_>) + Sync,
    world: &World,
) {
    let inside = AtomicU32::new(0);
    scope(|scope| {
        for thread in 0..3 {
            let (enter, leave, inside) = (&enter, &leave, &inside);
            scope.spawn(move || {
                let referent = world.of(thread);
                for _ in 0..2 {
                    enter(&referent);
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
                    leave(&referent);
                }
            });
        }
    });
    assert!(!world.of(0).lock().unwrap().has_line());
}

fn acquire(lock: &Referent<'_>) {
    let acquired = Lock::new(lock).acquire(Wait::Forever).unwrap();
    assert_eq!(acquired.expect("for ever").owner_died, None);
}

fn release(lock: &Referent<'_>) {
    Lock::new(lock).release().unwrap();
}

#[test]
fn a_lock_lets_one_in_and_all_get_it() {
    check(|| exclusion(acquire, release, &World::new(2, kind::LOCK, 0)));
}

#[test]
fn a_nested_lock_lets_one_in_and_all_get_it() {
    let twice = |act: fn(&Referent<'_>)| {
        move |lock: &Referent<'_>| {
            act(lock);
            act(lock);
        }
    };
    check(move || {
        exclusion(
            twice(acquire),
            twice(release),
            &World::new(2, kind::RLOCK, 0),
        );
    });
}

fn take(semaphore: &Referent<'_>) {
    let permit = Semaphore::new(semaphore).acquire(Wait::Forever).unwrap();
    assert_eq!(permit.expect("for ever").owner_died, None);
}

fn give(semaphore: &Referent<'_>) {
    Semaphore::new(semaphore).release(1).unwrap();
}

fn semaphore(members: usize, permits: u64) -> World {
    let world = World::new(members, kind::SEMAPHORE, 0);
    Semaphore::new(&world.of(0)).initialize(permits).unwrap();
    world
}

#[test]
fn a_semaphore_of_one_lets_one_in_and_all_get_it() {
    check(|| exclusion(take, give, &semaphore(3, 1)));
}

#[test]
fn permits_that_come_one_by_one_find_all_who_wait() {
    check(|| {
        let world = semaphore(2, 0);
        scope(|scope| {
            for thread in 0..3 {
                let world = &world;
                scope.spawn(move || take(&world.of(thread)));
            }
            for _ in 0..3 {
                give(&world.of(1));
            }
        });
        assert_eq!(Semaphore::new(&world.of(0)).value().unwrap(), 0);
    });
}

#[test]
fn permits_that_come_together_find_all_who_wait() {
    check(|| {
        let world = semaphore(2, 0);
        scope(|scope| {
            for thread in 0..4 {
                let world = &world;
                scope.spawn(move || take(&world.of(thread)));
            }
            Semaphore::new(&world.of(1)).release(4).unwrap();
        });
        assert_eq!(Semaphore::new(&world.of(0)).value().unwrap(), 0);
    });
}

#[test]
fn an_event_lets_go_whoever_waits_though_it_is_cleared_at_once() {
    check(|| {
        let world = World::new(3, kind::EVENT, 0);
        scope(|scope| {
            for thread in 0..2 {
                let world = &world;
                scope.spawn(move || {
                    assert!(Event::new(&world.of(thread)).wait(Wait::Forever).unwrap());
                });
            }
            let referent = world.of(2);
            let event = Event::new(&referent);
            wait_until(|| referent.lock().unwrap().in_line() == 2);
            event.set().unwrap();
            event.clear().unwrap();
        });
        assert!(!Event::new(&world.of(0)).is_set().unwrap());
    });
}

#[test]
fn an_event_that_stays_set_lets_everybody_go() {
    check(|| {
        let world = World::new(3, kind::EVENT, 0);
        scope(|scope| {
            for thread in 0..2 {
                let world = &world;
                scope.spawn(move || {
                    assert!(Event::new(&world.of(thread)).wait(Wait::Forever).unwrap());
                });
            }
            let referent = world.of(2);
            let event = Event::new(&referent);
            event.set().unwrap();
            event.clear().unwrap();
            event.set().unwrap();
        });
    });
}
