//! Coheld beside what else Rust programs share data with, on the operations that they share.
//!
//! `make bench-field` runs it and prints one table of ratios. Each operation is done in the way in
//! which the documentation of each library does it, in the setting that is the fastest there.

mod call;
mod map;
mod stream;
mod table;

use std::path::Path;
use std::time::Duration;

use coheld::process;
use criterion::Criterion;

fn main() {
    process::init();

    let output = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/field");
    let mut criterion = Criterion::default()
        .measurement_time(Duration::from_secs(3))
        .warm_up_time(Duration::from_secs(1))
        .sample_size(30)
        .without_plots()
        .output_directory(&output);
    map::measure(&mut criterion);
    call::measure(&mut criterion);
    stream::measure(&mut criterion);
    criterion.final_summary();
    table::print(&output);
}
