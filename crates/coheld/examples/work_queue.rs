//! A work queue whose workers may die at any moment: whatever they leave undone is done by others.
//!
//! ```text
//! work_queue [HOW_MANY_NUMBERS]
//! ```
//!
//! The tasks are numbers to be taken apart into primes. In the first round one of them kills
//! whoever takes it, as a bug would.

use std::env;
use std::error::Error;
use std::io::{self, Write as _};
use std::process::Command;

use coheld::process;
use coheld::{DictProxy, Manager, QueueProxy};

const WORKERS: usize = 3;
const DEFAULT_TASKS: u64 = 2_000;
const FIRST: u64 = 1_000_000_007;

fn main() -> Result<(), Box<dyn Error>> {
    process::init();

    let count = env::args()
        .nth(1)
        .map_or(Ok(DEFAULT_TASKS), |count| count.parse())?;
    let tasks: Vec<u64> = (FIRST..FIRST + count).collect();
    let manager = Manager::start()?;
    let results = manager.dict::<u64, Vec<u64>>()?;

    let (mut rounds, mut died) = (0, 0);
    let mut missing = tasks.clone();
    while !missing.is_empty() {
        let queue = manager.queue(0)?;
        for task in &missing {
            queue.put(task)?;
        }
        queue.shut_down(false)?;
        let mut workers = Vec::new();
        let deadly = (rounds == 0).then_some(FIRST + count / 2);
        for _ in 0..WORKERS {
            workers.push(process::spawn(
                work,
                (queue.clone(), results.clone(), deadly),
            )?);
        }
        for worker in workers {
            match worker.join() {
                Ok(outcome) => outcome?,
                Err(coheld::Error::Ended { .. }) => died += 1,
                Err(other) => return Err(other.into()),
            }
        }
        // What counts is the result, not who has taken the task.
        missing.retain(|task| !matches!(results.contains_key(task), Ok(true)));
        rounds += 1;
    }

    let done = results.len()?;
    writeln!(
        io::stdout(),
        "{done} of {count} tasks done in {rounds} rounds, {died} workers died"
    )?;
    for (task, primes) in results.items()? {
        assert_eq!(primes.iter().product::<u64>(), task);
    }
    Ok(())
}

/// Does tasks until there are no more.
fn work(
    (queue, results, deadly): (QueueProxy<u64>, DictProxy<u64, Vec<u64>>, Option<u64>),
) -> Result<(), String> {
    for task in &queue {
        let task = task.map_err(|error| error.to_string())?;
        if deadly == Some(task) {
            let own = std::process::id().to_string();
            let killed = Command::new("kill").args(["-9", &own]).status();
            killed.map_err(|error| error.to_string())?;
        }
        let stored = results.insert(&task, &primes(task));
        stored.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// The prime factors of a number from 2 on.
fn primes(mut number: u64) -> Vec<u64> {
    let mut factors = Vec::new();
    let mut divisor = 2;
    while divisor * divisor <= number {
        while number.is_multiple_of(divisor) {
            factors.push(divisor);
            number /= divisor;
        }
        divisor += 1;
    }
    if number > 1 {
        factors.push(number);
    }
    factors
}
