//! What is printed.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is where the program prints"
)]

use std::io::{self, Write as _};

use serde_json::Value;

use crate::failure::Failure;

/// Prints data: as JSON, or else text and numbers as they are, and one line for each item.
pub(crate) fn print(value: &Value, json: bool) {
    if json {
        return write(&format!("{value}\n"));
    }
    let mut text = String::new();
    match value {
        Value::Array(items) => {
            for item in items {
                match item {
                    Value::Array(fields) => line(&mut text, fields),
                    item => line(&mut text, std::slice::from_ref(item)),
                }
            }
        }
        Value::Object(entries) => {
            for (key, value) in entries {
                line(&mut text, &[Value::from(key.as_str()), value.clone()]);
            }
        }
        Value::Null => {}
        value => line(&mut text, std::slice::from_ref(value)),
    }
    write(&text);
}

fn line(text: &mut String, fields: &[Value]) {
    let shown = fields.iter().map(|field| match field {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    text.push_str(&shown.collect::<Vec<_>>().join("\t"));
    text.push('\n');
}

fn write(text: &str) {
    let mut output = io::stdout().lock();
    // Whoever has read enough closes the pipe.
    let _ = output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush());
}

/// Prints a text as it is; an error if nobody reads any more.
pub(crate) fn text(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
}

/// Says something to the person in front of the screen.
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

/// Says what has gone wrong.
pub(crate) fn complain(failure: &Failure) {
    say(&format!("coheld: {}", failure.message.trim_end()));
    if let Some(hint) = &failure.hint {
        say(&format!("hint: {hint}"));
    }
}
