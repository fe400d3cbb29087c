//! What changes from one picture to the next.

use std::collections::{BTreeMap, HashMap};
use std::thread;
use std::time::{Duration, Instant};

use coheld_shm::{LockPlace, Segment};
use coheld_store::survey::Sketch;
use coheld_store::verify;

use crate::picture::{Picture, real};

/// Samples of the inner locks in one picture.
const SAMPLES: u32 = 10;
const BETWEEN_SAMPLES: Duration = Duration::from_millis(1);
/// With more referents than this one sample has to do.
const MANY: usize = 10_000;
/// A walk over everything pauses for so many times as long as it takes.
const WALK_SHARE: u32 = 20;
/// Messages are counted up to this.
const MESSAGES_LIMIT: u32 = 1 << 30;

/// Changes in a second.
#[derive(Default)]
pub(super) struct Rates {
    /// Of all referents.
    pub(super) changes: f64,
    /// Requests to hosts.
    pub(super) calls: f64,
    /// Threads that began to wait in line.
    pub(super) waits: f64,
    /// By place: changes of one referent.
    pub(super) of: HashMap<u64, f64>,
}

impl Rates {
    pub(super) fn between(before: &Picture, now: &Picture, passed: Duration) -> Self {
        let seconds = passed.as_secs_f64().max(0.001);
        let mut rates = Self::default();
        for shared in &now.referents {
            let view = &shared.view;
            let known = before
                .referent(view.offset)
                .filter(|known| known.view.generation == view.generation);
            // What is new has had all its changes since.
            let (version, tickets) = known.map_or((0, 0), |it| (it.view.version, it.view.tickets));
            let changes = real(view.version.saturating_sub(version)) / seconds;
            rates.changes += changes;
            rates.waits += real(view.tickets.saturating_sub(tickets)) / seconds;
            rates.of.insert(view.offset, changes);
            if let Sketch::Channel { requests, .. } = shared.sketch {
                let earlier = match known.map(|it| &it.sketch) {
                    Some(Sketch::Channel { requests, .. }) => *requests,
                    _ => 0,
                };
                let posted = requests.wrapping_sub(earlier) % MESSAGES_LIMIT;
                rates.calls += f64::from(posted) / seconds;
                // A call changes words of its channel and no version.
                rates.of.insert(view.offset, f64::from(posted) / seconds);
            }
        }
        rates
    }
}

/// How large the referents are. To know that takes a walk over all of them, so it may be of some
/// seconds ago.
#[derive(Default)]
pub(super) struct Sizes {
    pub(super) of: HashMap<u64, u64>,
    pub(super) blocks: u64,
    pub(super) bytes: u64,
    walked: Option<Instant>,
    took: Duration,
}

impl Sizes {
    pub(super) fn refresh(&mut self, segment: &Segment) {
        let due = |at: Instant| at.elapsed() >= WALK_SHARE * self.took;
        if !self.walked.is_none_or(due) {
            return;
        }
        let begin = Instant::now();
        let look = verify::look(segment);
        self.of = look
            .sizes
            .iter()
            .map(|size| (size.referent, size.bytes))
            .collect();
        (self.blocks, self.bytes) = (look.report.blocks, look.report.bytes);
        self.walked = Some(Instant::now());
        self.took = begin.elapsed();
    }

    /// How old they are.
    pub(super) fn age(&self) -> Duration {
        self.walked.map_or(Duration::ZERO, |at| at.elapsed())
    }
}

/// How often the inner locks were found held and waited for, in a few samples.
#[derive(Default)]
pub(super) struct Contention {
    pub(super) samples: u32,
    /// By what it protects: in how many samples it was held, and waited for; the last owner.
    pub(super) of: BTreeMap<u64, (LockPlace, u32, u32, u32)>,
}

impl Contention {
    pub(super) fn sample(segment: &Segment) -> Self {
        let mut found = Self::default();
        let many = segment.count_referents() > MANY as u64;
        for sample in 0..if many { 1 } else { SAMPLES } {
            if sample > 0 {
                thread::sleep(BETWEEN_SAMPLES);
            }
            found.samples += 1;
            for lock in segment.held_locks() {
                let place = match lock.place {
                    LockPlace::Referent(offset) => offset,
                    LockPlace::Class(class) => class as u64,
                    LockPlace::Pages => u64::MAX,
                };
                let entry = found.of.entry(place).or_insert((lock.place, 0, 0, 0));
                entry.1 += 1;
                entry.2 += u32::from(lock.contended);
                entry.3 = lock.owner;
            }
        }
        found
    }
}
