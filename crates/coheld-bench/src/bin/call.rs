//! What a call of a hosted object costs, with the host in another process: the way there and back
//! alone, since the object only hands back what it is given.
#![allow(clippy::print_stdout, reason = "the table is the program's output")]

use std::error::Error;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use coheld::hosted::{self, Host, Reply, ReplyKind, Request, Serve};
use coheld::{AUTHKEY_VARIABLE, Manager, Proxy, QueueProxy, Value};

type Outcome<T> = Result<T, Box<dyn Error>>;

const SIZES: [usize; 5] = [0, 1 << 10, 4 << 10, 64 << 10, 1 << 20];
/// How long one measurement takes, and how many there are of which the median counts.
const TIME: Duration = Duration::from_millis(300);
const REPETITIONS: usize = 5;

struct Echo;

impl Serve for Echo {
    fn answer(&self, request: &Request<'_>) -> Reply {
        Reply::new(ReplyKind::Return, request.body)
    }

    fn released(&self, _: u64) {}

    fn spawn(&self, work: Box<dyn FnOnce() + Send>) -> Result<(), coheld::Error> {
        std::thread::spawn(work);
        Ok(())
    }
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [] => table(),
        ["host", ready] => host(ready),
        _ => Err("usage: call".into()),
    }
}

/// Puts the proxy of an object into the queue, and answers calls until it is killed.
fn host(ready: &str) -> Outcome<()> {
    let authkey = coheld::authkey_from_environment()?;
    let ready = QueueProxy::<Value>::from_token(&ready.parse()?, &authkey)?;
    let host = Host::start(
        ready.as_proxy().handle().attachment(),
        Arc::new(Echo),
        false,
    )?;
    let (_, handle) = host.publish()?;
    ready.put(&Value::Proxy(Proxy::from_handle(handle)?))?;
    loop {
        std::thread::park();
    }
}

fn table() -> Outcome<()> {
    let manager = Manager::start()?;
    let ready = manager.queue::<Value>(0)?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["host", &ready.token()?.to_string()])
        .env(AUTHKEY_VARIABLE, manager.authkey_text())
        .stdout(Stdio::null())
        .spawn()?;
    let Value::Proxy(object) = ready.get()? else {
        return Err("the host put something else than a proxy".into());
    };
    println!("medians of {REPETITIONS} runs, microseconds\n");
    println!("| bytes there and back | calls in a row | a call every millisecond |");
    println!("|---|---|---|");
    for size in SIZES {
        let in_a_row = median(|| in_a_row(&object, size))?;
        let now_and_then = median(|| now_and_then(&object, size))?;
        println!("| {size} | {in_a_row:.2} | {now_and_then:.2} |");
    }
    child.kill()?;
    child.wait()?;
    Ok(())
}

fn median(mut measure: impl FnMut() -> Outcome<f64>) -> Outcome<f64> {
    let mut figures = Vec::new();
    for _ in 0..REPETITIONS {
        figures.push(measure()?);
    }
    figures.sort_by(f64::total_cmp);
    Ok(figures[REPETITIONS / 2])
}

fn call(object: &Proxy, body: &[u8]) -> Outcome<()> {
    let reply = hosted::call(object.handle(), &Request::new("echo", body), None)?;
    if reply.body.len() == body.len() {
        Ok(())
    } else {
        Err("another reply".into())
    }
}

fn in_a_row(object: &Proxy, size: usize) -> Outcome<f64> {
    let body = vec![7; size];
    let (began, mut calls) = (Instant::now(), 0_u32);
    while began.elapsed() < TIME {
        for _ in 0..16 {
            call(object, &body)?;
        }
        calls += 16;
    }
    Ok(began.elapsed().as_secs_f64() * 1e6 / f64::from(calls))
}

fn now_and_then(object: &Proxy, size: usize) -> Outcome<f64> {
    let body = vec![7; size];
    let (began, mut calls, mut spent) = (Instant::now(), 0_u32, Duration::ZERO);
    while began.elapsed() < TIME {
        std::thread::sleep(Duration::from_millis(1));
        let called = Instant::now();
        call(object, &body)?;
        spent += called.elapsed();
        calls += 1;
    }
    Ok(spent.as_secs_f64() * 1e6 / f64::from(calls))
}
