//! Hosted objects, called by the process that has them and by children that it forks.

#[path = "support/hosting.rs"]
mod hosting;
mod support;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use coheld::hosted::{self, Host, ReplyKind, Request};
use coheld::{Error, Exception, Handle, Kind, Manager, Proxy, SegmentOptions, Value};
use hosting::{Numbers, Objects, ask, proxy, start, stretched};
use support::{Child, eventually, fork, sleep_for_ever, turn};

fn manager() -> Manager {
    let options = SegmentOptions {
        capacity: 1 << 30,
        ..SegmentOptions::default()
    };
    Manager::start_with(&options).unwrap()
}

/// A host with one object in it, in this process.
fn hosting() -> (Manager, Arc<Host>, Arc<Objects>, Handle) {
    let manager = manager();
    let (host, objects) = start(manager.attachment());
    let (number, handle) = host.publish().unwrap();
    assert_eq!(number, 1);
    (manager, host, objects, handle)
}

/// Forks a child that works through `work` and waits for it.
fn in_a_child(work: impl FnOnce() -> bool) {
    assert!(fork(work).said_yes().unwrap());
}

/// What is in the segment: referents, blocks, members.
fn counts(manager: &Manager) -> (u64, u64, u32) {
    let now = manager.attachment().segment().statistics();
    (now.referents, now.blocks, now.members)
}

/// The same once nobody calls, with an inbox that has been used: the inbox and the object, the
/// block of the inbox, this member. The channel of the last caller goes a little later than its
/// worker.
fn at_rest(manager: &Manager, host: &Host, handle: &Handle) -> (u64, u64, u32) {
    in_a_child(|| ask(handle, "echo", b"").is_ok());
    let rest = (2, 1, 1);
    assert!(
        eventually(|| host.channels() == 0 && counts(manager) == rest),
        "{:?}",
        counts(manager)
    );
    rest
}

#[test]
fn the_host_answers_itself_on_the_calling_thread() {
    let _turn = turn();
    let (manager, host, objects, handle) = hosting();
    assert_eq!(ask(&handle, "echo", b"hello").unwrap(), b"hello");
    assert_eq!(*objects.threads.lock().unwrap(), [thread::current().id()]);
    assert_eq!(host.channels(), 0);
    let (second, other) = host.publish().unwrap();
    assert_eq!(manager.number_of_objects(), 2);
    assert_eq!(ask(&other, "number", b"").unwrap(), second.to_le_bytes());
    assert_eq!(ask(&handle, "number", b"").unwrap(), 1_u64.to_le_bytes());
}

#[test]
fn children_call_and_their_parent_goes_on() {
    let _turn = turn();
    let (_manager, host, _objects, handle) = hosting();
    for _ in 0..5 {
        in_a_child(|| {
            (0..200_u32).all(|round| {
                let body = round.to_le_bytes();
                ask(&handle, "echo", &body).unwrap() == body
            })
        });
        assert_eq!(ask(&handle, "echo", b"parent").unwrap(), b"parent");
    }
    assert!(eventually(|| host.channels() == 0));
}

#[test]
fn generations_of_children_have_channels_of_their_own() {
    let _turn = turn();
    let (_manager, _host, _objects, handle) = hosting();
    let call = |text: &[u8]| ask(&handle, "echo", text).unwrap() == text;
    in_a_child(|| {
        // The channel of this one is idle when it forks.
        let first = call(b"child");
        let grandchild = fork(|| call(b"grandchild") && call(b"again"));
        let meanwhile = (0..100).all(|_| call(b"meanwhile"));
        first && meanwhile && grandchild.said_yes().unwrap() && call(b"child again")
    });
}

#[test]
fn messages_of_all_sizes_come_through_whole() {
    let _turn = turn();
    let (manager, host, _objects, handle) = hosting();
    let before = at_rest(&manager, &host, &handle);
    let children: Vec<Child> = (1..=5)
        .map(|seed| {
            fork(|| {
                let mut numbers = Numbers(seed * 0x9e37_79b9);
                (0..1000).all(|round| {
                    let most = if round % 10 == 0 { 300 << 10 } else { 5000 };
                    let length = numbers.below(most);
                    let body = numbers.bytes(length);
                    ask(&handle, "stretch", &body).unwrap() == stretched(&body)
                })
            })
        })
        .collect();
    for child in children {
        assert!(child.said_yes().unwrap());
    }
    assert!(
        eventually(|| counts(&manager) == before),
        "{:?}",
        counts(&manager)
    );
}

#[test]
fn an_object_goes_with_its_last_reference() {
    let _turn = turn();
    let (manager, host, objects, handle) = hosting();
    let first = handle.clone();
    drop(handle);
    assert_eq!(ask(&first, "note", b"still here").unwrap(), b"");
    assert_eq!(host.published().len(), 1);
    drop(first);
    assert!(eventually(|| *objects.released.lock().unwrap() == [1]));
    assert!(host.published().is_empty());
    // What a shared object refers to lives as long as that.
    let list = manager.list::<Value>().unwrap();
    let (second, handle) = host.publish().unwrap();
    assert_eq!(second, 2);
    list.append(&Value::Proxy(proxy(&handle))).unwrap();
    drop(handle);
    thread::sleep(Duration::from_millis(500));
    assert_eq!(objects.released.lock().unwrap().len(), 1);
    let Value::Proxy(back) = list.get(0).unwrap() else {
        panic!("no proxy")
    };
    assert_eq!(back.kind(), Kind::Hosted);
    assert_eq!(ask(back.handle(), "echo", b"back").unwrap(), b"back");
    drop(back);
    list.clear().unwrap();
    assert!(eventually(|| *objects.released.lock().unwrap() == [1, 2]));
}

/// One object that took long to go made the host deaf to new callers, and kept all others.
#[test]
fn an_object_that_takes_long_to_go_holds_nobody_up() {
    let _turn = turn();
    let (_manager, host, objects, handle) = hosting();
    let (_, other) = host.publish().unwrap();
    let (third, last) = host.publish().unwrap();
    let start = Instant::now();
    for (handle, note) in [(&handle, "stubborn"), (&other, "easy"), (&last, "stubborn")] {
        assert_eq!(ask(handle, "note", note.as_bytes()).unwrap(), b"");
    }
    drop(handle);
    thread::sleep(Duration::from_millis(50));
    let child = fork(|| ask(&last, "echo", b"new").unwrap() == b"new");
    assert!(child.said_yes().unwrap());
    drop(other);
    assert!(eventually(|| *objects.released.lock().unwrap() == [2]));
    host.stop();
    assert!(start.elapsed() < Duration::from_secs(2));
    assert!(!objects.notes.lock().unwrap().contains_key(&third));
}

#[test]
fn what_is_left_goes_with_the_host() {
    let _turn = turn();
    let (_manager, host, objects, _handle) = hosting();
    host.stop();
    assert_eq!(*objects.released.lock().unwrap(), [1]);
    let manager = manager();
    let objects = Arc::new(Objects {
        refuses_threads: true,
        ..Objects::default()
    });
    let host = Host::start(manager.attachment(), Arc::<Objects>::clone(&objects), false);
    let host = host.unwrap();
    let _handle = host.publish().unwrap();
    host.stop();
    assert_eq!(*objects.released.lock().unwrap(), [1]);
}

#[test]
fn who_lets_go_last_tells_the_host_at_once() {
    let _turn = turn();
    let (_manager, host, objects, _handle) = hosting();
    let mut fastest = Duration::MAX;
    for round in 1..=20 {
        let mut handle = host.publish().map(|(_, handle)| Some(handle)).unwrap();
        let (mut reports, mut report) = std::io::pipe().unwrap();
        let (mut orders, mut order) = std::io::pipe().unwrap();
        let child = fork(|| {
            std::io::Read::read_exact(&mut orders, &mut [0]).unwrap();
            drop(handle.take());
            std::io::Write::write_all(&mut report, b"x").unwrap();
            true
        });
        drop(handle);
        std::io::Write::write_all(&mut order, b"x").unwrap();
        std::io::Read::read_exact(&mut reports, &mut [0]).unwrap();
        let dropped = Instant::now();
        while objects.released.lock().unwrap().len() < round {
            thread::sleep(Duration::from_micros(200));
            assert!(dropped.elapsed() < Duration::from_secs(5));
        }
        fastest = fastest.min(dropped.elapsed());
        assert!(child.said_yes().unwrap());
    }
    // A sweep alone would take a tenth of a second on average.
    assert!(fastest < Duration::from_millis(20), "{fastest:?}");
}

#[test]
fn what_dead_children_held_is_released() {
    let _turn = turn();
    let (manager, host, objects, handle) = hosting();
    let child = fork(|| {
        let _kept = handle.clone();
        sleep_for_ever()
    });
    let segment = manager.attachment().segment();
    assert!(eventually(|| segment.count_members() == 2));
    drop(handle);
    thread::sleep(Duration::from_millis(300));
    assert_eq!(host.published().len(), 1);
    child.kill().unwrap();
    assert!(eventually(|| *objects.released.lock().unwrap() == [1]));
}

#[test]
fn a_killed_caller_leaves_nothing_behind() {
    let _turn = turn();
    let (manager, host, _objects, handle) = hosting();
    let before = at_rest(&manager, &host, &handle);
    for _ in 0..3 {
        let children: Vec<Child> = (0..4)
            .map(|_| {
                fork(|| {
                    loop {
                        ask(&handle, "flood", &100_000_u64.to_le_bytes()).unwrap();
                        ask(&handle, "sleep", &5_u64.to_le_bytes()).unwrap();
                    }
                })
            })
            .collect();
        assert!(eventually(|| host.channels() == 4));
        thread::sleep(Duration::from_millis(50));
        for child in children {
            child.kill().unwrap();
        }
        assert!(
            eventually(|| counts(&manager) == before),
            "{:?}",
            counts(&manager)
        );
        assert!(eventually(|| host.channels() == 0));
    }
    let segment = manager.attachment().segment();
    assert!(eventually(|| coheld_store::verify(segment).is_ok()));
}

#[test]
fn a_panic_is_a_reply() {
    let _turn = turn();
    let (_manager, _host, _objects, handle) = hosting();
    let call = || {
        let reply = hosted::call(&handle, &Request::new("panic", b""), None).unwrap();
        let text = String::from_utf8(reply.body).unwrap();
        reply.kind == ReplyKind::Traceback && text.contains("1 cannot do that")
    };
    assert!(call());
    in_a_child(|| call() && ask(&handle, "echo", b"on").unwrap() == b"on");
}

#[test]
fn a_call_that_takes_too_long_is_left() {
    let _turn = turn();
    let (_manager, host, _objects, handle) = hosting();
    in_a_child(|| {
        let body = 500_u64.to_le_bytes();
        let request = Request::new("sleep", &body).of_object(9);
        let started = Instant::now();
        let limit = Duration::from_millis(100);
        let Err(Error::CallTimedOut {
            method,
            limit: said,
        }) = hosted::call(&handle, &request, Some(limit))
        else {
            return false;
        };
        let took = started.elapsed();
        // The next reply is that of the next call.
        let next = ask(&handle, "echo", b"next").unwrap();
        method == "sleep"
            && said == limit
            && took >= limit
            && took < Duration::from_millis(400)
            && next == b"next"
    });
    assert!(eventually(|| host.channels() == 0));
}

#[test]
fn the_limit_of_the_segment_counts_unless_another_is_given() {
    let _turn = turn();
    let options = SegmentOptions {
        capacity: 1 << 30,
        call_limit: Some(Duration::from_millis(50)),
        ..SegmentOptions::default()
    };
    let manager = Manager::start_with(&options).unwrap();
    let (host, _objects) = start(manager.attachment());
    let (_, handle) = host.publish().unwrap();
    in_a_child(|| {
        let body = 200_u64.to_le_bytes();
        let request = Request::new("sleep", &body);
        let left = hosted::call(&handle, &request, None);
        let done = hosted::call(&handle, &request, Some(Duration::MAX));
        matches!(left, Err(Error::CallTimedOut { .. })) && done.is_ok()
    });
}

#[test]
fn a_host_that_stops_ends_all_calls() {
    let _turn = turn();
    let (manager, host, _objects, handle) = hosting();
    let child = fork(|| {
        let started = Instant::now();
        let gone = ask(&handle, "sleep", &3000_u64.to_le_bytes());
        let again = ask(&handle, "echo", b"");
        let is_gone =
            |result: &Result<Vec<u8>, Error>| matches!(result, Err(Error::HostGone { .. }));
        is_gone(&gone) && is_gone(&again) && started.elapsed() < Duration::from_secs(2)
    });
    let idle = fork(|| {
        ask(&handle, "echo", b"").unwrap();
        while ask(&handle, "echo", b"").is_ok() {
            thread::sleep(Duration::from_millis(5));
        }
        matches!(ask(&handle, "echo", b""), Err(Error::HostGone { .. }))
    });
    assert!(eventually(|| host.channels() == 2));
    thread::sleep(Duration::from_millis(50));
    let started = Instant::now();
    host.stop();
    host.stop();
    assert!(started.elapsed() < Duration::from_millis(800));
    assert!(child.said_yes().unwrap() && idle.said_yes().unwrap());
    assert!(matches!(
        ask(&handle, "echo", b""),
        Err(Error::HostGone { .. })
    ));
    assert!(host.publish().is_err());
    // Another host may follow in the same process.
    let (next, _) = start(manager.attachment());
    let (_, handle) = next.publish().unwrap();
    in_a_child(|| ask(&handle, "echo", b"next").unwrap() == b"next");
}

#[test]
fn a_host_in_a_forked_child_does_nothing() {
    let _turn = turn();
    let (_manager, host, objects, handle) = hosting();
    in_a_child(|| {
        host.stop();
        let refused = host.publish().is_err();
        // The parent answers, not the copy of its objects.
        let here = thread::current().id();
        let answered = ask(&handle, "echo", b"who").unwrap() == b"who";
        refused && answered && !objects.threads.lock().unwrap().contains(&here)
    });
    assert_eq!(ask(&handle, "echo", b"parent").unwrap(), b"parent");
}

#[test]
fn callers_that_cannot_have_a_thread_are_told_so() {
    let _turn = turn();
    let manager = manager();
    let objects = Arc::new(Objects {
        refuses_threads: true,
        ..Objects::default()
    });
    let host = Host::start(manager.attachment(), objects, false).unwrap();
    let (_, handle) = host.publish().unwrap();
    in_a_child(|| {
        (0..3).all(|_| {
            let reply = hosted::call(&handle, &Request::new("echo", b""), None).unwrap();
            let text = String::from_utf8(reply.body).unwrap();
            reply.kind == ReplyKind::Traceback && text.contains("there are no threads")
        })
    });
    assert!(eventually(|| host.channels() == 0));
}

#[test]
fn messages_that_do_not_fit_are_errors_and_nothing_worse() {
    let _turn = turn();
    let options = SegmentOptions {
        capacity: 32 << 20,
        ..SegmentOptions::default()
    };
    let manager = Manager::start_with(&options).unwrap();
    let (host, _objects) = start(manager.attachment());
    let (_, handle) = host.publish().unwrap();
    in_a_child(|| {
        let size = 60_000_000_u64.to_le_bytes();
        let reply = hosted::call(&handle, &Request::new("flood", &size), None).unwrap();
        let text = String::from_utf8(reply.body).unwrap();
        let is_told = reply.kind == ReplyKind::Traceback
            && text.starts_with("a result of 60000000 bytes does not fit");
        let refused = ask(&handle, "echo", &vec![1; 60_000_000]);
        let is_refused = matches!(
            refused,
            Err(Error::Shm(
                coheld_shm::Error::OutOfMemory { .. } | coheld_shm::Error::TooLarge { .. }
            ))
        );
        is_told && is_refused && ask(&handle, "echo", b"on").unwrap() == b"on"
    });
    assert!(eventually(|| host.channels() == 0));
}

#[test]
fn the_manager_answers_for_itself() {
    let _turn = turn();
    let manager = manager();
    let attachment = manager.attachment();
    let request = Request::new("number", b"").of_object(7);
    let nobody = hosted::call_manager(attachment, &request, None);
    assert!(matches!(nobody, Err(Error::NeedsPython { .. })));
    let objects = Arc::new(Objects::default());
    let host = Host::start(attachment, Arc::<Objects>::clone(&objects), true).unwrap();
    assert_eq!(attachment.segment().manager_host(), Some(host.place()));
    let call = || {
        hosted::call_manager(attachment, &request, None)
            .unwrap()
            .body
    };
    assert_eq!(call(), 0_u64.to_le_bytes());
    in_a_child(|| call() == 0_u64.to_le_bytes());
    drop(host);
    in_a_child(|| {
        let gone = hosted::call_manager(attachment, &request, None);
        matches!(gone, Err(Error::HostGone { .. }))
    });
}

#[test]
fn a_dict_moves_to_a_host_and_stays_itself() {
    let _turn = turn();
    let manager = manager();
    let (host, objects) = start(manager.attachment());
    let dict = manager.dict::<String, i64>().unwrap();
    dict.insert("a", &1).unwrap();
    let handle = dict.as_proxy().handle();
    let version = || handle.referent().unwrap().lock().unwrap().version();
    let (number, seen) = (host.next_number(), version());
    dict.insert("b", &2).unwrap();
    let late = host.adopt(handle, number, seen);
    assert!(matches!(
        late,
        Err(Error::Store(coheld::StoreError::Changed))
    ));
    host.adopt(handle, number, version()).unwrap();
    assert_eq!(ask(handle, "number", b"").unwrap(), number.to_le_bytes());
    assert!(dict.get("a").is_err());
    // The name that was given out before means the same object.
    let token = dict.token().unwrap();
    in_a_child(|| {
        let proxy = Proxy::from_token(&token, manager.authkey()).unwrap();
        proxy.kind() == Kind::Hosted && ask(proxy.handle(), "echo", b"x").unwrap() == b"x"
    });
    drop(dict);
    assert!(eventually(|| *objects.released.lock().unwrap() == [number]));
}

#[test]
fn methods_are_called_by_name_with_values() {
    let _turn = turn();
    let (_manager, _host, _objects, handle) = hosting();
    let proxy = proxy(&handle);
    let arguments = [
        Value::from(1),
        Value::from("two"),
        Value::from(vec![Value::None]),
    ];
    let expected = Value::Tuple(vec![
        Value::Tuple(arguments.to_vec()),
        Value::Dict(Vec::new()),
    ]);
    // The request is the reply: the pair of positional and named arguments.
    assert_eq!(proxy.call_method("echo", &arguments).unwrap(), expected);
    in_a_child(|| proxy.call_method("echo", &arguments).unwrap() == expected);
    let Err(Error::Raised(raised)) = proxy.call_method("nothing", &[]) else {
        panic!("there is no such method")
    };
    assert_eq!(raised.exception, Exception::RemoteError);
    assert_eq!(raised.message, "no method nothing");
    // As `_getvalue` has it copied.
    assert!(proxy.value().unwrap_err().to_string().contains("#GETVALUE"));
}
