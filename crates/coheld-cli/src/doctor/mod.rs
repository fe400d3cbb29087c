//! `coheld doctor`: whether the memory of a running program is sound, and mending what may be.
//!
//! It looks several times, from outside, and takes no lock. What it finds counts only if it is the
//! same in every look: a living segment changes all the time, and a living manager cleans up after
//! the dead five times a second.

mod findings;
mod report;

use std::collections::HashSet;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use coheld::observe::{Mended, Observation, Purpose};
use coheld_shm::{Segment, Statistics};
use coheld_store::verify::{self, Examination};

use self::findings::Finding;
use crate::arguments::Doctor;
use crate::failure::Failure;
use crate::picture::Picture;
use crate::{output, segment};

/// Between two looks: more than a reaper sleeps.
const PAUSE: Duration = Duration::from_millis(250);

/// What all looks together say.
struct Diagnosis {
    examination: Examination,
    statistics: Statistics,
    picture: Picture,
    findings: Vec<Finding>,
}

/// Looks, and mends if it is told to.
pub(crate) fn run(arguments: &Doctor) -> Result<ExitCode, Failure> {
    let purpose = if arguments.mend {
        Purpose::Mend
    } else {
        Purpose::Look
    };
    let mut observation = segment::open(&arguments.target, purpose)?;
    let mut diagnosis = diagnose(observation.segment());
    let mut mending = None;
    if arguments.mend {
        let mended = observation.mend()?;
        let before = std::mem::take(&mut diagnosis.findings);
        diagnosis = diagnose(observation.segment());
        let left: HashSet<_> = diagnosis.findings.iter().map(Finding::key).collect();
        let gone = |finding: &Finding| !left.contains(&finding.key());
        let gone = before.into_iter().filter(gone).collect();
        mending = Some(Mending { mended, gone });
    }
    let shown = if arguments.target.json {
        report::json(&observation, &diagnosis, mending.as_ref()).to_string() + "\n"
    } else {
        report::text(&observation, &diagnosis, mending.as_ref())
    };
    // Whoever has read enough closes the pipe; the exit code tells all the same.
    let _ = output::text(&shown);
    Ok(ExitCode::from(u8::from(!diagnosis.findings.is_empty())))
}

/// What mending has done.
struct Mending {
    mended: Mended,
    /// What was found before, and is no more.
    gone: Vec<Finding>,
}

fn diagnose(segment: &Segment) -> Diagnosis {
    let mut picture = Picture::take(segment);
    let mut findings = findings::collect(&picture);
    let mut look_again = |pause| {
        thread::sleep(pause);
        let next = Picture::take(segment);
        let now = findings::collect(&next);
        // Of what is still there, what it is now: how many wait, for instance.
        let before: HashSet<_> = findings.iter().map(Finding::key).collect();
        findings = now;
        findings.retain(|finding| before.contains(&finding.key()));
        picture = next;
    };
    let examination = verify::examine(segment, |_| look_again(PAUSE));
    look_again(PAUSE);
    let damage = examination.problems.iter();
    findings.extend(damage.map(|problem| findings::damage(problem, &picture)));
    Diagnosis {
        statistics: segment.statistics(),
        examination,
        picture,
        findings,
    }
}

impl Diagnosis {
    fn looks(&self) -> u32 {
        self.examination.looks + 1
    }
}

/// What is looked at, for the report.
fn header(observation: &Observation) -> (&Segment, String) {
    (observation.segment(), segment::source(observation.source()))
}
