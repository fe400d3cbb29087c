//! Functions that run in other processes: what they get and return, how they end, what they
//! outlive.
#![allow(
    clippy::disallowed_methods,
    reason = "tests look at what a process has open"
)]

mod support;

use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use coheld::process::{self, Builder, JoinHandle};
use coheld::{Error, EventProxy, ListProxy, LockProxy, Manager, QueueProxy, Value};
use coheld_shm::os::parent::ProcessWatch;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use support::{eventually, sleep_for_ever, turn};

/// What the new processes run; it passes in a usual run.
#[test]
fn processes() {
    process::init();
}

fn builder() -> Builder {
    let builder = Builder::new().through_test("processes");
    builder.command(|command| {
        command.stdout(Stdio::null()).stderr(Stdio::null());
    })
}

fn spawn<A, R>(function: fn(A) -> R, arguments: A) -> JoinHandle<R>
where
    A: Serialize + DeserializeOwned,
    R: Serialize + DeserializeOwned,
{
    builder().spawn(function, arguments).unwrap()
}

#[test]
fn a_function_gets_its_arguments_and_returns() {
    let _turn = turn();
    let process = spawn(|(a, b): (i64, String)| (b, a + 1), (1, "b".to_owned()));
    assert_ne!(process.id(), std::process::id());
    assert_eq!(process.join().unwrap(), ("b".to_owned(), 2));

    // The same type, another function.
    let functions: [fn(i64) -> i64; 2] = [|number| number + 1, |number| number * 10];
    let processes = functions.map(|function| spawn(function, 7));
    assert_eq!(processes.map(|process| process.join().unwrap()), [8, 70]);

    // Far more than a socket holds, in both directions at once.
    let text = "x".repeat(5 << 20);
    let process = spawn(|text: String| text, text.clone());
    assert!(process.join().unwrap() == text);
    spawn(|(): ()| (), ()).join().unwrap();
}

#[test]
fn it_has_an_input_that_is_empty_and_nothing_else_of_its_parent() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let process = spawn(
        |(): ()| {
            let mut input = String::new();
            std::io::stdin().read_to_string(&mut input).unwrap();
            let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
            let open = descriptors.map(|entry| std::fs::read_link(entry.unwrap().path()));
            let open = open
                .flatten()
                .map(|file| file.to_string_lossy().into_owned());
            (input, open.collect::<Vec<_>>(), std::process::id())
        },
        (),
    );
    let id = process.id();
    let (input, open, own_id) = process.join().unwrap();
    assert_eq!((&*input, own_id), ("", id));
    let is_of_a_manager = |file: &&String| file.contains("socket:") || file.contains("memfd:");
    let found: Vec<_> = open.iter().filter(is_of_a_manager).collect();
    assert_eq!(found.len(), 1, "only the socket to its parent: {found:?}");
    drop(manager);
}

#[test]
fn proxies_go_there_and_come_back() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let other = Manager::start().unwrap();
    let (list, queue) = (manager.list::<i64>().unwrap(), other.queue(0).unwrap());
    let segment = manager.attachment().segment();
    assert_eq!(segment.count_referents(), 1);
    let process = spawn(
        |(list, queue): (ListProxy<i64>, QueueProxy<String>)| {
            list.append(&7).unwrap();
            queue.put(&"seven".to_owned()).unwrap();
            vec![list.clone(), list]
        },
        (list.clone(), queue.clone()),
    );
    assert_eq!(process.join().unwrap(), [list.clone(), list.clone()]);
    assert_eq!(list.to_vec().unwrap(), [7]);
    assert_eq!(queue.get().unwrap(), "seven");
    drop(list);
    assert!(eventually(|| segment.count_referents() == 0));
}

#[test]
fn a_panic_is_told() {
    let _turn = turn();
    let process = spawn(|number: u32| assert_eq!(number, 8, "not eight"), 7);
    let id = process.id();
    let error = process.join().unwrap_err();
    let Error::Panicked { process, message } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*process, id);
    assert!(
        message.starts_with(&format!("at {}:", file!())),
        "{message}"
    );
    assert!(message.contains("not eight"), "{message}");
    assert!(error.to_string().contains(message), "{error}");
}

#[test]
fn a_process_that_ends_by_itself_or_is_killed_says_how() {
    let _turn = turn();
    let process = spawn(|code: i32| -> () { std::process::exit(code) }, 3);
    let error = process.join().unwrap_err();
    let Error::Ended { status, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(status.unwrap().code(), Some(3));
    assert!(error.to_string().ends_with("exit status: 3"), "{error}");

    let mut process = spawn(|(): ()| sleep_for_ever(), ());
    assert!(!process.is_finished());
    assert!(!process.wait_timeout(Duration::from_millis(1)).unwrap());
    process.kill().unwrap();
    assert!(process.wait_timeout(Duration::from_secs(60)).unwrap());
    assert!(process.is_finished());
    process.kill().unwrap();
    let error = process.join().unwrap_err();
    assert!(error.to_string().contains("SIGKILL"), "{error}");
}

#[test]
fn a_result_that_nobody_has_asked_for_does_not_hold_the_process_up() {
    let _turn = turn();
    let mut process = spawn(|(): ()| "x".repeat(1 << 20), ());
    assert!(eventually(|| process.is_finished()));
    let watch = ProcessWatch::open(process.id()).unwrap();
    assert!(watch.is_none_or(|watch| watch.wait(Some(Duration::from_secs(60))).unwrap()));
    assert_eq!(process.join().unwrap().len(), 1 << 20);
}

/// Can be written or read in one process only.
#[derive(Debug)]
struct Stubborn {
    writable: bool,
}

impl Serialize for Stubborn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.writable {
            return serializer.serialize_none();
        }
        Err(serde::ser::Error::custom("it stays where it is"))
    }
}

impl<'de> Deserialize<'de> for Stubborn {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("it stays where it was"))
    }
}

#[test]
fn what_cannot_travel_is_told() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let list = manager.list::<i64>().unwrap();

    let function = |(_, _): (ListProxy<i64>, Stubborn)| ();
    let arguments = |writable| (list.clone(), Stubborn { writable });
    let error = builder().spawn(function, arguments(false)).unwrap_err();
    assert!(matches!(error, Error::Value(_)), "{error:?}");
    let error = spawn(function, arguments(true)).join().unwrap_err();
    assert!(matches!(error, Error::NotStarted { .. }), "{error:?}");
    assert!(
        error.to_string().contains("it stays where it was"),
        "{error}"
    );

    let error = spawn(|writable: bool| Stubborn { writable }, false)
        .join()
        .unwrap_err();
    assert!(matches!(error, Error::NotReturned { .. }), "{error:?}");
    assert!(
        error.to_string().contains("it stays where it is"),
        "{error}"
    );
    let error = spawn(|writable: bool| Stubborn { writable }, true)
        .join()
        .unwrap_err();
    assert!(matches!(error, Error::Value(_)), "{error:?}");

    drop(list);
    let segment = manager.attachment().segment();
    assert!(eventually(|| segment.count_referents() == 0));
}

#[test]
fn what_a_killed_process_was_given_and_held_is_free() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let segment = manager.attachment().segment();
    for _ in 0..5 {
        let list = manager.list::<i64>().unwrap();
        let mut process = spawn(
            |list: ListProxy<i64>| {
                drop(list);
                sleep_for_ever()
            },
            list,
        );
        process.kill().unwrap();
        assert!(matches!(process.join(), Err(Error::Ended { .. })));
        assert!(eventually(|| segment.count_referents() == 0));
    }

    let (lock, taken) = (manager.lock().unwrap(), manager.event().unwrap());
    let mut process = spawn(
        |(lock, taken): (LockProxy, EventProxy)| {
            let _guard = lock.lock().unwrap();
            taken.set().unwrap();
            sleep_for_ever()
        },
        (lock.clone(), taken.clone()),
    );
    taken.wait().unwrap();
    process.kill().unwrap();
    drop(lock.lock().unwrap());
    drop(process);
}

#[test]
fn a_process_without_a_handle_goes_on() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let (begin, end) = (manager.event().unwrap(), manager.event().unwrap());
    let process = spawn(
        |(begin, end): (EventProxy, EventProxy)| {
            begin.wait().unwrap();
            end.set().unwrap();
            "x".repeat(1 << 20)
        },
        (begin.clone(), end.clone()),
    );
    let id = process.id();
    drop(process);
    begin.set().unwrap();
    end.wait().unwrap();
    // It is collected when another one is started.
    assert!(eventually(|| {
        spawn(|(): ()| (), ()).join().unwrap();
        ProcessWatch::open(id).unwrap().is_none()
    }));
}

/// Starts a process, which tells its id and waits for ever, as this one does.
fn parent((ids, outlives): (QueueProxy<u32>, bool)) {
    let builder = builder().outlives_parent(outlives);
    let function = |ids: QueueProxy<u32>| {
        ids.put(&std::process::id()).unwrap();
        sleep_for_ever()
    };
    let _process = builder.spawn(function, ids).unwrap();
    sleep_for_ever();
}

#[test]
fn a_process_ends_with_its_parent_unless_it_is_to_outlive_it() {
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let ids = manager.queue(0).unwrap();
    for outlives in [false, true] {
        let mut process = spawn(parent, (ids.clone(), outlives));
        let id = ids.get().unwrap();
        let child = ProcessWatch::open(id).unwrap().unwrap();
        process.kill().unwrap();
        process.join().unwrap_err();
        if outlives {
            assert!(!child.wait(Some(Duration::from_millis(300))).unwrap());
            let killed = Command::new("kill").args(["-9", &id.to_string()]).status();
            assert!(killed.unwrap().success());
        }
        assert!(child.wait(Some(Duration::from_secs(60))).unwrap());
    }
}

#[test]
fn processes_start_processes() {
    fn count((list, depth): (ListProxy<u32>, u32)) -> u32 {
        list.append(&depth).unwrap();
        match depth {
            0 => 0,
            _ => spawn(count, (list, depth - 1)).join().unwrap() + 1,
        }
    }
    let _turn = turn();
    let manager = Manager::start().unwrap();
    let list = manager.list::<u32>().unwrap();
    assert_eq!(spawn(count, (list.clone(), 3)).join().unwrap(), 3);
    assert_eq!(list.to_vec().unwrap(), [3, 2, 1, 0]);
}

/// Starts the program `sys.argv[1]` as if this one were that program, too.
const IMPOSTOR: &str = "
import socket, subprocess, sys
own, others = socket.socketpair()
own.sendall(bytes(64))
arguments = ['processes', '--exact', '--nocapture', 'coheld::process']
sys.exit(subprocess.run(sys.argv[1:] + arguments, stdin=others).returncode)
";

/// Nobody but the program itself may tell its processes where to jump to.
#[test]
fn orders_of_others_are_refused() {
    let _turn = turn();
    let program = std::env::current_exe().unwrap();
    let arguments = ["processes", "--exact", "--nocapture", "coheld::process"];
    let by_itself = || {
        let mut command = Command::new(&program);
        command.args(arguments);
        command
    };
    let mut by_another = Command::new("sh");
    by_another
        .args(["-c", "\"$@\"; exit $?", "sh"])
        .arg(&program)
        .args(arguments);
    let mut by_an_impostor = Command::new("python3");
    by_an_impostor.args(["-c", IMPOSTOR]).arg(&program);
    let (mut own, others) = UnixStream::pair().unwrap();
    own.write_all(&[0; 64]).unwrap();
    let copy = others.try_clone().unwrap();
    let no_place = by_itself();
    for (mut command, input, expected) in [
        (
            by_itself(),
            Stdio::null(),
            "its standard input is no socket",
        ),
        (
            by_itself(),
            Stdio::piped(),
            "its standard input is no socket",
        ),
        (
            by_another,
            OwnedFd::from(copy).into(),
            "is not the one that talks to it",
        ),
        (
            by_an_impostor,
            Stdio::null(),
            "its parent runs another program",
        ),
        (
            no_place,
            OwnedFd::from(others).into(),
            "there is no function at its place",
        ),
    ] {
        let ended = command.stdin(input).output().unwrap();
        let errors = String::from_utf8_lossy(&ended.stderr);
        assert!(errors.contains(expected), "{expected}: {errors}");
        assert_eq!(ended.status.code(), Some(1));
    }
}

/// An argument too many must not have the process take itself for one that starts others.
#[test]
fn arguments_may_be_added() {
    let _turn = turn();
    let builder = builder().command(|command| {
        command.args(["--test-threads", "1"]).stdout(Stdio::null());
    });
    let process = builder.spawn(|(): ()| std::env::args().collect::<Vec<_>>(), ());
    let arguments = process.unwrap().join().unwrap();
    let last = &arguments[arguments.len() - 3..];
    assert_eq!(last, ["--test-threads", "1", "coheld::process"]);
}

#[test]
fn values_of_any_type_are_kept() {
    let _turn = turn();
    let value = Value::Tuple(vec![Value::Int(1), Value::Set(vec![Value::from("a")])]);
    let process = spawn(|value: Value| value, value.clone());
    assert_eq!(process.join().unwrap(), value);
}
