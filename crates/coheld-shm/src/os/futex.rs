//! Waiting on a word of memory that other processes map.
//!
//! No private flag: a private futex in shared memory never meets the waker of another process.

use core::sync::atomic::AtomicU32;
use core::time::Duration;

use rustix::fs::Timespec;
use rustix::thread::futex::{self, Flags};

/// Longest single wait. Callers look at the world again long before; this only keeps the
/// conversion from overflowing.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Sleeps while `word` is `expected`, at most `timeout`. Returns early on a signal, on a wake
/// meant for somebody else, or for no reason.
pub fn wait(word: &AtomicU32, expected: u32, timeout: Duration) {
    let timeout = timeout.min(LONGEST_WAIT);
    let timeout = Timespec {
        tv_sec: timeout.as_secs().cast_signed(),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    // Every outcome means the same to the caller: look at the word again.
    let _ = futex::wait(word, Flags::empty(), expected, Some(&timeout));
}

/// Wakes up to `count` waiters of `word`, of any process.
pub fn wake(word: &AtomicU32, count: u32) {
    // The kernel takes a signed count. The call can fail only for an unmapped address.
    let _ = futex::wake(word, Flags::empty(), count.min(i32::MAX.cast_unsigned()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::Ordering;
    use std::time::Instant;

    #[test]
    fn a_changed_word_is_not_waited_for() {
        let start = Instant::now();
        wait(&AtomicU32::new(1), 0, Duration::from_secs(60));
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_wait_ends_at_its_time_and_at_a_wake() {
        let word = AtomicU32::new(0);
        wait(&word, 0, Duration::from_millis(5));
        let start = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while word.load(Ordering::SeqCst) == 0 {
                    wait(&word, 0, Duration::from_secs(60));
                }
            });
            std::thread::sleep(Duration::from_millis(20));
            word.store(1, Ordering::SeqCst);
            wake(&word, u32::MAX);
        });
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}
