//! Lines: who waits for something about a referent, first come first.
//!
//! A waiter is a cell in a table of the segment. While it stands in the line of a referent the cell
//! names that referent, its role (what it waits for), and its ticket, which says who came first.
//! Whoever can serve somebody *signals* a waiter: stores a number other than zero in its cell,
//! under the referent's lock, and wakes it afterwards. The waiter leaves the line by itself, also
//! when it gives up.
//!
//! The links of the line (first, last, next, previous) are a shortcut only: what a cell says about
//! itself counts, and after a death the links are made anew from the cells. A waiter that dies
//! stays in line until somebody notices: the next waiter that looks up from its sleep, or the
//! reaper. Its signal is then passed on by [`crate::Mender::pass_on`].

pub(crate) mod bell;
mod owner;
mod signal;
pub(crate) mod spin;
mod sweep;
mod waiter;
mod wakes;

pub use self::{
    owner::Owner,
    signal::UNSIGNALLED,
    sweep::Lost,
    waiter::{Sign, Waiter},
    wakes::Wakes,
};

use self::signal::Signal;
use crate::{
    Guard, Segment,
    layout::{WaiterCell, field},
    sync::{MODEL, Ordering, program_order},
};

/// Newcomers that may take what somebody in line waits for, before the line comes first.
///
/// Barging is what makes a contended lock fast (the owner's next acquisition needs no wake-up), so
/// the number is large against one; a waiter loses at most as many turns as it says. One in a
/// model of threads, so that the line comes first within the few steps of the model.
pub const BARGES: u64 = if MODEL { 1 } else { 16 };

/// Milliseconds after its signal from which on a waiter that does not come is passed by anybody: a
/// hundred times what a wake-up takes on an idle machine.
const DAWDLING: u64 = 2;

/// Tickets use the low bits, two counts of barges the rest: of role 0 and of all others. Of those
/// only one can be kept from what it waits for by others of its role.
const TICKET_BITS: u32 = 48;
const BARGES_MASK: u64 = 0xff;

const fn barges_shift(role: u32) -> u32 {
    if role == 0 {
        TICKET_BITS
    } else {
        TICKET_BITS + 8
    }
}

/// Number of a cell, plus one; 0: none.
type Link = u32;

impl Segment {
    pub(crate) fn waiter_cell(&self, number: u32) -> u64 {
        self.map.waiters + u64::from(number) * size_of::<WaiterCell>() as u64
    }

    /// Cells from here on have never been used.
    pub(crate) fn waiter_high(&self) -> u32 {
        // Acquire: pairs with the Release in `waiter`.
        let high = self
            .control(field!(0, Header.waiter_high))
            .load(Ordering::Acquire);
        high.min(u64::from(self.map.waiter_limit)) as u32
    }

    /// Offset of a linked cell; a link that leads nowhere ends the line.
    fn linked(&self, link: Link) -> Option<u64> {
        let number = link.checked_sub(1)?;
        (number < self.map.waiter_limit).then(|| self.waiter_cell(number))
    }

    /// The signal of the waiter in a cell.
    fn signal_of(&self, cell: u64) -> Signal<'_> {
        Signal::new(self.control32(field!(cell, WaiterCell.signal)))
    }

    /// Whether it has none, seen under the lock of the line.
    fn is_unsignalled(&self, cell: u64) -> bool {
        self.signal_of(cell).get_locked() == UNSIGNALLED
    }

    fn link_of(&self, cell: u64) -> Link {
        ((cell - self.map.waiters) / size_of::<WaiterCell>() as u64) as u32 + 1
    }

    fn get32(&self, at: u64) -> u32 {
        // Relaxed: ordered by the referent's lock.
        self.control32(at).load(Ordering::Relaxed)
    }

    fn put32(&self, at: u64, value: u32) {
        self.control32(at).store(value, Ordering::Relaxed);
    }

    fn get(&self, at: u64) -> u64 {
        self.control(at).load(Ordering::Relaxed)
    }

    fn put(&self, at: u64, value: u64) {
        self.control(at).store(value, Ordering::Relaxed);
    }
}

impl<'s> Guard<'s> {
    fn line_cell(&self) -> u64 {
        field!(self.offset(), ReferentHeader.line)
    }

    fn ends(&self) -> (Link, Link) {
        let line = self.segment().get(self.line_cell());
        (line as u32, (line >> 32) as u32)
    }

    fn set_ends(&self, first: Link, last: Link) {
        self.segment()
            .put(self.line_cell(), u64::from(first) | u64::from(last) << 32);
    }

    /// Whether anybody stands in line.
    #[inline]
    pub fn has_line(&self) -> bool {
        self.segment().get(self.line_cell()) != 0
    }

    /// The cells in line, first come first. Ends whatever the segment holds.
    fn line(&self) -> impl Iterator<Item = u64> + use<'s> {
        let segment = self.segment();
        let mut link = self.ends().0;
        let mut left = segment.map.waiter_limit;
        core::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let cell = segment.linked(link)?;
            link = segment.get32(field!(cell, WaiterCell.next));
            Some(cell)
        })
    }

    /// The cells in line that wait for `role`.
    fn line_of(&self, role: u32) -> impl Iterator<Item = u64> + use<'s> {
        let segment = self.segment();
        self.line()
            .filter(move |&cell| segment.get32(field!(cell, WaiterCell.role)) == role)
    }

    /// How many wait for `role` and have not been signalled.
    pub fn waiting(&self, role: u32) -> u64 {
        let segment = self.segment();
        self.line_of(role)
            .filter(|&cell| segment.is_unsignalled(cell))
            .count() as u64
    }

    /// Whether a thread may take what is there: nobody in line waits for it, or the thread is the
    /// first of those who do, or not too many newcomers have gone first.
    #[inline]
    pub fn may_take(&self, waiter: Option<&Waiter<'_>>, role: u32) -> bool {
        !self.has_line() || self.may_barge(waiter, role)
    }

    #[cold]
    fn may_barge(&self, waiter: Option<&Waiter<'_>>, role: u32) -> bool {
        if self.barges(role) < BARGES {
            return true;
        }
        let Some(first) = self.line_of(role).next() else {
            return true;
        };
        waiter.is_some_and(|waiter| waiter.cell() == first) || self.dawdles(first)
    }

    /// Whether a waiter was signalled some time ago and has not come: it is stopped, or its thread
    /// waits for an interpreter that another one keeps. Others need not stand still for that.
    fn dawdles(&self, cell: u64) -> bool {
        let segment = self.segment();
        let when = segment.get(field!(cell, WaiterCell.signalled_when));
        !MODEL
            && !segment.is_unsignalled(cell)
            && segment.backing.now_milliseconds() > when + DAWDLING
    }

    /// Whether a waiter is one of the first two of its role, who look after the others.
    pub fn is_in_front(&self, sign: Sign<'_>, role: u32) -> bool {
        self.line_of(role).take(2).any(|cell| cell == sign.cell())
    }

    /// Notes that a thread has taken what it came for: as the first in line, or past it.
    #[inline]
    pub fn took(&self, waiter: Option<&Waiter<'_>>, role: u32) {
        if !self.has_line() {
            return;
        }
        let first = self.line_of(role).next();
        if first.is_none() {
            // Those in line wait for something else.
            return;
        }
        let in_turn = first == waiter.map(Waiter::cell);
        self.set_barges(role, if in_turn { 0 } else { self.barges(role) + 1 });
    }

    fn barges(&self, role: u32) -> u64 {
        let tickets = self
            .segment()
            .get(field!(self.offset(), ReferentHeader.tickets));
        tickets >> barges_shift(role) & BARGES_MASK
    }

    fn set_barges(&self, role: u32, barges: u64) {
        let at = field!(self.offset(), ReferentHeader.tickets);
        let others = self.segment().get(at) & !(BARGES_MASK << barges_shift(role));
        self.segment()
            .put(at, others | barges.min(BARGES_MASK) << barges_shift(role));
    }

    /// Puts a waiter at the end of the line.
    pub fn enqueue(&self, waiter: &Waiter<'_>, role: u32, payload: u64) {
        let (segment, cell) = (self.segment(), waiter.cell());
        let at = field!(self.offset(), ReferentHeader.tickets);
        let tickets = segment.get(at);
        let ticket = tickets & ((1 << TICKET_BITS) - 1);
        segment.put(at, tickets & !((1 << TICKET_BITS) - 1) | (ticket + 1));
        segment.put(field!(cell, WaiterCell.ticket), ticket);
        segment.put(field!(cell, WaiterCell.payload), payload);
        segment.put32(field!(cell, WaiterCell.role), role);
        segment.signal_of(cell).listen();
        program_order();
        // COMMIT: the cell stands in this line. CRASH: not linked; the next owner of the lock
        // makes the links anew.
        segment.put(field!(cell, WaiterCell.referent), self.offset());
        program_order();
        let (first, last) = self.ends();
        self.link_between(cell, last, 0, first, last);
        waiter.stands(Some(self.identity()));
    }

    /// Takes a waiter out of the line; returns its signal.
    pub fn leave(&self, waiter: &Waiter<'_>) -> u32 {
        let cell = waiter.cell();
        if waiter.is_foreign() {
            return UNSIGNALLED;
        }
        let signal = self.segment().signal_of(cell).get_locked();
        self.unlink(cell);
        waiter.stands(None);
        signal
    }

    fn unlink(&self, cell: u64) {
        let segment = self.segment();
        if segment.get(field!(cell, WaiterCell.referent)) != self.offset() {
            return;
        }
        // COMMIT: the cell stands in no line. CRASH: still linked; as above.
        segment.put(field!(cell, WaiterCell.referent), 0);
        program_order();
        let next = segment.get32(field!(cell, WaiterCell.next));
        let previous = segment.get32(field!(cell, WaiterCell.previous));
        let (mut first, mut last) = self.ends();
        match segment.linked(previous) {
            Some(before) => segment.put32(field!(before, WaiterCell.next), next),
            None => first = next,
        }
        match segment.linked(next) {
            Some(behind) => segment.put32(field!(behind, WaiterCell.previous), previous),
            None => last = previous,
        }
        self.set_ends(first, last);
    }

    /// Links `cell` in between two neighbours of a line with these ends.
    fn link_between(&self, cell: u64, before: Link, behind: Link, first: Link, last: Link) {
        let segment = self.segment();
        let link = segment.link_of(cell);
        segment.put32(field!(cell, WaiterCell.previous), before);
        segment.put32(field!(cell, WaiterCell.next), behind);
        let (mut first, mut last) = (first, last);
        match segment.linked(before) {
            Some(before) => segment.put32(field!(before, WaiterCell.next), link),
            None => first = link,
        }
        match segment.linked(behind) {
            Some(behind) => segment.put32(field!(behind, WaiterCell.previous), link),
            None => last = link,
        }
        self.set_ends(first, last);
    }

    /// Makes the links anew from the cells, in the order of their tickets.
    pub(crate) fn rebuild_line(&self) {
        let segment = self.segment();
        if !self.has_line() && segment.waiter_high() == 0 {
            return;
        }
        self.set_ends(0, 0);
        let ticket_of = |cell| segment.get(field!(cell, WaiterCell.ticket));
        for number in 0..segment.waiter_high() {
            let cell = segment.waiter_cell(number);
            let stands = segment.get(field!(cell, WaiterCell.referent)) == self.offset()
                && segment.get32(field!(cell, WaiterCell.owner)) != 0;
            if !stands {
                continue;
            }
            let (first, last) = self.ends();
            let behind = self
                .line()
                .find(|&other| ticket_of(other) > ticket_of(cell));
            match behind {
                Some(behind) => {
                    let before = segment.get32(field!(behind, WaiterCell.previous));
                    let behind = segment.link_of(behind);
                    self.link_between(cell, before, behind, first, last);
                }
                None => self.link_between(cell, last, 0, first, last),
            }
        }
    }

    /// Signals the first waiter of `role` that has no signal yet, to be woken by `wakes`.
    #[inline]
    pub fn signal_first(&self, role: u32, signal: u32, wakes: &mut Wakes<'_>) {
        self.signal_many(role, signal, 1, wakes);
    }

    /// As `signal_first`, but does nothing while somebody of `role` has a signal and has not come
    /// for it yet. For what only one can have.
    #[inline]
    pub fn signal_next(&self, role: u32, signal: u32, wakes: &mut Wakes<'_>) {
        if !self.has_line() {
            return;
        }
        let segment = self.segment();
        let first = self.line_of(role).next();
        if let Some(first) = first
            && segment.is_unsignalled(first)
        {
            self.signal(first, signal, wakes);
        }
    }

    /// Signals up to `count` waiters of `role` that have no signal yet. Those for whom there is no
    /// room in `wakes` notice it later, by themselves.
    #[inline]
    pub fn signal_many(&self, role: u32, signal: u32, count: u64, wakes: &mut Wakes<'_>) {
        if self.has_line() {
            self.signal_line(role, signal, count, wakes);
        }
    }

    #[cold]
    fn signal_line(&self, role: u32, signal: u32, count: u64, wakes: &mut Wakes<'_>) {
        let segment = self.segment();
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let unsignalled = |&cell: &u64| segment.is_unsignalled(cell);
        for cell in self.line_of(role).filter(unsignalled).take(count) {
            self.signal(cell, signal, wakes);
        }
    }

    /// The ticket after that of the `count`th waiter of `role` that has no signal yet; 0 when
    /// nobody waits.
    pub fn ticket_behind(&self, role: u32, count: u64) -> u64 {
        let segment = self.segment();
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let unsignalled = |&cell: &u64| segment.is_unsignalled(cell);
        let last = self.line_of(role).filter(unsignalled).take(count).last();
        last.map_or(0, |cell| segment.get(field!(cell, WaiterCell.ticket)) + 1)
    }

    /// Signals the waiters of `role` that have no signal yet and a ticket below `ticket`.
    pub fn signal_before(&self, role: u32, signal: u32, ticket: u64, wakes: &mut Wakes<'_>) {
        for cell in self.line_before(role, ticket) {
            self.signal(cell, signal, wakes);
        }
    }

    /// Signals the first of those whom `signal_before` would signal.
    pub fn signal_first_before(&self, role: u32, signal: u32, ticket: u64, wakes: &mut Wakes<'_>) {
        if let Some(cell) = self.line_before(role, ticket).next() {
            self.signal(cell, signal, wakes);
        }
    }

    /// The cells in line that wait for `role`, have no signal yet and a ticket below `ticket`.
    fn line_before(&self, role: u32, ticket: u64) -> impl Iterator<Item = u64> + use<'s> {
        let segment = self.segment();
        self.line_of(role).filter(move |&cell| {
            segment.is_unsignalled(cell) && segment.get(field!(cell, WaiterCell.ticket)) < ticket
        })
    }

    /// How many stand in line, for whatever.
    pub fn in_line(&self) -> u64 {
        if self.has_line() {
            self.line().count() as u64
        } else {
            0
        }
    }

    fn signal(&self, cell: u64, signal: u32, wakes: &mut Wakes<'_>) {
        let tickets = field!(self.offset(), ReferentHeader.tickets);
        let next = self.segment().get(tickets) & ((1 << TICKET_BITS) - 1);
        self.segment()
            .put(field!(cell, WaiterCell.signalled_at), next);
        let now = self.segment().backing.now_milliseconds();
        self.segment()
            .put(field!(cell, WaiterCell.signalled_when), now);
        program_order();
        // COMMIT: the waiter is signalled. CRASH: not woken; it looks up by itself.
        self.segment().signal_of(cell).give(signal);
        program_order();
        if self.segment().get32(field!(cell, WaiterCell.rings)) == 0 {
            wakes.add(field!(cell, WaiterCell.signal));
        } else {
            self.segment().ring_for(cell, wakes);
        }
    }
}
