//! Places in line that nobody sleeps on.

mod common;

use std::thread::scope;
use std::time::Duration;

use coheld_shm::{Segment, word as ownership};
use coheld_store::{
    Arrived, Barrier, Condition, Event, Input, Lock, Output, Passage, Purpose, Queue, Semaphore,
    Standing, StoreError, Wait, kinds::referent as kind, word,
};
use common::{Held, members, options, seen, wait_until};

fn number(value: i64) -> Input<'static> {
    Input::Word(word::from_int(value).unwrap())
}

fn number_of(output: &Output) -> i64 {
    match output {
        Output::Word(found) => word::to_int(*found).expect("a number"),
        _ => panic!("not a number"),
    }
}

#[test]
fn who_stands_in_line_is_told_by_the_bell_and_takes_by_a_try() {
    let (_, members) = members(2, &options());
    let held = Held::new(&members[0], kind::QUEUE, Queue::auxiliary(0));
    let queue = Queue::new(&held.referent);
    assert!(queue.attempt_get(None).unwrap().is_none());
    let mut standing = Standing::new(&held.referent, Purpose::Get).unwrap();
    members[0].listen_to_bell().unwrap();
    assert!(queue.attempt_get(Some(&mut standing)).unwrap().is_none());
    assert!(!members[0].bell_rings().unwrap());

    let other = seen(&members[1], &held);
    for item in 0..2 {
        Queue::new(&other).put(&number(item), Wait::No).unwrap();
    }
    assert!(members[0].bell_rings().unwrap());
    assert!(!members[1].bell_rings().unwrap());
    // Does not begin.
    members[0].sleep_by_bell(Duration::MAX).unwrap();
    assert!(standing.is_signalled());
    assert!(standing.watched().is_signalled());
    let taken = queue.attempt_get(Some(&mut standing)).unwrap().unwrap();
    assert_eq!(number_of(&taken), 0);
    assert!(standing.is_signalled(), "there is more");
    let taken = queue.attempt_get(Some(&mut standing)).unwrap().unwrap();
    assert_eq!(number_of(&taken), 1);
    assert!(!standing.is_signalled());
    standing.leave().unwrap();
    assert!(!held.referent.lock().unwrap().has_line());
}

#[test]
fn a_signal_that_is_not_used_goes_to_the_next() {
    let (_, members) = members(2, &options());
    let held = Held::new(&members[0], kind::QUEUE, Queue::auxiliary(0));
    let other = seen(&members[1], &held);
    let take = |referent| Standing::new(referent, Purpose::Get).unwrap();
    for step in ["leave", "drop", "rotate"] {
        let (mut first, second) = (take(&held.referent), take(&other));
        Queue::new(&other).put(&number(1), Wait::No).unwrap();
        assert!(first.is_signalled() && !second.is_signalled());
        match step {
            "leave" => first.leave().unwrap(),
            "drop" => drop(first),
            _ => {
                first.rotate().unwrap();
                assert!(!first.is_signalled());
            }
        }
        assert!(second.is_signalled(), "{step}");
        drop(second);
        Queue::new(&other).get(Wait::No).unwrap();
    }
    assert!(!held.referent.lock().unwrap().has_line());
}

#[test]
fn who_is_alone_keeps_his_signal_when_others_are_to_have_their_turn() {
    let (_, members) = members(1, &options());
    let held = Held::new(&members[0], kind::QUEUE, Queue::auxiliary(0));
    let mut standing = Standing::new(&held.referent, Purpose::Get).unwrap();
    Queue::new(&held.referent)
        .put(&number(1), Wait::No)
        .unwrap();
    standing.rotate().unwrap();
    assert!(standing.is_signalled());
}

#[test]
fn an_rlock_of_the_thread_is_acquired_again_only_if_that_is_meant() {
    let (_, members) = members(1, &options());
    let held = Held::new(&members[0], kind::RLOCK, 0);
    let lock = Lock::new(&held.referent);
    assert!(lock.attempt(false, None).unwrap().is_some());
    assert!(lock.attempt(false, None).unwrap().is_none());
    let mut standing = Standing::new(&held.referent, Purpose::Acquire).unwrap();
    assert!(lock.attempt(false, Some(&mut standing)).unwrap().is_none());
    assert!(lock.attempt(true, None).unwrap().is_some());
    assert_eq!(lock.state().unwrap().depth, 2);
    lock.release().unwrap();
    assert!(!standing.is_signalled());
    lock.release().unwrap();
    assert!(standing.is_signalled());
    assert!(lock.attempt(false, Some(&mut standing)).unwrap().is_some());
}

#[test]
fn a_look_finds_what_nobody_has_told_of() {
    let (backing, members) = members(1, &options());
    let held = Held::new(&members[0], kind::LOCK, 0);
    let semaphore = Held::new(&members[0], kind::SEMAPHORE, 0);
    Semaphore::new(&semaphore.referent).initialize(1).unwrap();
    let other = Segment::attach(Box::new(backing.clone())).unwrap();
    other.join().unwrap();
    let (lock_there, permit_there) = (seen(&other, &held), seen(&other, &semaphore));
    assert!(Lock::new(&lock_there).acquire(Wait::No).unwrap().is_some());
    let permit = Semaphore::new(&permit_there).acquire(Wait::No).unwrap();
    assert!(permit.is_some());

    let mut places =
        [&held, &semaphore].map(|held| Standing::new(&held.referent, Purpose::Acquire).unwrap());
    assert!(!places[0].watched().look_up().unwrap());
    assert!(!places[1].watched().look_up().unwrap());
    backing.declare_dead(other.own_slot().unwrap());
    assert!(places[0].watched().look_up().unwrap());
    assert!(places[1].watched().look_up().unwrap());
    let lock = Lock::new(&held.referent);
    let acquired = lock.attempt(false, Some(&mut places[0])).unwrap().unwrap();
    assert_eq!(acquired.owner_died, Some(common::process_of(&other)));
    let acquired = Semaphore::new(&semaphore.referent).attempt(Some(&mut places[1]));
    assert!(acquired.unwrap().is_some());
}

#[test]
fn a_look_at_a_queue_is_about_what_is_waited_for() {
    let (_, members) = members(1, &options());
    let held = Held::new(&members[0], kind::JOINABLE_QUEUE, Queue::auxiliary(1));
    let queue = Queue::new(&held.referent);
    let look = |purpose| {
        let standing = Standing::new(&held.referent, purpose).unwrap();
        standing.watched().look_up().unwrap()
    };
    let looks = || [Purpose::Get, Purpose::Put, Purpose::Join].map(look);
    assert_eq!(looks(), [false, true, true]);
    queue.put(&number(1), Wait::No).unwrap();
    assert_eq!(looks(), [true, false, false]);
    queue.get(Wait::No).unwrap();
    assert_eq!(looks(), [false, true, false]);
    queue.task_done().unwrap();
    assert_eq!(looks(), [false, true, true]);
    queue.shut_down(false).unwrap();
    assert_eq!(looks(), [true, true, true]);
    let wrong = Standing::new(&held.referent, Purpose::Event);
    assert!(matches!(wrong, Err(StoreError::WrongKind { .. })));
}

#[test]
fn an_event_tells_those_who_stand_in_line_also_if_it_is_taken_back() {
    let (_, members) = members(2, &options());
    let held = Held::new(&members[0], kind::EVENT, 0);
    let event = Event::new(&held.referent);
    let standing = Standing::new(&held.referent, Purpose::Event).unwrap();
    assert!(!event.attempt(Some(&standing)).unwrap());
    let referent = seen(&members[1], &held);
    Event::new(&referent).set().unwrap();
    Event::new(&referent).clear().unwrap();
    assert!(event.attempt(Some(&standing)).unwrap());
    assert!(!event.attempt(None).unwrap());
}

#[test]
fn a_condition_is_waited_for_in_two_halves() {
    let (_, members) = members(1, &options());
    let condition = Held::new(&members[0], kind::CONDITION, 0);
    let lock = Held::new(&members[0], kind::RLOCK, 0);
    let edge = ownership::of_edge(lock.referent.offset(), lock.referent.generation());
    let condition = Condition::new(&condition.referent);
    condition.initialize(&Input::Edge(edge)).unwrap();
    assert!(matches!(condition.stand(), Err(StoreError::NotOwner)));
    for _ in 0..2 {
        assert!(condition.acquire(Wait::No).unwrap().is_some());
    }
    let (standing, depth) = condition.stand().unwrap();
    assert_eq!(depth, 2);
    assert!(!condition.is_locked().unwrap());
    assert!(condition.acquire(Wait::No).unwrap().is_some());
    condition.notify(1).unwrap();
    assert!(standing.is_signalled());
    standing.leave().unwrap();
    assert_eq!(condition.waiting().unwrap(), 0);
}

type Never = ();

fn arrive<'a>(barrier: &Barrier<'a>) -> Arrived<'a, Never> {
    barrier.arrive(Wait::Forever, None).unwrap()
}

#[test]
fn a_barrier_lets_those_through_who_stand_in_line() {
    let (_, members) = members(2, &options());
    let held = Held::new(&members[0], kind::BARRIER, 3);
    let barrier = Barrier::new(&held.referent);
    let Arrived::Waits(first) = arrive(&barrier) else {
        panic!("the others have not come");
    };
    assert_eq!(barrier.attempt(&first).unwrap(), None);
    let referent = seen(&members[1], &held);
    scope(|scope| {
        let sleeper = scope.spawn(|| Barrier::new(&referent).wait::<Never>(Wait::Forever, None));
        wait_until(|| barrier.waiting().unwrap() == 2);
        let Arrived::Through(Passage::Passed(number)) = arrive(&barrier) else {
            panic!("all have come");
        };
        assert_eq!(number, 2);
        let Passage::Passed(number) = sleeper.join().unwrap().unwrap() else {
            panic!("there is no action");
        };
        assert_eq!(number, 1);
    });
    assert_eq!(barrier.attempt(&first).unwrap(), Some(0));
    first.leave().unwrap();

    // Who leaves has not come; who loses patience breaks it.
    let (Arrived::Waits(first), Arrived::Waits(second)) = (arrive(&barrier), arrive(&barrier))
    else {
        panic!("there are three parties");
    };
    first.leave().unwrap();
    assert_eq!(barrier.waiting().unwrap(), 1);
    assert!(!barrier.is_broken().unwrap());
    assert!(barrier.lose_patience(&second).unwrap());
    assert!(barrier.is_broken().unwrap());
    let told = barrier.attempt(&second);
    assert!(matches!(told, Err(StoreError::BrokenBarrier)));
    assert!(!barrier.lose_patience(&second).unwrap());
}

#[test]
fn who_comes_during_the_action_comes_again_afterwards() {
    let (_, members) = members(1, &options());
    let held = Held::new(&members[0], kind::BARRIER, 1);
    let barrier = Barrier::new(&held.referent);
    let mut waiting = None;
    let mut action = || -> Result<(), Never> {
        let Arrived::Waits(standing) = arrive(&barrier) else {
            panic!("the action runs");
        };
        assert!(barrier.must_come_again(&standing));
        assert!(!barrier.lose_patience(&standing).unwrap());
        assert_eq!(barrier.attempt(&standing).unwrap(), None);
        waiting = Some(standing);
        Ok(())
    };
    let passed = barrier.arrive(Wait::Forever, Some(&mut action)).unwrap();
    assert!(matches!(passed, Arrived::Through(Passage::Passed(0))));
    let standing = waiting.expect("the action ran");
    assert!(barrier.attempt(&standing).unwrap().is_some());
    standing.leave().unwrap();
    let again = arrive(&barrier);
    assert!(matches!(again, Arrived::Through(Passage::Passed(0))));
}
