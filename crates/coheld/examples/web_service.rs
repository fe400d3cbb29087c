//! A web service in Rust whose work is done by workers in Python. Both work on one dict and one
//! queue; between them is no socket.
//!
//! ```text
//! web_service PYTHON WORKER.PY [ADDRESS:PORT]
//! ```
//!
//! `POST /texts` takes a text and answers with its number. `GET /texts/NUMBER` answers with how
//! many different words are in it, or with 202 as long as nobody knows. The workers are the script
//! `examples/word_worker.py`; one that dies is started again. It ends when its input does.

use std::env;
use std::error::Error;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use coheld::{AUTHKEY_VARIABLE, DictProxy, Manager, QueueProxy, Result, Value, ValueProxy};

const WORKERS: usize = 2;
/// Bytes of the longest text.
const TEXT_LIMIT: u64 = 1 << 20;

/// What the service and its workers share.
struct Board {
    texts: QueueProxy<(i64, String)>,
    counts: DictProxy<i64, i64>,
    last: ValueProxy<i64>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(python), Some(script)) = (arguments.next(), arguments.next()) else {
        return Err("usage: web_service PYTHON WORKER.PY [ADDRESS:PORT]".into());
    };
    let address = arguments.next().unwrap_or("127.0.0.1:0".into());

    let manager = Manager::start()?;
    let board = Board {
        texts: manager.queue(0)?,
        counts: manager.dict()?,
        last: manager.value(&0)?,
    };
    // One token for all that the workers need.
    let entrance = manager.dict::<String, Value>()?;
    entrance.insert("texts", &Value::from(&board.texts))?;
    entrance.insert("counts", &Value::from(&board.counts))?;
    let mut workers = Command::new(python);
    workers
        .arg(script)
        .env(AUTHKEY_VARIABLE, manager.authkey_text());
    let start = move || -> Result<Child, Box<dyn Error + Send + Sync>> {
        Ok(workers
            .env("COHELD_TOKEN", entrance.token()?.to_string())
            .spawn()?)
    };
    thread::spawn(move || keep_running(start));

    let listener = TcpListener::bind(address)?;
    writeln!(io::stdout(), "http://{}", listener.local_addr()?)?;
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // One after the other: an answer takes a microsecond.
            if let Err(error) = answer(client, &board) {
                let _ = writeln!(io::stderr(), "a request failed: {error}");
            }
        }
    });
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

/// Has as many workers run as there should be.
fn keep_running(mut start: impl FnMut() -> Result<Child, Box<dyn Error + Send + Sync>>) {
    let mut workers: Vec<Child> = Vec::new();
    loop {
        workers.retain_mut(|worker| matches!(worker.try_wait(), Ok(None)));
        while workers.len() < WORKERS {
            match start() {
                Ok(worker) => workers.push(worker),
                Err(error) => {
                    let _ = writeln!(io::stderr(), "no worker could be started: {error}");
                    break;
                }
            }
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Answers one request, and closes the connection.
fn answer(client: TcpStream, board: &Board) -> Result<(), Box<dyn Error>> {
    client.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut input = BufReader::new(client);
    let (mut line, mut length) = (String::new(), 0);
    input.read_line(&mut line)?;
    loop {
        let mut header = String::new();
        if input.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
    }
    let request: Vec<&str> = line.split_whitespace().collect();
    let (status, body) = match *request {
        ["POST", "/texts", _] if length <= TEXT_LIMIT => {
            let mut text = Vec::new();
            input.by_ref().take(length).read_to_end(&mut text)?;
            let number = board.last.increment(1)?;
            board
                .texts
                .put(&(number, String::from_utf8_lossy(&text).into_owned()))?;
            ("201 Created", number.to_string())
        }
        ["POST", "/texts", _] => ("413 Content Too Large", String::new()),
        ["GET", path, _] => match path.strip_prefix("/texts/").map(str::parse::<i64>) {
            Some(Ok(number)) if (1..=board.last.get()?).contains(&number) => {
                match board.counts.get(&number)? {
                    Some(count) => ("200 OK", count.to_string()),
                    None => ("202 Accepted", String::new()),
                }
            }
            _ => ("404 Not Found", String::new()),
        },
        _ => ("400 Bad Request", String::new()),
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    input.into_inner().write_all((head + &body).as_bytes())?;
    Ok(())
}
