//! Explores recovery: one who mends what a dead member left dies in the middle of that, and then
//! another one does.
//!
//! 1. An operation is walked; each of its images is one that a death can leave.
//! 2. From each of these a member takes over, instruction by instruction. The images of this walk
//!    are those that a death in the middle of recovery leaves; of equal ones one is followed.
//! 3. From some of those, taken at equal distances, another member takes over.
//!
//! Whatever happens, the next one has to find the state that he would have found had there been no
//! other death: a question that one recovery has answered, the next one must not answer otherwise.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use coheld_shm::Segment;

use crate::{
    cases::{
        Operation,
        recovery::{Case, reap},
    },
    check::{AGES, State},
    explore::{Explored, Outcome, walk_case},
    image::Image,
    stage::{Stage, StageBacking},
    step::Child,
    walk::walk,
};

/// How many images the sample follows, of each sort.
const SAMPLE: usize = 2;
/// Stores of a walk that the sample repeats by instructions.
const SHORT: u64 = 40;

/// What a death in the middle of something leaves, and what may be found then.
struct Wreck {
    image: Image,
    allowed: Vec<State>,
}

/// Explores what is done about the dead of one operation. One outcome for one death more, and one
/// for two.
pub fn explore_recovery(case: &Case, sample: bool) -> io::Result<[Outcome; 2]> {
    let mut explored = walk_case(&case.first)?;
    explored.judge.elapsed = if case.late { AGES } else { 0 };
    let stage = Stage::new(explored.base.length())?;
    let points = std::mem::take(&mut explored.walk.points);
    let most = if sample { SAMPLE } else { points.len() };
    let mut wrecks = Vec::new();
    for (_, image) in evenly(points, most) {
        wrecks.push(first_wreck(&mut explored, image, case.then)?);
    }
    let mut seen = HashSet::new();
    let (once, left) = recover(
        (case, sample),
        case.then,
        &mut explored,
        &stage,
        &wrecks,
        &mut seen,
    )?;
    let chosen = evenly(left, if sample { SAMPLE } else { case.second });
    let last: Operation = if case.late { case.then } else { reap };
    let (twice, _) = recover(
        (case, sample),
        last,
        &mut explored,
        &stage,
        &chosen,
        &mut seen,
    )?;
    Ok([once, twice])
}

/// At most `most` of them, at equal distances.
fn evenly<T>(all: Vec<T>, most: usize) -> Vec<T> {
    let distance = all.len().div_ceil(most.max(1)).max(1);
    // Not from the beginning: there nothing has happened yet.
    all.into_iter()
        .skip(distance / 2)
        .step_by(distance)
        .collect()
}

/// What may be found after a death at one point of the operation, and in the middle of `then`: what
/// is found if nobody else dies, without `then` and with it.
fn first_wreck(explored: &mut Explored, image: Image, then: Operation) -> io::Result<Wreck> {
    let Explored {
        judge,
        maker,
        places,
        ..
    } = explored;
    let mut allowed = Vec::new();
    for then in [None, Some(then)] {
        let state = judge.state_of(&image, &[*maker], places, then);
        allowed.push(state.map_err(io::Error::other)?);
    }
    Ok(Wreck { image, allowed })
}

/// Walks what is done about each of the wrecks, and judges every image that was not seen before.
///
/// Stores are enough for that; the walk from one of the wrecks is repeated by single instructions,
/// and has to show as many images.
fn recover(
    (case, sample): (&Case, bool),
    then: Operation,
    explored: &mut Explored,
    stage: &Arc<Stage>,
    wrecks: &[Wreck],
    seen: &mut HashSet<u64>,
) -> io::Result<(Outcome, Vec<Wreck>)> {
    let mut outcome = Outcome::default();
    let mut left = Vec::new();
    for (number, wreck) in wrecks.iter().enumerate() {
        let Explored {
            base,
            hot,
            maker,
            places,
            ..
        } = &mut *explored;
        let start = |stores: bool| {
            stage.set(&wreck.image);
            let backing = StageBacking::new(stage, &[*maker], if case.late { AGES } else { 0 });
            let segment = Segment::attach(Box::new(backing)).map_err(io::Error::other)?;
            segment.set_mender(coheld_store::MENDER);
            let join = || segment.join().is_ok();
            let run = || then(&segment, places).is_ok();
            if stores {
                Child::start_for_stores(stage.bytes(), join, run)
            } else {
                Child::start(join, run)
            }
        };
        let walked = walk(base, hot, || stage.bytes(), || start(true))?;
        outcome.stores += walked.steps;
        let short = walked.steps <= SHORT;
        if number == wrecks.len() / 2 && (short || !sample) {
            let control = walk(base, hot, || stage.bytes(), || start(false))?;
            outcome.instructions += control.steps;
            // Not which images: some hold the time.
            let (images, expected) = (walked.points.len(), control.points.len());
            if images != expected {
                let problem = format!("{images} images by stores, {expected} by instructions");
                outcome.report(0, problem);
            }
        }
        for (step, image) in walked.points {
            if !seen.insert(image.digest()) {
                continue;
            }
            outcome.images += 1;
            let found = explored.judge(&mut outcome, step, &image, &wreck.allowed);
            // What was found once must not be found otherwise by the one after the next.
            let allowed = found.map_or_else(|| wreck.allowed.clone(), |state| vec![state]);
            left.push(Wreck { image, allowed });
        }
    }
    Ok((outcome, left))
}
