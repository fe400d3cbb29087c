//! Why a value could not be written or read.

use std::fmt;

/// Why a value could not become a shared one, or a shared one not the type that was asked for.
///
/// ```
/// use coheld::{Value, ValueError};
///
/// let error = Value::from("seven").read::<i64>().unwrap_err();
/// assert!(matches!(&error, ValueError::Mismatch(_)));
/// assert!(error.to_string().contains("seven"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueError {
    /// The shared value is not of the type asked for.
    Mismatch(String),
    /// The value cannot be stored.
    Unwritable(String),
    /// The value cannot be a key of a dict or an element of a set.
    NotHashable {
        /// The name of its type in Python.
        type_name: &'static str,
    },
    /// The value is an object of Python, which only Python can hash.
    OnlyPythonCanHash,
    /// The proxy names an object of another manager.
    OtherManager,
    /// Values are nested too deeply.
    TooDeep {
        /// The deepest nesting possible.
        limit: usize,
    },
}

impl fmt::Display for ValueError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mismatch(why) => {
                write!(
                    formatter,
                    "the shared value cannot be read as the type asked for: {why}"
                )
            }
            Self::Unwritable(why) => write!(formatter, "the value cannot be shared: {why}"),
            Self::NotHashable { type_name } => write!(formatter, "unhashable type: '{type_name}'"),
            Self::OnlyPythonCanHash => formatter.write_str(
                "unhashable here: a key or an element of a class of Python can be hashed by Python \
                 only; use a manager of Python, or a number, text, bytes or a tuple of such",
            ),
            Self::OtherManager => formatter.write_str(
                "the proxy names an object of another manager; \
                 put a copy of that object here, or its token",
            ),
            Self::TooDeep { limit } => write!(
                formatter,
                "values are nested more than {limit} deep; share the inner ones as objects"
            ),
        }
    }
}

impl std::error::Error for ValueError {}

impl serde::ser::Error for ValueError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Unwritable(message.to_string())
    }
}

impl serde::de::Error for ValueError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Mismatch(message.to_string())
    }
}
