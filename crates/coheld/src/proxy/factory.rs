//! Making shared objects.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{
    ArrayProxy, BarrierProxy, ConditionProxy, DictProxy, EventProxy, Item, ListProxy, LockProxy,
    NamespaceProxy, Proxy, QueueProxy, RLockProxy, SemaphoreProxy, SetProxy, ValueProxy,
};
use crate::{Error, Manager, hosted, key};

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

    /// A new lock.
    pub fn lock(&self) -> Result<LockProxy, Error> {
        LockProxy::create(self.attachment())
    }

    /// A new lock that its owner can take again.
    pub fn rlock(&self) -> Result<RLockProxy, Error> {
        RLockProxy::create(self.attachment())
    }

    /// A new semaphore with so many permits. More can be added.
    pub fn semaphore(&self, permits: u64) -> Result<SemaphoreProxy, Error> {
        SemaphoreProxy::create(self.attachment(), permits)
    }

    /// A new semaphore with so many permits and never more.
    pub fn bounded_semaphore(&self, permits: u64) -> Result<SemaphoreProxy, Error> {
        SemaphoreProxy::create_bounded(self.attachment(), permits)
    }

    /// A new event, not set.
    pub fn event(&self) -> Result<EventProxy, Error> {
        EventProxy::create(self.attachment())
    }

    /// A new condition with a re-entrant lock of its own.
    pub fn condition(&self) -> Result<ConditionProxy, Error> {
        ConditionProxy::create(self.attachment())
    }

    /// A new condition whose lock is this one.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let lock = manager.lock()?;
    /// let (room, items) = (manager.condition_with(&lock)?, manager.condition_with(&lock)?);
    /// let guard = lock.lock()?;
    /// room.notify_one()?;
    /// items.notify_all()?;
    /// assert!(items.try_lock()?.is_none());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn condition_with(&self, lock: impl Into<Proxy>) -> Result<ConditionProxy, Error> {
        ConditionProxy::create_with(self.attachment(), lock)
    }

    /// A new barrier for so many parties.
    pub fn barrier(&self, parties: u64) -> Result<BarrierProxy, Error> {
        BarrierProxy::create(self.attachment(), parties)
    }

    /// A new, empty queue for `maxsize` items; 0: for any number.
    pub fn queue<T>(&self, maxsize: usize) -> Result<QueueProxy<T>, Error> {
        QueueProxy::create(self.attachment(), maxsize)
    }

    /// The same, as Python's `JoinableQueue`.
    pub fn joinable_queue<T>(&self, maxsize: usize) -> Result<QueueProxy<T>, Error> {
        QueueProxy::create_joinable(self.attachment(), maxsize)
    }

    /// The key as the text that other programs take from the environment variable
    /// [`COHELD_AUTHKEY`](crate::AUTHKEY_VARIABLE). Keep it secret.
    pub fn authkey_text(&self) -> String {
        key::encode(self.authkey())
    }

    /// How many objects there are, those of other processes included.
    pub fn number_of_objects(&self) -> u64 {
        hosted::count_objects(self.attachment().segment())
    }
}
