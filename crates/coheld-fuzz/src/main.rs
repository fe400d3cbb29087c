//! The fuzzer as a program; its usage is [`USAGE`].
#![allow(clippy::print_stdout, reason = "the report is the program's output")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::panic;
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use coheld_fuzz::image::Runner;
use coheld_fuzz::{Limit, Target, run};

const USAGE: &str = "\
usage: coheld-fuzz [SECONDS] [SEED]       every target, each for its share of the time
       coheld-fuzz image SECONDS SEED     damaged segments only
       coheld-fuzz image-round SEED ROUND one damaged segment
       coheld-fuzz image-file             the damage that is on the standard input
All are whole numbers.";

/// Seconds for all targets together.
const DEFAULT_SECONDS: u64 = 180;
/// Damaged segments get as much time as so many of the other targets.
const IMAGE_SHARE: u32 = 3;
/// Scenes of one run with damaged segments, in turns.
const SCENES: u64 = 4;
/// Rounds with one scene, before the next one's turn.
const TURN: u64 = 100;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["image-file"] => image_file(),
        [
            command @ ("image" | "image-round" | "image-child"),
            one,
            two,
        ] => match (command, one.parse(), two.parse()) {
            ("image", Ok(seconds), Ok(seed)) => image(Duration::from_secs(seconds), seed),
            ("image-round", Ok(seed), Ok(round)) => image_round(seed, round),
            (_, Ok(seconds), Ok(seed)) => image_child(Duration::from_secs(seconds), seed),
            _ => Err(USAGE.to_owned()),
        },
        [] => everything(DEFAULT_SECONDS, 1),
        [seconds] => seconds
            .parse()
            .map_err(|_| USAGE.to_owned())
            .and_then(|seconds| everything(seconds, 1)),
        [seconds, seed] => match (seconds.parse(), seed.parse()) {
            (Ok(seconds), Ok(seed)) => everything(seconds, seed),
            _ => Err(USAGE.to_owned()),
        },
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            println!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn everything(seconds: u64, seed: u64) -> Result<(), String> {
    let share = Duration::from_secs(seconds) / (Target::ALL.len() as u32 + IMAGE_SHARE);
    println!(
        "{:<10} {:>10} {:>10} {:>18}",
        "target", "rounds", "good", "most memory"
    );
    for target in Target::ALL {
        let report = run(target, seed, Limit::Time(share))
            .map_err(|failure| format!("{failure}\nseed {seed} leads there again"))?;
        let name = format!("{target:?}");
        let (rounds, good, memory) = (report.rounds, report.good, report.memory);
        println!("{name:<10} {rounds:>10} {good:>10} {memory:>18}");
    }
    image(share * IMAGE_SHARE, seed)
}

/// Damages segments in a process of its own, which may die of it: then it is known in which round.
fn image(time: Duration, seed: u64) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    let mut child = Command::new(std::env::current_exe().map_err(failed)?)
        .args(["image-child", &time.as_secs().max(1).to_string()])
        .arg(seed.to_string())
        // There is nobody who could do meanwhile what is waited for.
        .env("COHELD_SPIN_ROUNDS", "0")
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut last = String::new();
    for line in BufReader::new(child.stdout.take().ok_or("no output")?).lines() {
        let line = line.map_err(failed)?;
        if line.parse::<u64>().is_err() {
            println!("{line}");
        } else {
            last = line;
        }
    }
    let status = child.wait().map_err(failed)?;
    if status.success() {
        return Ok(());
    }
    Err(format!(
        "image: round {last} of seed {seed}: {status}\n\
         `image-round {seed} {last}` leads there again"
    ))
}

/// Writes the number of each round, before it begins, then the failures, one for each place of the
/// program that panics, and a report at the end.
fn image_child(time: Duration, seed: u64) -> Result<(), String> {
    // One line for each failure is enough, here.
    panic::set_hook(Box::new(note_place));
    let mut failures = BTreeMap::new();
    let mut runners: Vec<Runner> = (0..SCENES).map(Runner::new).collect();
    let (beginning, mut output) = (Instant::now(), std::io::stdout().lock());
    for round in 0.. {
        if beginning.elapsed() >= time {
            break;
        }
        writeln!(output, "{round}").map_err(|error| error.to_string())?;
        let runner = &mut runners[scene_of(round)];
        let damage = runner.damage(seed, round);
        if let Err(failure) = runner.try_out(&damage) {
            let place = std::mem::take(&mut *place());
            failures
                .entry(place)
                .or_insert_with(|| format!("# seed {seed}, round {round}\n{failure}"));
        }
    }
    for (place, failure) in &failures {
        writeln!(output, "{place}\n{failure}").map_err(|error| error.to_string())?;
    }
    let reports = runners.iter().map(Runner::report);
    let total = reports.fold([0; 4], |[rounds, attached, given_up, memory], report| {
        [
            rounds + report.rounds,
            attached + report.attached,
            given_up + report.given_up,
            memory.max(report.memory as u64),
        ]
    });
    let [rounds, attached, given_up, memory] = total;
    let line = format!("{:<10} {rounds:>10} {attached:>10} {memory:>18}", "Image");
    writeln!(output, "{line}  ({given_up} waited in vain)").map_err(|error| error.to_string())?;
    match failures.len() {
        0 => Ok(()),
        count => Err(format!("{count} places")),
    }
}

/// Where the last panic was.
fn place() -> MutexGuard<'static, String> {
    static PLACE: Mutex<String> = Mutex::new(String::new());
    PLACE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn note_place(info: &panic::PanicHookInfo<'_>) {
    *place() = info.location().map(ToString::to_string).unwrap_or_default();
}

fn scene_of(round: u64) -> usize {
    (round / TURN % SCENES) as usize
}

fn image_round(seed: u64, round: u64) -> Result<(), String> {
    let mut runner = Runner::new(scene_of(round) as u64);
    let damage = runner.damage(seed, round);
    println!("{damage}");
    runner
        .try_out(&damage)
        .map_err(|failure| failure.to_string())
}

fn image_file() -> Result<(), String> {
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    read.map_err(|error| error.to_string())?;
    let damage: coheld_fuzz::image::Damage =
        text.parse().map_err(|_| "that is no damage".to_owned())?;
    let mut runner = Runner::new(damage.scene);
    runner
        .try_out(&damage)
        .map_err(|failure| failure.to_string())
}
