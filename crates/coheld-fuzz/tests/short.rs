//! A short run of the fuzzer, and all that ever broke something. There is one test, because memory
//! is measured for the whole process.
#![allow(
    clippy::disallowed_methods,
    reason = "files of the sources, read by a test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use coheld_fuzz::image::{Damage, Runner};
use coheld_fuzz::{Limit, Target, run};

/// What is kept of a target: the names of the files and what is in them.
fn kept(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut kept: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
        .collect();
    kept.sort();
    kept
}

#[test]
fn nothing_does_harm() {
    messages();
    images();
}

/// Scenes in turns, so that each has rounds of its own.
fn images() {
    let mut runners = BTreeMap::new();
    let mut try_out = |scene: u64, damage: &dyn Fn(&Runner) -> Damage| {
        let runner = runners.entry(scene).or_insert_with(|| Runner::new(scene));
        let damage = damage(runner);
        runner
            .try_out(&damage)
            .unwrap_or_else(|found| panic!("{found}"));
    };
    let all = kept("image");
    assert!(!all.is_empty());
    for (name, text) in all {
        let damage: Damage = String::from_utf8(text).unwrap().parse().expect(&name);
        try_out(damage.scene, &|_| damage.clone());
    }
    for round in 0..160 {
        try_out(round % 4, &|runner| runner.damage(7, round));
    }
    for runner in runners.values() {
        let report = runner.report();
        // Otherwise nothing but the first step of attaching has been tried, or nothing is damaged.
        assert!(2 * report.attached > report.rounds, "{report:?}");
        assert!(10 * report.given_up < report.rounds, "{report:?}");
    }
}

fn messages() {
    for target in Target::ALL {
        for message in target.corpus() {
            let text = message.escape_ascii();
            assert!(
                target.look(&message),
                "{target:?}: b\"{text}\" is not a good message"
            );
        }
        for (_, message) in kept(&format!("{target:?}").to_lowercase()) {
            let _ = target.look(&message);
        }
        let report =
            run(target, 7, Limit::Rounds(20_000)).unwrap_or_else(|found| panic!("{found}"));
        assert_eq!(report.rounds, 20_000);
        // Otherwise nothing but the first step of reading has been tried.
        assert!(report.good > 500, "{target:?}: {report:?}");
        assert!(report.good < 20_000, "{target:?}: {report:?}");
        let again = run(target, 7, Limit::Rounds(300)).unwrap();
        assert_eq!(run(target, 7, Limit::Rounds(300)).unwrap().good, again.good);
    }
}
