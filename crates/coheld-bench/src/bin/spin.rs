//! How long to spin before a sleep: the measurement behind the numbers in `coheld_shm::line`.
//!
//! Prints, for several limits, what a round trip through two queues between two processes takes,
//! and what an acquisition of a lock that two processes fight for takes: on an idle machine, and
//! beside one busy process per processor.
#![allow(clippy::print_stdout, reason = "the table is the program's output")]

use std::error::Error;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use coheld::{AUTHKEY_VARIABLE, LockProxy, Manager, QueueProxy};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Read by Coheld: rounds of one spin at most.
const ROUNDS_VARIABLE: &str = "COHELD_SPIN_ROUNDS";
const LIMITS: [u32; 8] = [0, 50, 200, 400, 800, 1200, 1600, 6400];
/// Pairs of processes that talk at the same time.
const CROWD: u32 = 4;
const ROUND_TRIPS: u32 = 20_000;
const ACQUISITIONS: u32 = 200_000;
/// Measurements of which the median counts.
const REPETITIONS: usize = 5;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [] => table(),
        ["measure"] => measure(),
        ["answer", requests, replies] => answer(requests, replies),
        ["fight", lock] => fight(&LockProxy::from_token(&lock.parse()?, &authkey()?)?),
        ["hog"] => loop {
            std::hint::spin_loop();
        },
        _ => Err("usage: spin".into()),
    }
}

fn authkey() -> Outcome<Vec<u8>> {
    Ok(coheld::authkey_from_environment()?)
}

/// This program once more.
fn again(words: &[&str]) -> Outcome<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(words);
    Ok(command)
}

/// Processes that are ended with this value.
struct Hogs(Vec<Child>);

impl Drop for Hogs {
    fn drop(&mut self) {
        for hog in &mut self.0 {
            let _ = hog.kill();
            let _ = hog.wait();
        }
    }
}

fn hogs(count: usize) -> Outcome<Hogs> {
    let mut hogs = Hogs(Vec::new());
    for _ in 0..count {
        hogs.0.push(again(&["hog"])?.spawn()?);
    }
    Ok(hogs)
}

fn table() -> Outcome<()> {
    let processors = std::thread::available_parallelism()?.get();
    println!("{processors} processors; medians of {REPETITIONS} runs, microseconds;");
    println!("busy: beside {processors} processes that do nothing but use a processor\n");
    println!("| rounds | round trip | busy | {CROWD} pairs at once | contended lock | busy |");
    println!("|---|---|---|---|---|---|");
    for limit in LIMITS {
        let idle = median(limit)?;
        let busy = {
            let _hogs = hogs(processors)?;
            median(limit)?
        };
        let crowd = crowd(limit)?;
        println!(
            "| {limit} | {:.2} | {:.2} | {crowd:.2} | {:.3} | {:.3} |",
            idle.0, busy.0, idle.1, busy.1
        );
    }
    Ok(())
}

/// Microseconds of a round trip while several pairs of processes make them.
fn crowd(limit: u32) -> Outcome<f64> {
    let mut figures = Vec::new();
    for _ in 0..REPETITIONS {
        let pairs: Vec<Child> = (0..CROWD)
            .map(|_| {
                let mut pair = again(&["measure"])?;
                pair.env(ROUNDS_VARIABLE, limit.to_string());
                Ok(pair.stdout(Stdio::piped()).spawn()?)
            })
            .collect::<Outcome<_>>()?;
        let mut sum = 0.0;
        for pair in pairs {
            let text = String::from_utf8(pair.wait_with_output()?.stdout)?;
            sum += text
                .split_whitespace()
                .next()
                .ok_or("no figure")?
                .parse::<f64>()?;
        }
        figures.push(sum / f64::from(CROWD));
    }
    figures.sort_by(f64::total_cmp);
    Ok(figures[REPETITIONS / 2])
}

/// Microseconds of a round trip and of an acquisition.
fn median(limit: u32) -> Outcome<(f64, f64)> {
    let mut trips = Vec::new();
    let mut acquisitions = Vec::new();
    for _ in 0..REPETITIONS {
        let output = again(&["measure"])?
            .env(ROUNDS_VARIABLE, limit.to_string())
            .stderr(Stdio::inherit())
            .output()?;
        let text = String::from_utf8(output.stdout)?;
        let mut figures = text.split_whitespace().map(str::parse::<f64>);
        trips.push(figures.next().ok_or("no figure")??);
        acquisitions.push(figures.next().ok_or("no figure")??);
    }
    let middle = |mut figures: Vec<f64>| {
        figures.sort_by(f64::total_cmp);
        figures[REPETITIONS / 2]
    };
    Ok((middle(trips), middle(acquisitions)))
}

fn measure() -> Outcome<()> {
    let manager = Manager::start()?;
    let requests = manager.queue::<i64>(0)?;
    let replies = manager.queue::<i64>(0)?;
    let (first, second) = (requests.token()?.to_string(), replies.token()?.to_string());
    let mut child = again(&["answer", &first, &second])?
        .env(AUTHKEY_VARIABLE, manager.authkey_text())
        .spawn()?;
    requests.put(&0)?;
    replies.get()?;
    let began = Instant::now();
    for number in 0..ROUND_TRIPS {
        requests.put(&i64::from(number))?;
        replies.get()?;
    }
    let trip = began.elapsed().as_secs_f64() * 1e6 / f64::from(ROUND_TRIPS);
    child.wait()?;

    let lock = manager.lock()?;
    let mut child = again(&["fight", &lock.token()?.to_string()])?
        .env(AUTHKEY_VARIABLE, manager.authkey_text())
        .stdout(Stdio::null())
        .spawn()?;
    let began = Instant::now();
    fight(&lock)?;
    child.wait()?;
    let acquisition = began.elapsed().as_secs_f64() * 1e6 / f64::from(2 * ACQUISITIONS);
    println!("{trip} {acquisition}");
    Ok(())
}

fn answer(requests: &str, replies: &str) -> Outcome<()> {
    let requests = QueueProxy::<i64>::from_token(&requests.parse()?, &authkey()?)?;
    let replies = QueueProxy::<i64>::from_token(&replies.parse()?, &authkey()?)?;
    for _ in 0..=ROUND_TRIPS {
        replies.put(&requests.get()?)?;
    }
    Ok(())
}

fn fight(lock: &LockProxy) -> Outcome<()> {
    for _ in 0..ACQUISITIONS {
        drop(lock.lock()?);
    }
    Ok(())
}
