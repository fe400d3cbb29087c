//! What the tests with several processes have in common.

#![allow(dead_code, reason = "not every test file uses all of it")]

use std::net::TcpListener;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use coheld::Address;
pub use coheld_shm::os::child::Child;

/// Held by each test: a child forked by one test would keep the pipes of another one open.
static TURN: Mutex<()> = Mutex::new(());

/// Waits until no other test runs.
pub fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Forks. The child runs `work`; its answer is what `Child::said_yes` returns.
pub fn fork(work: impl FnOnce() -> bool) -> Child {
    Child::fork(work).unwrap()
}

/// Waits for `condition`, at most ten seconds; whether it came true.
pub fn eventually(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

/// An address of this machine whose port nobody listens at.
pub fn free_tcp_address() -> Address {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    Address::Tcp {
        host: "127.0.0.1".into(),
        port: free.local_addr().unwrap().port(),
    }
}

/// Sleeps until killed.
pub fn sleep_for_ever() -> bool {
    loop {
        std::thread::sleep(Duration::from_secs(60));
    }
}
