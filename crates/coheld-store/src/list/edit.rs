//! How a list changes: the plan, made from its length; the room, had before the lock; the commit.
//!
//! Whatever can fail for want of memory happens while the list is not locked. Then the lock is
//! taken, the plan made again, and if it still fits what was allocated, words are copied and one
//! store commits: either of the state word (the window moves) or of the root (a new array).

use coheld_shm::{Fate, Guard, Operation, Segment};

use super::List;
use super::batch::{Batch, Grave};
use super::window::{Window, check_length, state};
use crate::block::{HEADER, STATE};
use crate::error::{Result, StoreError};
use crate::hosted::check_here;
use crate::input::Input;
use crate::{kinds, word};

/// What an edit is going to do to the list that it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// There is nothing to do.
    Nothing,
    /// The window moves within its array: the committing store is the state word.
    Move {
        /// New start.
        start: u64,
        /// New count.
        count: u64,
        /// Elements that go.
        removed: u64,
    },
    /// One element is replaced: the committing store is its word.
    Replace {
        /// Which element.
        index: u64,
    },
    /// A new array takes over: the committing store is the root.
    Rebuild {
        /// Slack in front.
        front: u64,
        /// New count; with 0 there is no array at all.
        count: u64,
        /// Slack behind.
        back: u64,
        /// Elements that go, one by one.
        removed: u64,
    },
    /// As `Rebuild`, but every old element goes with its array.
    Renew {
        /// New count; with 0 there is no array at all.
        count: u64,
    },
}

impl Plan {
    /// Words of the new array; 0 when none is needed.
    fn capacity(self) -> u64 {
        match self {
            Self::Rebuild {
                front, count, back, ..
            } if count > 0 => front + count + back,
            Self::Renew { count } => count,
            _ => 0,
        }
    }

    /// Words that the new array needs at least: without the slack behind.
    fn least(self) -> u64 {
        match self {
            Self::Rebuild { front, count, .. } if count > 0 => front + count,
            _ => self.capacity(),
        }
    }

    /// Elements that are removed one by one.
    fn removed(self) -> u64 {
        match self {
            Self::Move { removed, .. } | Self::Rebuild { removed, .. } => removed,
            Self::Replace { .. } => 1,
            Self::Nothing | Self::Renew { .. } => 0,
        }
    }
}

/// What is being done under the lock.
pub(super) struct Work<'w, 'o> {
    /// The list as it was found.
    pub old: Window,
    operation: &'w mut Operation<'o>,
    batch: &'w Batch<'w>,
    grave: &'w mut Grave,
    /// Where the next word of the new array goes.
    next: u64,
    /// End of the words of the new array.
    end: u64,
}

impl Work<'_, '_> {
    /// Whether there is a new array to fill.
    pub fn builds(&self) -> bool {
        self.end != 0
    }

    /// Old elements `from..from + count` come next in the new array.
    pub fn keep(&mut self, from: u64, count: u64) -> Result<()> {
        let to = self.advance(count)?;
        self.operation
            .segment()
            .copy_words(self.old.cell(from), to, count)?;
        Ok(())
    }

    /// One old element comes next; cheaper than `keep` for one word.
    pub fn keep_one(&mut self, index: u64) -> Result<()> {
        let to = self.advance(1)?;
        let segment = self.operation.segment();
        segment.store(to, segment.load(self.old.cell(index))?)?;
        Ok(())
    }

    /// New words `from..from + count` come next in the new array.
    pub fn place(&mut self, from: u64, count: u64) -> Result<()> {
        let to = self.advance(count)?;
        self.batch.copy(self.operation.segment(), from, count, to)
    }

    /// New words go to the slack of the old array.
    pub fn place_at(&mut self, cell: u64, count: u64) -> Result<()> {
        self.batch.copy(self.operation.segment(), 0, count, cell)
    }

    /// Old elements `from..from + count` are released after the commit.
    pub fn remove(&mut self, from: u64, count: u64) -> Result<()> {
        self.grave.bury(self.operation, self.old.cell(from), count)
    }

    fn advance(&mut self, count: u64) -> Result<u64> {
        let to = self.next;
        self.next += 8 * count;
        if self.next > self.end {
            return Err(StoreError::Corrupted("a list changed under its lock"));
        }
        Ok(to)
    }
}

/// How an edit under the lock ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edited {
    /// It is committed (or there was nothing to do).
    Done,
    /// It was given up for want of private memory: get some and start again.
    NeedsRoom,
}

/// What a structure that is more than a list does in the same hold of the lock.
pub(crate) struct Around<'h> {
    /// May refuse, after a look at the list.
    pub check: &'h dyn Fn(&Guard<'_>, &Window) -> Result<()>,
    /// Right before the committing store.
    pub before: &'h dyn Fn(&Guard<'_>, &Window) -> Result<()>,
    /// Right after it.
    pub after: &'h mut dyn FnMut(&Guard<'_>, &Window) -> Result<()>,
}

impl Around<'_> {
    /// The same once more.
    pub fn again(&mut self) -> Around<'_> {
        Around {
            check: self.check,
            before: self.before,
            after: &mut *self.after,
        }
    }
}

/// What is to be edited, apart from how.
#[derive(Clone, Copy)]
pub(super) struct Order<'v> {
    /// The new values.
    pub values: &'v [Input<'v>],
    /// How many times each of them comes.
    pub times: u64,
    /// The version that the list must have.
    pub expected: Option<u64>,
    /// Whether to start as if no new array were needed, without looking first.
    pub in_place: bool,
}

impl<'v> Order<'v> {
    /// An order for new values, each once.
    pub fn of(values: &'v [Input<'v>], expected: Option<u64>) -> Self {
        Self {
            values,
            times: 1,
            expected,
            in_place: false,
        }
    }

    /// An order that mostly needs no new array.
    pub fn in_place(values: &'v [Input<'v>]) -> Self {
        Self {
            values,
            times: 1,
            expected: None,
            in_place: true,
        }
    }
}

impl List<'_> {
    /// Carries an order out. `plan` and `work` are called under the lock, possibly several times.
    pub(super) fn edit(
        &self,
        order: Order<'_>,
        plan: impl Fn(&Window) -> Result<Plan>,
        work: impl FnMut(&mut Work<'_, '_>, &Guard<'_>) -> Result<Edited>,
    ) -> Result<Edited> {
        self.edit_around(order, None, plan, work)
    }

    /// The same for a structure that is more than a list.
    pub(super) fn edit_around(
        &self,
        order: Order<'_>,
        mut around: Option<Around<'_>>,
        plan: impl Fn(&Window) -> Result<Plan>,
        mut work: impl FnMut(&mut Work<'_, '_>, &Guard<'_>) -> Result<Edited>,
    ) -> Result<Edited> {
        let mut wanted = if order.in_place {
            Plan::Replace { index: 0 }
        } else {
            let guard = self.referent.lock()?;
            check_kind(&guard, self.kind)?;
            check_version(&guard, order.expected)?;
            plan(&Window::read(&guard)?)?
        };
        loop {
            if wanted == Plan::Nothing {
                return Ok(Edited::Done);
            }
            let mut operation = self.referent.segment().begin()?;
            let batch = Batch::make(&mut operation, order.values, order.times)?;
            let mut grave = Grave::make(&mut operation, wanted.removed())?;
            let array = allocate_array(&mut operation, wanted.capacity())?;

            let guard = self.referent.lock()?;
            check_kind(&guard, self.kind)?;
            check_version(&guard, order.expected)?;
            let old = Window::read(&guard)?;
            if let Some(around) = &around {
                (around.check)(&guard, &old)?;
            }
            let plan = plan(&old)?;
            if plan == Plan::Nothing {
                return Ok(Edited::Done);
            }
            // More slack than planned does no harm, but an array that is not needed would be
            // kept by nobody.
            let fits = plan.least() <= wanted.capacity()
                && (plan.capacity() == 0) == array.is_none()
                && plan.removed() <= grave.capacity();
            if !fits {
                wanted = plan;
                continue;
            }
            let (next, end) = match (array, plan) {
                (Some(block), Plan::Rebuild { front, count, .. }) => {
                    let first = block + HEADER + 8 * front;
                    (first, first + 8 * count)
                }
                (Some(block), _) => (block + HEADER, block + HEADER + 8 * plan.least()),
                (None, _) => (0, 0),
            };
            let mut under_way = Work {
                old,
                operation: &mut operation,
                batch: &batch,
                grave: &mut grave,
                next,
                end,
            };
            let edited = work(&mut under_way, &guard)?;
            if edited == Edited::NeedsRoom {
                return Ok(edited);
            }
            if array.is_some() && under_way.next != end {
                return Err(StoreError::Corrupted("a list changed under its lock"));
            }
            if let Some(around) = &around {
                (around.before)(&guard, &old)?;
            }
            commit(&mut operation, &guard, &old, &batch, plan, array)?;
            if let Some(around) = &mut around {
                (around.after)(&guard, &old)?;
            }
            return Ok(Edited::Done);
        }
    }
}

/// The one store that makes the edit have happened.
fn commit(
    operation: &mut Operation<'_>,
    guard: &Guard<'_>,
    old: &Window,
    batch: &Batch<'_>,
    plan: Plan,
    array: Option<u64>,
) -> Result<()> {
    let segment = guard.segment();
    let (cell, value) = match plan {
        Plan::Nothing => return Ok(()),
        Plan::Move { start, count, .. } => (old.state_cell(), state(start, count)),
        Plan::Replace { index } => (old.cell(index), batch.first()),
        Plan::Rebuild { front, count, .. } => {
            // The old array goes without its words: they were copied, or buried one by one.
            operation.retire(guard.root(), Fate::Keep, Fate::Shell)?;
            (
                guard.root_cell(),
                publish(segment, array, state(front, count))?,
            )
        }
        Plan::Renew { count } => {
            operation.retire(guard.root(), Fate::Keep, Fate::Tree)?;
            (guard.root_cell(), publish(segment, array, state(0, count))?)
        }
    };
    if segment.load(cell)? == value {
        // The same proxy once more: the new edge goes instead of the old one.
        guard.bump_version();
        return Ok(());
    }
    // COMMIT: the state word moves the window, or the element's word changes, or the root names
    // the new array. CRASH: before it the lane gives back what is new, after it what is old.
    operation.commit(guard, cell, value)?;
    Ok(())
}

/// Gives the new array its window and says which word names it.
fn publish(segment: &Segment, array: Option<u64>, window: u64) -> Result<u64> {
    let Some(block) = array else {
        return Ok(word::EMPTY);
    };
    segment.store(block + STATE, window)?;
    Ok(word::from_block(block))
}

/// An array for `capacity` words, none for 0. No referent lock is held.
fn allocate_array(operation: &mut Operation<'_>, capacity: u64) -> Result<Option<u64>> {
    if capacity == 0 {
        return Ok(None);
    }
    check_length(capacity)?;
    // Until the commit its words are copies that still belong to the old array or to the batch.
    let kind = kinds::block::WORDS;
    Ok(Some(operation.allocate(
        8 * capacity,
        kind,
        Fate::Shell,
        Fate::Keep,
    )?))
}

/// Refuses to go on if the referent is no longer as the caller saw it.
#[inline]
pub(crate) fn check_version(guard: &Guard<'_>, expected: Option<u64>) -> Result<()> {
    match expected {
        Some(version) if version != guard.version() => {
            check_here(guard)?;
            Err(StoreError::Changed)
        }
        _ => Ok(()),
    }
}

/// Refuses to treat another kind of referent as one of `expected`.
///
/// The paths that write without this check write only where a block of the right kind is.
#[inline]
pub(crate) fn check_kind(guard: &Guard<'_>, expected: u8) -> Result<()> {
    let found = guard.kind();
    if found == expected {
        Ok(())
    } else if found == kinds::referent::HOSTED {
        Err(StoreError::Moved)
    } else {
        Err(StoreError::WrongKind { expected, found })
    }
}
