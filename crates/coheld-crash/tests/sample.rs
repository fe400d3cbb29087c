//! A sample of the crash explorer; `make crash` explores everything.

use std::process::Command;

use coheld_crash::cases;

#[test]
fn no_instruction_of_the_sample_leaves_a_torn_state() {
    // A process of its own: the explorer forks, which wants a single thread.
    let output = Command::new(env!("CARGO_BIN_EXE_coheld-crash"))
        .arg("--sample")
        .output()
        .expect("the explorer starts");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{report}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let operations = cases::all().iter().filter(|case| case.sample).count();
    let recoveries = cases::recovery::all();
    let recoveries = recoveries.iter().filter(|case| case.sample).count();
    let sampled = operations + recoveries;
    let verdict = format!("{sampled} operations explored, 0 torn states, 0 failures");
    assert!(
        operations >= 30 && recoveries >= 8 && report.contains(&verdict),
        "{report}"
    );
}
