//! `Queue` and `JoinableQueue`: a list at whose ends processes wait.
//!
//! ```text
//! auxiliary   most items; 0: any number
//! root        the items, as in a list
//! word 0      items taken and not done (may be negative) << 1 | 1 once it was shut down
//! word 1      redo record: 1 | items before the taking << 32; 0: nothing to redo
//! word 2      redo record: word 0 before the taking
//! ```
//!
//! Items in the queue and items taken and not done add up to the unfinished ones, so that a put is
//! one store. Taking is two, the window of the list and word 0; the redo record holds them
//! together.

use coheld_shm::{Guard, Referent, Wakes};

use crate::error::{Result, StoreError};
use crate::input::Input;
use crate::kinds::referent as kind;
use crate::list::{Around, List, Window, window_state};
use crate::output::{Output, Room};
use crate::sync::wait::{Place, SIGNAL, Turn, lock_to_wake_all, until};
use crate::sync::{Standing, Wait, standing::attempt};
use crate::{snapshot, word};

const TAKEN: u64 = 0;
const REDO: u64 = 1;
const REDO_TAKEN: u64 = 2;

/// Bit of word 0.
const SHUT_DOWN: u64 = 1;
/// One item taken, in word 0.
const ONE: u64 = 2;
/// Bit of word 1.
const ARMED: u64 = 1;
/// Word 1 while a queue is shut down and its items are dropped.
const CLEARING: u64 = 2;

pub(crate) const GETTER: Place = Place {
    role: 0,
    owned: false,
    invites: true,
};
pub(crate) const PUTTER: Place = Place {
    role: 1,
    owned: false,
    invites: true,
};
pub(crate) const JOINER: Place = Place {
    role: 2,
    owned: false,
    invites: true,
};

/// A queue, of kind `QUEUE` or `JOINABLE_QUEUE` (which differ by name alone). Created with the
/// auxiliary word of [`Queue::auxiliary`].
#[derive(Clone, Copy)]
pub struct Queue<'a> {
    referent: &'a Referent<'a>,
}

impl<'a> Queue<'a> {
    /// Treats `referent` as a queue.
    #[inline]
    pub fn new(referent: &'a Referent<'a>) -> Self {
        Self { referent }
    }

    /// The auxiliary word of a queue for `maxsize` items; 0: any number.
    #[must_use]
    pub const fn auxiliary(maxsize: u64) -> u64 {
        maxsize
    }

    fn list(&self) -> List<'a> {
        List::of_kind(self.referent, self.referent.kind())
    }

    /// Puts an item at the end.
    ///
    /// [`StoreError::Full`]: there was no room within the time. [`StoreError::ShutDown`].
    #[inline]
    pub fn put(&self, value: &Input<'_>, wait: Wait) -> Result<()> {
        if self.try_put(value, Turn::first(wait))?.is_some() {
            return Ok(());
        }
        let attempt = |turn: Turn<'_, '_>| self.try_put(value, turn);
        until(self.referent, wait, PUTTER, attempt, || Ok(()))?.ok_or(StoreError::Full)
    }

    #[inline]
    fn try_put(&self, value: &Input<'_>, turn: Turn<'_, '_>) -> Result<Option<()>> {
        let mut wakes = Wakes::new(self.referent.segment());
        {
            let guard = self.referent.lock()?;
            check(&guard)?;
            let window = Window::read(&guard)?;
            match admit(&guard, &window, turn) {
                Err(StoreError::Full) => return Ok(None),
                admitted => admitted?,
            }
            if let Some(new) = value.inline_word()
                && window.room_behind() > 0
            {
                guard.segment().store(window.cell(window.count), new)?;
                // COMMIT: the state word takes the new word into the window. CRASH: nobody is
                // signalled; who waits looks up by himself.
                let state = window_state(window.start, window.count + 1);
                guard.commit_word(window.state_cell(), state)?;
                put_done(&guard, &window, turn, &mut wakes);
                return Ok(Some(()));
            }
        }
        let around = Around {
            check: &|guard, window| admit(guard, window, turn),
            before: &|_, _| Ok(()),
            after: &mut |guard, window| {
                put_done(guard, window, turn, &mut wakes);
                Ok(())
            },
        };
        match self.list().append_around(value, around) {
            Err(StoreError::Full) => Ok(None),
            put => put.map(Some),
        }
    }

    /// Takes the first item.
    ///
    /// [`StoreError::Empty`]: there was none within the time. [`StoreError::ShutDown`]: there is
    /// none, and there will be none.
    #[inline]
    pub fn get(&self, wait: Wait) -> Result<Output> {
        if let Some(taken) = self.try_get(Turn::first(wait))? {
            return Ok(taken);
        }
        let attempt = |turn: Turn<'_, '_>| self.try_get(turn);
        until(self.referent, wait, GETTER, attempt, || Ok(()))?.ok_or(StoreError::Empty)
    }

    #[inline]
    fn try_get(&self, turn: Turn<'_, '_>) -> Result<Option<Output>> {
        let mut wakes = Wakes::new(self.referent.segment());
        let room = {
            let guard = self.referent.lock()?;
            check(&guard)?;
            let window = Window::read(&guard)?;
            match offer(&guard, &window, turn) {
                Err(StoreError::Empty) => return Ok(None),
                offered => offered?,
            }
            let found = guard.segment().load(window.cell(0))?;
            if word::is_inline(found) && !window.is_sparse_with(window.count - 1) {
                arm(&guard, &window);
                // COMMIT: the state word leaves the item outside the window. CRASH: `mend` counts
                // it as taken.
                let state = window_state(window.start + 1, window.count - 1);
                guard.commit_word(window.state_cell(), state)?;
                get_done(&guard, &window, turn, &mut wakes);
                return Ok(Some(Output::Word(found)));
            }
            snapshot::room_of(guard.segment(), found)?
        };
        self.get_slowly(room, turn, &mut wakes)
    }

    #[cold]
    fn get_slowly(
        &self,
        room: Room,
        turn: Turn<'_, '_>,
        wakes: &mut Wakes<'_>,
    ) -> Result<Option<Output>> {
        let around = Around {
            check: &|guard, window| offer(guard, window, turn),
            before: &|guard, window| {
                arm(guard, window);
                Ok(())
            },
            after: &mut |guard, window| {
                get_done(guard, window, turn, wakes);
                Ok(())
            },
        };
        match self.list().pop_first_around(room, around) {
            Err(StoreError::Empty) => Ok(None),
            taken => taken.map(Some),
        }
    }

    /// Tries to put an item, once: in the place in line, or as a newcomer who would wait. `None`:
    /// there is no room, or it is for others.
    #[inline]
    pub fn attempt_put(
        &self,
        value: &Input<'_>,
        standing: Option<&mut Standing<'_>>,
    ) -> Result<Option<()>> {
        attempt(standing, |turn| self.try_put(value, turn))
    }

    /// The same for taking the first item.
    #[inline]
    pub fn attempt_get(&self, standing: Option<&mut Standing<'_>>) -> Result<Option<Output>> {
        attempt(standing, |turn| self.try_get(turn))
    }

    /// The same for what `join` waits for.
    pub fn attempt_join(&self, standing: Option<&mut Standing<'_>>) -> Result<Option<()>> {
        attempt(standing, |turn| self.try_join(turn))
    }

    fn try_join(&self, _: Turn<'_, '_>) -> Result<Option<()>> {
        Ok((self.unfinished()? == 0).then_some(()))
    }

    /// Items in it.
    #[inline]
    pub fn len(&self) -> Result<u64> {
        let count = self
            .referent
            .glance(|queue| Window::read(queue).ok())
            .map(|window| window.count);
        match count {
            Some(count) => Ok(count),
            None => Ok(Window::read(&self.referent.lock()?)?.count),
        }
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// The most items it takes; 0: any number.
    pub fn maxsize(&self) -> Result<u64> {
        let guard = self.referent.lock()?;
        check(&guard)?;
        Ok(guard.auxiliary())
    }

    /// Says that an item that was taken is done with.
    ///
    /// [`StoreError::TaskDoneTooOften`]: no item is unfinished.
    pub fn task_done(&self) -> Result<()> {
        let mut wakes = Wakes::new(self.referent.segment());
        let guard = lock_to_wake_all(self.referent, &mut wakes)?;
        check(&guard)?;
        let unfinished = unfinished(&guard)?;
        if unfinished <= 0 {
            return Err(StoreError::TaskDoneTooOften);
        }
        // COMMIT: one less. CRASH: those who join are not told; they look up by themselves.
        let taken = guard.word(TAKEN).wrapping_sub(ONE);
        guard.commit_word(guard.word_cell(TAKEN), taken)?;
        if unfinished == 1 {
            guard.signal_many(JOINER.role, SIGNAL, u64::MAX, &mut wakes);
        }
        drop(guard);
        Ok(())
    }

    /// Waits until every item was taken and done with; whether that was so in time.
    pub fn join(&self, wait: Wait) -> Result<bool> {
        let attempt = |turn: Turn<'_, '_>| self.try_join(turn);
        if attempt(Turn::first(wait))?.is_some() {
            return Ok(true);
        }
        Ok(until(self.referent, wait, JOINER, attempt, || Ok(()))?.is_some())
    }

    /// Items put and not yet done with.
    pub fn unfinished(&self) -> Result<u64> {
        let guard = self.referent.lock()?;
        check(&guard)?;
        Ok(unfinished(&guard)?.max(0).unsigned_abs())
    }

    /// No more puts, and with `immediate` no more gets either: the items are dropped. Everybody who
    /// waits for something that cannot happen any more is told.
    pub fn shut_down(&self, immediate: bool) -> Result<()> {
        let mut wakes = Wakes::new(self.referent.segment());
        let guard = loop {
            if immediate {
                self.drop_items()?;
            }
            let guard = lock_to_wake_all(self.referent, &mut wakes)?;
            check(&guard)?;
            // Something may have been put into a queue that was empty and not marked yet.
            if !immediate || Window::read(&guard)?.count == 0 {
                break guard;
            }
        };
        // COMMIT: shut down. CRASH: those who wait look up by themselves.
        let taken = guard.word(TAKEN) | SHUT_DOWN;
        guard.commit_word(guard.word_cell(TAKEN), taken)?;
        for place in [GETTER, PUTTER, JOINER] {
            guard.signal_many(place.role, SIGNAL, u64::MAX, &mut wakes);
        }
        drop(guard);
        Ok(())
    }

    /// Drops the items and marks the queue as shut down, unless there never were any.
    fn drop_items(&self) -> Result<()> {
        self.list().clear_around(Around {
            check: &|guard, _| check(guard),
            before: &|guard, _| {
                guard.set_word(REDO, CLEARING);
                Ok(())
            },
            after: &mut |guard, _| {
                guard.set_word(TAKEN, guard.word(TAKEN) | SHUT_DOWN);
                guard.set_word(REDO, 0);
                Ok(())
            },
        })
    }

    /// Whether it was shut down.
    pub fn is_shut_down(&self) -> Result<bool> {
        let guard = self.referent.lock()?;
        check(&guard)?;
        Ok(guard.word(TAKEN) & SHUT_DOWN != 0)
    }
}

/// Whether an item may be put; [`StoreError::Full`] if there is no room, or not for this one yet.
#[inline]
fn admit(guard: &Guard<'_>, window: &Window, turn: Turn<'_, '_>) -> Result<()> {
    if guard.word(TAKEN) & SHUT_DOWN != 0 {
        return Err(StoreError::ShutDown);
    }
    let most = guard.auxiliary();
    let full = most != 0 && window.count >= most;
    if full || !turn.has_come(guard, PUTTER.role) {
        return Err(StoreError::Full);
    }
    Ok(())
}

/// Whether an item may be taken; [`StoreError::Empty`] if there is none, or not for this one yet.
#[inline]
fn offer(guard: &Guard<'_>, window: &Window, turn: Turn<'_, '_>) -> Result<()> {
    if window.count == 0 {
        return Err(if guard.word(TAKEN) & SHUT_DOWN != 0 {
            StoreError::ShutDown
        } else {
            StoreError::Empty
        });
    }
    if !turn.has_come(guard, GETTER.role) {
        return Err(StoreError::Empty);
    }
    Ok(())
}

/// Right after an item was put; `before` is the window of the list before it.
#[inline]
fn put_done(guard: &Guard<'_>, before: &Window, turn: Turn<'_, '_>, wakes: &mut Wakes<'_>) {
    if guard.has_line() {
        guard.took(turn.waiter, PUTTER.role);
        guard.signal_first(GETTER.role, SIGNAL, wakes);
        if before.count + 1 < guard.auxiliary() {
            turn.hand_on();
        }
    }
}

/// Right before an item is taken: what is to be counted if it is.
#[inline]
fn arm(guard: &Guard<'_>, window: &Window) {
    guard.set_word(REDO_TAKEN, guard.word(TAKEN));
    guard.set_word(REDO, ARMED | window.count << 32);
}

/// Right after an item was taken; `before` is the window of the list before it.
#[inline]
fn get_done(guard: &Guard<'_>, before: &Window, turn: Turn<'_, '_>, wakes: &mut Wakes<'_>) {
    guard.set_word(TAKEN, guard.word(TAKEN).wrapping_add(ONE));
    guard.set_word(REDO, 0);
    if guard.has_line() {
        guard.took(turn.waiter, GETTER.role);
        guard.signal_first(PUTTER.role, SIGNAL, wakes);
        if before.count > 1 {
            turn.hand_on();
        }
    }
}

/// Whether what `role` waits for may be there.
pub(crate) fn may_succeed(guard: &Guard<'_>, role: u32) -> Result<bool> {
    let count = Window::read(guard)?.count;
    if guard.word(TAKEN) & SHUT_DOWN != 0 {
        return Ok(role != JOINER.role || unfinished(guard)? == 0);
    }
    Ok(match role {
        0 => count > 0,
        1 => guard.auxiliary() == 0 || count < guard.auxiliary(),
        _ => unfinished(guard)? == 0,
    })
}

fn unfinished(guard: &Guard<'_>) -> Result<i64> {
    let taken = guard.word(TAKEN).cast_signed() >> 1;
    Ok(Window::read(guard)?.count.cast_signed() + taken)
}

/// Notes what a dead process has done and not yet noted.
pub(crate) fn mend(guard: &Guard<'_>) {
    let redo = guard.word(REDO);
    if let Ok(window) = Window::read(guard) {
        if redo & ARMED != 0 && window.count + 1 == redo >> 32 {
            let taken = guard.word(REDO_TAKEN).wrapping_add(ONE);
            guard.set_word(TAKEN, taken);
        } else if redo == CLEARING && window.count == 0 {
            guard.set_word(TAKEN, guard.word(TAKEN) | SHUT_DOWN);
        }
    }
    guard.set_word(REDO, 0);
}

#[inline]
fn check(guard: &Guard<'_>) -> Result<()> {
    match guard.kind() {
        kind::QUEUE | kind::JOINABLE_QUEUE => Ok(()),
        found => Err(StoreError::WrongKind {
            expected: kind::QUEUE,
            found,
        }),
    }
}
