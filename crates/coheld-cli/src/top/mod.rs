//! `coheld top`: who works in a segment, on what, and who waits for whom, again and again.
//!
//! Nothing counts operations in a segment, because a counter would be a store on the fast path. So
//! what is shown follows from what changes anyway: the versions of referents, the numbers of
//! messages, tickets of lines. Reading changes nothing, and is not seen.

mod rates;
mod screen;
mod show;

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use coheld::observe::Purpose;
use coheld_shm::{MemberState, Segment};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use self::rates::{Contention, Rates, Sizes};
use self::screen::Screen;
use crate::arguments::Top;
use crate::failure::{Failure, Kind};
use crate::picture::Picture;
use crate::{output, segment};

/// Shows pictures until it is interrupted, nobody reads them, or the program has ended.
pub(crate) fn run(arguments: &Top) -> Result<(), Failure> {
    let observation = segment::open(&arguments.target, Purpose::Look)?;
    let source = segment::source(observation.source());
    let segment = observation.segment();
    let signals = signals()?;
    let interval = Duration::from_secs_f64(arguments.interval);
    let (mut before, mut taken) = (Picture::take(segment), Instant::now());
    let mut sizes = Sizes::default();
    let mut screen = Screen::enter(arguments.target.json || arguments.once);
    loop {
        if !sleep(&signals, interval) {
            return Ok(());
        }
        sizes.refresh(segment);
        let contention = Contention::sample(segment);
        let now = Picture::take(segment);
        let passed = taken.elapsed();
        taken = Instant::now();
        let rates = Rates::between(&before, &now, passed);
        let scene = show::Scene {
            segment,
            source: &source,
            picture: &now,
            rates: &rates,
            sizes: &sizes,
            contention: &contention,
        };
        let shown = if arguments.target.json {
            output::text(&(scene.json().to_string() + "\n"))
        } else {
            screen.draw(&scene)
        };
        if shown.is_err() || arguments.once {
            return Ok(());
        }
        if !has_members(&now) {
            drop(screen);
            output::say("coheld: no process works in this memory any more");
            return Ok(());
        }
        before = now;
    }
}

fn has_members(picture: &Picture) -> bool {
    picture.members.iter().any(|member| {
        matches!(
            member.view.state,
            MemberState::Alive | MemberState::Reserved
        )
    })
}

/// Where signals that end the program arrive.
fn signals() -> Result<Receiver<i32>, Failure> {
    let refused = |error: std::io::Error| {
        let message = format!("signals cannot be waited for: {error}");
        Failure::new(Kind::Refused, message)
    };
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(refused)?;
    let (send, receive) = mpsc::channel();
    let forward = move || {
        for signal in signals.forever() {
            if send.send(signal).is_err() {
                return;
            }
        }
    };
    let started = thread::Builder::new().spawn(forward);
    started.map_err(refused)?;
    Ok(receive)
}

/// Waits for the next picture; `false`: there is to be none.
fn sleep(signals: &Receiver<i32>, interval: Duration) -> bool {
    signals.recv_timeout(interval) == Err(RecvTimeoutError::Timeout)
}

/// The first digits of a segment's id.
fn short_id(segment: &Segment) -> String {
    coheld::observe::id_text(&segment.id())[..8].to_owned()
}
