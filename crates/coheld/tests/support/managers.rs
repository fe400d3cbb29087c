//! Managers in processes of their own, and what they cost.
#![allow(dead_code, reason = "not every test file uses all of it")]
#![allow(clippy::disallowed_methods, reason = "it looks at processes")]

use std::thread;
use std::time::Duration;

use coheld::control::{self, Server};
use coheld::{Address, SegmentOptions};

use crate::support::{Child, eventually, fork};

pub const KEY: &[u8] = b"key of the test";
/// What an honest client may take at most.
pub const TIMEOUT: Duration = Duration::from_secs(10);

pub fn options() -> SegmentOptions {
    SegmentOptions {
        capacity: 1 << 30,
        ..SegmentOptions::default()
    }
}

/// Starts a manager in a process of its own and waits until it listens.
pub fn manager(address: &Address) -> Child {
    manager_with(address, |_| ())
}

/// The same with something to be done before it serves.
pub fn manager_with(address: &Address, prepare: impl FnOnce(&Server)) -> Child {
    let process = fork(|| {
        let server = Server::bind(address.clone(), KEY, &options()).unwrap();
        prepare(&server);
        server.serve().is_ok()
    });
    assert!(eventually(|| control::ping(address, KEY, TIMEOUT).is_ok()));
    process
}

/// What a process costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    pub descriptors: usize,
    pub threads: usize,
}

impl Cost {
    pub fn of(process: &Child) -> Self {
        let count = |what: &str| {
            let path = format!("/proc/{}/{what}", process.id());
            std::fs::read_dir(path).unwrap().count()
        };
        Self {
            descriptors: count("fd"),
            threads: count("task"),
        }
    }

    /// When nobody is connected any more.
    pub fn at_rest(process: &Child) -> Self {
        let mut cost = Self::of(process);
        assert!(eventually(|| {
            // One that stays the same for a while.
            thread::sleep(Duration::from_millis(50));
            let before = std::mem::replace(&mut cost, Self::of(process));
            before == cost
        }));
        cost
    }
}

/// Bytes of memory that a process has.
pub fn memory(process: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.unwrap().trim().trim_end_matches("kB").trim();
    number.parse::<u64>().unwrap() << 10
}
