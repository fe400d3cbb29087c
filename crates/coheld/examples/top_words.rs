//! Joins a running manager and prints the most frequent words of a shared dict of word counts.
//!
//! ```text
//! COHELD_AUTHKEY=<hexadecimal digits> top_words '<token>' [how many]
//! ```
//!
//! The token may also stand in `COHELD_TOKEN`. In Python it is `proxy._token.text`, and the digits
//! are `manager._authkey.hex()`.

use std::io::{self, Write as _};
use std::process::ExitCode;

use coheld::{DictProxy, Token};

/// How many words are printed if nobody says.
const DEFAULT_COUNT: usize = 10;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "top_words: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).peekable();
    let given = arguments.next_if(|argument| argument.starts_with("coheld"));
    let token = given
        .or_else(|| std::env::var("COHELD_TOKEN").ok())
        .ok_or("no token: pass one as the first argument, or set COHELD_TOKEN to it")?;
    let count = match arguments.next() {
        Some(text) => text
            .parse()
            .map_err(|_| format!("{text:?} is not a number of words"))?,
        None => DEFAULT_COUNT,
    };

    let token: Token = token.parse()?;
    let authkey = coheld::authkey_from_environment()?;
    let counts = DictProxy::<String, i64>::from_token(&token, &authkey)?;

    let mut words = counts.items()?;
    words.sort_by(|one, two| two.1.cmp(&one.1).then_with(|| one.0.cmp(&two.0)));
    let mut output = io::stdout().lock();
    for (word, count) in words.iter().take(count) {
        writeln!(output, "{count:>9}  {word}")?;
    }
    Ok(())
}
