//! Locks, queues and what else waits, between processes, some of which are killed.
//!
//! For the other process see `support/another.rs`.

#[path = "support/another.rs"]
mod another;
mod support;

use std::thread;
use std::time::Duration;

use another::{Objects, Process, Task};
use coheld::{
    BarrierProxy, ConditionProxy, Error, EventProxy, LockProxy, Manager, Proxy, QueueProxy,
    RLockProxy, SegmentOptions, SemaphoreProxy, StoreError, Value, ValueProxy, Wait,
};
use serde::de::DeserializeOwned;
use support::{eventually, fork, sleep_for_ever, turn};

/// After this a test fails that would hang.
const PATIENCE: Duration = Duration::from_secs(60);
/// For another process to fall asleep where nothing shows that it has.
const MOMENT: Duration = Duration::from_millis(100);
const ROUNDS: i64 = 2_000;

/// What several processes work with: shared objects by name.
#[derive(Clone)]
struct Board(Objects);

impl Board {
    fn new(manager: &Manager, objects: &[(&str, Proxy)]) -> Self {
        let board = manager.dict().unwrap();
        for (name, object) in objects {
            board.insert(*name, &Value::from(object)).unwrap();
        }
        Self(board)
    }

    fn get<T: DeserializeOwned>(&self, name: &str) -> T {
        self.0.get(name).unwrap().unwrap().read().unwrap()
    }

    /// Starts another process that does `task`.
    fn start(&self, manager: &Manager, task: &str) -> Process {
        another::start(&self.0, manager, task)
    }

    /// Starts another process and waits until it says that it is ready.
    fn start_ready(&self, manager: &Manager, task: &str) -> Process {
        let ready = self.get::<EventProxy>("ready");
        ready.clear().unwrap();
        let process = self.start(manager, task);
        assert!(ready.wait_for(PATIENCE).unwrap());
        process
    }
}

/// What the other process does. In a usual run of the tests: nothing.
#[test]
fn another_process() {
    let Some(task) = Task::of_this_process() else {
        return;
    };
    let board = Board(task.objects);
    let ready = || board.get::<EventProxy>("ready").set().unwrap();
    match task.name.as_str() {
        "count" => count(&board),
        "hold" => {
            let (lock, rlock) = (
                board.get::<LockProxy>("lock"),
                board.get::<RLockProxy>("rlock"),
            );
            let semaphore = board.get::<SemaphoreProxy>("semaphore");
            let _held = (
                lock.lock().unwrap(),
                rlock.lock().unwrap(),
                rlock.lock().unwrap(),
            );
            let _permits = (semaphore.acquire().unwrap(), semaphore.acquire().unwrap());
            ready();
            sleep_for_ever();
        }
        "hand over" => {
            let lock = board.get::<LockProxy>("lock");
            assert!(lock.acquire(Wait::Forever).unwrap().is_some());
            ready();
            // Released by the other process.
            assert!(lock.lock_for(PATIENCE).unwrap().is_some());
        }
        "wait for a lock" => {
            ready();
            drop(board.get::<LockProxy>("lock").lock().unwrap());
        }
        "wait for a permit" => {
            ready();
            drop(board.get::<SemaphoreProxy>("semaphore").acquire().unwrap());
        }
        "wait for a condition" => {
            let condition = board.get::<ConditionProxy>("condition");
            condition.wait(&mut condition.lock().unwrap()).unwrap();
        }
        "wait at a barrier" => {
            board.get::<BarrierProxy>("barrier").wait().unwrap();
        }
        "get" => {
            ready();
            board.get::<QueueProxy<i64>>("queue").get().unwrap();
        }
        "put" => {
            ready();
            board.get::<QueueProxy<i64>>("queue").put(&0).unwrap();
        }
        "produce" => {
            let queue = board.get::<QueueProxy<i64>>("queue");
            for number in 0..ROUNDS {
                assert!(queue.put_for(&number, PATIENCE).unwrap());
            }
        }
        "consume" => {
            let results = board.get::<QueueProxy<i64>>("results");
            let queue = board.get::<QueueProxy<i64>>("queue");
            for number in &queue {
                results.put(&number.unwrap()).unwrap();
                queue.task_done().unwrap();
            }
        }
        other => panic!("unknown task {other}"),
    }
}

/// Counts in a way that only a lock makes safe.
fn count(board: &Board) {
    let lock = board.get::<LockProxy>("lock");
    let total = board.get::<ValueProxy<i64>>("total");
    for _ in 0..ROUNDS {
        let guard = lock.lock_for(PATIENCE).unwrap().unwrap();
        assert_eq!(guard.owner_died(), None);
        total.set(&(total.get().unwrap() + 1)).unwrap();
    }
}

#[test]
fn three_processes_count_under_a_lock() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let total = manager.value(&0_i64).unwrap();
    let lock = manager.lock().unwrap();
    let board = Board::new(
        &manager,
        &[("lock", (&lock).into()), ("total", (&total).into())],
    );
    let others = [
        board.start(&manager, "count"),
        board.start(&manager, "count"),
    ];
    count(&board);
    for other in others {
        assert!(other.succeeds());
    }
    assert_eq!(total.get().unwrap(), 3 * ROUNDS);
}

#[test]
fn a_lock_goes_from_process_to_process() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let (lock, ready) = (manager.lock().unwrap(), manager.event().unwrap());
    let board = Board::new(
        &manager,
        &[("lock", (&lock).into()), ("ready", (&ready).into())],
    );
    let other = board.start_ready(&manager, "hand over");
    assert!(lock.is_locked().unwrap() && lock.try_lock().unwrap().is_none());
    lock.release().unwrap();
    assert!(other.succeeds());
    assert!(!lock.is_locked().unwrap());
}

/// A board for processes that hold locks and permits.
struct Locks {
    lock: LockProxy,
    rlock: RLockProxy,
    semaphore: SemaphoreProxy,
    board: Board,
}

impl Locks {
    fn new(manager: &Manager) -> Self {
        let (lock, rlock) = (manager.lock().unwrap(), manager.rlock().unwrap());
        let semaphore = manager.bounded_semaphore(2).unwrap();
        let board = Board::new(
            manager,
            &[
                ("lock", (&lock).into()),
                ("rlock", (&rlock).into()),
                ("semaphore", (&semaphore).into()),
                ("ready", manager.event().unwrap().into()),
            ],
        );
        Self {
            lock,
            rlock,
            semaphore,
            board,
        }
    }
}

#[test]
fn what_a_killed_process_held_is_free_and_the_next_is_told() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let locks = Locks::new(&manager);
    for _ in 0..3 {
        let other = locks.board.start_ready(&manager, "hold");
        let process = other.id();
        assert!(locks.lock.try_lock().unwrap().is_none());
        assert!(locks.rlock.try_lock().unwrap().is_none());
        assert!(locks.semaphore.try_acquire().unwrap().is_none());
        // One waits already, another one comes later.
        thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let guard = locks.lock.lock_for(PATIENCE).unwrap().unwrap();
                guard.owner_died()
            });
            thread::sleep(MOMENT);
            other.kill();
            assert_eq!(waiting.join().unwrap(), Some(process));
        });
        let guard = locks.rlock.lock_for(PATIENCE).unwrap().unwrap();
        assert_eq!(guard.owner_died(), Some(process));
        let permits = [(); 2].map(|()| locks.semaphore.acquire_for(PATIENCE).unwrap().unwrap());
        assert!(
            permits
                .iter()
                .any(|permit| permit.owner_died() == Some(process))
        );
        drop((guard, permits));
        // It is told once.
        assert_eq!(locks.lock.lock().unwrap().owner_died(), None);
        assert_eq!(locks.rlock.lock().unwrap().owner_died(), None);
        assert_eq!(locks.semaphore.acquire().unwrap().owner_died(), None);
        assert_eq!(locks.semaphore.value().unwrap(), 2);
    }
}

#[test]
fn the_death_of_an_owner_can_be_an_error() {
    fn died<T>(acquired: Result<Option<T>, Error>, expected: u32) -> bool {
        acquired.is_err_and(|error| {
            matches!(error, Error::Store(StoreError::OwnerDied { process }) if process == expected)
        })
    }

    let _turn = turn();
    let options = SegmentOptions {
        owner_died_is_error: true,
        ..SegmentOptions::default()
    };
    let manager = Manager::start_with(&options).unwrap();
    let locks = Locks::new(&manager);
    let other = locks.board.start_ready(&manager, "hold");
    let process = other.id();
    other.kill();
    assert!(died(locks.lock.lock_for(PATIENCE), process));
    assert!(!locks.lock.is_locked().unwrap());
    assert_eq!(locks.lock.lock().unwrap().owner_died(), None);
    assert!(died(locks.rlock.lock_for(PATIENCE), process));
    assert_eq!(locks.rlock.lock().unwrap().owner_died(), None);
    assert!(died(locks.semaphore.acquire_for(PATIENCE), process));
    let permits = [(); 2].map(|()| locks.semaphore.acquire_for(PATIENCE));
    let died = permits.iter().filter(|permit| permit.is_err()).count();
    // Told once for all permits, or once for each.
    assert!(died <= 1);
    drop(permits);
    assert_eq!(locks.semaphore.value().unwrap(), 2);
}

#[test]
fn a_fork_leaves_guards_with_the_parent() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let (lock, rlock) = (manager.lock().unwrap(), manager.rlock().unwrap());
    let semaphore = manager.bounded_semaphore(1).unwrap();
    let mut guards = Some((lock.lock(), rlock.lock(), semaphore.acquire()));
    let child = fork(|| {
        drop(guards.take());
        let taken = lock.try_lock().unwrap().is_none() && rlock.try_lock().unwrap().is_none();
        taken && semaphore.try_acquire().unwrap().is_none()
    });
    assert!(child.said_yes().unwrap());
    assert!(lock.is_locked().unwrap() && rlock.is_owned().unwrap());
    // A child that waits gets the lock of its parent in the end.
    let child = fork(|| {
        let guard = lock.lock().unwrap();
        guard.owner_died().is_none()
    });
    drop(guards.take());
    assert!(child.said_yes().unwrap());
    assert!(!lock.is_locked().unwrap() && !rlock.is_locked().unwrap());
    assert_eq!(semaphore.value().unwrap(), 1);
}

#[test]
fn a_killed_waiter_costs_nobody_a_turn() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let locks = Locks::new(&manager);
    for task in ["wait for a lock", "wait for a permit"] {
        let guard = locks.lock.lock().unwrap();
        let permits = [locks.semaphore.acquire(), locks.semaphore.acquire()];
        // First in line, and dead when its turn comes.
        let first = locks.board.start_ready(&manager, task);
        thread::sleep(MOMENT);
        thread::scope(|scope| {
            let second = scope.spawn(|| {
                let lock = locks.lock.lock_for(PATIENCE).unwrap();
                let permit = locks.semaphore.acquire_for(PATIENCE).unwrap();
                lock.is_some_and(|guard| guard.owner_died().is_none())
                    && permit.is_some_and(|permit| permit.owner_died().is_none())
            });
            thread::sleep(MOMENT);
            first.kill();
            drop((guard, permits));
            assert!(second.join().unwrap());
        });
    }
}

#[test]
fn a_killed_waiter_costs_nobody_a_notification() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let condition = manager.condition().unwrap();
    let board = Board::new(&manager, &[("condition", (&condition).into())]);
    for _ in 0..3 {
        let first = board.start(&manager, "wait for a condition");
        assert!(eventually(|| condition.waiting().unwrap() == 1));
        thread::scope(|scope| {
            let second = scope.spawn(|| {
                let mut guard = condition.lock().unwrap();
                condition.wait_for(&mut guard, PATIENCE).unwrap()
            });
            assert!(eventually(|| condition.waiting().unwrap() == 2));
            first.kill();
            let guard = condition.lock_for(PATIENCE).unwrap().unwrap();
            condition.notify_one().unwrap();
            drop(guard);
            assert!(second.join().unwrap());
        });
        assert!(eventually(|| condition.waiting().unwrap() == 0));
    }
}

#[test]
fn a_killed_party_breaks_the_barrier() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let barrier = manager.barrier(3).unwrap();
    let board = Board::new(&manager, &[("barrier", (&barrier).into())]);
    let other = board.start(&manager, "wait at a barrier");
    assert!(eventually(|| barrier.waiting().unwrap() == 1));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| barrier.wait());
        assert!(eventually(|| barrier.waiting().unwrap() == 2));
        other.kill();
        assert!(matches!(
            waiting.join().unwrap(),
            Err(Error::Store(StoreError::BrokenBarrier))
        ));
    });
    assert!(barrier.is_broken().unwrap());
    barrier.reset().unwrap();
    let others = [(); 2].map(|()| board.start(&manager, "wait at a barrier"));
    barrier.wait_for(PATIENCE).unwrap();
    assert!(others.into_iter().all(Process::succeeds));
}

#[test]
fn items_go_from_process_to_process() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let queue = manager.joinable_queue::<i64>(10).unwrap();
    let results = manager.queue::<i64>(0).unwrap();
    let board = Board::new(
        &manager,
        &[("queue", (&queue).into()), ("results", (&results).into())],
    );
    let consumers = [(); 2].map(|()| board.start(&manager, "consume"));
    let producers = [(); 2].map(|()| board.start(&manager, "produce"));
    assert!(producers.into_iter().all(Process::succeeds));
    assert!(queue.join_for(PATIENCE).unwrap());
    queue.shut_down(false).unwrap();
    assert!(consumers.into_iter().all(Process::succeeds));
    results.shut_down(false).unwrap();
    let mut numbers: Vec<i64> = results.iter().map(Result::unwrap).collect();
    numbers.sort_unstable();
    let twice = (0..ROUNDS).flat_map(|number| [number; 2]);
    assert!(numbers.into_iter().eq(twice));
}

#[test]
fn a_killed_getter_takes_no_item_and_a_killed_putter_no_room() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let queue = manager.queue::<i64>(1).unwrap();
    let ready = manager.event().unwrap();
    let board = Board::new(
        &manager,
        &[("queue", (&queue).into()), ("ready", (&ready).into())],
    );
    for round in 1..4 {
        let first = board.start_ready(&manager, "get");
        thread::sleep(MOMENT);
        thread::scope(|scope| {
            let second = scope.spawn(|| queue.get_for(PATIENCE).unwrap());
            thread::sleep(MOMENT);
            first.kill();
            queue.put(&round).unwrap();
            assert_eq!(second.join().unwrap(), Some(round));
        });

        queue.put(&10).unwrap();
        let first = board.start_ready(&manager, "put");
        thread::sleep(MOMENT);
        thread::scope(|scope| {
            let second = scope.spawn(|| queue.put_for(&round, PATIENCE).unwrap());
            thread::sleep(MOMENT);
            first.kill();
            assert_eq!(queue.get().unwrap(), 10);
            assert!(second.join().unwrap());
        });
        assert_eq!(queue.get().unwrap(), round);
        assert!(queue.is_empty().unwrap());
    }
    drop((queue, ready));
    drop(board);
    assert!(eventually(|| manager.number_of_objects() == 0));
    let verify = || coheld_store::verify(manager.attachment().segment());
    assert!(eventually(|| verify().is_ok()), "{:?}", verify());
}
