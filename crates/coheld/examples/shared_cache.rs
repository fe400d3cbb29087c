//! A cache that several processes share, with a limit of size: the entries that nobody has asked
//! for in the longest time go.
//!
//! ```text
//! shared_cache [CAPACITY]
//! ```

use std::env;
use std::error::Error;
use std::io::{self, Write as _};

use coheld::process;
use coheld::{DictProxy, LockProxy, Manager, Result, ValueProxy};
use serde::{Deserialize, Serialize};

const WORKERS: u64 = 4;
const REQUESTS: u64 = 2_000;
const DEFAULT_CAPACITY: usize = 200;

/// Values by numbers. A copy of it is the same cache.
#[derive(Clone, Serialize, Deserialize)]
struct Cache {
    capacity: usize,
    /// Each value, and when it was asked for last.
    entries: DictProxy<u64, (i64, u64)>,
    /// Counts the requests: what stands for the time.
    clock: ValueProxy<i64>,
    /// Whoever has it makes room.
    broom: LockProxy,
}

impl Cache {
    fn new(manager: &Manager, capacity: usize) -> Result<Self> {
        Ok(Self {
            capacity,
            entries: manager.dict()?,
            clock: manager.value(&0)?,
            broom: manager.lock()?,
        })
    }

    /// The value of a key, and whether it was there.
    fn get_or_compute(&self, key: u64, compute: impl FnOnce() -> u64) -> Result<(u64, bool)> {
        let now = self.clock.increment(1)?;
        let touched = self
            .entries
            .update(&key, |entry| entry.map(|(_, value)| (now, value)))?;
        if let Some((_, value)) = touched {
            return Ok((value, true));
        }
        // Two may do so at the same time; the value is the same.
        let value = compute();
        self.entries.insert(&key, &(now, value))?;
        self.make_room()?;
        Ok((value, false))
    }

    /// Takes out the oldest ones, unless somebody else is at it: that one looks again when done.
    fn make_room(&self) -> Result<()> {
        while self.entries.len()? > self.capacity {
            let Some(_guard) = self.broom.try_lock()? else {
                break;
            };
            self.sweep()?;
        }
        Ok(())
    }

    /// Takes out the oldest tenth.
    fn sweep(&self) -> Result<()> {
        let mut entries = self.entries.items()?;
        let excess = entries
            .len()
            .saturating_sub(self.capacity - self.capacity / 10);
        entries.sort_by_key(|(_, (used, _))| *used);
        for (key, entry) in &entries[..excess] {
            // Only if nobody has asked for it meanwhile.
            self.entries
                .update(key, |now| now.filter(|now| now != entry))?;
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    process::init();

    let capacity = env::args()
        .nth(1)
        .map_or(Ok(DEFAULT_CAPACITY), |number| number.parse())?;
    let manager = Manager::start()?;
    let cache = Cache::new(&manager, capacity)?;
    let mut workers = Vec::new();
    for seed in 1..=WORKERS {
        workers.push(process::spawn(ask, (cache.clone(), seed))?);
    }
    let mut hits = 0;
    for worker in workers {
        hits += worker.join()??;
    }
    let (requests, kept) = (WORKERS * REQUESTS, cache.entries.len()?);
    writeln!(
        io::stdout(),
        "{hits} of {requests} requests were hits, {kept} entries are kept"
    )?;
    Ok(())
}

/// Asks for many numbers, some of them more often than others; how many were there.
fn ask((cache, seed): (Cache, u64)) -> Result<u64, String> {
    let mut random = seed;
    let mut hits = 0;
    for _ in 0..REQUESTS {
        // Knuth's multiplier and increment, for 64 bits.
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let number = (random >> 33) % (1 << ((random >> 29) % 11));
        let answer = cache.get_or_compute(number, || divisors(number));
        let (value, was_there) = answer.map_err(|error| error.to_string())?;
        assert_eq!(value, divisors(number));
        hits += u64::from(was_there);
    }
    Ok(hits)
}

/// How many numbers divide a number.
fn divisors(number: u64) -> u64 {
    (1..=number)
        .filter(|divisor| number.is_multiple_of(*divisor))
        .count() as u64
}
