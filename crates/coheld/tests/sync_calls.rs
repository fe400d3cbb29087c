//! The methods of what waits, by their names in Python.

use coheld::{Error, Exception, Manager, Proxy, Value};

fn manager() -> Manager {
    Manager::start().unwrap()
}

fn call(proxy: &Proxy, name: &str, arguments: &[Value]) -> Value {
    proxy.call_method(name, arguments).unwrap()
}

/// The exception and the text of a call that has to fail.
fn raised(proxy: &Proxy, name: &str, arguments: &[Value]) -> (Exception, String) {
    match proxy.call_method(name, arguments) {
        Err(Error::Raised(raised)) => (raised.exception, raised.message),
        other => panic!("{name} gave {other:?}"),
    }
}

fn value_error(message: &str) -> (Exception, String) {
    (Exception::ValueError, message.to_owned())
}

fn runtime_error(message: &str) -> (Exception, String) {
    (Exception::RuntimeError, message.to_owned())
}

const YES: Value = Value::Bool(true);
const NO: Value = Value::Bool(false);

#[test]
fn locks() {
    let manager = manager();
    let lock = Proxy::from(manager.lock().unwrap());
    assert_eq!(call(&lock, "acquire", &[]), YES);
    assert_eq!(call(&lock, "locked", &[]), YES);
    for arguments in [
        vec![NO],
        vec![NO, Value::None],
        vec![NO, Value::from(-1)],
        vec![YES, Value::from(0)],
        vec![Value::from(1), Value::from(0.001)],
    ] {
        assert_eq!(call(&lock, "acquire", &arguments), NO, "{arguments:?}");
    }
    assert!(call(&lock, "release", &[]).is_none());
    assert_eq!(call(&lock, "locked", &[]), NO);
    assert_eq!(call(&lock, "acquire", &[YES, Value::from(-1)]), YES);
    assert!(call(&lock, "release", &[]).is_none());
    assert_eq!(
        raised(&lock, "release", &[]),
        runtime_error("release unlocked lock")
    );

    let rlock = Proxy::from(manager.rlock().unwrap());
    assert_eq!(call(&rlock, "acquire", &[]), YES);
    assert_eq!(call(&rlock, "acquire", &[NO]), YES);
    assert_eq!(call(&rlock, "locked", &[]), YES);
    assert!(call(&rlock, "release", &[]).is_none());
    assert!(call(&rlock, "release", &[]).is_none());
    assert_eq!(
        raised(&rlock, "release", &[]),
        runtime_error("cannot release un-acquired lock")
    );

    for lock in [&lock, &rlock, &manager.condition().unwrap().into()] {
        assert_eq!(
            raised(lock, "acquire", &[NO, Value::from(1)]),
            value_error("can't specify a timeout for a non-blocking call")
        );
        assert_eq!(
            raised(lock, "acquire", &[YES, Value::from(-5)]),
            value_error("timeout value must be a non-negative number")
        );
        assert_eq!(
            raised(lock, "acquire", &[YES, Value::from(1e300)]),
            (
                Exception::OverflowError,
                "timeout value is too large".into()
            )
        );
        assert_eq!(
            raised(lock, "acquire", &[YES, Value::from(f64::NAN)]),
            value_error("Invalid value NaN (not a number)")
        );
        assert_eq!(
            raised(lock, "acquire", &[YES, Value::from("x")]).0,
            Exception::TypeError
        );
        assert_eq!(
            raised(lock, "release", &[Value::from(1)]).0,
            Exception::TypeError
        );
        assert_eq!(raised(lock, "open", &[]).0, Exception::AttributeError);
    }
}

#[test]
fn semaphores() {
    let manager = manager();
    let free = Proxy::from(manager.semaphore(1).unwrap());
    let bounded = Proxy::from(manager.bounded_semaphore(1).unwrap());
    for semaphore in [&free, &bounded] {
        assert_eq!(call(semaphore, "acquire", &[]), YES);
        assert_eq!(call(semaphore, "locked", &[]), YES);
        assert_eq!(call(semaphore, "acquire", &[NO]), NO);
        assert_eq!(call(semaphore, "acquire", &[YES, Value::from(-5)]), NO);
        assert_eq!(
            raised(semaphore, "acquire", &[NO, Value::from(1)]),
            value_error("can't specify timeout for non-blocking acquire")
        );
        assert!(call(semaphore, "release", &[]).is_none());
        assert_eq!(
            raised(semaphore, "release", &[Value::from(0)]),
            value_error("n must be one or more")
        );
    }
    assert!(call(&free, "release", &[Value::from(3)]).is_none());
    assert_eq!(
        raised(&bounded, "release", &[]),
        value_error("Semaphore released too many times")
    );
}

#[test]
fn events_conditions_and_barriers() {
    let manager = manager();
    let event = Proxy::from(manager.event().unwrap());
    assert_eq!(call(&event, "wait", &[Value::from(-1)]), NO);
    assert_eq!(call(&event, "wait", &[Value::from(0.001)]), NO);
    assert!(call(&event, "set", &[]).is_none());
    assert_eq!(call(&event, "is_set", &[]), YES);
    assert_eq!(call(&event, "wait", &[]), YES);
    assert_eq!(call(&event, "wait", &[Value::None]), YES);
    assert_eq!(call(&event, "wait", &[Value::from(1e300)]), YES);
    assert!(call(&event, "clear", &[]).is_none());
    assert_eq!(call(&event, "is_set", &[]), NO);

    let condition = Proxy::from(manager.condition().unwrap());
    let wait = runtime_error("cannot wait on un-acquired lock");
    assert_eq!(raised(&condition, "wait", &[]), wait);
    let notify = runtime_error("cannot notify on un-acquired lock");
    assert_eq!(raised(&condition, "notify", &[]), notify);
    assert_eq!(raised(&condition, "notify_all", &[]), notify);
    assert_eq!(call(&condition, "acquire", &[]), YES);
    assert_eq!(call(&condition, "locked", &[]), YES);
    assert_eq!(call(&condition, "wait", &[Value::from(0)]), NO);
    assert_eq!(call(&condition, "wait", &[Value::from(0.001)]), NO);
    assert!(call(&condition, "notify", &[]).is_none());
    assert!(call(&condition, "notify", &[Value::from(-1)]).is_none());
    assert!(call(&condition, "notify_all", &[]).is_none());
    assert!(call(&condition, "release", &[]).is_none());
    assert_eq!(
        raised(&condition, "release", &[]),
        runtime_error("cannot release un-acquired lock")
    );

    let barrier = Proxy::from(manager.barrier(1).unwrap());
    let attribute = |name: &str| call(&barrier, "__getattribute__", &[name.into()]);
    assert_eq!(call(&barrier, "wait", &[]), Value::from(0));
    assert_eq!(call(&barrier, "wait", &[Value::from(10)]), Value::from(0));
    assert_eq!(attribute("parties"), Value::from(1));
    assert_eq!(attribute("n_waiting"), Value::from(0));
    assert_eq!(attribute("broken"), NO);
    assert!(call(&barrier, "abort", &[]).is_none());
    assert_eq!(attribute("broken"), YES);
    assert_eq!(
        raised(&barrier, "wait", &[Value::None]),
        (Exception::BrokenBarrierError, String::new())
    );
    assert!(call(&barrier, "reset", &[]).is_none());
    assert_eq!(attribute("broken"), NO);
    assert_eq!(
        raised(&barrier, "__getattribute__", &["door".into()]).0,
        Exception::AttributeError
    );
}

#[test]
fn queues() {
    let manager = manager();
    let queue = Proxy::from(manager.joinable_queue::<Value>(2).unwrap());
    assert!(call(&queue, "put", &["one".into()]).is_none());
    assert_eq!(call(&queue, "full", &[]), NO);
    assert!(call(&queue, "put_nowait", &["two".into()]).is_none());
    assert_eq!(call(&queue, "full", &[]), YES);
    assert_eq!(call(&queue, "qsize", &[]), Value::from(2));
    let full = (Exception::Full, String::new());
    assert_eq!(raised(&queue, "put_nowait", &[3.into()]), full);
    assert_eq!(raised(&queue, "put", &[3.into(), NO]), full);
    assert_eq!(raised(&queue, "put", &[3.into(), YES, 0.into()]), full);
    let negative = value_error("'timeout' must be a non-negative number");
    assert_eq!(
        raised(&queue, "put", &[3.into(), YES, (-1).into()]),
        negative
    );

    assert_eq!(call(&queue, "get", &[]), Value::from("one"));
    assert_eq!(call(&queue, "get", &[YES, 10.into()]), Value::from("two"));
    let empty = (Exception::Empty, String::new());
    assert_eq!(raised(&queue, "get_nowait", &[]), empty);
    assert_eq!(raised(&queue, "get", &[NO, (-1).into()]), empty);
    assert_eq!(raised(&queue, "get", &[YES, 0.001.into()]), empty);
    assert_eq!(raised(&queue, "get", &[YES, (-1).into()]), negative);
    assert_eq!(call(&queue, "empty", &[]), YES);

    assert!(call(&queue, "task_done", &[]).is_none());
    assert!(call(&queue, "task_done", &[]).is_none());
    assert_eq!(
        raised(&queue, "task_done", &[]),
        value_error("task_done() called too many times")
    );
    assert!(call(&queue, "join", &[]).is_none());

    assert!(call(&queue, "put", &["last".into()]).is_none());
    assert!(call(&queue, "shutdown", &[]).is_none());
    let shut_down = (Exception::ShutDown, String::new());
    assert_eq!(raised(&queue, "put", &[1.into()]), shut_down);
    assert_eq!(call(&queue, "get", &[]), Value::from("last"));
    assert_eq!(raised(&queue, "get", &[]), shut_down);
    assert_eq!(raised(&queue, "size", &[]).0, Exception::AttributeError);

    let unlimited = Proxy::from(manager.queue::<Value>(0).unwrap());
    assert!(call(&unlimited, "put", &[1.into(), YES, (-1).into()]).is_none());
    assert!(call(&unlimited, "shutdown", &[YES]).is_none());
    assert_eq!(raised(&unlimited, "get_nowait", &[]), shut_down);
    let copied = unlimited.value().unwrap_err();
    assert_eq!(
        copied.to_string(),
        "TypeError: a Queue is nothing that could be copied"
    );
}
