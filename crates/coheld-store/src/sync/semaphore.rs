//! `Semaphore` and `BoundedSemaphore`.
//!
//! ```text
//! word 0   free permits
//! word 1   permits it began with | bit 63: SIGNALS
//! word 2   process that died with permits and was not reported yet, plus one; 0 for none
//! root     block of kind PERMITS: redo record (three words), then a word for each member slot:
//!          generation of the member << 40 | permits it has
//! ```
//!
//! The permits of a process that dies are free again. That is right for a semaphore that limits
//! how many use something at once, where everybody releases what he has acquired. It would be
//! wrong for one that counts events, acquired here and released there. So the first release by a
//! member that has not as many permits shows what the semaphore is for: from then on (SIGNALS)
//! nobody keeps account of who has what, and a death gives nothing back.

use coheld_shm::{Fate, Guard, Owner, Referent, Segment, Wakes};

use super::wait::{Place, SIGNAL, Turn, lock_to_wake_all};
use super::{Acquired, Standing, Wait, standing, wait};
use crate::block::{self, HEADER};
use crate::error::{Result, StoreError};
use crate::kinds::{self, referent as kind};
use crate::word;

pub(crate) const VALUE: u64 = 0;
pub(crate) const INITIAL: u64 = 1;
const DIED: u64 = 2;

/// Bit of the word `INITIAL`: permits go from one member to another.
pub(crate) const SIGNALS: u64 = 1 << 63;
/// Most permits; what Python's `threading` would count to in some centuries.
pub const PERMITS_LIMIT: u64 = (1 << 40) - 1;

/// Words of the redo record: the new count of free permits, the new account, and the slot whose
/// account it is plus one (0: nothing to redo).
const REDO_VALUE: u64 = 0;
const REDO_ACCOUNT: u64 = 1;
const REDO_SLOT: u64 = 2;
const REDO_WORDS: u64 = 3;
/// Accounts that a block begins with, and grows by.
const ACCOUNTS: u64 = 8;

pub(super) const PLACE: Place = Place {
    role: 0,
    owned: true,
    invites: true,
};

/// A semaphore of kind `SEMAPHORE` or `BOUNDED_SEMAPHORE`.
#[derive(Clone, Copy)]
pub struct Semaphore<'a> {
    referent: &'a Referent<'a>,
}

/// The block of accounts.
#[derive(Clone, Copy)]
pub(crate) struct Accounts<'s> {
    segment: &'s Segment,
    payload: u64,
    count: u64,
}

/// What one look at the semaphore found.
enum Look {
    /// A permit.
    Permit(Acquired),
    /// None to be had.
    Nothing,
    /// There is no account for this member yet.
    NoAccount,
}

impl<'s> Accounts<'s> {
    fn open(guard: &Guard<'s>) -> Result<Self> {
        Self::at(guard.segment(), guard.root())
    }

    /// The accounts below the root of a semaphore.
    pub(crate) fn at(segment: &'s Segment, root: u64) -> Result<Self> {
        if root == word::EMPTY {
            let (payload, count) = (0, 0);
            return Ok(Self {
                segment,
                payload,
                count,
            });
        }
        let header = block::header_of_word(segment, root)?;
        if header.kind != kinds::block::PERMITS || header.length < 8 * REDO_WORDS {
            return Err(StoreError::Corrupted(
                "a semaphore keeps its accounts elsewhere",
            ));
        }
        Ok(Self {
            segment,
            payload: header.payload,
            count: header.length / 8 - REDO_WORDS,
        })
    }

    fn redo_cell(&self, index: u64) -> u64 {
        self.payload + 8 * index
    }

    fn cell(&self, slot: u32) -> Option<u64> {
        (u64::from(slot) < self.count).then(|| self.payload + 8 * (REDO_WORDS + u64::from(slot)))
    }

    /// Slot, generation and permits of each member that has any.
    pub(crate) fn all(&self) -> Result<Vec<(u32, u32, u64)>> {
        let mut found = Vec::new();
        for slot in 0..self.segment.member_limit() {
            let Some(cell) = self.cell(slot) else { break };
            let account = self.segment.load(cell)?;
            let permits = account & PERMITS_LIMIT;
            if permits != 0 {
                found.push((slot, (account >> 40) as u32, permits));
            }
        }
        Ok(found)
    }

    /// Permits that a member has; what an earlier member of its slot has left does not count.
    fn of(&self, member: Owner) -> Result<Option<u64>> {
        let Some(cell) = self.cell(member.slot()) else {
            return Ok(None);
        };
        let account = self.segment.load(cell)?;
        let own = account >> 40 == u64::from(member.generation());
        Ok(Some(if own { account & PERMITS_LIMIT } else { 0 }))
    }

    /// What an earlier member of this one's slot has left in the account.
    fn left_before(&self, member: Owner) -> Result<u64> {
        let Some(cell) = self.cell(member.slot()) else {
            return Ok(0);
        };
        let account = self.segment.load(cell)?;
        let own = account >> 40 == u64::from(member.generation());
        Ok(if own { 0 } else { account & PERMITS_LIMIT })
    }

    /// Changes the free permits and one account together.
    fn change(&self, guard: &Guard<'_>, value: u64, slot: u32, account: u64) -> Result<()> {
        self.segment.store(self.redo_cell(REDO_VALUE), value)?;
        self.segment.store(self.redo_cell(REDO_ACCOUNT), account)?;
        // COMMIT: armed. CRASH: `mend` does it again.
        guard.commit_word(self.redo_cell(REDO_SLOT), u64::from(slot) + 1)?;
        self.redo(guard)
    }

    fn redo(&self, guard: &Guard<'_>) -> Result<()> {
        let armed = self.segment.load(self.redo_cell(REDO_SLOT))?;
        let Some(slot) = armed.checked_sub(1) else {
            return Ok(());
        };
        guard.set_word(VALUE, self.segment.load(self.redo_cell(REDO_VALUE))?);
        if let Some(cell) = self.cell(slot as u32) {
            let account = self.segment.load(self.redo_cell(REDO_ACCOUNT))?;
            self.segment.store(cell, account)?;
        }
        guard.commit_word(self.redo_cell(REDO_SLOT), 0)?;
        Ok(())
    }
}

impl<'a> Semaphore<'a> {
    /// Treats `referent` as a semaphore.
    #[inline]
    pub fn new(referent: &'a Referent<'a>) -> Self {
        Self { referent }
    }

    /// Gives a new referent of the kind its permits; once, by who created it.
    pub fn initialize(&self, permits: u64) -> Result<()> {
        if permits > PERMITS_LIMIT {
            return Err(too_many(permits));
        }
        let guard = self.referent.lock()?;
        check(&guard)?;
        guard.set_word(INITIAL, permits);
        // COMMIT: usable.
        guard.commit_word(guard.word_cell(VALUE), permits)?;
        Ok(())
    }

    /// Acquires a permit; `None`: not within the time.
    ///
    /// [`StoreError::OwnerDied`] if a process died with permits and the manager was told to make
    /// that an error: the permits are free then, and the next call gets one.
    #[inline]
    pub fn acquire(&self, wait: Wait) -> Result<Option<Acquired>> {
        let acquired = self.acquire_and_tell(wait)?;
        let tell =
            |acquired: Acquired| acquired.or_error(self.referent.segment(), || self.release(1));
        acquired.map(tell).transpose()
    }

    /// As `acquire`, but a process that died is told of and never an error: who waits for a
    /// condition has the permit again afterwards in any case.
    #[inline]
    pub(super) fn acquire_and_tell(&self, wait: Wait) -> Result<Option<Acquired>> {
        match self.try_once(Turn::first(wait))? {
            None => self.acquire_in_line(wait),
            acquired => Ok(acquired),
        }
    }

    /// Tries to acquire a permit, once: in the place in line, or as a newcomer who would wait.
    /// Otherwise as [`Self::acquire`].
    pub fn attempt(&self, standing: Option<&mut Standing<'_>>) -> Result<Option<Acquired>> {
        let acquired = standing::attempt(standing, |turn| self.try_once(turn))?;
        let tell =
            |acquired: Acquired| acquired.or_error(self.referent.segment(), || self.release(1));
        acquired.map(tell).transpose()
    }

    #[cold]
    fn acquire_in_line(&self, wait: Wait) -> Result<Option<Acquired>> {
        let attempt = |turn: Turn<'_, '_>| self.try_once(turn);
        wait::until(self.referent, wait, PLACE, attempt, || {
            self.free_from_dead()
        })
    }

    #[inline]
    fn try_once(&self, turn: Turn<'_, '_>) -> Result<Option<Acquired>> {
        // Each time anew: a signal handler may have forked during a sleep.
        let me = self.referent.segment().owner()?;
        loop {
            match self.look(me, turn)? {
                Look::Permit(acquired) => return Ok(Some(acquired)),
                Look::Nothing => return Ok(None),
                Look::NoAccount => self.open_accounts(me)?,
            }
        }
    }

    #[inline]
    fn look(&self, me: Owner, turn: Turn<'_, '_>) -> Result<Look> {
        let mut wakes = Wakes::new(self.referent.segment());
        let guard = self.referent.lock()?;
        check(&guard)?;
        let accounts = accounts_for(&guard, me, &mut wakes)?;
        let value = guard.word(VALUE);
        if value == 0 || !turn.has_come(&guard, PLACE.role) {
            return Ok(Look::Nothing);
        }
        if let Some(accounts) = accounts {
            let Some(held) = accounts.of(me)? else {
                return Ok(Look::NoAccount);
            };
            let account = u64::from(me.generation()) << 40 | (held + 1);
            accounts.change(&guard, value - 1, me.slot(), account)?;
        } else {
            // COMMIT: one permit less.
            guard.commit_word(guard.word_cell(VALUE), value - 1)?;
        }
        guard.took(turn.waiter, PLACE.role);
        if value > 1 {
            turn.hand_on();
        }
        Ok(Look::Permit(Acquired::with_report(&guard, DIED)))
    }

    /// Makes room for the account of this member.
    #[cold]
    fn open_accounts(&self, me: Owner) -> Result<()> {
        let segment = self.referent.segment();
        let count = (u64::from(segment.used_slots()).max(u64::from(me.slot()) + 1))
            .next_multiple_of(ACCOUNTS);
        let mut operation = segment.begin()?;
        let words = REDO_WORDS + count;
        let kind = kinds::block::PERMITS;
        let block = operation.allocate(8 * words, kind, Fate::Shell, Fate::Keep)?;
        segment.zero_words(block + HEADER, words)?;
        let guard = self.referent.lock()?;
        check(&guard)?;
        let old = Accounts::open(&guard)?;
        if old.count >= count {
            return Ok(());
        }
        if old.count > 0 {
            let to = block + HEADER + 8 * REDO_WORDS;
            segment.copy_words(old.redo_cell(REDO_WORDS), to, old.count)?;
        }
        operation.retire(guard.root(), Fate::Keep, Fate::Shell)?;
        // COMMIT: the root names the new accounts. CRASH: before it the lane gives back the new
        // block, after it the old one.
        operation.commit(&guard, guard.root_cell(), word::from_block(block))?;
        Ok(())
    }

    /// Gives back what members have that are dead.
    pub(super) fn free_from_dead(&self) -> Result<()> {
        let segment = self.referent.segment();
        let me = segment.owner()?;
        for slot in 0..segment.used_slots() {
            let Some(owner) = self.account_owner(slot)? else {
                continue;
            };
            if owner.slot() == me.slot() && owner.generation() == me.generation()
                || !segment.is_gone(owner)
            {
                continue;
            }
            let process = segment.process_of(owner);
            let mut wakes = Wakes::new(segment);
            let guard = self.referent.lock()?;
            check(&guard)?;
            let accounts = Accounts::open(&guard)?;
            let held = accounts.of(owner)?.unwrap_or(0);
            if held > 0 && guard.word(INITIAL) & SIGNALS == 0 {
                guard.set_word(DIED, u64::from(process) + 1);
                let value = guard.word(VALUE).saturating_add(held);
                accounts.change(&guard, value, slot, 0)?;
                guard.signal_many(PLACE.role, SIGNAL, held, &mut wakes);
            }
            drop(guard);
        }
        Ok(())
    }

    /// Who has permits in this slot's account.
    fn account_owner(&self, slot: u32) -> Result<Option<Owner>> {
        let guard = self.referent.lock()?;
        check(&guard)?;
        if guard.word(INITIAL) & SIGNALS != 0 {
            return Ok(None);
        }
        let accounts = Accounts::open(&guard)?;
        let Some(cell) = accounts.cell(slot) else {
            return Ok(None);
        };
        let account = guard.segment().load(cell)?;
        if account & PERMITS_LIMIT == 0 {
            return Ok(None);
        }
        Ok(Owner::of_member(slot, (account >> 40) as u32))
    }

    /// Gives back `permits`.
    ///
    /// [`StoreError::ReleasedTooOften`] when a bounded one would have more than it began with.
    pub fn release(&self, permits: u64) -> Result<()> {
        let segment = self.referent.segment();
        let me = segment.owner()?;
        let mut wakes = Wakes::new(segment);
        let guard = if permits == 1 {
            self.referent.lock_uninterrupted()?
        } else {
            lock_to_wake_all(self.referent, &mut wakes)?
        };
        check(&guard)?;
        let accounts = accounts_for(&guard, me, &mut wakes)?;
        let initial = guard.word(INITIAL) & !SIGNALS;
        let value = guard
            .word(VALUE)
            .checked_add(permits)
            .filter(|&value| value <= PERMITS_LIMIT)
            .ok_or_else(|| too_many(permits))?;
        if guard.kind() == kind::BOUNDED_SEMAPHORE && value > initial {
            return Err(StoreError::ReleasedTooOften);
        }
        let held = match accounts {
            Some(accounts) => accounts.of(me)?.unwrap_or(0),
            None => 0,
        };
        if let Some(accounts) = accounts
            && held >= permits
            && permits > 0
        {
            let account = u64::from(me.generation()) << 40 | (held - permits);
            accounts.change(&guard, value, me.slot(), account)?;
        } else if permits > 0 {
            // CRASH: no longer accounted for, and not released: the semaphore does as before.
            guard.set_word(INITIAL, initial | SIGNALS);
            // COMMIT: the free permits.
            guard.commit_word(guard.word_cell(VALUE), value)?;
        }
        guard.signal_many(PLACE.role, SIGNAL, permits, &mut wakes);
        drop(guard);
        Ok(())
    }

    /// Free permits; if there are none, those of the dead are freed first.
    pub fn value(&self) -> Result<u64> {
        let value = || -> Result<u64> {
            let guard = self.referent.lock()?;
            check(&guard)?;
            Ok(guard.word(VALUE))
        };
        match value()? {
            0 => {
                self.free_from_dead()?;
                value()
            }
            free => Ok(free),
        }
    }

    /// The permits it began with.
    pub fn initial(&self) -> Result<u64> {
        let guard = self.referent.lock()?;
        check(&guard)?;
        Ok(guard.word(INITIAL) & !SIGNALS)
    }
}

/// The accounts, if there are any: not where permits go from one member to another.
///
/// Frees what an earlier member of this one's slot had when it died, before the account becomes
/// this member's.
#[inline]
fn accounts_for<'s>(
    guard: &Guard<'s>,
    me: Owner,
    wakes: &mut Wakes<'_>,
) -> Result<Option<Accounts<'s>>> {
    if guard.word(INITIAL) & SIGNALS != 0 {
        return Ok(None);
    }
    let accounts = Accounts::open(guard)?;
    let left = accounts.left_before(me)?;
    if left > 0 {
        if guard.word(DIED) == 0 {
            // Its process is not known any more.
            guard.set_word(DIED, 1);
        }
        let value = guard.word(VALUE).saturating_add(left);
        accounts.change(guard, value, me.slot(), 0)?;
        guard.signal_many(PLACE.role, SIGNAL, left, wakes);
    }
    Ok(Some(accounts))
}

/// Does again what a dead process may have done by half.
pub(crate) fn mend(guard: &Guard<'_>) {
    if let Ok(accounts) = Accounts::open(guard)
        && accounts.count > 0
    {
        // Damage is found by whoever uses the semaphore next.
        let _ = accounts.redo(guard);
    }
}

#[cold]
fn too_many(permits: u64) -> StoreError {
    StoreError::Limit {
        what: "permits of a semaphore",
        requested: permits,
        limit: PERMITS_LIMIT,
    }
}

#[inline]
fn check(guard: &Guard<'_>) -> Result<()> {
    match guard.kind() {
        kind::SEMAPHORE | kind::BOUNDED_SEMAPHORE => Ok(()),
        found => Err(StoreError::WrongKind {
            expected: kind::SEMAPHORE,
            found,
        }),
    }
}
