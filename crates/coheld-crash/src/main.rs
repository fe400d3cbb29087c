//! `coheld-crash [--sample] [NAME...]`: explores every operation and prints one line for each.
#![allow(clippy::print_stdout, reason = "the report is the program's output")]

use std::process::ExitCode;

use coheld_crash::{cases, explore};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let sample = arguments.iter().any(|argument| argument == "--sample");
    let names: Vec<&String> = arguments
        .iter()
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let mut explored = 0;
    let mut torn = 0;
    let mut failed = 0;
    println!(
        "{:<50} {:>12} {:>8} {:>8} {:>8} {:>6}",
        "operation", "instructions", "images", "before", "after", "torn"
    );
    for case in cases::all() {
        let named = names.is_empty() || names.iter().any(|name| case.name.contains(*name));
        if !named || sample && !case.sample {
            continue;
        }
        explored += 1;
        match explore(&case) {
            Ok(outcome) => {
                println!(
                    "{:<50} {:>12} {:>8} {:>8} {:>8} {:>6}",
                    case.name,
                    outcome.instructions,
                    outcome.images,
                    outcome.before,
                    outcome.after,
                    outcome.findings.len(),
                );
                for finding in outcome.findings.iter().take(5) {
                    println!(
                        "  at instruction {}: {}",
                        finding.instruction, finding.problem
                    );
                }
                torn += outcome.findings.len();
            }
            Err(error) => {
                println!("{:<50} could not be explored: {error}", case.name);
                failed += 1;
            }
        }
    }
    println!("{explored} operations explored, {torn} torn states, {failed} failures");
    if explored > 0 && torn == 0 && failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
