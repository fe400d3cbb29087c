//! Whatever waits, under many schedules of a few threads (run by `make shuttle`).
//!
//! Every access to the segment is a point at which another thread may go on. There is no clock:
//! who sleeps is woken by somebody or never, so that a lost wake-up, which the patience of sleepers
//! would heal, is a deadlock here. Threads share one order of all stores; orderings are the
//! business of loom.
//!
//! The schedules are the same each time. `SHUTTLE_ITERATIONS=n` runs others, `n` of each kind for
//! each model, and a model that fails prints its schedule (see `shuttle::replay`).
#![cfg(shuttle)]

mod channels;
mod locks;
mod meetings;
mod members;
mod queues;
mod standings;

use std::env;

use coheld_shm::backing::HeapBacking;
use coheld_shm::{Options, Referent, Segment};
use coheld_store::MENDER;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::thread::yield_now;
use shuttle::{Config, Runner};

/// Schedules of each kind for a model.
const ITERATIONS: usize = 8000;
const SEED: u64 = 0x0c0_4e1d;
/// Points at which a schedule of the second kind lets another thread go first.
const DEPTH: usize = 4;

/// Runs a model under schedules that choose the next thread at random at every step, and under
/// schedules that let one thread go far and change their mind a few times.
fn check(model: impl Fn() + Send + Sync + Copy + 'static) {
    let mut config = Config::new();
    config.stack_size = 256 << 10;
    config.silence_warnings = true;
    match env::var("SHUTTLE_ITERATIONS") {
        Ok(count) => {
            let count = count.parse().expect("SHUTTLE_ITERATIONS is a number");
            Runner::new(RandomScheduler::new(count), config.clone()).run(model);
            Runner::new(PctScheduler::new(DEPTH, count), config).run(model);
        }
        Err(_) => {
            let random = RandomScheduler::new_from_seed(SEED, ITERATIONS);
            Runner::new(random, config.clone()).run(model);
            let few_changes = PctScheduler::new_from_seed(SEED, DEPTH, ITERATIONS);
            Runner::new(few_changes, config).run(model);
        }
    }
}

/// Members of one segment, the first of whom has made a referent that all of them hold.
struct World {
    members: Vec<Segment>,
    place: (u64, u32),
}

impl World {
    fn new(count: usize, kind: u8, auxiliary: u64) -> Self {
        let options = Options {
            member_limit: 4,
            lanes_per_member: 4,
            ..Options::default()
        };
        let backing = HeapBacking::new(1 << 20);
        let mut members = vec![Segment::create(Box::new(backing.clone()), &options).unwrap()];
        while members.len() < count {
            members.push(Segment::attach(Box::new(backing.clone())).unwrap());
        }
        for member in &members {
            member.set_mender(MENDER);
            member.join().unwrap();
        }
        let place = members[0].create_referent(kind, auxiliary).unwrap();
        for member in &members[1..] {
            member.acquire(place.0, place.1).unwrap();
        }
        Self { members, place }
    }

    /// The referent as a member sees it; numbers beyond the members begin anew.
    fn of(&self, member: usize) -> Referent<'_> {
        let member = &self.members[member % self.members.len()];
        member.referent(self.place.0, self.place.1).unwrap()
    }
}

fn wait_until(what: impl Fn() -> bool) {
    while !what() {
        yield_now();
    }
}
