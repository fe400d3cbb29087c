//! Conditions and barriers.

use coheld_shm::{Referent, word as ownership};
use coheld_store::{Barrier, Condition, Input, Passage, StoreError, Wait, kinds::referent as kind};
use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicU32, Ordering};
use shuttle::thread::scope;

use crate::{World, check, wait_until};

/// A condition with an RLOCK of its own.
fn condition(members: usize) -> World {
    let world = World::new(members, kind::CONDITION, 0);
    let (lock, generation) = world.members[0].create_referent(kind::RLOCK, 0).unwrap();
    let edge = Input::Edge(ownership::of_edge(lock, generation));
    Condition::new(&world.of(0)).initialize(&edge).unwrap();
    world.members[0].release(lock, generation).unwrap();
    world
}

fn with_lock<T>(condition: &Condition<'_>, act: impl FnOnce() -> T) -> T {
    let acquired = condition.acquire(Wait::Forever).unwrap();
    assert_eq!(acquired.expect("for ever").owner_died, None);
    let done = act();
    condition.release().unwrap();
    done
}

/// Two who wait for a notification, and one who gives it when both stand in line.
fn notified(notify: impl Fn(&Condition<'_>) + Sync) {
    let world = condition(2);
    scope(|scope| {
        for thread in 0..2 {
            let world = &world;
            scope.spawn(move || {
                let referent = world.of(thread);
                let condition = Condition::new(&referent);
                with_lock(&condition, || {
                    let (notified, acquired) = condition.wait(Wait::Forever).unwrap();
                    assert!(notified);
                    assert_eq!(acquired.owner_died, None);
                });
            });
        }
        let referent = world.of(2);
        let condition = Condition::new(&referent);
        wait_until(|| condition.waiting().unwrap() == 2);
        notify(&condition);
    });
    assert!(!world.of(0).lock().unwrap().has_line());
}

#[test]
fn two_notifications_are_for_two() {
    check(|| {
        notified(|condition| {
            for _ in 0..2 {
                with_lock(condition, || condition.notify(1).unwrap());
            }
        });
    });
}

#[test]
fn a_notification_for_all_is_for_all() {
    check(|| notified(|condition| with_lock(condition, || condition.notify(u64::MAX).unwrap())));
}

#[test]
fn nobody_waits_for_what_he_was_notified_of() {
    check(|| {
        let world = condition(2);
        let tokens = AtomicU32::new(0);
        scope(|scope| {
            for thread in 0..2 {
                let (world, tokens) = (&world, &tokens);
                scope.spawn(move || {
                    let referent = world.of(thread);
                    let condition = Condition::new(&referent);
                    with_lock(&condition, || {
                        while tokens.load(Ordering::SeqCst) == 0 {
                            assert!(condition.wait(Wait::Forever).unwrap().0);
                        }
                        tokens.fetch_sub(1, Ordering::SeqCst);
                    });
                });
            }
            let referent = world.of(2);
            let condition = Condition::new(&referent);
            for _ in 0..2 {
                with_lock(&condition, || {
                    tokens.fetch_add(1, Ordering::SeqCst);
                    condition.notify(1).unwrap();
                });
            }
        });
        assert_eq!(tokens.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn a_producer_and_a_consumer_take_turns() {
    const ITEMS: u32 = 3;
    check(|| {
        let world = condition(2);
        // 0: empty.
        let place = AtomicU32::new(0);
        scope(|scope| {
            scope.spawn(|| {
                let referent = world.of(0);
                let condition = Condition::new(&referent);
                for item in 1..=ITEMS {
                    with_lock(&condition, || {
                        while place.load(Ordering::SeqCst) != 0 {
                            assert!(condition.wait(Wait::Forever).unwrap().0);
                        }
                        place.store(item, Ordering::SeqCst);
                        condition.notify(1).unwrap();
                    });
                }
            });
            let referent = world.of(1);
            let condition = Condition::new(&referent);
            for item in 1..=ITEMS {
                with_lock(&condition, || {
                    while place.load(Ordering::SeqCst) == 0 {
                        assert!(condition.wait(Wait::Forever).unwrap().0);
                    }
                    assert_eq!(place.swap(0, Ordering::SeqCst), item);
                    condition.notify(1).unwrap();
                });
            }
        });
    });
}

fn pass(barrier: &Referent<'_>, acts: Option<&AtomicU32>) -> u64 {
    let mut act = || {
        if let Some(acts) = acts {
            acts.fetch_add(1, Ordering::SeqCst);
        }
        Ok::<(), ()>(())
    };
    let action: Option<&mut dyn FnMut() -> Result<(), ()>> = match acts {
        Some(_) => Some(&mut act),
        None => None,
    };
    match Barrier::new(barrier).wait(Wait::Forever, action).unwrap() {
        Passage::Passed(number) => number,
        Passage::Failed(()) => panic!("no action fails"),
    }
}

/// Three parties, two of them of one member, pass twice.
fn rounds(with_action: bool) {
    let world = World::new(2, kind::BARRIER, 3);
    let acts = AtomicU32::new(0);
    let passed = [Mutex::new(Vec::new()), Mutex::new(Vec::new())];
    scope(|scope| {
        for thread in 0..3 {
            let (world, acts, passed) = (&world, &acts, &passed);
            scope.spawn(move || {
                let referent = world.of(thread);
                for (round, passed) in (1..).zip(passed) {
                    let number = pass(&referent, with_action.then_some(acts));
                    passed.lock().unwrap().push(number);
                    assert!(!with_action || acts.load(Ordering::SeqCst) >= round);
                }
            });
        }
    });
    for passed in passed {
        let mut numbers = passed.into_inner().unwrap();
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 1, 2]);
    }
    assert_eq!(acts.load(Ordering::SeqCst), if with_action { 2 } else { 0 });
}

#[test]
fn a_barrier_numbers_its_parties_round_by_round() {
    check(|| rounds(false));
}

#[test]
fn the_last_party_acts_before_anybody_passes() {
    check(|| rounds(true));
}

/// Four of six parties wait, and somebody breaks the barrier.
fn broken(by: impl Fn(&Barrier<'_>) + Sync) {
    let world = World::new(2, kind::BARRIER, 6);
    scope(|scope| {
        for thread in 0..4 {
            let world = &world;
            scope.spawn(move || {
                let passed = Barrier::new(&world.of(thread)).wait::<()>(Wait::Forever, None);
                assert!(matches!(passed, Err(StoreError::BrokenBarrier)));
            });
        }
        by(&Barrier::new(&world.of(1)));
    });
}

#[test]
fn all_parties_hear_that_their_barrier_broke() {
    check(|| broken(|barrier| barrier.abort().unwrap()));
}

#[test]
fn all_parties_hear_of_one_that_has_no_time() {
    check(|| {
        broken(|barrier| {
            let passed = barrier.wait::<()>(Wait::No, None);
            assert!(matches!(passed, Err(StoreError::BrokenBarrier)));
        });
    });
}
