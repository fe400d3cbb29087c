//! Models of the lock-free parts, every interleaving of a few threads (run by `make loom`).

use loom::{
    cell::UnsafeCell,
    sync::{Arc, Condvar, Mutex},
    thread,
};

use crate::{
    bitmap,
    glance::glance,
    line::{
        bell::Bell,
        signal::{Signal, UNSIGNALLED},
    },
    lock::word::{self, Acquired, Environment, WAITERS},
    member::slot,
    message::word::{Post, Word},
    sync::{AtomicU32, AtomicU64, Ordering},
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

/// Things to be had and those who wait for them: a referent and its line, all of it under a lock.
struct Waited {
    lock: AtomicU32,
    things: AtomicU64,
    /// 1 for each waiter that stands in line.
    line: [AtomicU32; 2],
    signals: [AtomicU32; 2],
    /// What a futex does: nobody wakes between a sleeper's last look at the word and its sleep.
    asleep: Mutex<()>,
    woken: Condvar,
}

impl Waited {
    fn new(line: [u32; 2]) -> Arc<Self> {
        Arc::new(Self {
            lock: AtomicU32::new(0),
            things: AtomicU64::new(0),
            line: line.map(AtomicU32::new),
            signals: [AtomicU32::new(0), AtomicU32::new(0)],
            asleep: Mutex::new(()),
            woken: Condvar::new(),
        })
    }

    fn locked<T>(&self, tag: u32, act: impl FnOnce() -> T) -> T {
        if !word::try_acquire(&self.lock, tag) {
            word::acquire(&self.lock, tag, self).expect("never interrupted");
        }
        let done = act();
        if word::release(&self.lock) {
            self.wake();
        }
        done
    }

    /// Under the lock, as `Guard::signal_first`.
    fn signal_first(&self) {
        for (stands, signal) in self.line.iter().zip(&self.signals) {
            let signal = Signal::new(signal);
            if stands.load(Ordering::Relaxed) == 1 && signal.get_locked() == UNSIGNALLED {
                return signal.give(1);
            }
        }
    }

    fn bring(&self, tag: u32) {
        self.locked(tag, || {
            let things = self.things.load(Ordering::Relaxed);
            self.things.store(things + 1, Ordering::Relaxed);
            self.signal_first();
        });
        self.wake();
    }

    fn sleep(&self, word: &AtomicU32, expected: u32) {
        let mut asleep = self.asleep.lock().unwrap();
        while word.load(Ordering::Relaxed) == expected {
            asleep = self.woken.wait(asleep).unwrap();
        }
    }

    fn wake(&self) {
        drop(self.asleep.lock().unwrap());
        self.woken.notify_all();
    }

    /// Waits in line until it has one. Who sleeps for ever is found by loom.
    fn fetch(&self, waiter: usize, tag: u32) {
        let signal = Signal::new(&self.signals[waiter]);
        loop {
            signal.listen();
            let taken = self.locked(tag, || {
                let things = self.things.load(Ordering::Relaxed);
                if things == 0 {
                    return false;
                }
                self.things.store(things - 1, Ordering::Relaxed);
                self.line[waiter].store(0, Ordering::Relaxed);
                if signal.get_locked() != UNSIGNALLED {
                    self.signal_first();
                }
                true
            });
            if taken {
                return self.wake();
            }
            signal.sleep(|expected| self.sleep(&self.signals[waiter], expected));
        }
    }
}

impl Environment for Waited {
    fn wait(&self, word: &AtomicU32, expected: u32) {
        self.sleep(word, expected);
    }

    fn is_dead(&self, _tag: u32) -> bool {
        false
    }

    fn interrupted(&self) -> bool {
        false
    }
}

#[test]
fn a_change_is_seen_or_the_signal_is() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let waited = Waited::new([1, 0]);
        let bringer = {
            let waited = Arc::clone(&waited);
            thread::spawn(move || waited.bring(1))
        };
        waited.fetch(0, 2);
        bringer.join().unwrap();
        assert_eq!(waited.things.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn a_signal_too_many_goes_to_the_next() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let waited = Waited::new([1, 1]);
        let first = {
            let waited = Arc::clone(&waited);
            thread::spawn(move || waited.fetch(0, 1))
        };
        let second = {
            let waited = Arc::clone(&waited);
            thread::spawn(move || waited.fetch(1, 2))
        };
        waited.bring(3);
        waited.bring(3);
        first.join().unwrap();
        second.join().unwrap();
        assert_eq!(waited.things.load(Ordering::Relaxed), 0);
    });
}

/// Two wakers and one who listens to the bell of two waiters, until both have their signals.
#[test]
fn a_bell_tells_of_every_signal() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let waited = Waited::new([1, 1]);
        let bell = Arc::new(AtomicU32::new(0));
        let wakers: Vec<_> = (0..2)
            .map(|waiter: usize| {
                let (waited, bell) = (Arc::clone(&waited), Arc::clone(&bell));
                thread::spawn(move || {
                    Signal::new(&waited.signals[waiter]).give(1);
                    Bell::new(&bell).ring();
                    waited.wake();
                })
            })
            .collect();
        loop {
            Bell::new(&bell).listen();
            let signals = waited.signals.iter();
            if signals.map(Signal::new).all(|signal| signal.get() == 1) {
                break;
            }
            Bell::new(&bell).sleep(|silent| waited.sleep(&bell, silent));
        }
        for waker in wakers {
            waker.join().unwrap();
        }
    });
}

/// One direction of a channel: a message that is written and read without a lock, and its word.
struct Direction {
    word: AtomicU32,
    /// Loom finds out when two threads could be at it at once.
    bytes: UnsafeCell<u32>,
    asleep: Mutex<()>,
    woken: Condvar,
}

impl Direction {
    fn new() -> Self {
        Self {
            word: AtomicU32::new(0),
            bytes: UnsafeCell::new(0),
            asleep: Mutex::new(()),
            woken: Condvar::new(),
        }
    }

    fn wake(&self) {
        drop(self.asleep.lock().unwrap());
        self.woken.notify_all();
    }

    /// As `Channel::send`; whether it was counted.
    fn send(&self, bytes: u32) -> bool {
        self.bytes.with_mut(|cell| {
            // SAFETY: loom checks that nobody else is at it.
            unsafe { *cell = bytes }
        });
        match Word::new(&self.word).post() {
            Post::Done => true,
            Post::Wake => {
                self.wake();
                true
            }
            Post::Closed => false,
        }
    }

    /// Waits for the message after number `known`; `None`: closed. Who sleeps for ever is found by
    /// loom.
    fn receive(&self, known: u32) -> Option<u32> {
        let word = Word::new(&self.word);
        loop {
            let posted = word.look();
            if posted.number != known {
                assert_eq!(posted.number, known + 1);
                return Some(self.bytes.with(|cell| {
                    // SAFETY: as above.
                    unsafe { *cell }
                }));
            }
            if posted.closed {
                return None;
            }
            word.sleep(known, |expected| {
                let mut asleep = self.asleep.lock().unwrap();
                while self.word.load(Ordering::Relaxed) == expected {
                    asleep = self.woken.wait(asleep).unwrap();
                }
            });
        }
    }

    fn close(&self) {
        Word::new(&self.word).close();
        self.wake();
    }
}

#[test]
fn a_message_is_seen_whole_and_wakes_its_reader() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let pair = Arc::new([Direction::new(), Direction::new()]);
        let host = {
            let pair = Arc::clone(&pair);
            thread::spawn(move || {
                let [request, reply] = &*pair;
                for number in 0..2 {
                    let asked = request.receive(number).expect("nobody closes");
                    assert!(reply.send(asked + 1));
                }
            })
        };
        let [request, reply] = &*pair;
        for number in 0..2 {
            assert!(request.send(10 * number));
            assert_eq!(reply.receive(number), Some(10 * number + 1));
        }
        host.join().unwrap();
    });
}

#[test]
fn a_closed_word_wakes_its_reader_and_stays_closed() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let direction = Arc::new(Direction::new());
        let reader = {
            let direction = Arc::clone(&direction);
            thread::spawn(move || {
                let first = direction.receive(0);
                let second = first.and_then(|_| direction.receive(1));
                (first, second)
            })
        };
        let poster = {
            let direction = Arc::clone(&direction);
            thread::spawn(move || direction.send(7))
        };
        direction.close();
        let sent = poster.join().unwrap();
        // What came before the end is received, nothing else is.
        assert_eq!(reader.join().unwrap(), (sent.then_some(7), None));
        assert!(Word::new(&direction.word).look().closed);
        assert_eq!(Word::new(&direction.word).post(), Post::Closed);
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
