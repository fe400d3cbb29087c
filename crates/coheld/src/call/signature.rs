//! Arguments that are given by name, put in their places.

use super::{Exception, entries, raise};
use crate::{Error, Kind, Value};

/// What a parameter is without an argument.
#[derive(Clone, Copy)]
enum Absent {
    /// It has to be given.
    Required,
    None,
    True,
    False,
    One,
}

use self::Absent::{False, None as Nothing, One, Required, True};

type Parameter = (&'static str, Absent);

const ITEM: Parameter = ("item", Required);
const BLOCK: Parameter = ("block", True);
const BLOCKING: Parameter = ("blocking", True);
const TIMEOUT: Parameter = ("timeout", Nothing);

/// The parameters of a method that can be given by name; of all others it takes none.
fn parameters(kind: Kind, method: &str) -> &'static [Parameter] {
    use Kind::{
        BoundedSemaphore, Condition, Dict, JoinableQueue, List, Lock, Queue, RLock, Semaphore,
    };
    match (kind, method) {
        (Queue | JoinableQueue, "put") => &[ITEM, BLOCK, TIMEOUT],
        (Queue | JoinableQueue, "get") => &[BLOCK, TIMEOUT],
        (Queue | JoinableQueue, "put_nowait") => &[ITEM],
        (Queue | JoinableQueue, "shutdown") => &[("immediate", False)],
        (Lock | RLock | Semaphore | BoundedSemaphore | Condition, "acquire") => {
            &[BLOCKING, TIMEOUT]
        }
        (Semaphore | BoundedSemaphore, "release") | (Condition, "notify") => &[("n", One)],
        (Kind::Event | Condition | Kind::Barrier, "wait") => &[TIMEOUT],
        (List, "sort") => &[("key", Nothing), ("reverse", False)],
        (Kind::Value, "set") => &[("value", Required)],
        (Kind::Value, "increment") => &[("by", One)],
        (Kind::Value, "compare_exchange") => &[("old", Required), ("new", Required)],
        (Dict, "increment") => &[("key", Required), ("by", One), ("initial", Nothing)],
        (Dict, "compare_exchange") => &[("key", Required), ("old", Required), ("new", Required)],
        _ => &[],
    }
}

/// The arguments of a method in the order of its parameters.
pub(super) fn arrange(
    kind: Kind,
    method: &str,
    mut arguments: Vec<Value>,
    keywords: &[(String, Value)],
) -> Result<Vec<Value>, Error> {
    if keywords.is_empty() {
        return Ok(arguments);
    }
    if (kind, method) == (Kind::Dict, "update") {
        return merged(arguments, keywords);
    }
    let parameters = parameters(kind, method);
    let place = |name: &str| parameters.iter().position(|(known, _)| *known == name);
    let mut last = arguments.len();
    for (name, _) in keywords {
        let Some(place) = place(name) else {
            let message = format!("{method}() got an unexpected keyword argument '{name}'");
            return Err(raise(Exception::TypeError, message));
        };
        if place < arguments.len() {
            let message = format!("{method}() got multiple values for argument '{name}'");
            return Err(raise(Exception::TypeError, message));
        }
        last = last.max(place + 1);
    }
    if (kind, method) == (Kind::List, "sort") {
        // Both or neither: by position there are none.
        last = parameters.len();
    }
    for &(name, default) in &parameters[arguments.len()..last] {
        let given = keywords.iter().find(|(given, _)| given == name);
        arguments.push(match (given, default) {
            (Some((_, value)), _) => value.clone(),
            (None, Required) => {
                let message = format!("{method}() missing a required argument: '{name}'");
                return Err(raise(Exception::TypeError, message));
            }
            (None, Nothing) => Value::None,
            (None, True) => Value::Bool(true),
            (None, False) => Value::Bool(false),
            (None, One) => Value::Int(1),
        });
    }
    Ok(arguments)
}

/// The entries of `dict.update(other, name=value)`, for one change.
fn merged(arguments: Vec<Value>, keywords: &[(String, Value)]) -> Result<Vec<Value>, Error> {
    let mut pairs = match arguments.as_slice() {
        [] => Vec::new(),
        [other] => entries(other)?,
        // Too many, as the method will say.
        _ => return Ok(arguments),
    };
    let named = keywords.iter();
    pairs.extend(named.map(|(name, value)| (Value::from(name.as_str()), value.clone())));
    Ok(vec![Value::Dict(pairs)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arranged(kind: Kind, method: &str, arguments: &[i64], keywords: &[(&str, i64)]) -> String {
        let arguments = arguments.iter().map(|&value| Value::Int(value)).collect();
        let named = |&(name, value): &(&str, i64)| (name.to_owned(), Value::Int(value));
        let keywords: Vec<_> = keywords.iter().map(named).collect();
        match arrange(kind, method, arguments, &keywords) {
            Ok(arguments) => Value::Tuple(arguments).to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn names_become_places() {
        for (kind, method, arguments, keywords, expected) in [
            (
                Kind::Queue,
                "put",
                &[7][..],
                &[("timeout", 2)][..],
                "(7, True, 2)",
            ),
            (Kind::Queue, "put", &[], &[("item", 7)], "(7,)"),
            (
                Kind::Queue,
                "get",
                &[],
                &[("timeout", 2), ("block", 1)],
                "(1, 2)",
            ),
            (Kind::Lock, "acquire", &[0], &[], "(0,)"),
            (Kind::Event, "wait", &[], &[("timeout", 1)], "(1,)"),
            (Kind::List, "sort", &[], &[("reverse", 1)], "(None, 1)"),
            (Kind::Dict, "update", &[], &[("a", 1)], "({'a': 1},)"),
        ] {
            assert_eq!(arranged(kind, method, arguments, keywords), expected);
        }
        for (method, arguments, name, why) in [
            ("get", &[][..], "wait", "unexpected keyword argument 'wait'"),
            ("get", &[1], "block", "multiple values for argument 'block'"),
            ("put", &[], "timeout", "missing a required argument: 'item'"),
            (
                "qsize",
                &[],
                "timeout",
                "unexpected keyword argument 'timeout'",
            ),
        ] {
            let refused = arranged(Kind::Queue, method, arguments, &[(name, 1)]);
            assert!(refused.starts_with("TypeError: "), "{refused}");
            assert!(refused.contains(why), "{refused}");
        }
    }
}
