//! Whatever waits, under many schedules of a few threads (run by `make shuttle`).
//!
//! Every access to the segment is a point at which another thread may go on. There is no clock:
//! who sleeps is woken by somebody or never, so that a lost wake-up, which the patience of sleepers
//! would heal, is a deadlock here. Threads share one order of all stores; orderings are the
//! business of loom.
//!
//! The schedules are the same each time. `SHUTTLE_ITERATIONS=n` runs others, `n` of each kind for
//! each model, and a model that fails prints its schedule (see `shuttle::replay`).
#![cfg(shuttle)]

use std::cell::Cell;
use std::env;

use coheld_shm::backing::HeapBacking;
use coheld_shm::{Error, Host, Options, Referent, Segment, word as ownership};
use coheld_store::{
    Barrier, Condition, Event, Input, Lock, MENDER, Output, Passage, Queue, Semaphore, StoreError,
    Wait, kinds::referent as kind, word,
};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicU32, Ordering};
use shuttle::thread::{scope, yield_now};
use shuttle::{Config, Runner};

/// Schedules of each kind for a model.
const ITERATIONS: usize = 2000;
const SEED: u64 = 0x0c0_4e1d;
/// Points at which a schedule of the second kind lets another thread go first.
const DEPTH: usize = 4;

/// Runs a model under schedules that choose the next thread at random at every step, and under
/// schedules that let one thread go far and change their mind a few times.
fn check(model: impl Fn() + Send + Sync + Copy + 'static) {
    let mut config = Config::new();
    config.stack_size = 256 << 10;
    config.silence_warnings = true;
    match env::var("SHUTTLE_ITERATIONS") {
        Ok(count) => {
            let count = count.parse().expect("SHUTTLE_ITERATIONS is a number");
            Runner::new(RandomScheduler::new(count), config.clone()).run(model);
            Runner::new(PctScheduler::new(DEPTH, count), config).run(model);
        }
        Err(_) => {
            let random = RandomScheduler::new_from_seed(SEED, ITERATIONS);
            Runner::new(random, config.clone()).run(model);
            let few_changes = PctScheduler::new_from_seed(SEED, DEPTH, ITERATIONS);
            Runner::new(few_changes, config).run(model);
        }
    }
}

/// Members of one segment, the first of whom has made a referent that all of them hold.
struct World {
    members: Vec<Segment>,
    place: (u64, u32),
}

impl World {
    fn new(count: usize, kind: u8, auxiliary: u64) -> Self {
        let options = Options {
            member_limit: 4,
            lanes_per_member: 4,
            ..Options::default()
        };
        let backing = HeapBacking::new(1 << 20);
        let mut members = vec![Segment::create(Box::new(backing.clone()), &options).unwrap()];
        while members.len() < count {
            members.push(Segment::attach(Box::new(backing.clone())).unwrap());
        }
        for member in &members {
            member.set_mender(MENDER);
            member.join().unwrap();
        }
        let place = members[0].create_referent(kind, auxiliary).unwrap();
        for member in &members[1..] {
            member.acquire(place.0, place.1).unwrap();
        }
        Self { members, place }
    }

    /// The referent as a member sees it; numbers beyond the members begin anew.
    fn of(&self, member: usize) -> Referent<'_> {
        let member = &self.members[member % self.members.len()];
        member.referent(self.place.0, self.place.1).unwrap()
    }
}

/// A condition with an RLOCK of its own.
fn condition(members: usize) -> World {
    let world = World::new(members, kind::CONDITION, 0);
    let (lock, generation) = world.members[0].create_referent(kind::RLOCK, 0).unwrap();
    let edge = Input::Edge(ownership::of_edge(lock, generation));
    Condition::new(&world.of(0)).initialize(&edge).unwrap();
    world.members[0].release(lock, generation).unwrap();
    world
}

fn number(value: i64) -> Input<'static> {
    Input::Word(word::from_int(value).unwrap())
}

fn number_of(output: &Output) -> i64 {
    match output {
        Output::Word(found) => word::to_int(*found).expect("a number"),
        _ => panic!("not a number"),
    }
}

fn wait_until(what: impl Fn() -> bool) {
    while !what() {
        yield_now();
    }
}

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
        )
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
                    assert!(Event::new(&world.of(thread)).wait(Wait::Forever).unwrap())
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
                    assert!(Event::new(&world.of(thread)).wait(Wait::Forever).unwrap())
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

/// Two who put two items each, two who get two items each.
fn through_a_queue(maxsize: u64) {
    let world = World::new(2, kind::QUEUE, Queue::auxiliary(maxsize));
    let taken = Mutex::new(Vec::new());
    scope(|scope| {
        for thread in 0..2 {
            let (world, taken) = (&world, &taken);
            scope.spawn(move || {
                let referent = world.of(thread);
                for item in 0..2 {
                    let item = number(10 * thread as i64 + item);
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
    static INTERRUPTED_SLEEP: Cell<u32> = Cell::new(0);
}

/// A language with a signal handler that raises.
struct Raising;

impl Host for Raising {
    fn block(&self, wait: &mut dyn FnMut()) {
        wait();
    }

    fn interrupted(&self) -> bool {
        INTERRUPTED_SLEEP.with(|sleep| {
            let left = sleep.get();
            sleep.set(left.saturating_sub(1));
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
                INTERRUPTED_SLEEP.with(|sleep| sleep.set(at));
                let got = queue.get(Wait::Forever);
                INTERRUPTED_SLEEP.with(|sleep| sleep.set(0));
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
