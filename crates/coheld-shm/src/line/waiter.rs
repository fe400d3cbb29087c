//! A thread that waits: its cell, its sleep.

use std::{cell::Cell, time::Duration};

use super::{UNSIGNALLED, Wakes, spin};
use crate::{
    Error, Segment,
    layout::{WaiterCell, field},
    member::slot,
    sync::Ordering,
};

/// Cells that become usable at once: those of one page.
const STEP: u32 = 4096 / size_of::<WaiterCell>() as u32;

/// A cell of the table of waiters, for one thread.
///
/// Dropped while it stands in a line, it leaves the line and passes its signal on.
pub struct Waiter<'s> {
    segment: &'s Segment,
    cell: u64,
    /// The member whose cell it is; in a child that was forked meanwhile, another one.
    tag: u32,
    /// Place and generation of the referent in whose line it stands.
    stands: Cell<Option<(u64, u32)>>,
}

impl Segment {
    /// A free cell. [`Error::TooManyWaiters`] when there is none.
    pub fn waiter(&self) -> Result<Waiter<'_>, Error> {
        let tag = self.tag()?;
        loop {
            let high = self.waiter_high();
            let hint = slot::slot_of(tag) * 4;
            let numbers = (hint..high).chain(0..hint.min(high));
            for number in numbers {
                let cell = self.waiter_cell(number);
                let owner = self.control32(field!(cell, WaiterCell.owner));
                // Acquire: pairs with the Release by which its last owner gave it back.
                // CRASH: claimed, and in no line; the reaper frees it.
                if owner.load(Ordering::Relaxed) == 0
                    && owner
                        .compare_exchange(0, tag, Ordering::Acquire, Ordering::Relaxed)
                        .is_ok()
                {
                    // Of an owner that could not leave its line any more.
                    self.put(field!(cell, WaiterCell.referent), 0);
                    self.put32(field!(cell, WaiterCell.rings), 0);
                    return Ok(Waiter {
                        segment: self,
                        cell,
                        tag,
                        stands: Cell::new(None),
                    });
                }
            }
            if high == self.map.waiter_limit {
                return Err(Error::TooManyWaiters { limit: high });
            }
            let more = (high + STEP).min(self.map.waiter_limit);
            let from = self.waiter_cell(high);
            self.backing.commit(from, self.waiter_cell(more) - from)?;
            // Release: pairs with the Acquire in `waiter_high`.
            self.control(field!(0, Header.waiter_high))
                .fetch_max(more.into(), Ordering::Release);
        }
    }
}

/// Where the signal of a waiter is seen, also by other threads of its process, and also when it has
/// left: then it is anybody's.
#[derive(Clone, Copy)]
pub struct Sign<'s> {
    segment: &'s Segment,
    cell: u64,
}

impl Sign<'_> {
    pub(super) fn cell(self) -> u64 {
        self.cell
    }

    /// Whether there is a signal.
    #[must_use]
    pub fn is_given(self) -> bool {
        self.segment.signal_of(self.cell).get() != UNSIGNALLED
    }
}

impl<'s> Waiter<'s> {
    /// Where its signal is seen.
    #[must_use]
    pub fn sign(&self) -> Sign<'s> {
        Sign {
            segment: self.segment,
            cell: self.cell,
        }
    }

    /// Has its signals ring the bell of this process; before it stands in line.
    #[must_use]
    pub fn with_bell(self) -> Self {
        self.segment.put32(field!(self.cell, WaiterCell.rings), 1);
        self
    }

    /// Whether the cell belongs to the parent that this process was forked from, by a signal
    /// handler that ran while the thread waited. It is of no use here.
    pub fn is_foreign(&self) -> bool {
        // Not `tag`: it would make the child a member, and this runs in `drop` too.
        !self.segment.is_own(self.tag)
    }

    pub(super) fn cell(&self) -> u64 {
        self.cell
    }

    pub(super) fn stands(&self, place: Option<(u64, u32)>) {
        self.stands.set(place);
    }

    /// Forgets a signal, before the thread looks at what it waits for once more.
    pub fn listen(&self) {
        self.segment.signal_of(self.cell).listen();
    }

    /// Leaves a signal for the next in line, who gets it when this waiter leaves: for a thread that
    /// has listened and then could not look, or that has left over what the next may have.
    pub fn hand_on(&self, signal: u32) {
        if self.is_foreign() {
            return;
        }
        self.segment.signal_of(self.cell).give(signal);
    }

    /// What it was put in line with.
    pub fn payload(&self) -> u64 {
        // Relaxed: only this thread writes it.
        self.segment
            .control(field!(self.cell, WaiterCell.payload))
            .load(Ordering::Relaxed)
    }

    /// Whoever stood in line when this waiter was signalled has a ticket below this.
    pub fn signalled_at(&self) -> u64 {
        // Relaxed: written before the signal, which whoever asks has seen.
        self.segment
            .control(field!(self.cell, WaiterCell.signalled_at))
            .load(Ordering::Relaxed)
    }

    /// The signal; 0 without one.
    pub fn signal(&self) -> u32 {
        self.segment.signal_of(self.cell).get()
    }

    /// Sleeps until signalled, for `patience` at most; may return early.
    ///
    /// [`Error::Interrupted`] when a signal handler of the language raised meanwhile.
    pub fn park(&self, patience: Duration) -> Result<(), Error> {
        let segment = self.segment;
        let at = field!(self.cell, WaiterCell.signal);
        let signal = segment.signal_of(self.cell);
        let mut sleep = || {
            if !spin::until(&segment.spins, || signal.get() != UNSIGNALLED) {
                signal.sleep(|expected| segment.backing.wait(at, expected, patience));
            }
        };
        match segment.host() {
            Some(host) => {
                host.block(&mut sleep);
                if host.interrupted() {
                    return Err(Error::Interrupted);
                }
            }
            None => sleep(),
        }
        Ok(())
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if self.is_foreign() {
            return;
        }
        if let Some((offset, generation)) = self.stands.get()
            && let Ok(referent) = self.segment.referent(offset, generation)
        {
            let mut wakes = Wakes::new(self.segment);
            let _ = referent.abandon_place(self.cell, &mut wakes);
        }
        // Release: pairs with the Acquire in `Segment::waiter`.
        self.segment
            .control32(field!(self.cell, WaiterCell.owner))
            .store(0, Ordering::Release);
    }
}
