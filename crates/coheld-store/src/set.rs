//! `set`: a dict whose values are all `None`.

use coheld_shm::Referent;

use crate::error::Result;
use crate::input::Input;
use crate::key::Key;
use crate::output::Output;
use crate::snapshot::Snapshot;
use crate::table::{self, Mode, Part};

/// A set of the segment.
#[derive(Clone, Copy)]
pub struct Set<'a> {
    referent: &'a Referent<'a>,
}

impl<'a> Set<'a> {
    /// Treats `referent`, which is of kind `kinds::referent::SET`, as a set.
    ///
    /// If it has moved to a host meanwhile, every operation ends with
    /// [`StoreError::Moved`](crate::StoreError::Moved).
    #[inline]
    pub fn new(referent: &'a Referent<'a>) -> Self {
        Self { referent }
    }

    /// Number of elements.
    #[inline]
    pub fn len(&self) -> Result<u64> {
        Ok(self.size_and_version()?.0)
    }

    /// Whether there are no elements.
    #[inline]
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// The version: it moves with every change.
    #[inline]
    pub fn version(&self) -> Result<u64> {
        table::version(self.referent)
    }

    /// Number of elements and version at one moment, to notice a change during an iteration.
    #[inline]
    pub fn size_and_version(&self) -> Result<(u64, u64)> {
        table::size_and_version(self.referent)
    }

    /// Whether the element is there.
    #[inline]
    pub fn contains(&self, key: &Key<'_>) -> Result<bool> {
        table::contains(self.referent, key)
    }

    /// Adds an element. `true`: it was not there.
    #[inline]
    pub fn add(&self, key: &Key<'_>) -> Result<bool> {
        table::put(self.referent, key, &Input::NONE, Mode::KeepExisting)
    }

    /// Takes an element out. `false`: it was not there.
    #[inline]
    pub fn discard(&self, key: &Key<'_>) -> Result<bool> {
        table::delete(self.referent, key, None)
    }

    /// Takes any element out (the one added last).
    pub fn pop_any(&self) -> Result<Option<Output>> {
        Ok(table::pop_last(self.referent)?.map(|taken| taken.key))
    }

    /// Adds all elements, or none of them.
    pub fn update(&self, keys: &[Key<'_>]) -> Result<()> {
        table::update(self.referent, &entries(keys)?)
    }

    /// Takes all these elements out at once. With `expected`: only if that is still the version,
    /// else `StoreError::Changed`.
    pub fn remove_all(&self, keys: &[Key<'_>], expected: Option<u64>) -> Result<()> {
        table::remove_all(self.referent, keys, expected)
    }

    /// Makes the keys the whole content, if the version is the expected one.
    pub fn replace(&self, keys: &[Key<'_>], expected: Option<u64>) -> Result<()> {
        table::replace(self.referent, &entries(keys)?, expected)
    }

    /// Takes everything out.
    pub fn clear(&self) -> Result<()> {
        table::clear(self.referent)
    }

    /// All elements at one moment.
    pub fn snapshot(&self) -> Result<Snapshot> {
        table::snapshot(self.referent, Part::Keys)
    }
}

/// The entries that make keys elements.
fn entries<'k>(keys: &[Key<'k>]) -> Result<Vec<(Key<'k>, Input<'k>)>> {
    let mut entries = table::reserved(keys.len())?;
    entries.extend(keys.iter().map(|key| (*key, Input::NONE)));
    Ok(entries)
}
