//! Bringing one entry in, or giving an existing one another value.

use coheld_shm::{Fate, Guard, Operation, Referent};

use super::edit::commit;
use super::fresh::{Fresh, grown};
use super::layout::{DELETED, Table};
use super::probe::{Place, Vacancy};
use crate::error::{Result, StoreError};
use crate::input::Input;
use crate::key::Key;
use crate::list::check_version;
use crate::word;

/// What becomes of a key that is already there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It gets the new value (and keeps its old key object, as in Python).
    Overwrite,
    /// The same if the version is still this one, else `StoreError::Changed`.
    OverwriteIf(u64),
    /// It stays as it is.
    KeepExisting,
}

impl Mode {
    /// The version that the table has to have.
    #[inline]
    fn expected(self) -> Option<u64> {
        match self {
            Self::OverwriteIf(version) => Some(version),
            Self::Overwrite | Self::KeepExisting => None,
        }
    }
}

/// What `update_word` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Updated {
    /// The new value was stored.
    Stored {
        /// The word before; `None` if the key was missing.
        old: Option<u64>,
        /// The word now.
        new: u64,
    },
    /// The function wanted no change.
    Unchanged {
        /// The word there is; `None` if the key is missing.
        old: Option<u64>,
    },
    /// The value does not lie in a word; nothing was changed.
    NotInline,
}

/// Stores a value under a key. `true`: the key was missing.
#[inline]
pub(crate) fn put(
    referent: &Referent<'_>,
    key: &Key<'_>,
    value: &Input<'_>,
    mode: Mode,
) -> Result<bool> {
    if let Some(word) = value.inline_word() {
        if word::owns(word) || word == word::EMPTY {
            return Err(StoreError::WrongType);
        }
        if let Some(inserted) = put_word(referent, key, word, mode)? {
            return Ok(inserted);
        }
    }
    put_slowly(referent, key, value, mode)
}

/// The fast path: a value in a word, nothing to allocate or to release. `None`: there is.
#[inline]
fn put_word(
    referent: &Referent<'_>,
    key: &Key<'_>,
    value: u64,
    mode: Mode,
) -> Result<Option<bool>> {
    let guard = referent.lock()?;
    check_version(&guard, mode.expected())?;
    let Some(table) = Table::open(&guard)? else {
        return Ok(None);
    };
    match table.find(key)? {
        Place::Found { entry, .. } => {
            if mode == Mode::KeepExisting {
                return Ok(Some(false));
            }
            if word::owns(table.value(entry)?) {
                return Ok(None);
            }
            // COMMIT: the value word.
            guard.commit_word(table.value_cell(entry), value)?;
            Ok(Some(false))
        }
        Place::Missing(vacancy) => match key.input().inline_word() {
            Some(word) if table.has_room(vacancy)? => {
                table.append(&guard, None, vacancy, key.hash32(), (word, value))?;
                Ok(Some(true))
            }
            _ => Ok(None),
        },
    }
}

#[cold]
fn put_slowly(
    referent: &Referent<'_>,
    key: &Key<'_>,
    value: &Input<'_>,
    mode: Mode,
) -> Result<bool> {
    let mut insertion = Insertion::new(key);
    // A value that may not be needed is placed once it is known to be.
    let mut wants_value = mode != Mode::KeepExisting;
    loop {
        insertion.prepare(referent)?;
        if insertion.value.is_none() {
            insertion.value = match value.inline_word() {
                None if wants_value => Some(value.place(insertion.operation(referent)?)?),
                inline => inline,
            };
        }
        let guard = referent.lock()?;
        check_version(&guard, mode.expected())?;
        let table = Table::open(&guard)?;
        let place = look(table.as_ref(), key)?;
        let (Some(table), Place::Found { entry, .. }) = (&table, place) else {
            if let (Place::Missing(vacancy), Some(value)) = (place, insertion.value)
                && insertion.try_insert(&guard, table.as_ref(), vacancy, value)?
            {
                return Ok(true);
            }
            wants_value = true;
            drop(guard);
            continue;
        };
        if mode == Mode::KeepExisting {
            return Ok(false);
        }
        if insertion.is_for_a_missing_key() {
            // Somebody else brought the key in meanwhile.
            drop(guard);
            insertion = Insertion::new(key);
            continue;
        }
        if let (Some(value), Some(operation)) = (insertion.value, insertion.operation.as_mut()) {
            let old = table.value(entry)?;
            if old == value {
                // The same proxy, or the same inline value: the operation gives its edge back.
                guard.bump_version();
                return Ok(false);
            }
            operation.retire(old, Fate::Keep, Fate::Tree)?;
            // COMMIT: the value word.
            operation.commit(&guard, table.value_cell(entry), value)?;
            return Ok(false);
        }
        drop(guard);
        insertion.operation(referent)?;
    }
}

/// Where the key is, or would go if there were room for it.
fn look(table: Option<&Table<'_>>, key: &Key<'_>) -> Result<Place> {
    match table {
        Some(table) => table.find(key),
        None => Ok(Place::Missing(Vacancy {
            slot: 0,
            is_zero: true,
        })),
    }
}

/// Computes a new value that fits in a word from the old one in one lock hold. `change` runs under
/// the lock (maybe more than once), so it must be pure arithmetic.
#[inline]
pub(crate) fn update_word(
    referent: &Referent<'_>,
    key: &Key<'_>,
    mut change: impl FnMut(Option<u64>) -> Option<u64>,
) -> Result<Updated> {
    let mut insertion = Insertion::new(key);
    loop {
        insertion.prepare(referent)?;
        let guard = referent.lock()?;
        let table = Table::open(&guard)?;
        let place = look(table.as_ref(), key)?;
        match (&table, place) {
            (Some(table), Place::Found { entry, .. }) => {
                let old = table.value(entry)?;
                if !word::is_inline(old) {
                    return Ok(Updated::NotInline);
                }
                let Some(new) = change(Some(old)) else {
                    return Ok(Updated::Unchanged { old: Some(old) });
                };
                check_inline(new)?;
                // COMMIT: the value word.
                guard.commit_word(table.value_cell(entry), new)?;
                return Ok(Updated::Stored {
                    old: Some(old),
                    new,
                });
            }
            (_, Place::Missing(vacancy)) => {
                let Some(new) = change(None) else {
                    return Ok(Updated::Unchanged { old: None });
                };
                check_inline(new)?;
                if insertion.try_insert(&guard, table.as_ref(), vacancy, new)? {
                    return Ok(Updated::Stored { old: None, new });
                }
            }
            (None, Place::Found { .. }) => {}
        }
    }
}

fn check_inline(word: u64) -> Result<()> {
    if word::is_inline(word) {
        Ok(())
    } else {
        Err(StoreError::WrongType)
    }
}

/// What an insertion has made ready outside the lock.
struct Insertion<'k, 's> {
    key: &'k Key<'k>,
    operation: Option<Operation<'s>>,
    key_word: Option<u64>,
    value: Option<u64>,
    fresh: Option<Fresh<'s>>,
    wants_key: bool,
    /// Entries to build a new table for, and how many the old one uses.
    wants_table: Option<(u64, u32)>,
    /// What was made does not suit the table any more and has to be given up.
    starts_over: bool,
}

impl<'k, 's> Insertion<'k, 's> {
    fn new(key: &'k Key<'k>) -> Self {
        Self {
            key,
            operation: None,
            key_word: key.input().inline_word(),
            value: None,
            fresh: None,
            wants_key: false,
            wants_table: None,
            starts_over: false,
        }
    }

    fn operation(&mut self, referent: &Referent<'s>) -> Result<&mut Operation<'s>> {
        Ok(match &mut self.operation {
            Some(operation) => operation,
            none => none.insert(referent.segment().begin()?),
        })
    }

    /// Whether something was made that an existing key has no use for.
    fn is_for_a_missing_key(&self) -> bool {
        self.fresh.is_some() || self.key_word.is_some_and(word::owns)
    }

    /// Makes what the last look under the lock found missing. Never under the lock.
    fn prepare(&mut self, referent: &Referent<'s>) -> Result<()> {
        if self.starts_over {
            *self = Self {
                wants_table: self.wants_table,
                ..Self::new(self.key)
            };
        }
        if std::mem::take(&mut self.wants_key) {
            let input = self.key.input();
            self.key_word = Some(input.place(self.operation(referent)?)?);
        }
        if let Some((entries, old_used)) = self.wants_table.take() {
            let fresh = Fresh::allocate(self.operation(referent)?, entries, old_used)?;
            self.fresh = Some(fresh);
        }
        Ok(())
    }

    /// Under the lock: brings the entry in if everything is at hand, else notes what is not.
    fn try_insert(
        &mut self,
        guard: &Guard<'s>,
        table: Option<&Table<'s>>,
        vacancy: Vacancy,
        value: u64,
    ) -> Result<bool> {
        let room = match table {
            Some(table) => table.has_room(vacancy)?,
            None => false,
        };
        let fresh_fits = match &self.fresh {
            Some(fresh) => fresh.fits(table, 1)?,
            None => false,
        };
        if !(room || fresh_fits) {
            let (live, used) = match table {
                Some(table) => (table.live()?, table.used),
                None => (0, 0),
            };
            self.wants_table = Some((grown(u64::from(live)), used));
        }
        // A new table that somebody else made needless, or too small.
        self.starts_over = self.fresh.is_some() && !fresh_fits;
        let Some(key_word) = self.key_word else {
            self.wants_key = true;
            return Ok(false);
        };
        let hash = self.key.hash32();
        let operation = self.operation.as_mut();
        match (&mut self.fresh, operation, table) {
            (None, operation, Some(table)) if room => {
                table.append(guard, operation, vacancy, hash, (key_word, value))?;
            }
            (Some(fresh), Some(operation), _) if fresh_fits => {
                if let Some(table) = table {
                    fresh.take_over(table)?;
                }
                fresh.add(hash, key_word, value)?;
                let root = fresh.complete()?;
                operation.retire(guard.root(), Fate::Keep, Fate::Shell)?;
                // COMMIT: the new table is the root.
                operation.commit(guard, guard.root_cell(), root)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Table<'_> {
    /// Whether one more entry fits without building the table anew.
    #[inline]
    pub(super) fn has_room(&self, vacancy: Vacancy) -> Result<bool> {
        Ok(self.used < self.shape.entries
            && (!vacancy.is_zero || self.fill()? < self.shape.fill_limit()))
    }

    /// Adds an entry where there is room for it.
    #[inline]
    pub(super) fn append(
        &self,
        guard: &Guard<'_>,
        operation: Option<&mut Operation<'_>>,
        vacancy: Vacancy,
        hash: u32,
        (key, value): (u64, u64),
    ) -> Result<()> {
        let entry = self.used;
        let live = self.live()?;
        self.segment.store(self.key_cell(entry), key)?;
        self.segment.store(self.value_cell(entry), value)?;
        // CRASH: the slot names an entry that the state does not count yet; `mend` deletes it.
        self.set_slot(vacancy.slot, Self::naming(hash, entry))?;
        // COMMIT: the state counts the entry.
        let done = commit(
            guard,
            operation,
            self.state_cell(),
            Self::state_of(entry + 1),
        );
        if done.is_err() {
            self.set_slot(vacancy.slot, if vacancy.is_zero { 0 } else { DELETED })?;
            return done;
        }
        // CRASH: the counts are one behind; `mend` counts again.
        self.set_live(live + 1)?;
        if vacancy.is_zero {
            self.set_fill(self.fill()? + 1)?;
        }
        Ok(())
    }
}
