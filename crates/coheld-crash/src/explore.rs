//! Explores operations of members and of strangers.

use std::io;

use coheld_shm::{Options, Segment, backing::MemfdBacking};

use crate::{
    cases::{Case, Place},
    check::{Judge, State},
    image::{Hot, Image},
    step::Child,
    walk::{Walk, walk},
};

/// Small, so that images are compared in microseconds and growth happens.
const CAPACITY: u64 = 1536 * 1024;

/// What was found at one point.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Instructions, or stores, that the child had done.
    pub step: u64,
    /// What is wrong.
    pub problem: String,
}

/// What exploring one operation showed.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Instructions that were stepped through.
    pub instructions: u64,
    /// Stores that were stepped through, without the instructions in between.
    pub stores: u64,
    /// Different images of the segment among them, each recovered and checked.
    pub images: usize,
    /// Points at which recovery gave the state before the operation.
    pub before: usize,
    /// Points at which it gave the state after it.
    pub after: usize,
    /// Torn states, leaks, damage.
    pub findings: Vec<Finding>,
}

impl Outcome {
    pub(crate) fn report(&mut self, step: u64, problem: String) {
        self.findings.push(Finding { step, problem });
    }
}

fn options() -> Options {
    Options {
        member_limit: 6,
        lanes_per_member: 2,
        secret: [3, 5],
        id: [7; 16],
        flags: 0,
    }
}

/// A walked operation, with what is needed to judge its images.
pub(crate) struct Explored {
    pub walk: Walk,
    pub places: Vec<Place>,
    /// The member that made the places, which lives.
    pub maker: u32,
    pub before: State,
    pub after: State,
    pub judge: Judge,
    pub hot: Hot,
    /// What all images are variants of.
    pub base: Image,
}

/// Walks the operation of a case, and learns what was before it and what is after it.
pub(crate) fn walk_case(case: &Case) -> io::Result<Explored> {
    let backing = MemfdBacking::create(CAPACITY).map_err(io::Error::other)?;
    let segment = Segment::create(Box::new(backing), &options()).map_err(io::Error::other)?;
    segment.set_mender(coheld_store::MENDER);
    segment.join().map_err(io::Error::other)?;
    let places = (case.build)(&segment).map_err(io::Error::other)?;
    let maker = segment.own_slot().unwrap_or(0);

    let base = Image::base(bytes(&segment));
    let mut judge = Judge::new(base.length())?;
    let before = judge
        .state_of(&base, &[maker], &places, None)
        .map_err(io::Error::other)?;
    let mut hot = Hot::of(&base);
    let walk = walk(
        &base,
        &mut hot,
        || bytes(&segment),
        || {
            restore(&segment, &base)?;
            Child::start(
                || case.stranger || prepare(&segment, &places),
                || (case.run)(&segment, &places).is_ok(),
            )
        },
    )?;
    let after = judge
        .state_of(&walk.last, &[maker], &places, None)
        .map_err(io::Error::other)?;
    Ok(Explored {
        walk,
        places,
        maker,
        before,
        after,
        judge,
        hot,
        base,
    })
}

/// Explores one case. The calling process must have a single thread.
pub fn explore(case: &Case) -> io::Result<Outcome> {
    let mut explored = walk_case(case)?;
    let mut outcome = Outcome {
        instructions: explored.walk.steps,
        images: explored.walk.points.len(),
        ..Outcome::default()
    };
    let points = std::mem::take(&mut explored.walk.points);
    let allowed = [explored.before.clone(), explored.after.clone()];
    for (step, image) in &points {
        explored.judge(&mut outcome, *step, image, &allowed);
    }
    Ok(outcome)
}

impl Explored {
    /// Judges an image from which one of the states in `allowed` has to be recovered. Which one it
    /// was.
    pub(crate) fn judge(
        &mut self,
        outcome: &mut Outcome,
        step: u64,
        image: &Image,
        allowed: &[State],
    ) -> Option<State> {
        let Self {
            judge,
            places,
            maker,
            ..
        } = self;
        let alive = [*maker];
        let found = judge.state_of(image, &alive, places, None);
        match &found {
            Err(problem) => outcome.report(step, problem.clone()),
            Ok(state) if !allowed.contains(state) => {
                outcome.report(step, format!("torn: {state:?}\n  allowed: {allowed:?}"));
            }
            Ok(state) if *state == self.before => outcome.before += 1,
            Ok(_) => outcome.after += 1,
        }
        if let Err(problem) = judge.usable(image, &alive, places) {
            outcome.report(step, problem);
        }
        if let Err(problem) = judge.empty_without_anybody(image) {
            outcome.report(step, problem);
        }
        found.ok()
    }
}

/// Makes a member of the child, who holds the places.
fn prepare(segment: &Segment, places: &[Place]) -> bool {
    let hold = |place: &Place| segment.acquire(place.offset, place.generation).is_ok();
    segment.join().is_ok() && places.iter().all(hold)
}

/// What the segment holds, while the child is stopped.
fn bytes(segment: &Segment) -> &[u8] {
    let backing = segment.backing();
    // SAFETY: `capacity` bytes are mapped at `base` as long as the segment lives. The only other
    // process that has them is stopped or gone, and this one does not write them meanwhile.
    unsafe { std::slice::from_raw_parts(backing.base(), backing.capacity() as usize) }
}

/// Takes back what a child has done that is gone.
fn restore(segment: &Segment, image: &Image) -> io::Result<()> {
    let mut now = bytes(segment).to_vec();
    image.copy_to(&mut now);
    segment.copy_in(0, &now).map_err(io::Error::other)
}
