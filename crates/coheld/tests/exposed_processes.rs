//! Types of a program as shared objects between processes: calls, deaths on either side, forks.
//!
//! For the other process see `support/another.rs`.
#![allow(clippy::disallowed_types, reason = "tests count what threads see")]

#[path = "support/another.rs"]
mod another;
mod support;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use another::{Objects, Process, Task};
use coheld::exposed::ExposedProxy as _;
use coheld::{Error, EventProxy, Manager, Value};
use support::{eventually, fork, sleep_for_ever, turn};

/// Notes in the process that made it, and tells which one that is.
#[derive(Default)]
struct Notes {
    notes: Mutex<Vec<String>>,
    waits: AtomicUsize,
}

#[coheld::expose]
impl Notes {
    pub fn process(&self) -> u32 {
        std::process::id()
    }

    pub fn add(&self, note: &str) -> usize {
        let mut notes = self.notes.lock().unwrap();
        notes.push(note.to_owned());
        notes.len()
    }

    pub fn all(&self) -> Vec<String> {
        self.notes.lock().unwrap().clone()
    }

    /// Says that it has begun, and waits for a word.
    pub fn wait(&self, begun: &EventProxy, end: &EventProxy) -> coheld::Result<usize> {
        begun.set()?;
        end.wait()?;
        Ok(self.waits.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub fn waits(&self) -> usize {
        self.waits.load(Ordering::Relaxed)
    }

    /// Calls back into the caller's process.
    pub fn copy_to(&self, other: &NotesProxy) -> coheld::Result<usize> {
        for note in self.all() {
            other.add(&note)?;
        }
        other.add("the end")
    }

    pub fn numbers(&self) -> impl Iterator<Item = u64> + Send + use<> {
        0..
    }

    pub fn panics(&self) {
        panic!("on purpose");
    }
}

/// What several processes work with.
#[derive(Clone)]
struct Board(Objects);

impl Board {
    fn new(manager: &Manager) -> Self {
        Self(manager.dict().unwrap())
    }

    /// The object of this name, as soon as there is one.
    fn get(&self, name: &str) -> Value {
        let mut found = None;
        assert!(eventually(|| {
            found = self.0.get(name).unwrap();
            found.is_some()
        }));
        found.unwrap()
    }

    fn notes(&self, name: &str) -> NotesProxy {
        self.get(name).read().unwrap()
    }

    /// Starts another process that does `task`.
    fn start(&self, manager: &Manager, task: &str) -> Process {
        another::start(&self.0, manager, task)
    }

    /// Starts another process that shares notes, and gives them.
    fn start_host(&self, manager: &Manager) -> (Process, NotesProxy) {
        let process = self.start(manager, "host");
        (process, self.notes("notes"))
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
            let manager = Manager::connect(&task.token.address, &task.authkey).unwrap();
            let notes = manager.share(Notes::default()).unwrap();
            board.0.insert("notes", &Value::from(&notes)).unwrap();
            drop(notes);
            sleep_for_ever();
        }
        "write" => {
            let notes = board.notes("notes");
            thread::scope(|scope| {
                for thread in 0..4 {
                    let notes = &notes;
                    scope.spawn(move || {
                        let process = std::process::id();
                        (0..100).for_each(|number| {
                            notes.add(&format!("{process} {thread} {number}")).unwrap();
                        });
                    });
                }
            });
        }
        "wait" => {
            let (begun, end) = (board.get("begun"), board.get("end"));
            let (begun, end) = (begun.read().unwrap(), end.read().unwrap());
            board.notes("notes").wait(&begun, &end).unwrap();
        }
        other => panic!("unknown task {other}"),
    }
}

#[test]
fn the_object_is_in_one_process_and_all_call_it() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let board = Board::new(&manager);
    let (process, notes) = board.start_host(&manager);
    assert_eq!(notes.process().unwrap(), process.id());
    assert_eq!(notes.as_proxy().interface().unwrap().name(), "Notes");
    let writers = [(); 2].map(|()| board.start(&manager, "write"));
    for writer in writers {
        assert!(writer.succeeds());
    }
    let all = notes.all().unwrap();
    assert_eq!(all.len(), 800);
    let mut sorted = all.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), 800);
    // By a token, without anything known of its methods.
    let token = notes.token().unwrap().to_string().parse().unwrap();
    let same = NotesProxy::from_token(&token, manager.authkey()).unwrap();
    assert_eq!(same, notes);
    assert!(same.as_proxy().interface().is_none());
    assert_eq!(same.add("one more").unwrap(), 801);
    let error = same.panics().unwrap_err().to_string();
    assert_eq!(error, "RemoteError: Notes.panics() panicked: on purpose");
    assert_eq!(same.add("one more").unwrap(), 802);
}

#[test]
fn a_method_calls_back_into_the_process_of_its_caller() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let board = Board::new(&manager);
    let (_process, notes) = board.start_host(&manager);
    let own = manager.share(Notes::default()).unwrap();
    for note in ["a", "b"] {
        notes.add(note).unwrap();
    }
    assert_eq!(notes.copy_to(&own).unwrap(), 3);
    assert_eq!(own.all().unwrap(), ["a", "b", "the end"]);
    let items = notes
        .numbers()
        .unwrap()
        .take(700)
        .collect::<Result<Vec<_>, _>>();
    assert_eq!(items.unwrap(), (0..700).collect::<Vec<_>>());
    drop((own, notes));
    board.0.clear().unwrap();
    let segment = manager.attachment().segment();
    assert!(eventually(|| coheld_store::verify(segment).is_ok()));
}

#[test]
fn a_host_that_is_killed_is_one_clear_error() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let board = Board::new(&manager);
    let (process, notes) = board.start_host(&manager);
    let id = process.id();
    let (begun, end) = (manager.event().unwrap(), manager.event().unwrap());
    let mut numbers = notes.numbers().unwrap();
    assert_eq!(numbers.next().unwrap().unwrap(), 0);
    thread::scope(|scope| {
        let call = scope.spawn(|| notes.wait(&begun, &end));
        begun.wait().unwrap();
        process.kill();
        let left = call.join().unwrap();
        assert!(matches!(left, Err(Error::HostGone { .. })), "{left:?}");
        let text = left.unwrap_err().to_string();
        assert!(text.contains(&format!("process {id}")), "{text}");
        assert!(text.contains("before it answered 'wait'"), "{text}");
    });
    assert!(matches!(notes.all(), Err(Error::HostGone { .. })));
    // What has come is there; then one error, and the end.
    let failure = numbers.find_map(Result::err);
    assert!(
        matches!(failure, Some(Error::HostGone { .. })),
        "{failure:?}"
    );
    assert!(numbers.next().is_none());
    drop((notes, numbers));
    board.0.clear().unwrap();
    let verified = || coheld_store::verify(manager.attachment().segment());
    assert!(eventually(|| verified().is_ok()), "{:?}", verified());
}

#[test]
fn a_caller_that_is_killed_in_a_call_does_no_harm() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let board = Board::new(&manager);
    let notes = manager.share(Notes::default()).unwrap();
    board.0.insert("notes", &Value::from(&notes)).unwrap();
    let (begun, end) = (manager.event().unwrap(), manager.event().unwrap());
    board.0.insert("begun", &Value::from(&begun)).unwrap();
    board.0.insert("end", &Value::from(&end)).unwrap();
    for round in 1..=3 {
        let caller = board.start(&manager, "wait");
        begun.wait().unwrap();
        begun.clear().unwrap();
        caller.kill();
        // The method goes on to its end, with what its caller gave it.
        assert_eq!(notes.waits().unwrap(), round - 1);
        end.set().unwrap();
        assert!(eventually(|| notes.waits().unwrap() == round));
        end.clear().unwrap();
    }
    assert_eq!(notes.add("goes on").unwrap(), 1);
    drop((notes, begun, end));
    board.0.clear().unwrap();
    let segment = manager.attachment().segment();
    assert!(eventually(|| coheld_store::verify(segment).is_ok()));
}

#[test]
fn a_call_takes_no_longer_than_its_proxy_allows() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let board = Board::new(&manager);
    let (host, notes) = board.start_host(&manager);
    let (begun, end) = (manager.event().unwrap(), manager.event().unwrap());
    let limit = Duration::from_millis(50);
    let hasty = notes.within(limit).unwrap();
    assert_eq!(hasty, notes);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| notes.wait(&begun, &end).unwrap());
        begun.wait().unwrap();
        match hasty.wait(&begun, &end).unwrap_err() {
            Error::CallTimedOut {
                method,
                limit: told,
            } => {
                assert_eq!((method.as_str(), told), ("wait", limit));
            }
            other => panic!("{other:?}"),
        }
        // The object answers others, and the methods come to their ends.
        assert_eq!((notes.add("one").unwrap(), notes.waits().unwrap()), (1, 0));
        end.set().unwrap();
        assert!(waiting.join().unwrap() >= 1);
    });
    // The same for the items of an iterator, whose process sleeps.
    let patient = notes.within(Duration::from_secs(2)).unwrap();
    let mut numbers = patient.numbers().unwrap();
    host.signal("STOP");
    let last = numbers.by_ref().find_map(Result::err).unwrap();
    assert!(matches!(last, Error::CallTimedOut { .. }), "{last:?}");
    assert!(numbers.next().is_none());
    host.kill();
}

#[test]
fn a_forked_child_calls_its_parent_and_shares_objects_of_its_own() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let notes = manager.share(Notes::default()).unwrap();
    let parent = std::process::id();
    let child = fork(|| {
        let own = manager.share(Notes::default()).unwrap();
        own.add("of the child").unwrap();
        notes.process().unwrap() == parent
            && own.process().unwrap() != parent
            && own.copy_to(&notes).unwrap() == 2
    });
    assert!(child.said_yes().unwrap());
    assert_eq!(notes.all().unwrap(), ["of the child", "the end"]);
    assert_eq!(notes.process().unwrap(), parent);
}
