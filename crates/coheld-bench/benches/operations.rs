//! What the operations of Rust programs cost: `cargo bench -p coheld-bench`.
//!
//! With the environment variable `COHELD_BENCH_TOKEN` this program is the second process of the
//! contended benchmark.

use std::hint::black_box;
use std::process::{Child, Command};
use std::str::FromStr as _;

use coheld::{Bytes, ListProxy, Manager, Token};
use criterion::Criterion;

const TOKEN_VARIABLE: &str = "COHELD_BENCH_TOKEN";
/// Elements of the lists and entries of the dicts.
const SIZE: i64 = 1_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Ok(token) = std::env::var(TOKEN_VARIABLE) {
        return read_for_ever(&token);
    }
    let manager = Manager::start()?;
    let mut criterion = Criterion::default().configure_from_args();
    lists(&mut criterion, &manager)?;
    dicts(&mut criterion, &manager)?;
    values(&mut criterion, &manager)?;
    locks(&mut criterion, &manager)?;
    queues(&mut criterion, &manager)?;
    contended(&mut criterion, &manager)?;
    criterion.final_summary();
    Ok(())
}

fn lists(criterion: &mut Criterion, manager: &Manager) -> Result<(), coheld::Error> {
    let list = manager.list::<i64>()?;
    list.extend(0..SIZE)?;
    let mut index = 0;
    criterion.bench_function("list get int", |bencher| {
        bencher.iter(|| {
            index = (index + 1) % SIZE;
            list.get(black_box(index)).unwrap()
        });
    });
    criterion.bench_function("list set int", |bencher| {
        bencher.iter(|| {
            index = (index + 1) % SIZE;
            list.set(black_box(index), &index).unwrap();
        });
    });
    criterion.bench_function("list append and pop", |bencher| {
        bencher.iter(|| {
            list.append(&black_box(7)).unwrap();
            list.pop().unwrap()
        });
    });
    let texts = manager.list::<String>()?;
    texts.append("a text of more than seven bytes")?;
    criterion.bench_function("list get str of 31 bytes", |bencher| {
        bencher.iter(|| texts.get(black_box(0)).unwrap());
    });
    criterion.bench_function("list to_vec of 1,000 ints", |bencher| {
        bencher.iter(|| list.to_vec().unwrap());
    });
    criterion.bench_function("create and drop a list", |bencher| {
        bencher.iter(|| manager.list::<i64>().unwrap());
    });
    Ok(())
}

fn dicts(criterion: &mut Criterion, manager: &Manager) -> Result<(), coheld::Error> {
    let dict = manager.dict::<String, i64>()?;
    let keys: Vec<String> = (0..SIZE).map(|number| format!("k{number}")).collect();
    dict.extend(keys.iter().cloned().zip(0..))?;
    let mut at = 0;
    criterion.bench_function("dict get, short str key", |bencher| {
        bencher.iter(|| {
            at = (at + 1) % keys.len();
            dict.get(black_box(&keys[at])).unwrap()
        });
    });
    criterion.bench_function("dict insert, short str key", |bencher| {
        bencher.iter(|| {
            at = (at + 1) % keys.len();
            dict.insert(black_box(&keys[at]), &3).unwrap();
        });
    });
    criterion.bench_function("dict increment", |bencher| {
        bencher.iter(|| dict.increment(black_box("k1"), 1).unwrap());
    });
    let long = "a key of more than seven bytes";
    dict.insert(long, &1)?;
    criterion.bench_function("dict get, str key of 30 bytes", |bencher| {
        bencher.iter(|| dict.get(black_box(long)).unwrap());
    });
    Ok(())
}

fn values(criterion: &mut Criterion, manager: &Manager) -> Result<(), coheld::Error> {
    let value = manager.value(&0_i64)?;
    criterion.bench_function("value get", |bencher| {
        bencher.iter(|| black_box(&value).get().unwrap());
    });
    criterion.bench_function("value set", |bencher| {
        bencher.iter(|| value.set(&black_box(5)).unwrap());
    });
    criterion.bench_function("counter increment", |bencher| {
        bencher.iter(|| value.increment(black_box(1)).unwrap());
    });
    let large = manager.value(&Bytes(vec![7; 1 << 20]))?;
    criterion.bench_function("value get, 1 MiB of bytes", |bencher| {
        bencher.iter(|| large.get().unwrap());
    });
    let bytes = Bytes(vec![8; 1 << 20]);
    criterion.bench_function("value set, 1 MiB of bytes", |bencher| {
        bencher.iter(|| large.set(&bytes).unwrap());
    });
    let array = manager.array(&[0.5; 1_000])?;
    criterion.bench_function("array get double", |bencher| {
        bencher.iter(|| array.get(black_box(500)).unwrap());
    });
    Ok(())
}

fn locks(criterion: &mut Criterion, manager: &Manager) -> Result<(), coheld::Error> {
    let lock = manager.lock()?;
    criterion.bench_function("lock acquire and release", |bencher| {
        bencher.iter(|| drop(black_box(&lock).lock().unwrap()));
    });
    let lock = manager.rlock()?;
    criterion.bench_function("rlock acquire and release", |bencher| {
        bencher.iter(|| drop(black_box(&lock).lock().unwrap()));
    });
    let semaphore = manager.semaphore(4)?;
    criterion.bench_function("semaphore acquire and release", |bencher| {
        bencher.iter(|| drop(black_box(&semaphore).acquire().unwrap()));
    });
    let event = manager.event()?;
    event.set()?;
    criterion.bench_function("event wait, set already", |bencher| {
        bencher.iter(|| black_box(&event).wait().unwrap());
    });
    let counter = manager.value(&0_i64)?;
    criterion.bench_function("counter increment under a lock", |bencher| {
        let lock = manager.lock().unwrap();
        bencher.iter(|| {
            let _guard = lock.lock().unwrap();
            counter.set(&(counter.get().unwrap() + 1)).unwrap();
        });
    });
    Ok(())
}

fn queues(criterion: &mut Criterion, manager: &Manager) -> Result<(), coheld::Error> {
    let queue = manager.queue::<i64>(0)?;
    criterion.bench_function("queue put and get, int", |bencher| {
        bencher.iter(|| {
            queue.put(&black_box(7)).unwrap();
            queue.get().unwrap()
        });
    });
    let bounded = manager.queue::<String>(16)?;
    criterion.bench_function("bounded queue put and get, str of 31 bytes", |bencher| {
        bencher.iter(|| {
            let text = black_box("a text of more than seven bytes");
            bounded.put(text).unwrap();
            bounded.get().unwrap()
        });
    });
    Ok(())
}

/// Reads and writes while another process reads the same list as fast as it can.
fn contended(
    criterion: &mut Criterion,
    manager: &Manager,
) -> Result<(), Box<dyn std::error::Error>> {
    let list = manager.list::<i64>()?;
    list.extend(0..SIZE)?;
    let other = Other::start(manager, &list)?;
    criterion.bench_function("list get int, another process reads too", |bencher| {
        bencher.iter(|| list.get(black_box(5)).unwrap());
    });
    criterion.bench_function("list set int, another process reads too", |bencher| {
        bencher.iter(|| list.set(black_box(5), &5).unwrap());
    });
    drop(other);
    Ok(())
}

/// The other process; it ends with the benchmark.
struct Other(Child);

impl Other {
    fn start(manager: &Manager, list: &ListProxy<i64>) -> Result<Self, Box<dyn std::error::Error>> {
        let child = Command::new(std::env::current_exe()?)
            .env(TOKEN_VARIABLE, list.token()?.to_string())
            .env(coheld::AUTHKEY_VARIABLE, manager.authkey_text())
            .spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let ended = self.0.kill().and_then(|()| self.0.wait());
        drop(ended);
    }
}

fn read_for_ever(token: &str) -> Result<(), Box<dyn std::error::Error>> {
    let authkey = coheld::authkey_from_environment()?;
    let list = ListProxy::<i64>::from_token(&Token::from_str(token)?, &authkey)?;
    loop {
        black_box(list.get(5)?);
    }
}
