//! Locks, semaphores, events, conditions and barriers between members and threads.
#![allow(
    clippy::disallowed_types,
    reason = "counters and flags between the threads of a test"
)]

mod common;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

use coheld_shm::{Options, Segment};
use coheld_store::sync::{OWNER_DEATH_IS_AN_ERROR, companion};
use coheld_store::{
    Barrier, Condition, Event, Input, Lock, Passage, Semaphore, StoreError, Wait,
    kinds::referent as kind,
};
use common::{Held, long, members, options, process_of, seen, short, sound, wait_until};

#[test]
fn a_lock_lets_one_thread_in() {
    let (_, members) = members(3, &options());
    for kind in [kind::LOCK, kind::RLOCK] {
        let held = Held::new(&members[0], kind, 0);
        let inside = AtomicU32::new(0);
        let count = AtomicU64::new(0);
        scope(|scope| {
            for thread in 0..6 {
                let (held, members, inside, count) = (&held, &members, &inside, &count);
                scope.spawn(move || {
                    let referent = seen(&members[thread % 3], held);
                    let lock = Lock::new(&referent);
                    for _ in 0..500 {
                        let acquired = lock.acquire(long()).unwrap().expect("in time");
                        assert_eq!(acquired.owner_died, None);
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        count.fetch_add(1, Ordering::SeqCst);
                        assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
                        lock.release().unwrap();
                    }
                });
            }
        });
        assert_eq!(count.load(Ordering::SeqCst), 3000);
    }
}

#[test]
fn who_may_release_a_lock() {
    let (_, members) = members(1, &options());
    let held = Held::new(&members[0], kind::LOCK, 0);
    let lock = Lock::new(&held.referent);
    assert!(matches!(lock.release(), Err(StoreError::NotLocked)));
    assert!(lock.acquire(Wait::No).unwrap().is_some());
    assert!(lock.is_locked().unwrap());
    assert!(lock.acquire(Wait::No).unwrap().is_none());
    assert!(lock.acquire(short()).unwrap().is_none());
    scope(|scope| scope.spawn(|| lock.release().unwrap()).join().unwrap());
    assert!(!lock.is_locked().unwrap());

    let held = Held::new(&members[0], kind::RLOCK, 0);
    let lock = Lock::new(&held.referent);
    assert!(matches!(lock.release(), Err(StoreError::NotOwner)));
    for _ in 0..3 {
        assert!(lock.acquire(Wait::No).unwrap().is_some());
    }
    assert_eq!(lock.state().unwrap().depth, 3);
    scope(|scope| {
        let other = scope.spawn(|| {
            assert!(lock.acquire(Wait::No).unwrap().is_none());
            assert!(!lock.is_owned().unwrap());
            assert!(matches!(lock.release(), Err(StoreError::NotOwner)));
        });
        other.join().unwrap();
    });
    for _ in 0..3 {
        assert!(lock.is_owned().unwrap());
        lock.release().unwrap();
    }
    assert!(!lock.is_locked().unwrap());
}

#[test]
fn a_lock_of_the_dead_goes_to_the_next_who_is_told() {
    let (backing, members) = members(1, &options());
    for kind in [kind::LOCK, kind::RLOCK] {
        let held = Held::new(&members[0], kind, 0);
        let lock = Lock::new(&held.referent);
        let other = Segment::attach(Box::new(backing.clone())).unwrap();
        other.join().unwrap();
        let referent = seen(&other, &held);
        assert!(Lock::new(&referent).acquire(Wait::No).unwrap().is_some());
        scope(|scope| {
            let waiting = scope.spawn(|| lock.acquire(long()).unwrap().expect("in time"));
            wait_until(|| held.referent.lock().unwrap().has_line());
            assert!(lock.is_locked().unwrap());
            backing.declare_dead(other.own_slot().unwrap());
            let acquired = waiting.join().unwrap();
            assert_eq!(acquired.owner_died, Some(process_of(&other)));
        });
        if kind == kind::LOCK {
            lock.release().unwrap();
            let again = lock.acquire(Wait::No).unwrap().unwrap();
            assert_eq!(again.owner_died, None, "it is said once");
        }
    }
    drop(members);
}

#[test]
fn the_death_of_an_owner_can_be_an_error() {
    let options = Options {
        flags: OWNER_DEATH_IS_AN_ERROR,
        ..options()
    };
    let (backing, members) = members(2, &options);
    let held = Held::new(&members[0], kind::LOCK, 0);
    let permits = Held::new(&members[0], kind::SEMAPHORE, 0);
    let semaphore = Semaphore::new(&permits.referent);
    semaphore.initialize(1).unwrap();
    let lock = Lock::new(&held.referent);
    let (of_lock, of_permits) = (seen(&members[1], &held), seen(&members[1], &permits));
    assert!(Lock::new(&of_lock).acquire(Wait::No).unwrap().is_some());
    let permit = Semaphore::new(&of_permits).acquire(Wait::No).unwrap();
    assert!(permit.is_some());
    backing.declare_dead(members[1].own_slot().unwrap());
    assert!(!lock.is_locked().unwrap());
    let process = process_of(&members[1]);
    assert!(matches!(
        lock.acquire(Wait::No),
        Err(StoreError::OwnerDied { process: found }) if found == process
    ));
    assert!(lock.acquire(Wait::No).unwrap().is_some());
    assert!(matches!(
        semaphore.acquire(Wait::No),
        Err(StoreError::OwnerDied { process: found }) if found == process
    ));
    assert_eq!(semaphore.value().unwrap(), 1);
    assert!(semaphore.acquire(Wait::No).unwrap().is_some());
}

#[test]
fn a_semaphore_limits_and_counts() {
    let (_, members) = members(3, &options());
    let held = Held::new(&members[0], kind::BOUNDED_SEMAPHORE, 0);
    let semaphore = Semaphore::new(&held.referent);
    semaphore.initialize(2).unwrap();
    let inside = AtomicU32::new(0);
    let most = AtomicU32::new(0);
    scope(|scope| {
        for thread in 0..6 {
            let (held, members, inside, most) = (&held, &members, &inside, &most);
            scope.spawn(move || {
                let referent = seen(&members[thread % 3], held);
                let semaphore = Semaphore::new(&referent);
                for _ in 0..300 {
                    assert!(semaphore.acquire(long()).unwrap().is_some());
                    let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    inside.fetch_sub(1, Ordering::SeqCst);
                    semaphore.release(1).unwrap();
                }
            });
        }
    });
    assert!((1..=2).contains(&most.load(Ordering::SeqCst)));
    assert_eq!(semaphore.value().unwrap(), 2);
    assert!(matches!(
        semaphore.release(1),
        Err(StoreError::ReleasedTooOften)
    ));
    assert!(semaphore.acquire(Wait::No).unwrap().is_some());
    assert!(matches!(
        semaphore.release(2),
        Err(StoreError::ReleasedTooOften)
    ));
    assert_eq!(semaphore.value().unwrap(), 1);
}

#[test]
fn permits_of_the_dead_are_free_again_unless_they_travel() {
    let (backing, members) = members(3, &options());
    let limits = Held::new(&members[0], kind::SEMAPHORE, 0);
    let counts = Held::new(&members[0], kind::SEMAPHORE, 0);
    Semaphore::new(&limits.referent).initialize(3).unwrap();
    Semaphore::new(&counts.referent).initialize(0).unwrap();
    let limits_there = seen(&members[1], &limits);
    let counts_there = seen(&members[1], &counts);
    for _ in 0..3 {
        let acquired = Semaphore::new(&limits_there).acquire(Wait::No).unwrap();
        assert!(acquired.is_some());
    }
    // Acquired there, released here: it counts events.
    Semaphore::new(&counts.referent).release(5).unwrap();
    for _ in 0..4 {
        let acquired = Semaphore::new(&counts_there).acquire(Wait::No).unwrap();
        assert!(acquired.is_some());
    }
    let here = Semaphore::new(&limits.referent);
    assert!(here.acquire(Wait::No).unwrap().is_none());
    backing.declare_dead(members[1].own_slot().unwrap());
    let acquired = here.acquire(long()).unwrap().expect("freed");
    assert_eq!(acquired.owner_died, Some(process_of(&members[1])));
    assert_eq!(here.value().unwrap(), 2);
    let counting = Semaphore::new(&counts.referent);
    assert!(counting.acquire(Wait::No).unwrap().is_some());
    assert!(counting.acquire(short()).unwrap().is_none());
    assert_eq!(counting.value().unwrap(), 0);
}

/// The account of a slot passed to the next member with the permits of the dead one in it, and its
/// first acquisition overwrote them.
#[test]
fn permits_outlive_the_slot_of_who_had_them() {
    for releases_first in [false, true] {
        let (backing, members) = members(1, &options());
        let held = Held::new(&members[0], kind::SEMAPHORE, 0);
        let semaphore = Semaphore::new(&held.referent);
        semaphore.initialize(3).unwrap();
        let join = || {
            let member = Segment::attach(Box::new(backing.clone())).unwrap();
            member.join().unwrap();
            member
        };
        let first = join();
        let slot = first.own_slot().unwrap();
        {
            let referent = seen(&first, &held);
            for _ in 0..2 {
                let permit = Semaphore::new(&referent).acquire(Wait::No).unwrap();
                assert!(permit.is_some());
            }
        }
        backing.declare_dead(slot);
        assert_eq!(members[0].reap_dead(), 1);
        let second = join();
        assert_eq!(second.own_slot(), Some(slot));
        let referent = seen(&second, &held);
        let there = Semaphore::new(&referent);
        if !releases_first {
            let permit = there.acquire(Wait::No).unwrap().expect("a permit");
            assert_eq!(permit.owner_died, Some(0), "nobody knows which process");
        }
        there.release(1).unwrap();
        let free = 3 + u64::from(releases_first);
        for _ in 0..free {
            assert!(semaphore.acquire(Wait::No).unwrap().is_some());
        }
        assert!(semaphore.acquire(Wait::No).unwrap().is_none());
    }
}

#[test]
fn an_event_wakes_everybody_also_when_it_is_cleared_at_once() {
    let (_, members) = members(3, &options());
    let held = Held::new(&members[0], kind::EVENT, 0);
    let event = Event::new(&held.referent);
    assert!(!event.wait(Wait::No).unwrap());
    assert!(!event.wait(short()).unwrap());
    scope(|scope| {
        let waiting: Vec<_> = (0..9)
            .map(|thread| {
                let (held, members) = (&held, &members);
                scope.spawn(move || {
                    Event::new(&seen(&members[thread % 3], held))
                        .wait(long())
                        .unwrap()
                })
            })
            .collect();
        wait_until(|| held.referent.lock().unwrap().in_line() == 9);
        event.set().unwrap();
        event.clear().unwrap();
        for waiter in waiting {
            assert!(waiter.join().unwrap());
        }
    });
    assert!(!event.is_set().unwrap());
    event.set().unwrap();
    assert!(event.wait(Wait::No).unwrap());
}

/// A condition with a lock of the given kind.
fn condition(segment: &Segment, lock_kind: u8) -> Held<'_> {
    let lock = Held::new(segment, lock_kind, 0);
    let held = Held::new(segment, kind::CONDITION, 0);
    Condition::new(&held.referent)
        .initialize(&Input::Edge(lock.edge()))
        .unwrap();
    lock.release();
    held
}

#[test]
fn a_condition_wakes_as_many_as_it_is_told() {
    let (_, members) = members(3, &options());
    for lock_kind in [kind::RLOCK, kind::LOCK] {
        let held = condition(&members[0], lock_kind);
        let condition = Condition::new(&held.referent);
        assert!(matches!(condition.notify(1), Err(StoreError::NotOwner)));
        assert!(matches!(condition.wait(short()), Err(StoreError::NotOwner)));
        let awake = AtomicU32::new(0);
        scope(|scope| {
            for thread in 0..6 {
                let (held, members, awake) = (&held, &members, &awake);
                scope.spawn(move || {
                    let referent = seen(&members[thread % 3], held);
                    let condition = Condition::new(&referent);
                    assert!(condition.acquire(long()).unwrap().is_some());
                    if lock_kind == kind::RLOCK {
                        assert!(condition.acquire(long()).unwrap().is_some());
                    }
                    assert!(condition.wait(long()).unwrap().0);
                    awake.fetch_add(1, Ordering::SeqCst);
                    condition.release().unwrap();
                    if lock_kind == kind::RLOCK {
                        condition.release().unwrap();
                    }
                });
            }
            wait_until(|| condition.waiting().unwrap() == 6);
            let notify = |count| {
                assert!(condition.acquire(long()).unwrap().is_some());
                condition.notify(count).unwrap();
                condition.release().unwrap();
            };
            notify(1);
            wait_until(|| awake.load(Ordering::SeqCst) == 1);
            notify(2);
            wait_until(|| awake.load(Ordering::SeqCst) == 3);
            sleep(Duration::from_millis(30));
            assert_eq!(awake.load(Ordering::SeqCst), 3, "nobody else");
            notify(u64::MAX);
        });
        assert_eq!(awake.load(Ordering::SeqCst), 6);
        assert!(condition.acquire(Wait::No).unwrap().is_some());
        assert!(!condition.wait(short()).unwrap().0);
        assert!(!condition.wait(Wait::No).unwrap().0);
        condition.release().unwrap();
    }
}

#[test]
fn a_notification_for_the_dead_goes_to_the_living() {
    let (backing, members) = members(3, &options());
    let held = condition(&members[0], kind::RLOCK);
    let condition = Condition::new(&held.referent);
    // The first in line is of a member that dies in its sleep.
    let referent = seen(&members[2], &held);
    let dead = members[2].waiter().unwrap();
    referent.lock().unwrap().enqueue(&dead, 0, 0);
    scope(|scope| {
        let living = scope.spawn(|| {
            let referent = seen(&members[1], &held);
            let condition = Condition::new(&referent);
            assert!(condition.acquire(long()).unwrap().is_some());
            assert!(condition.wait(long()).unwrap().0);
            condition.release().unwrap();
        });
        wait_until(|| condition.waiting().unwrap() == 2);
        assert!(condition.acquire(long()).unwrap().is_some());
        condition.notify(1).unwrap();
        condition.release().unwrap();
        backing.declare_dead(members[2].own_slot().unwrap());
        living.join().unwrap();
    });
    std::mem::forget(dead);
}

fn pass(barrier: &Barrier<'_>, wait: Wait) -> Result<u64, StoreError> {
    match barrier.wait::<()>(wait, None)? {
        Passage::Passed(number) => Ok(number),
        Passage::Failed(()) => panic!("there is no action"),
    }
}

#[test]
fn a_barrier_lets_everybody_through_together() {
    let (_, members) = members(3, &options());
    let held = Held::new(&members[0], kind::BARRIER, 6);
    let rounds = AtomicU32::new(0);
    let actions = AtomicU32::new(0);
    scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|thread| {
                let (held, members) = (&held, &members);
                let (rounds, actions) = (&rounds, &actions);
                scope.spawn(move || {
                    let referent = seen(&members[thread % 3], held);
                    let barrier = Barrier::new(&referent);
                    let mut numbers = 0;
                    for round in 0..50 {
                        rounds.fetch_add(1, Ordering::SeqCst);
                        let mut action = || -> Result<(), ()> {
                            assert_eq!(rounds.load(Ordering::SeqCst), 6 * (round + 1));
                            actions.fetch_add(1, Ordering::SeqCst);
                            Ok(())
                        };
                        match barrier.wait(long(), Some(&mut action)).unwrap() {
                            Passage::Passed(number) => numbers += number,
                            Passage::Failed(()) => panic!("the action cannot fail"),
                        }
                        assert_eq!(actions.load(Ordering::SeqCst), round + 1);
                        // Nobody may begin the next round before all have looked.
                        pass(&barrier, long()).unwrap();
                    }
                    numbers
                })
            })
            .collect();
        let numbers: u64 = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum();
        assert_eq!(numbers, 50 * (5 * 6 / 2));
    });
}

#[test]
fn a_barrier_breaks() {
    let (backing, members) = members(3, &options());
    let held = Held::new(&members[0], kind::BARRIER, 3);
    let barrier = Barrier::new(&held.referent);
    let broken = |outcome| matches!(outcome, Err(StoreError::BrokenBarrier));
    // By a time-out.
    assert!(broken(pass(&barrier, short())));
    assert!(barrier.is_broken().unwrap());
    assert!(broken(pass(&barrier, long())));
    barrier.reset().unwrap();
    assert!(!barrier.is_broken().unwrap());
    let one_waits = |then: &dyn Fn()| {
        scope(|scope| {
            let waiting = scope.spawn(|| {
                let referent = seen(&members[1], &held);
                pass(&Barrier::new(&referent), long())
            });
            wait_until(|| barrier.waiting().unwrap() == 1);
            then();
            assert!(broken(waiting.join().unwrap()));
        });
    };
    one_waits(&|| barrier.abort().unwrap());
    assert!(barrier.is_broken().unwrap());
    barrier.reset().unwrap();
    one_waits(&|| barrier.reset().unwrap());
    assert!(!barrier.is_broken().unwrap());
    // By an action.
    let single = Held::new(&members[0], kind::BARRIER, 1);
    let mut action = || Err("no");
    let single = Barrier::new(&single.referent);
    let outcome = single.wait(long(), Some(&mut action)).unwrap();
    assert!(matches!(outcome, Passage::Failed("no")));
    assert!(single.is_broken().unwrap());
    // By the death of a party.
    one_waits(&|| {
        let referent = seen(&members[2], &held);
        let party = members[2].waiter().unwrap();
        referent.lock().unwrap().enqueue(&party, 0, 1);
        backing.declare_dead(members[2].own_slot().unwrap());
        std::mem::forget(party);
    });
    assert!(barrier.is_broken().unwrap());
}

#[test]
fn nobody_starves_behind_those_who_come_again_and_again() {
    let (_, members) = members(2, &options());
    let held = Held::new(&members[0], kind::LOCK, 0);
    let done = AtomicBool::new(false);
    scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let lock = Lock::new(&held.referent);
                while !done.load(Ordering::SeqCst) {
                    assert!(lock.acquire(long()).unwrap().is_some());
                    lock.release().unwrap();
                }
            });
        }
        let referent = seen(&members[1], &held);
        let lock = Lock::new(&referent);
        for _ in 0..200 {
            assert!(lock.acquire(long()).unwrap().is_some(), "starved");
            lock.release().unwrap();
        }
        done.store(true, Ordering::SeqCst);
    });
}

#[test]
fn a_referent_has_one_lock_which_goes_with_it() {
    let (_, members) = members(2, &options());
    let held = Held::new(&members[0], kind::VALUE, 0);
    let referent = seen(&members[1], &held);
    let here = companion(&held.referent).unwrap();
    let there = companion(&referent).unwrap();
    assert_eq!(here.offset(), there.offset());
    assert!(Lock::new(&here).acquire(Wait::No).unwrap().is_some());
    assert!(Lock::new(&there).acquire(Wait::No).unwrap().is_none());
    Lock::new(&here).release().unwrap();
    assert_eq!(sound(&members[0]).referents, 2);
    let (offset, generation) = (held.referent.offset(), held.referent.generation());
    members[1].release(offset, generation).unwrap();
    held.release();
    assert_eq!(sound(&members[0]).referents, 0);
}

/// A time-out while the action ran broke the barrier for all.
#[test]
fn who_has_arrived_waits_for_the_action() {
    let (_, members) = members(2, &options());
    let held = Held::new(&members[0], kind::BARRIER, 2);
    let barrier = Barrier::new(&held.referent);
    scope(|scope| {
        let first = scope.spawn(|| {
            let referent = seen(&members[1], &held);
            pass(
                &Barrier::new(&referent),
                Wait::for_duration(Duration::from_millis(150)),
            )
        });
        wait_until(|| barrier.waiting().unwrap() == 1);
        let mut action = || -> Result<(), ()> {
            sleep(Duration::from_millis(300));
            Ok(())
        };
        let last = barrier.wait(long(), Some(&mut action)).unwrap();
        assert!(matches!(last, Passage::Passed(1)));
        assert_eq!(first.join().unwrap().unwrap(), 0);
    });
}

/// Only the first 32 members in line were ever asked about.
#[test]
fn a_death_far_behind_in_line_is_noticed() {
    let options = Options {
        member_limit: 40,
        ..options()
    };
    let (backing, members) = members(36, &options);
    let held = Held::new(&members[0], kind::EVENT, 0);
    for member in &members[1..] {
        let referent = seen(member, &held);
        let waiter = member.waiter().unwrap();
        referent.lock().unwrap().enqueue(&waiter, 0, 0);
        std::mem::forget(waiter);
    }
    backing.declare_dead(members[35].own_slot().unwrap());
    let found = (0..2).any(|_| held.referent.sweep_line().unwrap());
    assert!(found);
    assert_eq!(held.referent.lock().unwrap().in_line(), 34);
}

/// Getters that took their turn forgave those who had passed a putter.
#[test]
fn passing_one_role_is_not_forgiven_by_another() {
    let (_, members) = members(1, &options());
    let held = Held::new(&members[0], kind::QUEUE, 0);
    let (getter, putter) = (members[0].waiter().unwrap(), members[0].waiter().unwrap());
    let guard = held.referent.lock().unwrap();
    guard.enqueue(&putter, 1, 0);
    guard.enqueue(&getter, 0, 0);
    for _ in 0..16 {
        assert!(guard.may_take(None, 1));
        guard.took(None, 1);
        guard.took(Some(&getter), 0);
    }
    assert!(!guard.may_take(None, 1));
    assert!(guard.may_take(Some(&putter), 1));
    assert!(guard.may_take(None, 0));
    guard.took(Some(&putter), 1);
    assert!(guard.may_take(None, 1));
    guard.leave(&putter);
    guard.leave(&getter);
}
