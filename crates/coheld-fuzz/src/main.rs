//! `coheld-fuzz [SECONDS] [SEED]`: fuzzes every target for its share of the time, and prints one
//! line for each.
#![allow(clippy::print_stdout, reason = "the report is the program's output")]

use std::process::ExitCode;
use std::time::Duration;

use coheld_fuzz::{Limit, Target, run};

/// Seconds for all targets together.
const DEFAULT_SECONDS: u32 = 180;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u32| match arguments.next() {
        Some(argument) => argument.parse().ok(),
        None => Some(default),
    };
    let (Some(seconds), Some(seed)) = (number(DEFAULT_SECONDS), number(1)) else {
        println!("usage: coheld-fuzz [SECONDS] [SEED], both whole numbers");
        return ExitCode::FAILURE;
    };
    let share = Duration::from_secs(u64::from(seconds)) / Target::ALL.len() as u32;
    println!(
        "{:<10} {:>10} {:>10} {:>18}",
        "target", "rounds", "good", "most memory"
    );
    for target in Target::ALL {
        match run(target, u64::from(seed), Limit::Time(share)) {
            Ok(report) => {
                let name = format!("{target:?}");
                let (rounds, good, memory) = (report.rounds, report.good, report.memory);
                println!("{name:<10} {rounds:>10} {good:>10} {memory:>18}");
            }
            Err(failure) => {
                println!("{failure}");
                println!("seed {seed} leads there again");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
