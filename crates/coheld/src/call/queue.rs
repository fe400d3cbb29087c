//! The methods of `Queue` and `JoinableQueue`.

use coheld_store::Wait;

use super::{Exception, Method, raise, seconds, truth, within};
use crate::{Error, QueueProxy, Value};

const METHODS: &[&str] = &[
    "empty",
    "full",
    "get",
    "get_nowait",
    "join",
    "put",
    "put_nowait",
    "qsize",
    "shutdown",
    "task_done",
];

pub(super) fn call(queue: &QueueProxy<Value>, method: &Method<'_>) -> Result<Value, Error> {
    let done = |()| Value::None;
    match (method.name, method.arguments) {
        ("put", [item, arguments @ ..]) if arguments.len() <= 2 => {
            // A queue without a limit never looks at the time-out.
            let wait = if queue.maxsize()? == 0 {
                Wait::Forever
            } else {
                waiting(arguments)?
            };
            queue.put_as(item, wait).map(done)
        }
        ("put_nowait", [item]) => queue.put_as(item, Wait::No).map(done),
        ("get", arguments @ ([] | [_] | [_, _])) => queue.get_as(waiting(arguments)?),
        ("get_nowait", []) => queue.get_as(Wait::No),
        ("qsize", []) => queue.len().map(Value::from),
        ("empty", []) => queue.is_empty().map(Value::Bool),
        ("full", []) => queue.is_full().map(Value::Bool),
        ("task_done", []) => queue.task_done().map(done),
        ("join", []) => queue.join().map(done),
        ("shutdown", []) => queue.shut_down(false).map(done),
        ("shutdown", [immediate]) => queue.shut_down(truth(immediate)).map(done),
        _ => Err(method.refuse(METHODS)),
    }
}

/// `block=True, timeout=None`.
fn waiting(arguments: &[Value]) -> Result<Wait, Error> {
    if !arguments.first().is_none_or(truth) {
        return Ok(Wait::No);
    }
    match arguments.get(1).map_or(Ok(None), seconds)? {
        None => Ok(Wait::Forever),
        Some(seconds) if seconds < 0.0 => Err(raise(
            Exception::ValueError,
            "'timeout' must be a non-negative number",
        )),
        Some(seconds) => within(seconds),
    }
}
