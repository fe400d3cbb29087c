//! Looking over a segment that others use meanwhile.
//!
//! Nothing is locked, so a look sees each referent at another moment, and some in the middle of a
//! change. Three rules keep that from being taken for damage:
//!
//! * what is wrong with a referent counts only if the referent stood still during the look at it;
//! * what an operation has in its hands is neither leaked nor counted wrongly;
//! * a problem counts only if it is the same in several looks: damage stays, a change goes on.
//!
//! What nobody seems to own may belong to a referent that never stood still; then no leak is
//! reported at all, only how many blocks there are whose owner was not found.

use std::collections::{HashMap, HashSet};

use coheld_shm::{ReferentView, Segment, word as ownership};

use super::walk::Walk;
use super::{Problem, Report};

/// Looks in which a problem has to be the same. Three would do for a change that is seen by chance
/// once in a hundred looks; eight do for a change that is seen in every fourth.
pub const LOOKS: u32 = 8;
/// Looks after which a segment without problems is let go.
const FEWEST: u32 = 3;
/// Looks at one referent until it is taken for one that never stands still.
const ATTEMPTS: u32 = 16;
/// Deeper than any tree that an operation holds.
const DEPTH: u32 = 8;

/// How large a referent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Where it lies.
    pub referent: u64,
    /// Bytes of its own and of the blocks below it, rounding included.
    pub bytes: u64,
}

/// What one look has found.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// What there is.
    pub report: Report,
    /// What seemed wrong at this moment.
    pub problems: Vec<Problem>,
    /// How large each referent is, in the order of their places.
    pub sizes: Vec<Size>,
    /// Referents that never stood still.
    pub restless: u64,
}

/// What several looks have found.
#[derive(Clone, Debug, Default)]
pub struct Examination {
    /// The last look.
    pub last: Look,
    /// What was wrong in each of them.
    pub problems: Vec<Problem>,
    /// How many looks there were.
    pub looks: u32,
    /// Blocks whose owner was not found, while some referents never stood still: no leaks for sure.
    pub uncertain: u64,
}

/// Looks a segment over that others may be using.
#[must_use]
pub fn look(segment: &Segment) -> Look {
    let mut walk = Walk::of_live(segment);
    walk.collect();
    let (mut found, mut unfinished) = (Look::default(), HashSet::new());
    // Before the walk and after it: what was allocated by now and is in no structure yet is in a
    // lane, and what is taken out of a structure before the walk comes there is in one after it.
    excuse(&mut walk, &mut unfinished);
    for index in 0..walk.referents.len() {
        let listed = walk.referents[index];
        if !listed.alive {
            // Being made or taken apart; by nobody, if it stays so.
            walk.problems.push(Problem::NotAlive {
                referent: listed.offset,
            });
            continue;
        }
        let bytes = visit(&mut walk, &listed, &mut found.restless);
        found.sizes.push(Size {
            referent: listed.offset,
            bytes: coheld_shm::layout::REFERENT_SIZE + bytes,
        });
    }
    excuse(&mut walk, &mut unfinished);
    walk.compare();
    found.report = walk.report;
    found.problems = walk.problems;
    found.problems.retain(|problem| match problem {
        Problem::NotAlive { referent } | Problem::Unreferenced { referent } => {
            !unfinished.contains(referent)
        }
        _ => true,
    });
    found
}

/// What operations have in their hands may have an owner. Collects the referents that they make or
/// take apart.
fn excuse(walk: &mut Walk<'_>, unfinished: &mut HashSet<u64>) {
    for held in walk.segment.words_in_lanes() {
        let offset = ownership::offset(held);
        match ownership::tag(held) {
            ownership::TAG_BLOCK => walk.excuse(offset, DEPTH),
            ownership::TAG_EDGE => *walk.spare.entry(offset).or_default() += 1,
            _ => drop(unfinished.insert(offset)),
        }
    }
}

/// Walks one referent, as long as it takes until it stands still; the bytes of its blocks.
fn visit(walk: &mut Walk<'_>, listed: &ReferentView, restless: &mut u64) -> u64 {
    let before = walk.problems.len();
    let counted = walk.report;
    let mut bytes = 0;
    for _ in 0..ATTEMPTS {
        let Some(view) = walk.segment.referent_at(listed.offset) else {
            return bytes;
        };
        if !view.alive || view.generation != listed.generation {
            // Gone since it was listed.
            return bytes;
        }
        bytes = walk.visit(view);
        let now = walk.segment.referent_at(listed.offset);
        let still = now.is_some_and(|now| (now.version, now.root) == (view.version, view.root));
        if still && view.locked_by == 0 && now.is_some_and(|now| now.locked_by == 0) {
            walk.keep();
            return bytes;
        }
        walk.problems.truncate(before);
        if still {
            // Its owner is stopped or dead, or has just come: what it protects is not judged.
            walk.keep();
            return bytes;
        }
        walk.report = counted;
        walk.forget();
    }
    *restless += 1;
    bytes
}

/// Looks several times, with `pause` (which gets the number of the look) in between.
#[must_use]
pub fn examine(segment: &Segment, mut pause: impl FnMut(u32)) -> Examination {
    let mut done = Examination::default();
    // How often each problem was there, leaks only in looks in which everything stood still.
    let mut seen: HashMap<Problem, u32> = HashMap::new();
    let mut calm = 0;
    while done.looks < LOOKS {
        if done.looks > 0 {
            pause(done.looks);
        }
        let found = look(segment);
        done.looks += 1;
        calm += u32::from(found.restless == 0);
        let mut current: HashSet<&Problem> = HashSet::new();
        for problem in &found.problems {
            let counts = found.restless == 0 || !depends_on_all(problem);
            // Twice in one look is once.
            if counts && current.insert(problem) {
                *seen.entry(problem.clone()).or_default() += 1;
            }
        }
        let looks = done.looks;
        seen.retain(|problem, &mut times| {
            times == if depends_on_all(problem) { calm } else { looks }
        });
        done.last = found;
        if seen.is_empty() && done.looks >= FEWEST && calm > 0 {
            break;
        }
    }
    let certain = calm >= FEWEST;
    let leaked = |problem: &&Problem| matches!(problem, Problem::Leaked { .. });
    if !certain {
        done.uncertain = done.last.problems.iter().filter(leaked).count() as u64;
        seen.retain(|problem, _| !depends_on_all(problem));
    }
    done.problems = seen.into_keys().collect();
    done.problems
        .sort_by_key(|problem| (problem.place(), problem.name()));
    done
}

/// Whether a problem is certain only if every referent was seen as a whole.
fn depends_on_all(problem: &Problem) -> bool {
    matches!(
        problem,
        Problem::Leaked { .. } | Problem::EdgeCount { .. } | Problem::OwnedTwice { .. }
    )
}
