//! Hosted objects between processes that share no code path: hosts that are killed, many callers,
//! calls within calls.
//!
//! For the other process see `support/another.rs`.
#![allow(clippy::disallowed_types, reason = "tests count what threads see")]

#[path = "support/another.rs"]
mod another;
#[path = "support/hosting.rs"]
mod hosting;
mod support;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use another::{Objects, Process, Task};
use coheld::hosted::Host;
use coheld::{Error, Handle, Manager, Proxy, Value};
use hosting::{Numbers, ask, descent, proxy, start, stretched};
use support::{eventually, fork, sleep_for_ever, turn};

/// For another process to get into the middle of something where nothing shows that it has.
const MOMENT: Duration = Duration::from_millis(50);
/// After so long the death of a host has to be known.
const SOON: Duration = Duration::from_secs(1);
const THREADS: u64 = 64;

/// What several processes work with: shared objects by name.
#[derive(Clone)]
struct Board(Objects);

impl Board {
    fn new(manager: &Manager) -> Self {
        Self(manager.dict().unwrap())
    }

    fn put(&self, name: &str, handle: &Handle) {
        self.0.insert(name, &Value::Proxy(proxy(handle))).unwrap();
    }

    /// The object of this name, as soon as there is one.
    fn get(&self, name: &str) -> Proxy {
        let mut found = None;
        let has_come = eventually(|| {
            found = self.0.get(name).unwrap();
            found.is_some()
        });
        match found {
            Some(Value::Proxy(proxy)) if has_come => proxy,
            _ => panic!("nobody has put {name} on the board"),
        }
    }

    /// Starts another process that does `task`.
    fn start(&self, manager: &Manager, task: &str) -> Process {
        another::start(&self.0, manager, task)
    }

    /// Starts another process that is a host, and gives its object.
    fn start_host(&self, manager: &Manager) -> (Process, Proxy) {
        let process = self.start(manager, "host");
        (process, self.get("hosted"))
    }
}

/// What the other process does. In a usual run of the tests: nothing.
#[test]
fn another_process() {
    let Some(task) = Task::of_this_process() else {
        return;
    };
    let board = Board(task.objects);
    match task.name.as_str() {
        "host" => {
            let (host, _objects) = start(board.0.as_proxy().handle().attachment());
            let (_, handle) = host.publish().unwrap();
            board.put("hosted", &handle);
            drop(handle);
            sleep_for_ever();
        }
        "call and fork" => call_and_fork(&board.get("object")),
        "publish and let go" => {
            let (host, objects) = start(board.0.as_proxy().handle().attachment());
            publish_and_let_go(&board, &host);
            assert!(eventually(|| host.published().is_empty()));
            assert!(eventually(|| objects.released.lock().unwrap().len() == 1200));
        }
        "call from many threads" => call_from_many_threads(&board.get("object")),
        other => panic!("unknown task {other}"),
    }
}

fn call_from_many_threads(object: &Proxy) {
    thread::scope(|scope| {
        for seed in 1..=THREADS {
            scope.spawn(move || {
                let mut numbers = Numbers(seed << 20 | 1);
                for _ in 0..100 {
                    let length = numbers.below(9000);
                    let body = numbers.bytes(length);
                    let reply = ask(object.handle(), "stretch", &body).unwrap();
                    assert!(reply == stretched(&body));
                }
            });
        }
    });
}

/// Forks while threads call, so that a fork meets every state of a call.
fn call_and_fork(object: &Proxy) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for seed in 1..=3 {
            let stop = &stop;
            scope.spawn(move || {
                let mut numbers = Numbers(seed << 20 | 1);
                while !stop.load(Ordering::Relaxed) {
                    let length = numbers.below(4000);
                    let body = numbers.bytes(length);
                    assert!(ask(object.handle(), "echo", &body).unwrap() == body);
                }
            });
        }
        for round in 0..60_u32 {
            let body = round.to_le_bytes();
            let child = fork(|| {
                let first = ask(object.handle(), "echo", &body).unwrap() == body;
                first && ask(object.handle(), "stretch", b"again").unwrap() == stretched(b"again")
            });
            assert!(child.said_yes().unwrap());
            assert!(ask(object.handle(), "echo", &body).unwrap() == body);
        }
        stop.store(true, Ordering::Relaxed);
    });
}

/// Makes objects that go in all ways: with a handle, out of a dict, by a token that is redeemed.
fn publish_and_let_go(board: &Board, host: &Host) {
    thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                let key = format!("{}/{thread}", std::process::id());
                for _ in 0..100 {
                    let [handle, in_dict, sent] =
                        [(); 3].map(|()| host.publish().map(|(_, handle)| handle).unwrap());
                    board.put(&key, &in_dict);
                    drop(in_dict);
                    let token = sent.token().unwrap();
                    drop(sent);
                    drop(Handle::redeem_token(host.attachment(), &token).unwrap());
                    drop(board.0.remove(key.as_str()).unwrap());
                    drop(handle);
                }
            });
        }
    });
}

/// Whether a call failed because there is no host any more, and soon enough after `since`.
fn is_gone(result: &Result<Vec<u8>, Error>, since: Instant) -> bool {
    matches!(result, Err(Error::HostGone { .. })) && since.elapsed() < SOON
}

#[test]
fn many_threads_of_several_processes_get_their_own_replies() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let board = Board::new(&manager);
    let (host, _objects) = start(manager.attachment());
    let (_, handle) = host.publish().unwrap();
    board.put("object", &handle);
    let processes = [(); 2].map(|()| board.start(&manager, "call from many threads"));
    call_from_many_threads(&proxy(&handle));
    for process in processes {
        assert!(process.succeeds());
    }
    assert!(eventually(|| host.channels() == 0));
}

/// Two bugs were found by this one. A host that closed the channel of a dead child went on closing
/// it when its worker had freed it already, and changed a bit in a message of somebody else. And a
/// child waited for ever for a `OnceLock` that another thread was initialising during the fork.
#[test]
fn a_process_may_fork_in_the_middle_of_its_calls() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let board = Board::new(&manager);
    let (host, _objects) = start(manager.attachment());
    let (_, handle) = host.publish().unwrap();
    board.put("object", &handle);
    assert!(board.start(&manager, "call and fork").succeeds());
    drop(handle);
    board.0.clear().unwrap();
    let segment = manager.attachment().segment();
    assert!(eventually(|| host.channels() == 0));
    // The dict and the inbox are left.
    assert!(
        eventually(|| segment.count_referents() == 2),
        "{}",
        segment.count_referents()
    );
    assert!(eventually(|| coheld_store::verify(segment).is_ok()));
}

#[test]
fn objects_that_go_in_any_way_are_released_once() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let board = Board::new(&manager);
    let (host, objects) = start(manager.attachment());
    let processes = [(); 2].map(|()| board.start(&manager, "publish and let go"));
    publish_and_let_go(&board, &host);
    for process in processes {
        assert!(process.succeeds());
    }
    assert!(eventually(|| host.published().is_empty()));
    assert!(eventually(|| objects.released.lock().unwrap().len() == 1200));
    let mut released = objects.released.lock().unwrap().clone();
    released.sort_unstable();
    assert!(released.into_iter().eq(1..=1200));
    host.stop();
    let segment = manager.attachment().segment();
    assert!(
        eventually(|| segment.count_referents() == 1),
        "{}",
        segment.count_referents()
    );
    let verified = || coheld_store::verify(segment);
    assert!(eventually(|| verified().is_ok()), "{:?}", verified());
}

#[test]
fn two_hosts_call_each_other_in_depth() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let board = Board::new(&manager);
    let (host, _objects) = start(manager.attachment());
    let (_, handle) = host.publish().unwrap();
    let (_process, there) = board.start_host(&manager);
    let (here_token, there_token) = (handle.token().unwrap(), there.token().unwrap());
    for _ in 0..20 {
        let request = descent(12, &there_token, &here_token);
        assert_eq!(ask(there.handle(), "descend", &request).unwrap(), [12]);
        let request = descent(7, &here_token, &there_token);
        assert_eq!(ask(&handle, "descend", &request).unwrap(), [7]);
    }
}

#[test]
fn the_death_of_a_host_in_a_call_is_known_soon() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let board = Board::new(&manager);
    for _ in 0..3 {
        let (process, object) = board.start_host(&manager);
        assert_eq!(ask(object.handle(), "echo", b"x").unwrap(), b"x");
        let id = process.id();
        thread::scope(|scope| {
            let call = scope.spawn(|| ask(object.handle(), "sleep", &60_000_u64.to_le_bytes()));
            thread::sleep(MOMENT);
            let since = Instant::now();
            process.kill();
            let left = call.join().unwrap();
            assert!(is_gone(&left, since), "{left:?}");
            let text = left.unwrap_err().to_string();
            assert!(text.contains(&format!("process {id}")), "{text}");
        });
        let since = Instant::now();
        let left = ask(object.handle(), "echo", b"x");
        assert!(is_gone(&left, since), "{left:?}");
        board.0.clear().unwrap();
    }
    let verified = || coheld_store::verify(manager.attachment().segment());
    assert!(eventually(|| verified().is_ok()), "{:?}", verified());
}

#[test]
fn the_death_of_a_host_before_it_accepts_is_known_soon() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let board = Board::new(&manager);
    let (process, object) = board.start_host(&manager);
    process.signal("STOP");
    thread::scope(|scope| {
        let calls: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| ask(object.handle(), "echo", b"x")))
            .collect();
        thread::sleep(MOMENT);
        let since = Instant::now();
        process.kill();
        for call in calls {
            let left = call.join().unwrap();
            assert!(is_gone(&left, since), "{left:?}");
        }
    });
    board.0.clear().unwrap();
    // The dict is left, and the channels of nobody are not.
    let referents = || manager.attachment().segment().count_referents();
    drop(object);
    assert!(eventually(|| referents() == 1), "{}", referents());
}

#[test]
fn the_death_of_a_host_while_it_answers_is_known_soon() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let board = Board::new(&manager);
    let mut numbers = Numbers(77);
    for _ in 0..12 {
        let (process, object) = board.start_host(&manager);
        thread::scope(|scope| {
            let calls = scope.spawn(|| {
                loop {
                    let size = 20_000_000_u64.to_le_bytes();
                    match ask(object.handle(), "flood", &size) {
                        Ok(reply) => assert!(reply.len() == 20_000_000),
                        failed => break failed,
                    }
                }
            });
            thread::sleep(MOMENT + Duration::from_micros(numbers.below(20_000)));
            let since = Instant::now();
            process.kill();
            let left = calls.join().unwrap();
            assert!(is_gone(&left, since), "{left:?}");
        });
        drop(object);
        board.0.clear().unwrap();
    }
    let segment = manager.attachment().segment();
    assert!(eventually(|| segment.count_referents() == 1));
    let verified = || coheld_store::verify(segment);
    assert!(eventually(|| verified().is_ok()), "{:?}", verified());
}

/// A runtime whose threads make calls, or are interrupted, while they wait.
struct Runtime;

static OBJECT: OnceLock<Handle> = OnceLock::new();
static HANDLED: AtomicU32 = AtomicU32::new(0);
static IS_HANDLING: AtomicBool = AtomicBool::new(false);

impl coheld_shm::Host for Runtime {
    fn block(&self, wait: &mut dyn FnMut()) {
        wait();
    }

    fn interrupted(&self) -> bool {
        let Some(object) = OBJECT.get() else {
            return false;
        };
        if IS_HANDLING.swap(true, Ordering::Relaxed) {
            return false;
        }
        // Three signal handlers that call, and one that calls and raises.
        let round = HANDLED.fetch_add(1, Ordering::Relaxed);
        if round <= 3 {
            let body = round.to_le_bytes();
            assert_eq!(ask(object, "echo", &body).unwrap(), body);
        }
        IS_HANDLING.store(false, Ordering::Relaxed);
        round == 3
    }
}

#[test]
fn a_call_from_a_signal_handler_takes_another_channel() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let (host, _objects) = start(manager.attachment());
    let (_, handle) = host.publish().unwrap();
    let child = fork(|| {
        coheld::set_host(&Runtime);
        OBJECT.set(handle.clone()).unwrap();
        let left = ask(&handle, "sleep", &400_u64.to_le_bytes());
        let is_interrupted = matches!(left, Err(Error::Shm(coheld_shm::Error::Interrupted)));
        let next = ask(&handle, "echo", b"next").unwrap();
        is_interrupted && next == b"next" && HANDLED.load(Ordering::Relaxed) >= 4
    });
    assert!(child.said_yes().unwrap());
    assert!(eventually(|| host.channels() == 0));
}
