//! What criterion has measured as one table.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

/// The columns, by the names of the measurements.
const COLUMNS: [&str; 6] = [
    "coheld",
    "coheld, two queues",
    "LMDB",
    "ipc-channel",
    "iceoryx2",
    "one process",
];

#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    /// Nanoseconds.
    point_estimate: f64,
}

/// Prints how long everything takes, and how many times as long as with Coheld.
pub fn print(folder: &Path) {
    let mut rows: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
    let folders = |path: &Path| {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .filter(|path| path.is_dir())
    };
    for row in folders(folder) {
        for column in folders(&row) {
            let Ok(text) = fs::read_to_string(column.join("new/estimates.json")) else {
                continue;
            };
            let estimates: Estimates = serde_json::from_str(&text).unwrap();
            let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
            let cells = rows.entry(name(&row)).or_default();
            cells.insert(name(&column), estimates.median.point_estimate);
        }
    }

    println!("\n| operation | {} |", COLUMNS.join(" | "));
    println!("|---|{}", "---|".repeat(COLUMNS.len()));
    for (name, cells) in rows {
        let Some(own) = cells.get(COLUMNS[0]) else {
            continue;
        };
        let cell = |column: &str| match cells.get(column) {
            None => String::new(),
            Some(time) if column == COLUMNS[0] => in_words(*time),
            Some(time) => format!("{:.2}x", time / own),
        };
        println!("| {name} | {} |", COLUMNS.map(cell).join(" | "));
    }
}

fn in_words(nanoseconds: f64) -> String {
    match nanoseconds {
        ..1e3 => format!("{nanoseconds:.0} ns"),
        ..1e6 => format!("{:.2} us", nanoseconds / 1e3),
        _ => format!("{:.2} ms", nanoseconds / 1e6),
    }
}
