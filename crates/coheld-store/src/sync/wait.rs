//! Waiting: trying, standing in line, sleeping, trying again.

use std::time::{Duration, Instant};

use coheld_shm::{Error, Guard, Referent, Waiter, Wakes};

use super::Standing;
use crate::error::{Result, StoreError};

/// How long an operation waits for what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    No,
    /// Until a moment.
    Until(Instant),
    /// As long as it takes.
    Forever,
}

impl Wait {
    /// For some time from now on; a time beyond the clock's reach is for ever.
    #[must_use]
    pub fn for_duration(duration: Duration) -> Self {
        if duration.is_zero() {
            return Self::No;
        }
        Instant::now()
            .checked_add(duration)
            .map_or(Self::Forever, Self::Until)
    }

    /// Whether the time is over.
    pub(crate) fn is_over(self) -> bool {
        match self {
            Self::No => true,
            Self::Until(moment) => moment <= Instant::now(),
            Self::Forever => false,
        }
    }

    /// The shorter of `patience` and the time that is left.
    pub(crate) fn at_most(self, patience: Duration) -> Duration {
        match self {
            Self::No => Duration::ZERO,
            Self::Until(moment) => moment
                .saturating_duration_since(Instant::now())
                .min(patience),
            Self::Forever => patience,
        }
    }
}

/// How long a waiter sleeps before it looks up by itself for the first time: whether the owner of
/// what it waits for lives, whether somebody in line has died. The question costs half a
/// microsecond for each process asked about.
pub(super) const PATIENCE: Duration = Duration::from_millis(20);
/// It looks up less and less often, down to this if it is one of the first in line, who are the
/// first to be served,
const MOST_PATIENCE_IN_FRONT: Duration = Duration::from_millis(160);
/// and to this further behind, so that a thousand sleepers do not keep a processor busy.
const MOST_PATIENCE: Duration = Duration::from_millis(1280);

/// The next patience, after one look-up more.
pub(super) fn next_patience(patience: Duration, in_front: bool, owned: bool) -> Duration {
    match (in_front, owned) {
        (true, true) => PATIENCE,
        (true, false) => (2 * patience).min(MOST_PATIENCE_IN_FRONT),
        (false, _) => (2 * patience).min(MOST_PATIENCE),
    }
}

/// The signal of a waiter that is to look again, where there is but one.
pub(crate) const SIGNAL: u32 = 1;

/// What waiting is for: who is served by whom.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// What the waiter waits for, as numbered by the kind of the referent.
    pub role: u32,
    /// Whether a death can be what is waited for, so that it is asked about soon again and again.
    pub owned: bool,
    /// Whether a signal invites to look; else it is what was waited for.
    pub invites: bool,
}

impl Place {
    /// For one who is told what he waits for by his signal.
    pub const fn told(role: u32) -> Self {
        Self {
            role,
            owned: false,
            invites: false,
        }
    }
}

/// Who looks, and whether he lets those in line go first.
#[derive(Clone, Copy)]
pub(crate) struct Turn<'w, 's> {
    /// The waiter, if he stands in line.
    pub waiter: Option<&'w Waiter<'s>>,
    /// Whether he takes what is there only if it is his turn. Who will not wait need not be
    /// polite, nor who has waited for long without a signal: the first in line may be stopped.
    pub polite: bool,
}

impl Turn<'_, '_> {
    /// Whether he may take something that is there and that `role` waits for.
    #[inline]
    pub fn has_come(&self, guard: &Guard<'_>, role: u32) -> bool {
        !self.polite || guard.may_take(self.waiter, role)
    }

    /// Sees to it that the next in line looks, because there is more than this one has taken: it
    /// may have looked before and been refused because this one was first.
    #[inline]
    pub fn hand_on(&self) {
        if let Some(waiter) = self.waiter {
            waiter.hand_on(SIGNAL);
        }
    }

    /// The first look of somebody who is ready to wait so long.
    #[inline]
    pub fn first(wait: Wait) -> Self {
        Self {
            waiter: None,
            polite: wait != Wait::No,
        }
    }
}

/// Waits until `attempt`, which the caller has just made in vain, succeeds or the time is over
/// (`None`).
///
/// `attempt` takes the lock of the referent by itself. Whoever makes it possible signals the first
/// in line of this role with [`SIGNAL`]; a signal that is not used goes to the next. `look_up` is
/// called, without a lock, after every sleep that nobody ended.
pub(crate) fn until<T>(
    referent: &Referent<'_>,
    wait: Wait,
    place: Place,
    mut attempt: impl FnMut(Turn<'_, '_>) -> Result<Option<T>>,
    mut look_up: impl FnMut() -> Result<()>,
) -> Result<Option<T>> {
    look_up()?;
    if wait.is_over() {
        // No time to be polite.
        return attempt(Turn::first(Wait::No));
    }
    loop {
        let mut standing = Standing::of_sleeper(referent, place)?;
        let ended = sleep_and_try(&mut standing, wait, &mut attempt, &mut look_up);
        if standing.is_foreign() {
            // Forked by a signal handler while it slept: the child starts again, unless the handler
            // raised in it.
            match ended {
                Ok(_) | Err(StoreError::Shm(Error::Forked)) => continue,
                failed @ Err(_) => return failed,
            }
        }
        let ended = ended?;
        standing.leave()?;
        return Ok(ended);
    }
}

fn sleep_and_try<T>(
    standing: &mut Standing<'_>,
    wait: Wait,
    attempt: &mut impl FnMut(Turn<'_, '_>) -> Result<Option<T>>,
    look_up: &mut impl FnMut() -> Result<()>,
) -> Result<Option<T>> {
    let mut patience = PATIENCE;
    loop {
        let done = standing.attempt(&mut *attempt)?;
        if done.is_some() || wait.is_over() {
            return Ok(done);
        }
        standing.waiter().park(wait.at_most(patience))?;
        if standing.is_foreign() {
            return Ok(None);
        }
        if !standing.is_signalled() {
            look_up()?;
            patience = standing.look_around(patience)?;
        }
    }
}

/// How waiting for a signal of one's own ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With a signal.
    Signalled(u32),
    /// Without one.
    TimedOut,
    /// In a child that a signal handler forked meanwhile, which stands in no line.
    Forked,
}

/// How a waiter left the line.
#[derive(Clone, Copy)]
pub(crate) struct Departure {
    /// The signal that it had; 0 for none.
    pub signal: u32,
    /// Whoever stood in line when it was signalled has a ticket below this.
    pub signalled_at: u64,
    /// Whether its wait has failed (it was interrupted), so that the signal is of no use to it.
    pub failed: bool,
}

/// Waits, in line, for a signal that is meant for this waiter alone, and leaves the line. With
/// `stays` it does not if it was signalled: its death is then still that of somebody who waits.
///
/// `look_up` is called, without a lock, after every sleep that nobody ended. `at_end` is called
/// under the lock in which the line was left. When the time is over and `keep` finds, under the
/// lock, that the wait has to go on nevertheless, it goes on for ever.
pub(crate) fn for_signal(
    referent: &Referent<'_>,
    waiter: &Waiter<'_>,
    mut wait: Wait,
    stays: bool,
    mut look_up: impl FnMut() -> Result<()>,
    keep: impl Fn(&Guard<'_>) -> bool,
    at_end: impl FnOnce(&Guard<'_>, Departure, &mut Wakes<'_>) -> Result<()>,
) -> Result<Ended> {
    let mut patience = PATIENCE;
    let mut wakes = Wakes::new(referent.segment());
    let (guard, ended) = loop {
        let ended = loop {
            if waiter.signal() != 0 || wait.is_over() {
                break Ok(());
            }
            if let Err(error) = waiter.park(wait.at_most(patience)) {
                break Err(StoreError::from(error));
            }
            if waiter.is_foreign() {
                break Ok(());
            }
            if waiter.signal() == 0 {
                let looked = look_up().and_then(|()| Ok(referent.sweep_line().map(drop)?));
                if looked.is_err() {
                    break looked;
                }
                patience = (2 * patience).min(MOST_PATIENCE);
            }
        };
        if waiter.is_foreign() {
            return match ended {
                Ok(()) | Err(StoreError::Shm(Error::Forked)) => Ok(Ended::Forked),
                Err(error) => Err(error),
            };
        }
        let guard = lock_to_wake_all(referent, &mut wakes)?;
        if ended.is_ok() && waiter.signal() == 0 && keep(&guard) {
            wait = Wait::Forever;
            continue;
        }
        break (guard, ended);
    };
    let signal = match waiter.signal() {
        // The caller has something to do yet before the signal counts as received.
        signal if stays && signal != 0 && ended.is_ok() => signal,
        _ => guard.leave(waiter),
    };
    let departure = Departure {
        signal,
        signalled_at: waiter.signalled_at(),
        failed: ended.is_err(),
    };
    at_end(&guard, departure, &mut wakes)?;
    drop(guard);
    ended?;
    Ok(match signal {
        0 => Ended::TimedOut,
        signal => Ended::Signalled(signal),
    })
}

/// The lock of a referent, taken in any case, with room in `wakes` for everybody in line.
pub(crate) fn lock_to_wake_all<'s>(
    referent: &Referent<'s>,
    wakes: &mut Wakes<'_>,
) -> Result<Guard<'s>> {
    loop {
        let guard = referent.lock_uninterrupted()?;
        let waiting = guard.in_line();
        if waiting <= wakes.room() {
            return Ok(guard);
        }
        drop(guard);
        wakes.reserve(waiting)?;
    }
}

/// Signals under a lock without waking anybody: who was signalled looks up by himself. For menders.
pub(crate) fn without_waking(guard: &Guard<'_>, signal: impl FnOnce(&mut Wakes<'_>)) {
    let mut wakes = Wakes::new(guard.segment());
    signal(&mut wakes);
    core::mem::forget(wakes);
}
