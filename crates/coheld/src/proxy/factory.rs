//! Making shared objects.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{ArrayProxy, DictProxy, Item, ListProxy, NamespaceProxy, SetProxy, ValueProxy};
use crate::{Error, Manager, key};

/// The objects that a manager makes. They lie in its segment, and go when their last proxy goes.
///
/// ```
/// use coheld::Manager;
///
/// let manager = Manager::start()?;
/// let list = manager.list::<i64>()?;
/// let dict = manager.dict::<String, Vec<i64>>()?;
/// assert_eq!(manager.number_of_objects(), 2);
/// drop(list);
/// assert_eq!(manager.number_of_objects(), 1);
/// # Ok::<(), coheld::Error>(())
/// ```
impl Manager {
    /// A new, empty list.
    pub fn list<T>(&self) -> Result<ListProxy<T>, Error> {
        ListProxy::create(self.attachment())
    }

    /// A new, empty dict.
    pub fn dict<K, V>(&self) -> Result<DictProxy<K, V>, Error> {
        DictProxy::create(self.attachment())
    }

    /// A new, empty set.
    pub fn set<T>(&self) -> Result<SetProxy<T>, Error> {
        SetProxy::create(self.attachment())
    }

    /// A new, empty namespace.
    pub fn namespace(&self) -> Result<NamespaceProxy, Error> {
        NamespaceProxy::create(self.attachment())
    }

    /// A new value.
    pub fn value<T: Serialize + DeserializeOwned>(
        &self,
        initial: &T,
    ) -> Result<ValueProxy<T>, Error> {
        ValueProxy::create(self.attachment(), initial)
    }

    /// A new array with these items.
    pub fn array<T: Item>(&self, items: &[T]) -> Result<ArrayProxy<T>, Error> {
        ArrayProxy::create(self.attachment(), items)
    }

    /// The key as the text that other programs take from the environment variable
    /// [`COHELD_AUTHKEY`](crate::AUTHKEY_VARIABLE). Keep it secret.
    pub fn authkey_text(&self) -> String {
        key::encode(self.authkey())
    }

    /// How many objects there are, those of other processes included.
    pub fn number_of_objects(&self) -> u64 {
        self.attachment().segment().count_referents()
    }
}
