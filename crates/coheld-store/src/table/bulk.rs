//! Changing many entries as one.

use coheld_shm::{Fate, Guard, Operation, Referent};

use super::batch::Batch;
use super::fresh::{Fresh, grown};
use super::layout::{DELETED, Table};
use super::probe::{Place, Vacancy};
use super::put::{Mode, put};
use super::reserved;
use crate::error::{Result, StoreError};
use crate::hosted::check_here;
use crate::input::Input;
use crate::key::Key;
use crate::kinds;
use crate::list::check_version;
use crate::word;

/// A key and its value.
pub(crate) type Pair<'a> = (Key<'a>, Input<'a>);

/// Stores all pairs, or none. Of equal keys the last value counts.
pub(crate) fn update(referent: &Referent<'_>, pairs: &[Pair<'_>]) -> Result<()> {
    match without_repetitions(pairs)?.as_slice() {
        [] => Ok(()),
        [only] => put(
            referent,
            &pairs[only.key].0,
            &pairs[only.value].1,
            Mode::Overwrite,
        )
        .map(drop),
        chosen => loop {
            if let Some(done) = Change::prepare(referent, pairs, chosen)?.apply_to(referent)? {
                return Ok(done);
            }
        },
    }
}

/// Makes the pairs the whole content, if the version is still the expected one.
pub(crate) fn replace(
    referent: &Referent<'_>,
    pairs: &[Pair<'_>],
    expected: Option<u64>,
) -> Result<()> {
    let chosen = without_repetitions(pairs)?;
    let mut operation = referent.segment().begin()?;
    let words = place(&mut operation, pairs, &chosen)?;
    let mut root = word::EMPTY;
    if !chosen.is_empty() {
        let mut fresh = Fresh::allocate(&mut operation, chosen.len() as u64, 0)?;
        for (choice, (key, value)) in chosen.iter().zip(words) {
            fresh.add(pairs[choice.key].0.hash32(), key, value)?;
        }
        root = fresh.complete()?;
    }
    let guard = referent.lock()?;
    check_here(&guard)?;
    check_version(&guard, expected)?;
    if root == guard.root() {
        // Empty before and after.
        guard.bump_version();
        return Ok(());
    }
    operation.retire(guard.root(), Fate::Keep, Fate::Tree)?;
    // COMMIT: the new table is the root.
    operation.commit(&guard, guard.root_cell(), root)?;
    Ok(())
}

/// Takes all these keys out at once; those that are not there do not matter.
pub(crate) fn remove_all(
    referent: &Referent<'_>,
    keys: &[Key<'_>],
    expected: Option<u64>,
) -> Result<()> {
    if keys.is_empty() {
        return check_version(&referent.lock()?, expected);
    }
    loop {
        let Some(size) = Size::of(referent)? else {
            return check_version(&referent.lock()?, expected);
        };
        let mut operation = referent.segment().begin()?;
        let room = u64::from(size.live).max(1);
        let mut grave = Batch::grave(&mut operation, 2 * room.min(keys.len() as u64))?;
        let mut fresh = Fresh::allocate(&mut operation, room, size.used)?;
        let guard = referent.lock()?;
        check_version(&guard, expected)?;
        let Some(table) = Table::open(&guard)? else {
            return Ok(());
        };
        if !fresh.fits(Some(&table), 0)? || u64::from(table.live()?) > room {
            continue;
        }
        let mut found_any = false;
        for key in keys {
            if let Place::Found { entry, .. } = table.find(key)?
                && fresh.leave_out(entry)
            {
                grave.bury(table.key(entry)?)?;
                grave.bury(table.value(entry)?)?;
                found_any = true;
            }
        }
        if found_any {
            fresh.take_over(&table)?;
            let root = fresh.complete()?;
            operation.retire(guard.root(), Fate::Keep, Fate::Shell)?;
            // COMMIT: the table without them is the root.
            operation.commit(&guard, guard.root_cell(), root)?;
        }
        return Ok(());
    }
}

/// Which pair gives an entry its key and which its value.
#[derive(Clone, Copy, Debug)]
struct Choice {
    key: usize,
    value: usize,
}

/// One choice for each distinct key, in the order of their first appearance: the first key and the
/// last value, as Python does. Private memory only.
fn without_repetitions(pairs: &[Pair<'_>]) -> Result<Vec<Choice>> {
    let mut chosen: Vec<Choice> = reserved(pairs.len())?;
    if pairs.len() < 2 {
        chosen.extend((0..pairs.len()).map(|at| Choice { key: at, value: at }));
        return Ok(chosen);
    }
    let size = (pairs.len() * 2).next_power_of_two();
    let mask = size - 1;
    let mut index: Vec<u32> = reserved(size)?;
    index.resize(size, 0);
    for (at, (key, _)) in pairs.iter().enumerate() {
        let mut slot = key.hash32() as usize & mask;
        // Half of the index is zero, so this ends.
        while index[slot] != 0 {
            let choice = &mut chosen[index[slot] as usize - 1];
            if pairs[choice.key].0.same(key) {
                choice.value = at;
                break;
            }
            slot = (slot + 1) & mask;
        }
        if index[slot] == 0 {
            chosen.push(Choice { key: at, value: at });
            index[slot] = chosen.len() as u32;
        }
    }
    Ok(chosen)
}

/// Brings all keys and values into the segment. What they own is in a nursery until the commit.
fn place<'s>(
    operation: &mut Operation<'s>,
    pairs: &[Pair<'_>],
    chosen: &[Choice],
) -> Result<Vec<(u64, u64)>> {
    let mut words = reserved(chosen.len())?;
    let inputs = |choice: &Choice| [pairs[choice.key].0.input(), pairs[choice.value].1];
    let owning = chosen
        .iter()
        .flat_map(inputs)
        .filter(|input| input.inline_word().is_none())
        .count() as u64;
    let mut nursery = if owning == 0 {
        None
    } else {
        Some(Batch::nursery(operation, owning)?)
    };
    let mut place = |operation: &mut Operation<'s>, input: Input<'_>| match input {
        Input::Word(word) if word::owns(word) || word == word::EMPTY => Err(StoreError::WrongType),
        Input::Word(word) => Ok(word),
        _ => match &mut nursery {
            Some(nursery) => {
                let cell = nursery.next_cell()?;
                input.place_into(operation, cell)?;
                Ok(operation.segment().load(cell)?)
            }
            None => Err(StoreError::WrongType),
        },
    };
    for choice in chosen {
        let [key, value] = inputs(choice);
        words.push((place(operation, key)?, place(operation, value)?));
    }
    Ok(words)
}

/// The size of a table at some moment.
#[derive(Clone, Copy)]
struct Size {
    live: u32,
    used: u32,
    /// Entries that could be added without building the table anew.
    room: u32,
}

impl Size {
    fn of(referent: &Referent<'_>) -> Result<Option<Self>> {
        let guard = referent.lock()?;
        match Table::open(&guard)? {
            Some(table) => Self::of_table(&table).map(Some),
            None => Ok(None),
        }
    }

    fn of_table(table: &Table<'_>) -> Result<Self> {
        let slots = table.shape.fill_limit().saturating_sub(table.fill()?);
        Ok(Self {
            live: table.live()?,
            used: table.used,
            room: slots.min(table.shape.entries - table.used),
        })
    }
}

/// An update with everything made that it may need, whatever it finds under the lock.
struct Change<'c, 'k, 's> {
    pairs: &'c [Pair<'k>],
    chosen: &'c [Choice],
    words: Vec<(u64, u64)>,
    /// Takes old values, and new keys that turn out to be there already. `None`: no table before.
    grave: Option<Batch<'s>>,
    way: Way<'s>,
    operation: Operation<'s>,
}

/// How an update takes effect.
enum Way<'s> {
    /// In the table as it is.
    InPlace {
        /// Block of the undo journal.
        journal: u64,
        /// Entries that get another value, and the value.
        overwritten: Vec<(u32, u64)>,
        /// Index slots that name new entries, to be freed again if the update fails.
        named: Vec<Vacancy>,
    },
    /// In a new table.
    Anew(Fresh<'s>),
}

impl<'c, 'k, 's> Change<'c, 'k, 's> {
    fn prepare(
        referent: &Referent<'s>,
        pairs: &'c [Pair<'k>],
        chosen: &'c [Choice],
    ) -> Result<Self> {
        let size = Size::of(referent)?;
        let count = chosen.len() as u64;
        let mut operation = referent.segment().begin()?;
        let words = place(&mut operation, pairs, chosen)?;
        let grave = match size {
            Some(_) => Some(Batch::grave(&mut operation, 2 * count)?),
            None => None,
        };
        let way = match size {
            Some(size) if u64::from(size.room) >= count => Way::InPlace {
                journal: operation.allocate_journal(count + 1, kinds::block::JOURNAL)?,
                overwritten: reserved(chosen.len())?,
                named: reserved(chosen.len())?,
            },
            _ => {
                let (live, used) = size.map_or((0, 0), |size| (u64::from(size.live), size.used));
                let entries = (live + count).max(grown(live));
                Way::Anew(Fresh::allocate(&mut operation, entries, used)?)
            }
        };
        Ok(Self {
            pairs,
            chosen,
            words,
            grave,
            way,
            operation,
        })
    }

    /// `None`: the table has changed so much meanwhile that other things are needed.
    fn apply_to(mut self, referent: &Referent<'s>) -> Result<Option<()>> {
        let guard = referent.lock()?;
        let table = Table::open(&guard)?;
        if table.is_some() && self.grave.is_none() {
            return Ok(None);
        }
        match &self.way {
            Way::InPlace { .. } => {
                let Some(table) = table else { return Ok(None) };
                if (Size::of_table(&table)?.room as usize) < self.chosen.len() {
                    return Ok(None);
                }
                let counts = (table.live()?, table.fill()?);
                let done = self.apply_in_place(&guard, &table);
                let slots = self.named_zeros();
                if done.is_err() {
                    self.free_named_slots(&table)?;
                    table.set_fill(counts.1 + slots)?;
                }
                let used = done?;
                // CRASH: the counts are behind the commit; `mend` counts again.
                table.set_live(counts.0 + (used - table.used))?;
                table.set_fill(counts.1 + slots)?;
            }
            Way::Anew(fresh) => {
                if !fresh.fits(table.as_ref(), self.chosen.len() as u64)? {
                    return Ok(None);
                }
                self.apply_anew(&guard, table.as_ref())?;
            }
        }
        drop(guard);
        Ok(Some(()))
    }

    /// Returns the number of entries used afterwards.
    fn apply_in_place(&mut self, guard: &Guard<'s>, table: &Table<'s>) -> Result<u32> {
        let mut used = table.used;
        let Way::InPlace {
            journal,
            overwritten,
            named,
        } = &mut self.way
        else {
            return Ok(used);
        };
        for (choice, &(key_word, value)) in self.chosen.iter().zip(&self.words) {
            let key = &self.pairs[choice.key].0;
            match table.find(key)? {
                Place::Found { entry, .. } => {
                    overwritten.push((entry, value));
                    if let Some(grave) = &mut self.grave {
                        grave.bury(table.value(entry)?)?;
                        grave.bury(key_word)?;
                    }
                }
                Place::Missing(vacancy) => {
                    table.segment.store(table.key_cell(used), key_word)?;
                    table.segment.store(table.value_cell(used), value)?;
                    // CRASH: names an entry that is not counted yet; `mend` deletes it.
                    named.push(vacancy);
                    table.set_slot(vacancy.slot, Table::naming(key.hash32(), used))?;
                    used += 1;
                }
            }
        }
        if overwritten.is_empty() {
            // COMMIT: the state counts all new entries at once.
            self.operation
                .commit(guard, table.state_cell(), Table::state_of(used))?;
        } else {
            let cells = overwritten
                .iter()
                .map(|(entry, _)| table.value_cell(*entry))
                .chain([table.state_cell()]);
            self.operation.arm_journal(guard, *journal, cells)?;
            // CRASH: some cells are new and some old; the journal puts the old ones back.
            for (entry, value) in overwritten {
                table.segment.store(table.value_cell(*entry), *value)?;
            }
            table
                .segment
                .store(table.state_cell(), Table::state_of(used))?;
            // COMMIT: in `coheld-shm`, the journal is disarmed.
            self.operation.commit_journal(guard);
        }
        Ok(used)
    }

    /// Slots that were zero and name new entries now.
    fn named_zeros(&self) -> u32 {
        match &self.way {
            Way::InPlace { named, .. } => {
                named.iter().filter(|vacancy| vacancy.is_zero).count() as u32
            }
            Way::Anew(_) => 0,
        }
    }

    /// After an error before the commit: no slot names an entry that does not exist.
    fn free_named_slots(&self, table: &Table<'s>) -> Result<()> {
        if let Way::InPlace { named, .. } = &self.way {
            for vacancy in named {
                let slot = table.slot(vacancy.slot)?;
                if table.named_by(slot).is_none() {
                    // DELETED and not zero: keys after it may have gone past it.
                    table.set_slot(vacancy.slot, DELETED)?;
                }
            }
        }
        Ok(())
    }

    fn apply_anew(&mut self, guard: &Guard<'s>, table: Option<&Table<'s>>) -> Result<()> {
        let Way::Anew(fresh) = &mut self.way else {
            return Ok(());
        };
        if let Some(table) = table {
            fresh.take_over(table)?;
        }
        for (choice, &(key_word, value)) in self.chosen.iter().zip(&self.words) {
            let key = &self.pairs[choice.key].0;
            // Without an old table every key is new: the choices are distinct.
            let place = match table {
                Some(_) => fresh.table().find(key)?,
                None => Place::Missing(Vacancy {
                    slot: 0,
                    is_zero: true,
                }),
            };
            if let Place::Found { entry, .. } = place {
                let cell = fresh.table().value_cell(entry);
                if let Some(grave) = &mut self.grave {
                    grave.bury(fresh.table().value(entry)?)?;
                    grave.bury(key_word)?;
                }
                guard.segment().store(cell, value)?;
            } else {
                fresh.add(key.hash32(), key_word, value)?;
            }
        }
        let root = fresh.complete()?;
        self.operation
            .retire(guard.root(), Fate::Keep, Fate::Shell)?;
        // COMMIT: the new table is the root.
        Ok(self.operation.commit(guard, guard.root_cell(), root)?)
    }
}
