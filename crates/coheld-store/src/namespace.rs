//! `Namespace`: a dict whose keys are attribute names.

use coheld_shm::Referent;

use crate::dict::Dict;
use crate::error::Result;
use crate::input::Input;
use crate::key::Key;
use crate::output::Output;
use crate::snapshot::Snapshot;

/// A namespace of the segment.
#[derive(Clone, Copy)]
pub struct Namespace<'a> {
    dict: Dict<'a>,
}

impl<'a> Namespace<'a> {
    /// Treats `referent`, which is of kind `kinds::referent::NAMESPACE`, as a namespace.
    #[inline]
    pub fn new(referent: &'a Referent<'a>) -> Self {
        Self {
            dict: Dict::new(referent),
        }
    }

    /// The attributes as a dict.
    #[inline]
    pub fn dict(&self) -> Dict<'a> {
        self.dict
    }

    /// The value of an attribute.
    #[inline]
    pub fn get(&self, name: &Key<'_>) -> Result<Option<Output>> {
        self.dict.get(name)
    }

    /// Gives an attribute a value.
    #[inline]
    pub fn set(&self, name: &Key<'_>, value: &Input<'_>) -> Result<()> {
        self.dict.insert(name, value)
    }

    /// Takes an attribute out. `false`: there was none.
    #[inline]
    pub fn delete(&self, name: &Key<'_>) -> Result<bool> {
        self.dict.delete(name)
    }

    /// Sets several attributes, or none of them.
    pub fn update(&self, attributes: &[(Key<'_>, Input<'_>)]) -> Result<()> {
        self.dict.update(attributes)
    }

    /// Number of attributes and version at one moment.
    pub fn size_and_version(&self) -> Result<(u64, u64)> {
        self.dict.size_and_version()
    }

    /// All attributes at one moment: name, value, name, value and so on.
    pub fn snapshot_items(&self) -> Result<Snapshot> {
        self.dict.snapshot_items()
    }
}
