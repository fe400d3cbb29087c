//! `Barrier`. Whoever waits stands in line as a PARTY; the number of parties in line is how many
//! have arrived.
//!
//! ```text
//! auxiliary   number of parties
//! word 0      FILLING, BROKEN, RELEASING, RESETTING, or the owner (member and thread) that runs
//!             the action
//! root        what `initialize` kept
//! ```

use coheld_shm::{Guard, Lost, Owner, Referent, Wakes};

use super::Wait;
use super::wait::{Departure, Ended, SIGNAL, for_signal, lock_to_wake_all, without_waking};
use crate::error::{Result, StoreError};
use crate::input::Input;
use crate::kinds::referent as kind;
use crate::list::check_kind;
use crate::output::Output;
use crate::value::Value;

const STATE: u64 = 0;

const FILLING: u64 = 0;
const BROKEN: u64 = 1;
/// Everybody in line is about to be let through.
const RELEASING: u64 = 2;
/// Everybody in line is about to be sent away.
const RESETTING: u64 = 3;

/// Has arrived and waits for the others.
const PARTY: u32 = 0;
/// Waits for the action of those before it to end.
const ENTRANT: u32 = 1;

/// Signal: let through.
const PASSED: u32 = SIGNAL;
/// Signal: the barrier broke.
const BROKE: u32 = 2;

/// A barrier, of kind BARRIER. Created with the number of parties as the auxiliary word.
#[derive(Clone, Copy)]
pub struct Barrier<'a> {
    referent: &'a Referent<'a>,
}

/// What happens to a party that arrives.
#[derive(Debug)]
pub enum Passage<T> {
    /// The barrier let it through as number so-and-so.
    Passed(u64),
    /// The action failed; the barrier is broken for the others.
    Failed(T),
}

/// What an arrival does next.
enum Arrival<'s> {
    /// It was the last one and has let everybody through.
    Released(u64),
    /// It is the last one and runs the action.
    Act(Owner),
    /// It waits.
    Waits(coheld_shm::Waiter<'s>, u32),
}

impl<'a> Barrier<'a> {
    /// Treats `referent` as a barrier.
    #[inline]
    pub fn new(referent: &'a Referent<'a>) -> Self {
        Self { referent }
    }

    /// Keeps a value beside the barrier (Python: its action and its default time-out); once, by who
    /// created it.
    pub fn initialize(&self, configuration: &Input<'_>) -> Result<()> {
        self.kept().set(configuration)
    }

    /// What `initialize` kept; the word of `None` without.
    pub fn configuration(&self) -> Result<Output> {
        // `Value::get` does not look at the kind; the root of anything else is no configuration.
        check_kind(&self.referent.lock()?, kind::BARRIER)?;
        self.kept().get()
    }

    fn kept(&self) -> Value<'a> {
        Value::of_kind(self.referent, kind::BARRIER)
    }

    /// Waits for the others. The last one runs `action` before anybody is let through; no lock of
    /// the segment is held meanwhile.
    ///
    /// [`StoreError::BrokenBarrier`] when it is or gets broken: by `abort`, by a time-out, by an
    /// action that failed, by the death of a party that waits.
    pub fn wait<T>(
        &self,
        wait: Wait,
        mut action: Option<&mut dyn FnMut() -> std::result::Result<(), T>>,
    ) -> Result<Passage<T>> {
        loop {
            match self.arrive(action.is_some(), wait)? {
                Arrival::Released(number) => return Ok(Passage::Passed(number)),
                Arrival::Act(me) => {
                    let breaker = Breaker {
                        barrier: self,
                        state: me.word(),
                    };
                    let acted = action.as_mut().map_or(Ok(()), |action| action());
                    return breaker.end(acted);
                }
                Arrival::Waits(waiter, PARTY) => {
                    let number = waiter.payload();
                    let look = || self.look_after_actor();
                    // All have arrived: the time for that is not over any more.
                    let acts = |guard: &Guard<'_>| guard.word(STATE) > RESETTING;
                    let late = |guard: &Guard<'_>, left: Departure, wakes: &mut Wakes<'_>| {
                        if left.signal == 0 && !left.failed {
                            break_it(guard, wakes)?;
                        }
                        Ok(())
                    };
                    match for_signal(self.referent, &waiter, wait, false, look, acts, late)? {
                        Ended::Signalled(PASSED) => return Ok(Passage::Passed(number)),
                        Ended::Signalled(_) | Ended::TimedOut => {
                            return Err(StoreError::BrokenBarrier);
                        }
                        Ended::Forked => {}
                    }
                }
                Arrival::Waits(waiter, _) => {
                    // The action of those before it ends in any case, as the lock does that Python
                    // holds meanwhile.
                    let look = || self.look_after_actor();
                    let leave = |_: &Guard<'_>, _, _: &mut Wakes<'_>| Ok(());
                    for_signal(
                        self.referent,
                        &waiter,
                        Wait::Forever,
                        false,
                        look,
                        |_| false,
                        leave,
                    )?;
                }
            }
        }
    }

    fn arrive(&self, acts: bool, wait: Wait) -> Result<Arrival<'a>> {
        let segment = self.referent.segment();
        let waiter = segment.waiter()?;
        let mut wakes = Wakes::new(segment);
        loop {
            let guard = self.referent.lock()?;
            check_kind(&guard, kind::BARRIER)?;
            mend(&guard);
            match guard.word(STATE) {
                FILLING => {}
                BROKEN => return Err(StoreError::BrokenBarrier),
                _ => {
                    guard.enqueue(&waiter, ENTRANT, 0);
                    drop(guard);
                    return Ok(Arrival::Waits(waiter, ENTRANT));
                }
            }
            let arrived = guard.waiting(PARTY);
            let is_last = arrived + 1 >= guard.auxiliary();
            if !is_last && wait != Wait::No {
                guard.enqueue(&waiter, PARTY, arrived);
                drop(guard);
                return Ok(Arrival::Waits(waiter, PARTY));
            }
            if is_last && acts {
                let me = segment.owner()?;
                // COMMIT: the action runs. CRASH: `look_after_actor` by those who wait.
                guard.commit_word(guard.word_cell(STATE), me.word())?;
                return Ok(Arrival::Act(me));
            }
            let waiting = guard.in_line();
            if waiting > wakes.room() {
                drop(guard);
                wakes.reserve(waiting)?;
                continue;
            }
            if !is_last {
                // No time to wait: as a time-out, at once.
                break_it(&guard, &mut wakes)?;
                return Err(StoreError::BrokenBarrier);
            }
            release(&guard, &mut wakes)?;
            return Ok(Arrival::Released(arrived));
        }
    }

    /// Breaks the barrier if the process that runs its action has died.
    fn look_after_actor(&self) -> Result<()> {
        let state = self.referent.lock()?.word(STATE);
        if state > RESETTING
            && let Some(actor) = Owner::from_word(state)
            && self.referent.segment().is_gone(actor)
        {
            self.change(|guard, wakes| {
                if guard.word(STATE) == state {
                    break_it(guard, wakes)?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Does something under the lock that may wake everybody.
    fn change<T>(&self, act: impl FnOnce(&Guard<'_>, &mut Wakes<'_>) -> Result<T>) -> Result<T> {
        let mut wakes = Wakes::new(self.referent.segment());
        let guard = lock_to_wake_all(self.referent, &mut wakes)?;
        check_kind(&guard, kind::BARRIER)?;
        let done = act(&guard, &mut wakes);
        drop(guard);
        done
    }

    /// Back to the empty state; who waits gets [`StoreError::BrokenBarrier`].
    pub fn reset(&self) -> Result<()> {
        self.change(|guard, wakes| {
            // COMMIT: everybody in line is to be sent away. CRASH: `mend` goes on.
            guard.commit_word(guard.word_cell(STATE), RESETTING)?;
            finish(guard, wakes);
            Ok(())
        })
    }

    /// Breaks it: who waits, and who comes before a `reset`, gets [`StoreError::BrokenBarrier`].
    pub fn abort(&self) -> Result<()> {
        self.change(break_it)
    }

    /// Number of parties.
    pub fn parties(&self) -> Result<u64> {
        Ok(self.referent.lock()?.auxiliary())
    }

    /// How many wait.
    pub fn waiting(&self) -> Result<u64> {
        Ok(self.referent.lock()?.waiting(PARTY))
    }

    /// Whether it is broken.
    pub fn is_broken(&self) -> Result<bool> {
        Ok(self.referent.lock()?.word(STATE) == BROKEN)
    }
}

/// Breaks the barrier unless the action comes to its end, also when it panics.
struct Breaker<'b, 'a> {
    barrier: &'b Barrier<'a>,
    state: u64,
}

impl Breaker<'_, '_> {
    fn end<T>(self, acted: std::result::Result<(), T>) -> Result<Passage<T>> {
        let state = self.state;
        let barrier = self.barrier;
        if let Err(failure) = acted {
            drop(self);
            return Ok(Passage::Failed(failure));
        }
        let passed = barrier.change(|guard, wakes| {
            if guard.word(STATE) != state {
                // Reset or aborted meanwhile.
                return Err(StoreError::BrokenBarrier);
            }
            let number = guard.waiting(PARTY);
            release(guard, wakes)?;
            Ok(Passage::Passed(number))
        });
        if passed.is_ok() {
            core::mem::forget(self);
        }
        passed
    }
}

impl Drop for Breaker<'_, '_> {
    fn drop(&mut self) {
        let state = self.state;
        let _ = self.barrier.change(|guard, wakes| {
            if guard.word(STATE) == state {
                break_it(guard, wakes)?;
            }
            Ok(())
        });
    }
}

/// Lets everybody through.
fn release(guard: &Guard<'_>, wakes: &mut Wakes<'_>) -> Result<()> {
    // COMMIT: everybody in line passes. CRASH: `mend` goes on.
    guard.commit_word(guard.word_cell(STATE), RELEASING)?;
    finish(guard, wakes);
    Ok(())
}

fn break_it(guard: &Guard<'_>, wakes: &mut Wakes<'_>) -> Result<()> {
    // COMMIT: it is broken. CRASH: `mend` tells those who wait.
    guard.commit_word(guard.word_cell(STATE), BROKEN)?;
    finish(guard, wakes);
    Ok(())
}

/// Tells everybody in line what the state means for them.
fn finish(guard: &Guard<'_>, wakes: &mut Wakes<'_>) {
    let state = guard.word(STATE);
    let signal = match state {
        RELEASING => PASSED,
        BROKEN | RESETTING => BROKE,
        _ => return,
    };
    guard.signal_many(PARTY, signal, u64::MAX, wakes);
    guard.signal_many(ENTRANT, SIGNAL, u64::MAX, wakes);
    if state != BROKEN {
        guard.set_word(STATE, FILLING);
    }
}

/// Goes on with what a dead process has begun.
pub(crate) fn mend(guard: &Guard<'_>) {
    without_waking(guard, |wakes| finish(guard, wakes));
}

/// A party that died while it waited breaks the barrier.
pub(crate) fn pass_on(guard: &Guard<'_>, lost: Lost, wakes: &mut Wakes<'_>) {
    if lost.role == PARTY && lost.signal == 0 && guard.word(STATE) != BROKEN {
        let _ = break_it(guard, wakes);
    }
}
