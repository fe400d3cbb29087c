//! Spinning before a sleep: short, and only as long as it pays.

use std::{num::NonZero, thread};

use crate::sync::{AtomicU32, MODEL, Ordering, spin, yield_now};

/// Rounds of one spin at most, unless the environment says otherwise: about as long as a sleep and
/// its wake-up take, so that a spin in vain at most doubles the price. Shorter ones end before a
/// partner that was asleep can answer, and then both sleep each time; docs/locking.md has the
/// measurement.
const ROUNDS: u32 = if MODEL { 1 } else { 1200 };
/// Name of the environment variable with another number; 0: never spin.
const ROUNDS_VARIABLE: &str = "COHELD_SPIN_ROUNDS";
/// Successes that are remembered.
const CREDIT_LIMIT: u32 = 16;
/// One in so many waits spins without credit, to find out whether it pays by now.
const PROBE: u32 = 32;

/// Rounds after which somebody else may have the processor: whoever is waited for may need it. Some
/// microsecond, which is what asking costs.
const TURN: u32 = 32;

/// Nobody has counted the processors yet.
const UNKNOWN: u32 = u32::MAX;

/// Rounds of one spin in this process: none if no other processor could do meanwhile what is
/// waited for.
///
/// Not a `OnceLock`: a child that was forked while another thread initialises one waits for ever.
fn rounds() -> u32 {
    static CHOSEN: AtomicU32 = AtomicU32::new(UNKNOWN);
    if MODEL {
        // What one run of a model finds out must not change the next.
        return ROUNDS;
    }
    // Relaxed: whoever chooses chooses the same.
    match CHOSEN.load(Ordering::Relaxed) {
        UNKNOWN => {
            let chosen = choose_rounds();
            CHOSEN.store(chosen, Ordering::Relaxed);
            chosen
        }
        chosen => chosen,
    }
}

#[cold]
fn choose_rounds() -> u32 {
    if thread::available_parallelism().map_or(1, NonZero::get) < 2 {
        return 0;
    }
    let wanted = std::env::var(ROUNDS_VARIABLE).ok();
    let wanted = wanted.and_then(|number| number.parse().ok());
    wanted.unwrap_or(ROUNDS).min(UNKNOWN - 1)
}

/// Whether spinning can bring anything in this process.
pub(crate) fn pays() -> bool {
    rounds() != 0
}

/// One round of a spin.
#[inline]
pub(crate) fn round() {
    spin();
}

/// Threads of this process that may spin at a time: more of them would take the processors from
/// those they wait for.
fn spinners() -> u32 {
    static CHOSEN: AtomicU32 = AtomicU32::new(UNKNOWN);
    if MODEL {
        return 1;
    }
    // Relaxed: as in `rounds`.
    match CHOSEN.load(Ordering::Relaxed) {
        UNKNOWN => {
            let processors = thread::available_parallelism().map_or(1, NonZero::get);
            let chosen = u32::try_from(processors - 1).unwrap_or(UNKNOWN - 1).max(1);
            CHOSEN.store(chosen, Ordering::Relaxed);
            chosen
        }
        chosen => chosen,
    }
}

/// Spins until `done`, or gives up. `credit` remembers how spinning went: the credit in the low
/// half, a count of waits in the high half. `spinning` counts the threads of this process that
/// spin.
pub(crate) fn until(credit: &AtomicU32, spinning: &AtomicU32, done: impl Fn() -> bool) -> bool {
    if done() {
        return true;
    }
    let rounds = rounds();
    if rounds == 0 {
        return false;
    }
    // Relaxed throughout: a lost update of a guess costs nothing.
    let before = credit.load(Ordering::Relaxed);
    let (worth, waits) = (before & 0xffff, before >> 16);
    let next = (waits + 1) << 16;
    if worth == 0 && !waits.is_multiple_of(PROBE) {
        credit.store(next, Ordering::Relaxed);
        return false;
    }
    let came = spinning.fetch_add(1, Ordering::Relaxed) < spinners()
        && (1..=rounds).any(|round| {
            if round.is_multiple_of(TURN) {
                yield_now();
            } else {
                spin();
            }
            done()
        });
    spinning.fetch_sub(1, Ordering::Relaxed);
    let worth = if came {
        (worth + 2).min(CREDIT_LIMIT)
    } else {
        worth.saturating_sub(1)
    };
    credit.store(next | worth, Ordering::Relaxed);
    came
}
