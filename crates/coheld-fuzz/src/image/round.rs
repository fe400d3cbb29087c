//! Rounds with damaged images.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::damage::Damage;
use super::exercise::exercise;
use super::scene::Scene;
use super::stage::GivenUp;
use crate::measured;
use crate::watch::Watch;

/// Most memory that a round may take, in sizes of the image: the damaged image and its copy, which
/// a segment may double by what is read out of it, and what the verifier notes of each block.
const MEMORY_FACTOR: usize = 10;

/// What was done without a failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Damaged images worked on.
    pub rounds: u64,
    /// Those among them that could be attached to.
    pub attached: u64,
    /// Those that were given up because a living member, it seemed, was waited for.
    pub given_up: u64,
    /// The most memory that one of them took.
    pub memory: usize,
}

/// Damage that broke a promise.
#[derive(Debug)]
pub struct Failure {
    /// What is wrong.
    pub problem: String,
    /// What was damaged.
    pub damage: Damage,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "image: {}\n{}", self.problem, self.damage)
    }
}

/// Damages one scene after the other way.
pub struct Runner {
    scene: Scene,
    watch: Watch<Damage>,
    report: Report,
}

impl Runner {
    /// For the scene of this number.
    #[must_use]
    pub fn new(scene: u64) -> Self {
        Self {
            scene: Scene::new(scene),
            watch: Watch::begin(),
            report: Report::default(),
        }
    }

    /// What was done until now.
    #[must_use]
    pub fn report(&self) -> Report {
        self.report
    }

    /// The damage of a round.
    #[must_use]
    pub fn damage(&self, seed: u64, round: u64) -> Damage {
        Damage::of_round(&self.scene, seed, round)
    }

    /// Does what is done with a damaged image.
    pub fn try_out(&mut self, damage: &Damage) -> Result<(), Box<Failure>> {
        self.watch.round(damage.clone());
        let mut outcome = Ok(false);
        let memory = measured(|| {
            outcome = catch_unwind(AssertUnwindSafe(|| exercise(&self.scene, damage)));
        });
        self.watch.rest();
        let allowed = MEMORY_FACTOR * self.scene.image.len();
        self.report.rounds += 1;
        self.report.memory = self.report.memory.max(memory);
        let problem = match outcome {
            Err(payload) if payload.is::<GivenUp>() => {
                self.report.given_up += 1;
                return Ok(());
            }
            Err(payload) => format!("it panics: {}", text_of(&*payload)),
            Ok(_) if memory > allowed => {
                format!("it takes {memory} bytes of memory; {allowed} are allowed")
            }
            Ok(attached) => {
                self.report.attached += u64::from(attached);
                return Ok(());
            }
        };
        Err(Box::new(Failure {
            problem,
            damage: damage.clone(),
        }))
    }
}

fn text_of(payload: &dyn Any) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("of an unknown kind")
}
