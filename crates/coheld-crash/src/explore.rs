//! Walks an operation instruction by instruction.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;

use coheld_shm::{Options, Segment, backing::MemfdBacking};

use crate::{
    cases::{Case, Place},
    check::{self, State},
    step::{Child, Step},
};

/// Small, so that an image is compared in microseconds and growth happens.
const CAPACITY: u64 = 1536 * 1024;
/// Instructions after which an operation counts as endless.
const INSTRUCTION_LIMIT: u64 = 3_000_000;

/// What was found at one point.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Instructions that the child had run.
    pub instruction: u64,
    /// What is wrong.
    pub problem: String,
}

/// What exploring one operation showed.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Instructions of the operation.
    pub instructions: u64,
    /// Different images of the segment among them, each recovered and checked.
    pub images: usize,
    /// Points at which recovery gave the state before the operation.
    pub before: usize,
    /// Points at which it gave the state after it.
    pub after: usize,
    /// Torn states, leaks, damage.
    pub findings: Vec<Finding>,
}

fn options() -> Options {
    Options {
        member_limit: 4,
        lanes_per_member: 2,
        secret: [3, 5],
        id: [7; 16],
        flags: 0,
    }
}

/// Explores one case. The calling process must have a single thread.
pub fn explore(case: &Case) -> io::Result<Outcome> {
    let backing = MemfdBacking::create(CAPACITY).map_err(io::Error::other)?;
    let segment = Segment::create(Box::new(backing), &options()).map_err(io::Error::other)?;
    segment.set_mender(coheld_store::MENDER);
    segment.join().map_err(io::Error::other)?;
    let places = (case.build)(&segment).map_err(io::Error::other)?;
    let own = segment.own_slot().unwrap_or(0);

    let mut image = vec![0; CAPACITY as usize];
    read(&segment, &mut image)?;
    let before = check::state_of(&image, &[], &places).map_err(io::Error::other)?;

    let child = Child::start(
        || segment.join().is_ok() && places.iter().all(|place| hold(&segment, place)),
        || (case.run)(&segment, &places).is_ok(),
    )?;
    // The slot that the child took: the only one that is neither ours nor free.
    read(&segment, &mut image)?;
    let victim = check::other_member(&image, own).map_err(io::Error::other)?;

    let mut outcome = Outcome::default();
    let mut seen = HashSet::new();
    let mut points = Vec::new();
    let mut next = vec![0; image.len()];
    seen.insert(digest(&image));
    points.push((0, image.clone()));
    loop {
        match child.step()? {
            Step::Stepped => outcome.instructions += 1,
            Step::Stopped => break,
            Step::Ended(status) => {
                return Err(io::Error::other(format!(
                    "the child ended: status {status}"
                )));
            }
        }
        if outcome.instructions > INSTRUCTION_LIMIT {
            return Err(io::Error::other("the operation does not end"));
        }
        read(&segment, &mut next)?;
        if next != image {
            std::mem::swap(&mut image, &mut next);
            if seen.insert(digest(&image)) {
                points.push((outcome.instructions, image.clone()));
            }
        }
    }
    if !child.finish()? {
        return Err(io::Error::other("the operation failed in the child"));
    }
    let after = check::state_of(&image, &[victim], &places).map_err(io::Error::other)?;
    outcome.images = points.len();
    for (instruction, image) in points {
        judge(
            &mut outcome,
            instruction,
            &image,
            victim,
            own,
            &places,
            (&before, &after),
        );
    }
    Ok(outcome)
}

fn judge(
    outcome: &mut Outcome,
    instruction: u64,
    image: &[u8],
    victim: u32,
    own: u32,
    places: &[Place],
    (before, after): (&State, &State),
) {
    let mut report = |problem| {
        outcome.findings.push(Finding {
            instruction,
            problem,
        });
    };
    match check::state_of(image, &[victim], places) {
        Err(problem) => report(problem),
        Ok(state) if state == *before => outcome.before += 1,
        Ok(state) if state == *after => outcome.after += 1,
        Ok(state) => {
            report(format!(
                "torn: {state:?}\n  before: {before:?}\n  after: {after:?}"
            ));
        }
    }
    if let Err(problem) = check::usable(image, &[victim], places) {
        outcome.findings.push(Finding {
            instruction,
            problem,
        });
    }
    if let Err(problem) = check::empty_without(image, &[victim, own]) {
        outcome.findings.push(Finding {
            instruction,
            problem,
        });
    }
}

fn hold(segment: &Segment, place: &Place) -> bool {
    segment.acquire(place.offset, place.generation).is_ok()
}

fn read(segment: &Segment, into: &mut [u8]) -> io::Result<()> {
    segment.copy_out(0, into).map_err(io::Error::other)
}

fn digest(image: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    image.hash(&mut hasher);
    hasher.finish()
}
