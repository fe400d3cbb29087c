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

use super::wait::{Departure, Ended, Place, SIGNAL, for_signal, lock_to_wake_all, without_waking};
use super::{Standing, Wait};
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
pub(super) const PARTY: u32 = 0;
/// Waits for the action of those before it to end.
pub(super) const ENTRANT: u32 = 1;

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

/// What came of an arrival that nobody sleeps for; see [`Barrier::arrive`].
pub enum Arrived<'s, T> {
    /// It went through, or its action failed.
    Through(Passage<T>),
    /// It waits for the others, or for the end of the action of those before it.
    Waits(Standing<'s>),
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
        action: Option<&mut dyn FnMut() -> std::result::Result<(), T>>,
    ) -> Result<Passage<T>> {
        let segment = self.referent.segment();
        loop {
            match self.come(action.is_some(), wait, segment.waiter()?)? {
                Arrival::Released(number) => return Ok(Passage::Passed(number)),
                Arrival::Act(me) => return self.act(me, action),
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

    /// Comes to the barrier without waiting: as [`Self::wait`] as long as there is nothing to wait
    /// for. Who has to wait is told by the bell of the process and asks [`Self::attempt`] then.
    pub fn arrive<T>(
        &self,
        wait: Wait,
        action: Option<&mut dyn FnMut() -> std::result::Result<(), T>>,
    ) -> Result<Arrived<'a, T>> {
        let waiter = self.referent.segment().waiter()?.with_bell();
        match self.come(action.is_some(), wait, waiter)? {
            Arrival::Released(number) => Ok(Arrived::Through(Passage::Passed(number))),
            Arrival::Act(me) => self.act(me, action).map(Arrived::Through),
            Arrival::Waits(waiter, role) => Ok(Arrived::Waits(Standing::of(
                self.referent,
                Place::told(role),
                waiter,
            ))),
        }
    }

    /// What became of one who waits: his number, if the barrier let him through;
    /// [`StoreError::BrokenBarrier`]. `None`: nothing yet.
    ///
    /// Those whom [`Self::must_come_again`] speaks of have no number, and none is of meaning.
    pub fn attempt(&self, standing: &Standing<'_>) -> Result<Option<u64>> {
        match standing.signal() {
            0 => Ok(None),
            PASSED => Ok(Some(standing.payload())),
            _ => Err(StoreError::BrokenBarrier),
        }
    }

    /// Whether one who waits has only waited for others to go, and has to arrive once more.
    #[must_use]
    pub fn must_come_again(&self, standing: &Standing<'_>) -> bool {
        standing.role() == ENTRANT
    }

    /// The time is over for one who waits: breaks the barrier, unless he has been told something or
    /// all have come, so that it is a matter of the action alone. Whether it broke.
    pub fn lose_patience(&self, standing: &Standing<'_>) -> Result<bool> {
        if self.must_come_again(standing) {
            return Ok(false);
        }
        self.change(|guard, wakes| {
            if standing.is_signalled() || guard.word(STATE) > RESETTING {
                return Ok(false);
            }
            break_it(guard, wakes)?;
            Ok(true)
        })
    }

    /// Runs the action as the last one to come.
    fn act<T>(
        &self,
        me: Owner,
        action: Option<&mut dyn FnMut() -> std::result::Result<(), T>>,
    ) -> Result<Passage<T>> {
        let breaker = Breaker {
            barrier: self,
            state: me.word(),
        };
        let acted = action.map_or(Ok(()), |action| action());
        breaker.end(acted)
    }

    fn come(&self, acts: bool, wait: Wait, waiter: coheld_shm::Waiter<'a>) -> Result<Arrival<'a>> {
        let segment = self.referent.segment();
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
    pub(super) fn look_after_actor(&self) -> Result<()> {
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
