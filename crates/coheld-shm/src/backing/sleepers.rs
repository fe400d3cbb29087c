//! A futex for the model of threads: nobody is woken but by a wake, because there is no clock.
//!
//! A wake-up that is lost is so a thread that sleeps for ever, which shuttle reports.

use std::sync::PoisonError;

use shuttle::sync::{Condvar, Mutex, MutexGuard};

/// Who sleeps, on which words of a memory.
#[derive(Default)]
pub(super) struct Sleepers {
    asleep: Mutex<Asleep>,
    somebody_woke: Condvar,
}

#[derive(Default)]
struct Asleep {
    /// Offset of the word and number of the sleep, first come first.
    sleeps: Vec<(u64, u64)>,
    next: u64,
}

impl Sleepers {
    fn asleep(&self) -> MutexGuard<'_, Asleep> {
        self.asleep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps until woken, if `is_expected`, which is asked when no wake can come in between.
    pub(super) fn wait(&self, offset: u64, is_expected: impl FnOnce() -> bool) {
        let mut asleep = self.asleep();
        if !is_expected() {
            return;
        }
        let sleep = (offset, asleep.next);
        asleep.next += 1;
        asleep.sleeps.push(sleep);
        while asleep.sleeps.contains(&sleep) {
            let woken = self.somebody_woke.wait(asleep);
            asleep = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Wakes up to `count` sleepers.
    pub(super) fn wake(&self, offset: u64, count: u32) {
        let mut left = count;
        self.asleep().sleeps.retain(|&(at, _)| {
            let woken = at == offset && left > 0;
            left -= u32::from(woken);
            !woken
        });
        self.somebody_woke.notify_all();
    }
}
