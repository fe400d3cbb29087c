//! Checks of the project's own sources that neither the compiler nor clippy makes.
//!
//! Each module holds one family of rules as plain functions from a text to its [`Problem`]s, with
//! examples of what they catch; `tests/tidy.rs` runs them all over the repository.
#![forbid(unsafe_code)]

pub mod documents;
pub mod fence;
pub mod layers;
pub mod text;
pub mod tree;

use std::fmt;

/// One line of the repository that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, relative to the root of the repository.
    pub file: String,
    /// The line, from 1; 0 when the file as a whole is meant.
    pub line: usize,
    /// What is wrong and what to do about it.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(file: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(formatter, "{}: {}", self.file, self.message),
            line => write!(formatter, "{}:{line}: {}", self.file, self.message),
        }
    }
}
