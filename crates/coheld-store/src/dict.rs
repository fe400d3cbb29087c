//! `dict`: keys to values, in the order of insertion.

use coheld_shm::Referent;

use crate::error::Result;
use crate::input::Input;
use crate::key::Key;
use crate::output::Output;
use crate::snapshot::Snapshot;
use crate::table::{self, Mode, Part, Taken, Updated};

/// A dict of the segment.
///
/// ```text
/// root word -> TABLE block (see `table::layout`), or 0 while there was never an entry
/// ```
#[derive(Clone, Copy)]
pub struct Dict<'a> {
    referent: &'a Referent<'a>,
}

impl<'a> Dict<'a> {
    /// Treats `referent`, which is of kind `kinds::referent::DICT`, as a dict.
    ///
    /// If it has moved to a host meanwhile, every operation ends with
    /// [`StoreError::Moved`](crate::StoreError::Moved).
    #[inline]
    pub fn new(referent: &'a Referent<'a>) -> Self {
        Self { referent }
    }

    /// Number of entries.
    #[inline]
    pub fn len(&self) -> Result<u64> {
        Ok(self.size_and_version()?.0)
    }

    /// Whether there are no entries.
    #[inline]
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// The version: it moves with every change.
    #[inline]
    pub fn version(&self) -> Result<u64> {
        table::version(self.referent)
    }

    /// Number of entries and version at one moment, to notice a change during an iteration.
    #[inline]
    pub fn size_and_version(&self) -> Result<(u64, u64)> {
        table::size_and_version(self.referent)
    }

    /// Whether the key is there.
    #[inline]
    pub fn contains(&self, key: &Key<'_>) -> Result<bool> {
        table::contains(self.referent, key)
    }

    /// The key's value.
    #[inline]
    pub fn get(&self, key: &Key<'_>) -> Result<Option<Output>> {
        table::get(self.referent, key)
    }

    /// Gives the key a value. A key that is there keeps its place and its first form.
    #[inline]
    pub fn insert(&self, key: &Key<'_>, value: &Input<'_>) -> Result<()> {
        table::put(self.referent, key, value, Mode::Overwrite).map(drop)
    }

    /// Gives the key a value if `version` is still the version, else `StoreError::Changed`.
    #[inline]
    pub fn insert_if(&self, key: &Key<'_>, value: &Input<'_>, version: u64) -> Result<()> {
        table::put(self.referent, key, value, Mode::OverwriteIf(version)).map(drop)
    }

    /// Gives the key a value if it has none. `None`: it had none; else what it has.
    pub fn set_default(&self, key: &Key<'_>, value: &Input<'_>) -> Result<Option<Output>> {
        loop {
            if let Some(output) = self.get(key)? {
                return Ok(Some(output));
            }
            if table::put(self.referent, key, value, Mode::KeepExisting)? {
                return Ok(None);
            }
            // Somebody else brought it in between the two: look again.
        }
    }

    /// Takes the key out and returns its value.
    #[inline]
    pub fn remove(&self, key: &Key<'_>) -> Result<Option<Output>> {
        table::remove(self.referent, key)
    }

    /// Takes the key out. `false`: it was not there.
    #[inline]
    pub fn delete(&self, key: &Key<'_>) -> Result<bool> {
        table::delete(self.referent, key, None)
    }

    /// Takes the key out if `version` is still the version, else `StoreError::Changed`. `false`: it
    /// was not there.
    #[inline]
    pub fn delete_if(&self, key: &Key<'_>, version: u64) -> Result<bool> {
        table::delete(self.referent, key, Some(version))
    }

    /// Takes the last entry out, key and value.
    pub fn pop_last(&self) -> Result<Option<(Output, Output)>> {
        Ok(table::pop_last(self.referent)?.map(|Taken { key, value }| (key, value)))
    }

    /// Stores all pairs, or none of them. Of equal keys the last value counts.
    pub fn update(&self, pairs: &[(Key<'_>, Input<'_>)]) -> Result<()> {
        table::update(self.referent, pairs)
    }

    /// Makes the pairs the whole content. With `expected`: only if that is still the version, else
    /// `StoreError::Changed`.
    pub fn replace(&self, pairs: &[(Key<'_>, Input<'_>)], expected: Option<u64>) -> Result<()> {
        table::replace(self.referent, pairs, expected)
    }

    /// Takes all these keys out at once, as [`Dict::replace`] with what is left would.
    pub fn remove_all(&self, keys: &[Key<'_>], expected: Option<u64>) -> Result<()> {
        table::remove_all(self.referent, keys, expected)
    }

    /// Takes everything out.
    pub fn clear(&self) -> Result<()> {
        table::clear(self.referent)
    }

    /// Computes a value that fits in a word from the old one in one lock hold, safe against others.
    ///
    /// `change` gets the old word (`None`: the key is missing) and returns the new one (`None`: no
    /// change). It runs under the lock, maybe more than once, so it must be pure arithmetic.
    #[inline]
    pub fn update_word(
        &self,
        key: &Key<'_>,
        change: impl FnMut(Option<u64>) -> Option<u64>,
    ) -> Result<Updated> {
        table::update_word(self.referent, key, change)
    }

    /// All keys at one moment.
    pub fn snapshot_keys(&self) -> Result<Snapshot> {
        table::snapshot(self.referent, Part::Keys)
    }

    /// All values at one moment.
    pub fn snapshot_values(&self) -> Result<Snapshot> {
        table::snapshot(self.referent, Part::Values)
    }

    /// All entries at one moment: key, value, key, value and so on.
    pub fn snapshot_items(&self) -> Result<Snapshot> {
        table::snapshot(self.referent, Part::Items)
    }
}
