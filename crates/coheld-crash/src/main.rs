//! `coheld-crash [--sample] [NAME...]`: explores every operation and prints one line for each.
#![allow(clippy::print_stdout, reason = "the report is the program's output")]

use std::io;
use std::process::ExitCode;
use std::time::Instant;

use coheld_crash::{Outcome, cases, explore, explore_recovery};

/// The sum of all lines.
#[derive(Default)]
struct Report {
    operations: u64,
    total: Outcome,
    failed: u64,
}

fn main() -> ExitCode {
    let started = Instant::now();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let sample = arguments.iter().any(|argument| argument == "--sample");
    let names: Vec<&String> = arguments
        .iter()
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let wanted = |name: &str, sampled: bool| {
        let named = names.is_empty() || names.iter().any(|part| name.contains(*part));
        named && (sampled || !sample)
    };
    let mut report = Report::default();
    println!(
        "{:<66} {:>12} {:>8} {:>8} {:>8} {:>8} {:>6}",
        "operation", "instructions", "stores", "images", "before", "after", "torn"
    );
    for case in cases::all() {
        if wanted(case.name, case.sample) {
            report.operations += 1;
            report.add(case.name, explore(&case));
        }
    }
    for case in cases::recovery::all() {
        if wanted(&case.name, case.sample) {
            report.operations += 1;
            match explore_recovery(&case, sample) {
                Ok([once, twice]) => {
                    report.add(&case.name, Ok(once));
                    report.add(&format!("{}; reaped once more", case.name), Ok(twice));
                }
                Err(error) => report.add(&case.name, Err(error)),
            }
        }
    }
    report.end(started)
}

impl Report {
    fn add(&mut self, name: &str, explored: io::Result<Outcome>) {
        match explored {
            Ok(outcome) => {
                print(name, &outcome);
                for finding in outcome.findings.iter().take(5) {
                    println!("  at step {}: {}", finding.step, finding.problem);
                }
                let total = &mut self.total;
                total.instructions += outcome.instructions;
                total.stores += outcome.stores;
                total.images += outcome.images;
                total.before += outcome.before;
                total.after += outcome.after;
                total.findings.extend(outcome.findings);
            }
            Err(error) => {
                println!("{name:<66} could not be explored: {error}");
                self.failed += 1;
            }
        }
    }

    fn end(&self, started: Instant) -> ExitCode {
        print("total", &self.total);
        let torn = self.total.findings.len();
        println!(
            "{} operations explored, {torn} torn states, {} failures, {} seconds",
            self.operations,
            self.failed,
            started.elapsed().as_secs()
        );
        if self.operations > 0 && torn == 0 && self.failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

fn print(name: &str, outcome: &Outcome) {
    println!(
        "{name:<66} {:>12} {:>8} {:>8} {:>8} {:>8} {:>6}",
        outcome.instructions,
        outcome.stores,
        outcome.images,
        outcome.before,
        outcome.after,
        outcome.findings.len(),
    );
}
