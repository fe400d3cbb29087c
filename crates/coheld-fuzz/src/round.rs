//! Rounds: a message is chosen, changed and looked at.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::measured;
use crate::mutate::mutate;
use crate::random::Random;
use crate::targets::Target;
use crate::watch::Watch;

/// Good messages of one target that are kept to be changed further.
const KEPT: usize = 400;

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// After so many rounds for each target.
    Rounds(u64),
    /// After this time for each target.
    Time(Duration),
}

/// What was done without a failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Messages looked at.
    pub rounds: u64,
    /// Those among them that were good.
    pub good: u64,
    /// The most memory that looking at one message took.
    pub memory: usize,
}

/// A message that broke a promise.
#[derive(Debug)]
pub struct Failure {
    /// Of whom.
    pub target: Target,
    /// In which round.
    pub round: u64,
    /// What is wrong.
    pub problem: String,
    /// The message.
    pub message: Vec<u8>,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (target, round, problem) = (self.target, self.round, &self.problem);
        let message = self.message.escape_ascii();
        write!(
            formatter,
            "{target:?}, round {round}: {problem}\n  b\"{message}\""
        )
    }
}

/// Fuzzes one target.
pub fn run(target: Target, seed: u64, limit: Limit) -> Result<Report, Box<Failure>> {
    let mut random = Random::new(seed);
    let mut kept = target.corpus();
    let given = kept.len();
    let mut report = Report::default();
    let watch = Watch::begin();
    let beginning = Instant::now();
    loop {
        let is_over = match limit {
            Limit::Rounds(rounds) => report.rounds >= rounds,
            Limit::Time(time) => beginning.elapsed() >= time,
        };
        if is_over {
            return Ok(report);
        }
        // The given ones are looked at unchanged first, and then begun with half of the time: those
        // that are kept become simpler with every change.
        let next = report.rounds as usize;
        let from = match random.below(2) {
            _ if next < given => &kept[next..=next],
            0 => &kept[..given],
            _ => &kept[..],
        };
        let mut message = random.choose(from).cloned().unwrap_or_default();
        if next >= given {
            mutate(&mut message, &kept, target.words(), &mut random);
        }
        watch.round(Looked(target, message.clone()));
        let mut outcome = Ok(false);
        let memory = measured(|| {
            outcome = catch_unwind(AssertUnwindSafe(|| target.look(&message)));
        });
        let allowed = target.memory_limit(message.len());
        let problem = match outcome {
            Err(_) => Some("it panics".to_owned()),
            Ok(_) if memory > allowed => {
                let length = message.len();
                Some(format!(
                    "{length} bytes take {memory} bytes of memory; {allowed} are allowed"
                ))
            }
            Ok(is_good) => {
                report.good += u64::from(is_good);
                if is_good {
                    keep(&mut kept, given, message.clone(), &mut random);
                }
                None
            }
        };
        if let Some(problem) = problem {
            return Err(Box::new(Failure {
                target,
                round: report.rounds,
                problem,
                message,
            }));
        }
        report.rounds += 1;
        report.memory = report.memory.max(memory);
    }
}

fn keep(kept: &mut Vec<Vec<u8>>, given: usize, message: Vec<u8>, random: &mut Random) {
    if kept.len() < given + KEPT {
        kept.push(message);
    } else {
        let place = given + random.below(KEPT);
        kept[place] = message;
    }
}

/// A message that is being looked at.
struct Looked(Target, Vec<u8>);

impl fmt::Display for Looked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(target, message) = self;
        write!(formatter, "{target:?}\n  b\"{}\"", message.escape_ascii())
    }
}
