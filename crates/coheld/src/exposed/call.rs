//! A call of a method as it arrives, and its arguments in the order of its parameters.

use std::fmt;
use std::vec;

use serde::de::DeserializeOwned;

use crate::call::{Exception, raise};
use crate::{Error, Value, ValueError};

/// A call of a method.
#[derive(Debug)]
pub struct Call<'c> {
    pub(super) called: Called<'c>,
    pub(super) arguments: Vec<Value>,
    pub(super) keywords: Vec<(String, Value)>,
}

/// Which method is called, of an object of which type.
#[derive(Clone, Copy, Debug)]
pub struct Called<'c> {
    pub(super) object: &'static str,
    pub(super) method: &'c str,
}

/// A parameter of a method.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name, by which callers in Python may give it.
    pub name: &'static str,
    /// Its type, as the program has it.
    pub type_name: &'static str,
    /// Whether it may be left out, and is `None` then.
    pub is_optional: bool,
}

/// The arguments of a call, one after another.
#[derive(Debug)]
pub struct Arguments<'c> {
    called: Called<'c>,
    given: vec::IntoIter<(Parameter, Value)>,
}

impl<'c> Call<'c> {
    /// The name of the method.
    #[must_use]
    pub fn method(&self) -> &'c str {
        self.called.method
    }

    /// Which method it is, in words.
    #[must_use]
    pub fn called(&self) -> Called<'c> {
        self.called
    }

    /// The arguments for these parameters.
    pub fn arguments(self, parameters: &[Parameter]) -> Result<Arguments<'c>, Error> {
        let Self {
            called,
            arguments,
            mut keywords,
        } = self;
        if arguments.len() > parameters.len() {
            let (most, count) = (parameters.len(), arguments.len());
            let plural = if most == 1 { "" } else { "s" };
            return Err(called.type_error(format_args!(
                "takes {most} argument{plural}, but {count} were given"
            )));
        }
        let is_known = |name: &str| parameters.iter().any(|known| known.name == name);
        if let Some((name, _)) = keywords.iter().find(|(name, _)| !is_known(name)) {
            return Err(
                called.type_error(format_args!("got an unexpected keyword argument '{name}'"))
            );
        }
        let mut arguments = arguments.into_iter();
        let mut given = Vec::with_capacity(parameters.len());
        for parameter in parameters {
            let name = parameter.name;
            let named = keywords.iter().position(|(known, _)| known == name);
            let named = named.map(|place| keywords.swap_remove(place).1);
            let value = match (arguments.next(), named) {
                (Some(_), Some(_)) => {
                    return Err(called
                        .type_error(format_args!("got multiple values for argument '{name}'")));
                }
                (Some(value), None) | (None, Some(value)) => value,
                (None, None) if parameter.is_optional => Value::None,
                (None, None) => {
                    return Err(
                        called.type_error(format_args!("missing a required argument: '{name}'"))
                    );
                }
            };
            given.push((*parameter, value));
        }
        let given = given.into_iter();
        Ok(Arguments { called, given })
    }

    /// The error for a method that is none of `methods`.
    #[must_use]
    pub fn unknown(&self, methods: &[&str]) -> Error {
        let Called { object, method } = self.called;
        let has = match methods {
            [] => "it has none".to_owned(),
            methods => format!("it has {}", methods.join(", ")),
        };
        let message = format!("'{object}' object exposes no method '{method}': {has}");
        raise(Exception::AttributeError, message)
    }
}

impl Arguments<'_> {
    /// The next argument.
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        let Some((parameter, value)) = self.given.next() else {
            return Err(self.called.type_error("has fewer parameters than it reads"));
        };
        value.read().map_err(|error| {
            let Parameter {
                name, type_name, ..
            } = parameter;
            let found = value.type_name();
            let why = match error {
                ValueError::Mismatch(why) => why,
                other => other.to_string(),
            };
            self.called.type_error(format_args!(
                "takes as '{name}' a value of the type `{type_name}`, and got {found}: {why}"
            ))
        })
    }
}

impl Called<'_> {
    fn type_error(&self, why: impl fmt::Display) -> Error {
        raise(Exception::TypeError, format!("{self} {why}"))
    }
}

impl fmt::Display for Called<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}()", self.object, self.method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMETERS: &[Parameter] = &[
        Parameter {
            name: "x",
            type_name: "i64",
            is_optional: false,
        },
        Parameter {
            name: "y",
            type_name: "Option<i64>",
            is_optional: true,
        },
    ];

    fn arranged(arguments: &[i64], keywords: &[(&str, i64)]) -> String {
        let named = |&(name, value): &(&str, i64)| (name.to_owned(), Value::Int(value));
        let call = Call {
            called: Called {
                object: "Maths",
                method: "add",
            },
            arguments: arguments.iter().map(|&value| Value::Int(value)).collect(),
            keywords: keywords.iter().map(named).collect(),
        };
        let read = call.arguments(PARAMETERS).and_then(|mut arguments| {
            let x = arguments.take::<i64>()?;
            Ok((x, arguments.take::<Option<i64>>()?))
        });
        match read {
            Ok((x, y)) => format!("{x} {y:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn arguments_come_by_place_and_by_name() {
        assert_eq!(arranged(&[1, 2], &[]), "1 Some(2)");
        assert_eq!(arranged(&[1], &[]), "1 None");
        assert_eq!(arranged(&[1], &[("y", 2)]), "1 Some(2)");
        assert_eq!(arranged(&[], &[("y", 2), ("x", 1)]), "1 Some(2)");
    }

    #[test]
    fn what_does_not_fit_is_said_in_the_words_of_python() {
        for (arguments, keywords, expected) in [
            (&[][..], &[][..], "missing a required argument: 'x'"),
            (&[1, 2, 3], &[], "takes 2 arguments, but 3 were given"),
            (&[1], &[("x", 2)], "got multiple values for argument 'x'"),
            (&[], &[("z", 2)], "got an unexpected keyword argument 'z'"),
        ] {
            let expected = format!("TypeError: Maths.add() {expected}");
            assert_eq!(arranged(arguments, keywords), expected);
        }
    }

    #[test]
    fn an_argument_of_another_type_is_named_with_both_types() {
        let call = Call {
            called: Called {
                object: "Maths",
                method: "add",
            },
            arguments: vec!["one".into()],
            keywords: Vec::new(),
        };
        let error = call.arguments(PARAMETERS).unwrap().take::<i64>();
        assert_eq!(
            error.unwrap_err().to_string(),
            "TypeError: Maths.add() takes as 'x' a value of the type `i64`, and got str: invalid \
             type: string \"one\", expected i64"
        );
    }
}
