//! What a method has returned, on its way to its caller.

use std::any::{Any, type_name};
use std::fmt::Display;

use coheld_wire::pickle::Writer;
use serde::Serialize;

use crate::call::{Exception, METHOD_ERROR, Raised, raise};
use crate::hosted::{Reply, ReplyKind};
use crate::value::pickle::write_message;
use crate::{Error, Value};

/// What a method has returned.
#[allow(missing_debug_implementations, reason = "only generated code has one")]
pub enum Answer {
    /// A value.
    Value(Value),
    /// Values that are made when they are asked for.
    Items(Items),
}

/// The items of an iterator as values.
pub(super) type Items = Box<dyn Iterator<Item = Result<Value, Error>> + Send>;

/// The answer for a value.
pub fn returned<T: Serialize + ?Sized>(value: &T) -> Result<Answer, Error> {
    Ok(Answer::Value(Value::of(value)?))
}

/// The answer for an iterator.
pub fn streamed<T: Serialize>(items: impl Iterator<Item = T> + Send + 'static) -> Answer {
    Answer::Items(Box::new(items.map(|item| Ok(Value::of(&item)?))))
}

/// The result of a method whose error is its own.
pub fn fallible<T, E: Display + 'static>(result: Result<T, E>) -> Result<T, Error> {
    result.map_err(
        |error| match (Box::new(error) as Box<dyn Any>).downcast::<Error>() {
            Ok(error) => *error,
            Err(other) => match other.downcast::<E>() {
                Ok(error) => raise(Exception::Other, in_words(&*error)),
                // It is one of the two.
                Err(_) => raise(Exception::Other, short_name(type_name::<E>())),
            },
        },
    )
}

fn in_words<E: Display + 'static>(error: &E) -> String {
    let is_text = (error as &dyn Any).is::<String>() || (error as &dyn Any).is::<&'static str>();
    let (name, text) = (short_name(type_name::<E>()), error.to_string());
    match (is_text, text.is_empty()) {
        (true, false) => text,
        (_, true) => name,
        (false, false) => format!("{name}: {text}"),
    }
}

/// The name of a type without the modules of its parts.
fn short_name(name: &str) -> String {
    let mut short = String::new();
    let mut word = String::new();
    let mut characters = name.chars().peekable();
    while let Some(character) = characters.next() {
        if character == ':' && characters.peek() == Some(&':') {
            characters.next();
            word.clear();
        } else if character.is_alphanumeric() || character == '_' {
            word.push(character);
        } else {
            short.push_str(&std::mem::take(&mut word));
            short.push(character);
        }
    }
    short + &word
}

/// The reply for a value.
pub(super) fn reply(value: &Value) -> Reply {
    match write_message(value) {
        Ok((body, leases)) => {
            let mut reply = Reply::new(ReplyKind::Return, body);
            reply.leases = leases;
            reply
        }
        Err(error) => Reply::new(ReplyKind::Unserializable, error.to_string()),
    }
}

/// The reply for an error: an exception, pickled, beside the text that stands for its traceback.
pub(super) fn reply_error(error: &Error, called: impl Display) -> Reply {
    let (module, class) = class(error.exception());
    let message = match error {
        Error::Raised(Raised { message, .. }) => message.clone(),
        other => other.to_string(),
    };
    let mut exception = Writer::unframed(5);
    let count = usize::from(!message.is_empty());
    exception.open_call(module, class, count);
    if count > 0 {
        exception.text(&message);
    }
    exception.close_call(count);
    let text = format!(
        "Traceback (most recent call last):\n  {called} in process {}, a program of Rust\n{class}: \
         {message}\n",
        std::process::id()
    );
    let mut body = Writer::unframed(5);
    body.open_tuple(2);
    body.bytes(&exception.finish());
    body.text(&text);
    body.close_tuple(2);
    Reply::new(ReplyKind::Error, body.finish())
}

/// Where Python has the class of an exception.
fn class(exception: Exception) -> (&'static str, &'static str) {
    let builtin = |class| ("builtins", class);
    match exception {
        Exception::AttributeError => builtin("AttributeError"),
        Exception::BrokenBarrierError => ("threading", "BrokenBarrierError"),
        Exception::ConnectionError => builtin("ConnectionError"),
        Exception::Empty => ("queue", "Empty"),
        Exception::Full => ("queue", "Full"),
        Exception::IndexError => builtin("IndexError"),
        Exception::KeyError => builtin("KeyError"),
        Exception::MemoryError => builtin("MemoryError"),
        Exception::Other => METHOD_ERROR,
        Exception::OverflowError => builtin("OverflowError"),
        Exception::OwnerDiedError => ("coheld.errors", "OwnerDiedError"),
        Exception::RemoteError => ("multiprocessing.managers", "RemoteError"),
        Exception::RuntimeError | Exception::KeyboardInterrupt => builtin("RuntimeError"),
        Exception::ShutDown => ("coheld.errors", "ShutDown"),
        Exception::StopIteration => builtin("StopIteration"),
        Exception::TimeoutError => builtin("TimeoutError"),
        Exception::TypeError => builtin("TypeError"),
        Exception::ValueError => builtin("ValueError"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_types_are_those_that_programs_write() {
        for (name, short) in [
            ("alloc::string::String", "String"),
            ("maths::errors::Division", "Division"),
            (
                "alloc::boxed::Box<dyn core::error::Error + core::marker::Send>",
                "Box<dyn Error + Send>",
            ),
            ("(a::B, &str)", "(B, &str)"),
        ] {
            assert_eq!(short_name(name), short);
        }
    }

    #[test]
    fn an_error_says_its_type_and_its_text() {
        let error = fallible("x".parse::<i64>()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "ParseIntError: invalid digit found in string"
        );
        let error = fallible(Err::<(), _>("no such account")).unwrap_err();
        assert_eq!(error.to_string(), "no such account");
        let error = fallible(Err::<(), _>(raise(Exception::KeyError, "'a'"))).unwrap_err();
        assert_eq!(error.exception(), Exception::KeyError);
    }
}
