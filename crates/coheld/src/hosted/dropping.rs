//! Dropping objects that nobody refers to any more.
//!
//! What an object does at its end is the program's: it may take long, it may wait for a call that
//! comes later. So the thread that accepts callers has no part in it. The runtime makes a thread
//! that drops one object after another; while it is stuck in one of them, another one goes on.
#![allow(
    clippy::disallowed_types,
    reason = "what a thread of this process does, not something of the segment"
)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use coheld_shm::Host;

use super::shared::Shared;
use crate::fork::guarded;
use crate::{Error, host};

/// How long one object may take before another thread goes on with the rest.
pub(super) const PATIENCE: Duration = Duration::from_millis(100);
/// How long one object may take before a host that stops does not wait for it any more.
const LAST_PATIENCE: Duration = Duration::from_millis(500);
/// How long a thread waits for more to drop.
const IDLE: Duration = Duration::from_secs(1);

/// The objects that wait to be dropped, and the threads that do it.
#[derive(Default)]
pub(super) struct Dropping {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Numbers of the objects, in the order in which they lost their last reference.
    gone: VecDeque<u64>,
    droppers: BTreeMap<u64, Dropper>,
    /// Threads so far.
    started: u64,
    /// Whether the host is stopped.
    is_over: bool,
}

#[derive(Default)]
struct Dropper {
    /// None until it runs.
    thread: Option<Thread>,
    /// Since when it has been in one object.
    since: Option<Instant>,
}

/// What a thread has to do next.
enum Next {
    Drop(u64),
    Wait,
    End,
}

impl Dropping {
    /// Notes objects to be dropped.
    pub(super) fn push(&self, numbers: impl IntoIterator<Item = u64>) {
        let numbers = numbers.into_iter().collect::<Vec<_>>();
        guarded(&self.state, |state| state.gone.extend(numbers));
    }

    /// Whether objects wait to be dropped.
    pub(super) fn is_behind(&self) -> bool {
        guarded(&self.state, |state| !state.gone.is_empty())
    }

    /// Has all threads end when there is nothing to drop.
    pub(super) fn finish(&self) {
        guarded(&self.state, |state| {
            state.is_over = true;
            let threads = state.droppers.values();
            threads
                .filter_map(|it| it.thread.as_ref())
                .for_each(Thread::unpark);
        });
    }

    /// Takes back what no thread has begun to drop.
    pub(super) fn take(&self) -> VecDeque<u64> {
        guarded(&self.state, |state| std::mem::take(&mut state.gone))
    }

    /// Whether objects will go soon that have not gone yet.
    pub(super) fn is_winding_up(&self) -> bool {
        guarded(&self.state, |state| {
            !state.gone.is_empty()
                || state
                    .droppers
                    .values()
                    .any(|it| !it.is_stuck(LAST_PATIENCE))
        })
    }
}

impl State {
    /// The number of a thread to be started, if no other one takes care of what is there.
    fn engage(&mut self) -> Option<u64> {
        if self.gone.is_empty() {
            return None;
        }
        if let Some(idle) = self.droppers.values().find(|it| it.since.is_none()) {
            if let Some(thread) = &idle.thread {
                thread.unpark();
            }
            return None;
        }
        if self.droppers.values().any(|it| !it.is_stuck(PATIENCE)) {
            return None;
        }
        self.started += 1;
        self.droppers.insert(self.started, Dropper::default());
        Some(self.started)
    }

    /// What the thread with this number does next, which has been idle for some time.
    fn next(&mut self, dropper: u64, idle: Duration) -> Next {
        let Some(entry) = self.droppers.get_mut(&dropper) else {
            return Next::End;
        };
        entry.since = None;
        if let Some(number) = self.gone.pop_front() {
            entry.since = Some(Instant::now());
            return Next::Drop(number);
        }
        if self.is_over || idle >= IDLE {
            self.droppers.remove(&dropper);
            return Next::End;
        }
        entry.thread.get_or_insert_with(thread::current);
        Next::Wait
    }
}

impl Dropper {
    fn is_stuck(&self, patience: Duration) -> bool {
        self.since.is_some_and(|since| since.elapsed() >= patience)
    }
}

/// Sees to it that a thread drops what there is to drop.
pub(super) fn tend(host: &Arc<Shared>) -> Result<(), Error> {
    let state = &host.dropping().state;
    let Some(dropper) = guarded(state, State::engage) else {
        return Ok(());
    };
    let shared = Arc::clone(host);
    let spawned = host.serve().spawn(Box::new(move || run(&shared, dropper)));
    if spawned.is_err() {
        guarded(state, |state| state.droppers.remove(&dropper));
    }
    spawned
}

/// Drops objects until there have been none for some time.
fn run(host: &Shared, dropper: u64) {
    let mut idle_since = Instant::now();
    loop {
        let idle = idle_since.elapsed();
        match guarded(&host.dropping().state, |state| state.next(dropper, idle)) {
            Next::Drop(number) => {
                host.drop_object(number);
                if !host.is_own() {
                    // The object has forked, and this is the child, whose objects nobody calls.
                    return;
                }
                idle_since = Instant::now();
            }
            Next::Wait => host::HOST.block(&mut || thread::park_timeout(IDLE)),
            Next::End => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long enough ago to be stuck.
    fn long_ago() -> Option<Instant> {
        Instant::now().checked_sub(LAST_PATIENCE)
    }

    #[test]
    fn one_thread_drops_whatever_there_is() {
        let mut state = State::default();
        assert_eq!(state.engage(), None);
        state.gone.extend([7, 8]);
        assert_eq!(state.engage(), Some(1));
        assert_eq!(state.engage(), None);
        assert!(matches!(state.next(1, Duration::ZERO), Next::Drop(7)));
        assert_eq!(state.engage(), None);
        assert!(matches!(state.next(1, Duration::ZERO), Next::Drop(8)));
        assert!(matches!(state.next(1, Duration::ZERO), Next::Wait));
        state.gone.push_back(9);
        assert_eq!(state.engage(), None);
        assert!(matches!(state.next(1, IDLE), Next::Drop(9)));
        assert!(matches!(state.next(1, IDLE), Next::End));
        assert!(state.droppers.is_empty());
    }

    #[test]
    fn another_thread_goes_on_while_one_is_stuck() {
        let mut state = State::default();
        state.gone.extend([7, 8]);
        assert_eq!(state.engage(), Some(1));
        assert!(matches!(state.next(1, Duration::ZERO), Next::Drop(7)));
        assert_eq!(state.engage(), None);
        if let Some(dropper) = state.droppers.get_mut(&1) {
            dropper.since = long_ago();
        }
        assert_eq!(state.engage(), Some(2));
        assert!(matches!(state.next(2, Duration::ZERO), Next::Drop(8)));
        assert_eq!(state.engage(), None);
    }

    #[test]
    fn stopping_waits_for_what_is_not_stuck() {
        let dropping = Dropping::default();
        assert!(!dropping.is_winding_up());
        dropping.push([7]);
        dropping.finish();
        assert!(dropping.is_winding_up());
        guarded(&dropping.state, |state| {
            assert_eq!(state.engage(), Some(1));
            assert!(matches!(state.next(1, Duration::ZERO), Next::Drop(7)));
        });
        assert!(dropping.is_winding_up());
        guarded(&dropping.state, |state| {
            state.droppers.get_mut(&1).unwrap().since = long_ago();
        });
        assert!(!dropping.is_winding_up());
    }
}
