//! Spinning before a sleep: short, and only as long as it pays.

use std::{sync::OnceLock, thread};

use crate::sync::{AtomicU32, Ordering, spin};

/// Rounds of one spin at most: about two microseconds, a tenth of a sleep and its wake-up.
const ROUNDS: u32 = 100;
/// Successes that are remembered.
const CREDIT_LIMIT: u32 = 16;
/// One in so many waits spins without credit, to find out whether it pays by now.
const PROBE: u32 = 32;

/// Whether another processor could do meanwhile what is waited for.
fn has_another_processor() -> bool {
    static ANOTHER: OnceLock<bool> = OnceLock::new();
    *ANOTHER.get_or_init(|| thread::available_parallelism().is_ok_and(|count| count.get() > 1))
}

/// Spins until `done`, or gives up. `credit` remembers, for this process, how spinning went: the
/// credit in the low half, a count of waits in the high half.
pub(super) fn until(credit: &AtomicU32, done: impl Fn() -> bool) -> bool {
    if done() {
        return true;
    }
    if !has_another_processor() {
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
    for _ in 0..ROUNDS {
        spin();
        if done() {
            credit.store(next | (worth + 2).min(CREDIT_LIMIT), Ordering::Relaxed);
            return true;
        }
    }
    credit.store(next | worth.saturating_sub(1), Ordering::Relaxed);
    false
}
