//! Locks and what else waits, between the threads of one process.
//!
//! Whatever could hang waits `PATIENCE` at most, so that a failure is one.
#![allow(clippy::disallowed_types, reason = "tests count what threads see")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use coheld::{
    BarrierProxy, ConditionProxy, Error, EventProxy, Handle, Kind, LockProxy, Manager, Proxy,
    RLockProxy, SemaphoreProxy, StoreError, Value, ValueError, ValueProxy, Wait,
};

const PATIENCE: Duration = Duration::from_secs(60);
/// Long enough to be waited for, short enough to be waited out.
const MOMENT: Duration = Duration::from_millis(20);

fn manager() -> Manager {
    Manager::start().unwrap()
}

#[test]
fn locks_exclude() {
    const ROUNDS: i64 = 500;
    let manager = manager();
    let (lock, rlock) = (manager.lock().unwrap(), manager.rlock().unwrap());
    let totals = [manager.value(&0_i64), manager.value(&0_i64)].map(Result::unwrap);
    let increment = |total: &ValueProxy<i64>| total.set(&(total.get().unwrap() + 1)).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            // Each thread has proxies of its own.
            let lock = LockProxy::from_token(&lock.token().unwrap(), manager.authkey()).unwrap();
            let (rlock, totals, increment) = (rlock.clone(), &totals, &increment);
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    let guard = lock.lock_for(PATIENCE).unwrap().unwrap();
                    assert_eq!(guard.owner_died(), None);
                    increment(&totals[0]);
                }
                for _ in 0..ROUNDS {
                    let _outer = rlock.lock_for(PATIENCE).unwrap().unwrap();
                    let _inner = rlock.try_lock().unwrap().unwrap();
                    increment(&totals[1]);
                }
            });
        }
    });
    assert_eq!(totals.map(|total| total.get().unwrap()), [4 * ROUNDS; 2]);
    assert!(!lock.is_locked().unwrap() && !rlock.is_locked().unwrap());
}

#[test]
fn only_an_rlock_is_taken_again() {
    let manager = manager();
    let lock = manager.lock().unwrap();
    let guard = lock.lock().unwrap();
    assert!(lock.try_lock().unwrap().is_none());
    drop(guard);

    let rlock = manager.rlock().unwrap();
    let outer = rlock.lock().unwrap();
    let inner = rlock.lock().unwrap();
    let is_free = || thread::scope(|scope| scope.spawn(|| free(&rlock)).join().unwrap());
    assert!(rlock.is_owned().unwrap() && !is_free());
    drop(outer);
    assert!(rlock.is_owned().unwrap() && !is_free());
    drop(inner);
    assert!(!rlock.is_owned().unwrap() && is_free());
}

fn free(lock: &RLockProxy) -> bool {
    assert!(!lock.is_owned().unwrap());
    lock.try_lock().unwrap().is_some()
}

#[test]
fn guards_release_at_a_panic() {
    let manager = manager();
    let (lock, rlock) = (manager.lock().unwrap(), manager.rlock().unwrap());
    let (semaphore, condition) = (manager.semaphore(1).unwrap(), manager.condition().unwrap());
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _lock = lock.lock().unwrap();
        let _rlock = (rlock.lock().unwrap(), rlock.lock().unwrap());
        let _permit = semaphore.acquire().unwrap();
        let _guard = condition.lock().unwrap();
        panic!("in the middle of it");
    }));
    assert!(panicked.is_err());
    assert!(!lock.is_locked().unwrap() && !rlock.is_locked().unwrap());
    assert!(semaphore.value().unwrap() == 1 && !condition.is_locked().unwrap());
    assert!(lock.try_lock().unwrap().is_some());
}

#[test]
fn a_lock_can_be_released_by_another_thread_and_an_rlock_cannot() {
    let manager = manager();
    let (lock, rlock) = (manager.lock().unwrap(), manager.rlock().unwrap());
    assert!(lock.acquire(Wait::No).unwrap().is_some());
    assert!(rlock.acquire(Wait::Forever).unwrap().is_some());
    thread::scope(|scope| {
        scope.spawn(|| {
            lock.release().unwrap();
            assert!(matches!(
                rlock.release(),
                Err(Error::Store(StoreError::NotOwner))
            ));
        });
    });
    assert!(matches!(
        lock.release(),
        Err(Error::Store(StoreError::NotLocked))
    ));
    rlock.release().unwrap();
    assert!(matches!(
        rlock.release(),
        Err(Error::Store(StoreError::NotOwner))
    ));
    // A guard of which another thread has made nothing complains to the log and to nobody else.
    let guard = lock.lock().unwrap();
    lock.release().unwrap();
    drop(guard);
}

#[test]
fn waiting_ends_in_time() {
    let manager = manager();
    let (lock, rlock) = (manager.lock().unwrap(), manager.rlock().unwrap());
    let (semaphore, event) = (manager.semaphore(0).unwrap(), manager.event().unwrap());
    let _guards = (lock.lock().unwrap(), rlock.lock().unwrap());
    thread::scope(|scope| {
        scope.spawn(|| {
            assert!(lock.lock_for(MOMENT).unwrap().is_none());
            assert!(rlock.lock_for(MOMENT).unwrap().is_none());
            assert!(rlock.lock_until(Instant::now()).unwrap().is_none());
            assert!(semaphore.acquire_for(MOMENT).unwrap().is_none());
            assert!(!event.wait_for(MOMENT).unwrap());
            assert!(!event.wait_until(Instant::now()).unwrap());
            assert!(lock.lock_for(Duration::ZERO).unwrap().is_none());
            assert!(semaphore.try_acquire().unwrap().is_none());
        });
    });
    // What no clock can count up to.
    event.set().unwrap();
    assert!(event.wait_for(Duration::MAX).unwrap());
}

#[test]
fn a_semaphore_lets_so_many_in() {
    const PERMITS: u32 = 3;
    let manager = manager();
    let seats = manager.semaphore(u64::from(PERMITS)).unwrap();
    let (inside, most) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let _permit = seats.acquire_for(PATIENCE).unwrap().unwrap();
                    most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert!((1..=PERMITS).contains(&most.into_inner()));
    assert_eq!(seats.value().unwrap(), u64::from(PERMITS));
    seats.release(2).unwrap();
    assert_eq!(seats.value().unwrap(), u64::from(PERMITS) + 2);
    assert_eq!(seats.initial().unwrap(), u64::from(PERMITS));

    let bounded = manager.bounded_semaphore(2).unwrap();
    let permit = bounded.acquire().unwrap();
    let refused = bounded.release(2);
    assert!(matches!(
        refused,
        Err(Error::Store(StoreError::ReleasedTooOften))
    ));
    assert_eq!(bounded.value().unwrap(), 1);
    permit.keep();
    assert_eq!(bounded.value().unwrap(), 1);
    bounded.release(1).unwrap();
    assert_eq!(bounded.value().unwrap(), 2);
    // Both kinds have one type of proxy.
    assert_eq!(bounded.as_proxy().kind(), Kind::BoundedSemaphore);
    let same = SemaphoreProxy::try_from(Proxy::from(&bounded)).unwrap();
    assert_eq!(same, bounded);
}

#[test]
fn an_event_lets_everybody_go() {
    let manager = manager();
    let (start, started) = (manager.event().unwrap(), manager.semaphore(0).unwrap());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                assert!(start.wait_for(PATIENCE).unwrap());
                started.release(1).unwrap();
            });
        }
        start.set().unwrap();
        for _ in 0..4 {
            started.acquire_for(PATIENCE).unwrap().unwrap().keep();
        }
    });
    assert!(start.is_set().unwrap());
    start.clear().unwrap();
    assert!(!start.is_set().unwrap() && !start.wait_for(Duration::ZERO).unwrap());
}

#[test]
fn a_condition_wakes_as_many_as_it_is_told_to() {
    let manager = manager();
    let condition = manager.condition().unwrap();
    let notified = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut guard = condition.lock().unwrap();
                assert!(condition.wait_for(&mut guard, PATIENCE).unwrap());
                notified.fetch_add(1, Ordering::SeqCst);
            });
        }
        wait_for_waiters(&condition, 4);
        let notify = |count| {
            let _guard = condition.lock_for(PATIENCE).unwrap().unwrap();
            condition.notify(count).unwrap();
            condition.waiting().unwrap()
        };
        assert_eq!(notify(1), 3);
        assert_eq!(notify(2), 1);
        let _guard = condition.lock().unwrap();
        condition.notify_all().unwrap();
        assert_eq!(condition.waiting().unwrap(), 0);
    });
    assert_eq!(notified.into_inner(), 4);
}

fn wait_for_waiters(condition: &ConditionProxy, count: u64) {
    let deadline = Instant::now() + PATIENCE;
    while condition.waiting().unwrap() < count {
        assert!(Instant::now() < deadline, "they never wait");
        thread::yield_now();
    }
}

#[test]
fn conditions_with_one_lock_hand_items_over() {
    const ITEMS: i64 = 200;
    let manager = manager();
    let lock = manager.lock().unwrap();
    let room = manager.condition_with(&lock).unwrap();
    let filled = manager.condition_with(&lock).unwrap();
    let items = manager.list::<i64>().unwrap();
    let sum = AtomicI64::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..ITEMS {
                    let mut guard = filled.lock().unwrap();
                    let is_empty = || items.is_empty();
                    assert!(
                        filled
                            .wait_while_for(&mut guard, PATIENCE, is_empty)
                            .unwrap()
                    );
                    let item = items.pop_front().unwrap().unwrap();
                    sum.fetch_add(item, Ordering::SeqCst);
                    room.notify_one().unwrap();
                }
            });
            scope.spawn(|| {
                for item in 1..=ITEMS {
                    // A guard of the lock itself serves its conditions, too.
                    let mut guard = lock.lock().unwrap();
                    let is_full = || Ok(items.len()? >= 3);
                    assert!(room.wait_while_for(&mut guard, PATIENCE, is_full).unwrap());
                    items.append(&item).unwrap();
                    filled.notify_one().unwrap();
                }
            });
        }
    });
    assert_eq!(sum.into_inner(), ITEMS * (ITEMS + 1));
}

#[test]
fn a_condition_asks_for_its_lock() {
    let manager = manager();
    let condition = manager.condition().unwrap();
    let not_owner =
        |done: Result<(), Error>| matches!(done, Err(Error::Store(StoreError::NotOwner)));
    assert!(not_owner(condition.notify_one()) && not_owner(condition.notify_all()));
    let mut guard = condition.lock().unwrap();
    condition.notify_all().unwrap();
    // It is waited for with every turn of the lock given up, and taken as often again.
    let inner = condition.lock().unwrap();
    assert!(!condition.wait_for(&mut guard, MOMENT).unwrap());
    drop(guard);
    assert!(condition.is_locked().unwrap());
    drop(inner);
    assert!(!condition.is_locked().unwrap());

    let list = manager.list::<i64>().unwrap();
    assert!(matches!(
        manager.condition_with(&list),
        Err(Error::Store(StoreError::WrongKind { .. }))
    ));
    let foreign = Manager::start().unwrap().lock().unwrap();
    assert!(matches!(
        manager.condition_with(&foreign),
        Err(Error::Value(ValueError::OtherManager))
    ));
    // The condition keeps its lock.
    drop(list);
    let objects = manager.number_of_objects();
    let kept = manager.condition_with(manager.lock().unwrap()).unwrap();
    assert!(kept.lock().unwrap().owner_died().is_none());
    assert_eq!(manager.number_of_objects(), objects + 2);
    drop(kept);
    assert_eq!(manager.number_of_objects(), objects);
}

#[test]
fn a_barrier_opens_when_all_have_come() {
    const PARTIES: u64 = 3;
    let manager = manager();
    let barrier = manager.barrier(PARTIES).unwrap();
    let (arrived, actions) = (AtomicU32::new(0), AtomicU32::new(0));
    let party = || {
        let mut numbers = Vec::new();
        for round in 1..=20 {
            arrived.fetch_add(1, Ordering::SeqCst);
            let action = || {
                assert_eq!(arrived.load(Ordering::SeqCst), round * PARTIES as u32);
                actions.fetch_add(1, Ordering::SeqCst);
                Ok(())
            };
            numbers.push(barrier.wait_with_action_for(PATIENCE, action).unwrap());
            assert_eq!(actions.load(Ordering::SeqCst), round);
            // Nobody begins the next round before all have looked.
            barrier.wait_for(PATIENCE).unwrap();
        }
        numbers
    };
    let numbers = thread::scope(|scope| {
        let parties: Vec<_> = (0..PARTIES).map(|_| scope.spawn(party)).collect();
        let numbers = parties.into_iter().map(|party| party.join().unwrap());
        numbers.collect::<Vec<_>>()
    });
    for round in 0..20 {
        let mut round: Vec<u64> = numbers.iter().map(|numbers| numbers[round]).collect();
        round.sort_unstable();
        assert_eq!(round, [0, 1, 2]);
    }
    assert_eq!(
        (barrier.parties().unwrap(), barrier.waiting().unwrap()),
        (3, 0)
    );
}

#[test]
fn a_barrier_breaks_for_all() {
    let manager = manager();
    let barrier = manager.barrier(2).unwrap();
    let broken =
        |waited: Result<u64, Error>| matches!(waited, Err(Error::Store(StoreError::BrokenBarrier)));
    // Who waits when `breaking` happens gets an error.
    let while_waiting = |breaking: &dyn Fn(&BarrierProxy)| {
        barrier.reset().unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| barrier.wait_for(PATIENCE));
            while barrier.waiting().unwrap() == 0 {
                thread::yield_now();
            }
            breaking(&barrier);
            assert!(broken(waiting.join().unwrap()));
        });
    };
    assert!(broken(barrier.wait_for(MOMENT)));
    assert!(broken(barrier.wait()));
    while_waiting(&|barrier| barrier.reset().unwrap());
    assert!(!barrier.is_broken().unwrap());
    while_waiting(&|barrier| barrier.abort().unwrap());
    assert!(barrier.is_broken().unwrap());
    while_waiting(&|barrier| {
        let failed = barrier.wait_with_action(|| Err(Error::NoAuthkey));
        assert!(matches!(failed, Err(Error::NoAuthkey)));
    });
    while_waiting(&|barrier| {
        let action = || panic!("the action panics");
        assert!(catch_unwind(AssertUnwindSafe(|| barrier.wait_with_action(action))).is_err());
    });
    assert!(barrier.is_broken().unwrap());
}

/// A barrier as Python makes it with an action and a time-out.
fn barrier_of_python(manager: &Manager, parties: u64, pickle: &[u8]) -> BarrierProxy {
    let handle = Handle::create(manager.attachment(), Kind::Barrier.number(), parties).unwrap();
    let barrier = coheld_store::Barrier::new(&handle.referent().unwrap())
        .initialize(&coheld_store::Input::pickle(pickle, &[]));
    barrier.unwrap();
    Proxy::from_handle(handle).unwrap().try_into().unwrap()
}

#[test]
fn a_barrier_made_in_python_keeps_its_rules() {
    let manager = manager();
    let pickle = serde_pickle::to_vec(&((), 0.01), serde_pickle::SerOptions::default()).unwrap();
    let barrier = barrier_of_python(&manager, 2, &pickle);
    for waited in [barrier.wait(), barrier.wait_with_action(|| Ok(()))] {
        assert!(matches!(
            waited,
            Err(Error::Store(StoreError::BrokenBarrier))
        ));
    }
    // The tuple (print, None).
    let pickle = b"\x80\x04\x8c\x08builtins\x8c\x05print\x93N\x86.";
    let barrier = barrier_of_python(&manager, 1, pickle);
    let refused = barrier.wait().unwrap_err();
    assert!(matches!(refused, Error::NeedsPython { .. }));
    assert!(!barrier.is_broken().unwrap());
    assert_eq!(barrier.wait_with_action(|| Ok(())).unwrap(), 0);
}

#[test]
fn proxies_of_what_waits_are_values_like_all_others() {
    let manager = manager();
    let (lock, event) = (manager.lock().unwrap(), manager.event().unwrap());
    let queue = manager.joinable_queue::<i64>(0).unwrap();
    let dict = manager.dict::<String, Value>().unwrap();
    let nested = Value::List(vec![(&lock).into(), (&event).into(), (&queue).into()]);
    dict.insert("nested", &nested).unwrap();
    dict.insert("lock", &Value::from(&lock)).unwrap();
    assert_eq!(dict.get("nested").unwrap(), Some(nested));
    let read = dict
        .get("lock")
        .unwrap()
        .unwrap()
        .read::<LockProxy>()
        .unwrap();
    assert_eq!(read, lock);
    let events = manager.list::<EventProxy>().unwrap();
    events.append(&event).unwrap();
    events.get(0).unwrap().set().unwrap();
    assert!(event.is_set().unwrap());

    let wrong = RLockProxy::try_from(Proxy::from(&lock)).unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "the shared object is a Lock, not a RLock"
    );
    assert!(format!("{lock:?}").starts_with("<AcquirerProxy object, typeid 'Lock' at 0x"));
    for kind in Kind::ALL {
        assert_eq!(Kind::from_number(kind.number()), Some(kind));
        assert_eq!(
            kind.to_string(),
            coheld_store::kinds::referent::name(kind.number())
        );
    }
    assert!(Proxy::from(&lock).value().is_err());
}

#[test]
fn an_object_has_one_lock_of_its_own() {
    let manager = manager();
    let dict = manager.dict::<String, i64>().unwrap();
    let lock = dict.get_lock().unwrap();
    assert_eq!(lock, dict.clone().get_lock().unwrap());
    assert_ne!(lock, manager.value::<i64>(&1).unwrap().get_lock().unwrap());
    let outer = lock.lock().unwrap();
    let inner = dict.get_lock().unwrap().try_lock().unwrap().map(drop);
    assert!(inner.is_some(), "it is this thread's already");
    std::thread::scope(|scope| {
        let other = scope.spawn(|| dict.get_lock().unwrap().try_lock().unwrap().is_some());
        assert!(!other.join().unwrap());
    });
    // Whoever does not ask for the lock is not stopped by it.
    dict.insert("key", &1).unwrap();
    drop(outer);
    drop(dict);
    assert!(
        lock.try_lock().unwrap().is_some(),
        "a proxy of the lock keeps it"
    );
}

/// The guard of another lock was taken for given up when a wait was refused.
#[test]
fn a_refused_wait_leaves_other_guards_alone() {
    let manager = manager();
    let (condition, lock) = (manager.condition().unwrap(), manager.lock().unwrap());
    let mut guard = lock.lock().unwrap();
    assert!(
        condition
            .wait_for(&mut guard, Duration::from_millis(1))
            .is_err()
    );
    assert!(lock.is_locked().unwrap());
    drop(guard);
    assert!(!lock.is_locked().unwrap());
}
