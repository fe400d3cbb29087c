//! Counts the words of files, in several processes that fill one shared dict.
//!
//! ```text
//! word_count [--processes N] FILE...
//! ```
//!
//! Prints the ten most frequent words.

#![allow(clippy::disallowed_methods, reason = "a program that reads files")]

use std::collections::HashMap;
use std::error::Error;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::{env, fs, thread};

use coheld::process::{self, JoinHandle};
use coheld::{DictProxy, Manager, QueueProxy};

const SHOWN: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    process::init();

    let mut arguments = env::args_os().skip(1).peekable();
    let mut workers = thread::available_parallelism()?.get();
    if arguments
        .next_if(|argument| argument == "--processes")
        .is_some()
    {
        let number = arguments.next().ok_or("how many processes?")?;
        workers = number.to_string_lossy().parse()?;
    }
    let files: Vec<PathBuf> = arguments.map(PathBuf::from).collect();

    let manager = Manager::start()?;
    let counts = manager.dict()?;
    let queue = manager.queue(0)?;
    for file in &files {
        queue.put(file)?;
    }
    // Whoever waits for more is told that there is none.
    queue.shut_down(false)?;

    let started: Result<Vec<JoinHandle<_>>, _> = (0..workers)
        .map(|_| process::spawn(count_files, (queue.clone(), counts.clone())))
        .collect();
    let mut total = 0;
    for worker in started? {
        total += worker.join()??;
    }

    let mut words: Vec<(String, i64)> = counts.items()?;
    words.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    let mut output = io::stdout().lock();
    for (word, count) in words.iter().take(SHOWN) {
        writeln!(output, "{count:8} {word}")?;
    }
    writeln!(output, "{total:8} words in {} files", files.len())?;
    Ok(())
}

/// Counts the words of the files in the queue; how many there were.
fn count_files(
    (files, counts): (QueueProxy<PathBuf>, DictProxy<String, i64>),
) -> Result<i64, String> {
    let mut total = 0;
    for file in &files {
        let file = file.map_err(|error| error.to_string())?;
        let text = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        // First here, so that each word of a file is one operation on the shared dict.
        let mut own: HashMap<String, i64> = HashMap::new();
        for word in String::from_utf8_lossy(&text)
            .split(|character: char| !character.is_alphanumeric())
            .filter(|word| !word.is_empty())
        {
            *own.entry(word.to_lowercase()).or_default() += 1;
        }
        for (word, count) in own {
            total += count;
            let counted = counts.increment(&word, count);
            counted.map_err(|error| error.to_string())?;
        }
    }
    Ok(total)
}
