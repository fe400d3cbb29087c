//! Models of the lock-free parts, every interleaving of a few threads (run by `make loom`).

use loom::{sync::Arc, thread};

use crate::{
    bitmap,
    glance::glance,
    lock::word::{self, Acquired, Environment, WAITERS},
    member::slot,
    sync::{AtomicU32, AtomicU64, Ordering},
    wait::WaitWord,
};

/// Members named here are dead; waiting is a step of the scheduler.
struct World {
    dead: Option<u32>,
}

impl Environment for World {
    fn wait(&self, _word: &AtomicU32, _expected: u32) {
        thread::yield_now();
    }

    fn is_dead(&self, tag: u32) -> bool {
        self.dead == Some(tag)
    }

    fn interrupted(&self) -> bool {
        false
    }
}

struct Shared {
    lock: AtomicU32,
    /// Changed without atomicity under the lock: a lost update shows.
    value: AtomicU64,
}

fn increment(shared: &Shared, tag: u32, world: &World) -> Acquired {
    let acquired = if word::try_acquire(&shared.lock, tag) {
        Acquired::Clean
    } else {
        word::acquire(&shared.lock, tag, world).expect("never interrupted")
    };
    let value = shared.value.load(Ordering::Relaxed);
    shared.value.store(value + 1, Ordering::Relaxed);
    let _ = word::release(&shared.lock);
    acquired
}

#[test]
fn the_lock_excludes() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let shared = Arc::new(Shared {
            lock: AtomicU32::new(0),
            value: AtomicU64::new(0),
        });
        let threads: Vec<_> = (1..3)
            .map(|tag| {
                let shared = shared.clone();
                thread::spawn(move || increment(&shared, tag, &World { dead: None }))
            })
            .collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), Acquired::Clean);
        }
        assert_eq!(shared.value.load(Ordering::Relaxed), 2);
        assert_eq!(shared.lock.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn exactly_one_takes_over_from_the_dead() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let dead = 9;
        let shared = Arc::new(Shared {
            lock: AtomicU32::new(dead | WAITERS),
            value: AtomicU64::new(0),
        });
        let threads: Vec<_> = (1..3)
            .map(|tag| {
                let shared = shared.clone();
                thread::spawn(move || increment(&shared, tag, &World { dead: Some(dead) }))
            })
            .collect();
        let taken: Vec<_> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect();
        assert_eq!(
            taken
                .iter()
                .filter(|&&how| how == Acquired::TakenOver(dead))
                .count(),
            1
        );
        assert_eq!(shared.value.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn an_announcement_is_seen_or_the_sleeper_is() {
    loom::model(|| {
        let cells = Arc::new((AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0)));
        let announcer = {
            let cells = cells.clone();
            thread::spawn(move || {
                cells.2.store(1, Ordering::Release);
                WaitWord::new(&cells.0, &cells.1).announce()
            })
        };
        let wait = WaitWord::new(&cells.0, &cells.1);
        let seen = wait.prepare();
        let ready = cells.2.load(Ordering::Acquire) == 1;
        let mut slept = false;
        if !ready {
            wait.sleep(seen, |_, _| slept = true);
        }
        let woken = announcer.join().unwrap();
        // Whoever went to sleep without having seen the flag is woken.
        assert!(!slept || woken);
        wait.finish();
    });
}

#[test]
fn a_slot_has_one_owner() {
    loom::model(|| {
        let word = Arc::new(AtomicU64::new(0));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let word = word.clone();
                thread::spawn(move || slot::claim(&word, slot::ALIVE))
            })
            .collect();
        let claimed = threads
            .into_iter()
            .filter_map(|thread| thread.join().unwrap())
            .count();
        assert_eq!(claimed, 1);
        assert_eq!(slot::state(word.load(Ordering::Relaxed)), slot::ALIVE);
        assert_ne!(slot::tag(0, word.load(Ordering::Relaxed)), 0);
    });
}

#[test]
fn a_bit_has_one_owner() {
    loom::model(|| {
        let shared = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let shared = shared.clone();
                thread::spawn(move || {
                    let bit = bitmap::claim(&shared.0, 1)?;
                    let value = shared.1.load(Ordering::Relaxed);
                    shared.1.store(value + 1, Ordering::Relaxed);
                    bitmap::give_back(&shared.0, bit);
                    Some(bit)
                })
            })
            .collect();
        let claims = threads
            .into_iter()
            .filter_map(|thread| thread.join().unwrap())
            .count();
        assert!(claims >= 1);
        assert_eq!(shared.1.load(Ordering::Relaxed), claims as u64);
    });
}

/// Two words that a writer changes together, seen without the lock.
#[test]
fn a_glance_sees_one_moment() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let pair = Arc::new((
            AtomicU32::new(0),
            AtomicU64::new(0),
            [AtomicU64::new(0), AtomicU64::new(0)],
        ));
        let writer = {
            let pair = Arc::clone(&pair);
            thread::spawn(move || {
                let (lock, version, words) = &*pair;
                assert!(word::try_acquire(lock, 1));
                version.store(1, Ordering::Release);
                for word in words {
                    word.store(7, Ordering::Release);
                }
                let _ = word::release(lock);
            })
        };
        let (lock, version, words) = &*pair;
        let seen = glance(lock, version, || {
            Some([&words[0], &words[1]].map(|word| word.load(Ordering::Relaxed)))
        });
        if let Some([first, second]) = seen {
            assert_eq!(first, second);
        }
        writer.join().unwrap();
    });
}
