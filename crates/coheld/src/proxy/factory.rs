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
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let names = manager.list::<String>()?;
    /// names.append("Ada")?;
    /// assert_eq!(names.len()?, 1);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn list<T>(&self) -> Result<ListProxy<T>, Error> {
        ListProxy::create(self.attachment())
    }

    /// A new, empty dict.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let ages = manager.dict::<String, u32>()?;
    /// ages.insert("Ada", &36)?;
    /// assert_eq!(ages.get("Ada")?, Some(36));
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn dict<K, V>(&self) -> Result<DictProxy<K, V>, Error> {
        DictProxy::create(self.attachment())
    }

    /// A new, empty set.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let seen = manager.set::<u64>()?;
    /// assert!(seen.add(&7)? && !seen.add(&7)?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn set<T>(&self) -> Result<SetProxy<T>, Error> {
        SetProxy::create(self.attachment())
    }

    /// A new, empty namespace.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let state = manager.namespace()?;
    /// state.set("step", &3)?;
    /// assert_eq!(state.get::<i64>("step")?, Some(3));
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn namespace(&self) -> Result<NamespaceProxy, Error> {
        NamespaceProxy::create(self.attachment())
    }

    /// A new value.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let point = manager.value(&(1.5, 2.5))?;
    /// point.update(|(x, y)| (x + 1.0, y))?;
    /// assert_eq!(point.get()?, (2.5, 2.5));
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn value<T: Serialize + DeserializeOwned>(
        &self,
        initial: &T,
    ) -> Result<ValueProxy<T>, Error> {
        ValueProxy::create(self.attachment(), initial)
    }

    /// A new array with these items.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let array = manager.array(&[1_u8, 2, 3])?;
    /// assert_eq!(array.get(-1)?, 3);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn array<T: Item>(&self, items: &[T]) -> Result<ArrayProxy<T>, Error> {
        ArrayProxy::create(self.attachment(), items)
    }

    /// A new lock.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let lock = manager.lock()?;
    /// let _guard = lock.lock()?;
    /// assert!(lock.is_locked()?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn lock(&self) -> Result<LockProxy, Error> {
        LockProxy::create(self.attachment())
    }

    /// A new lock that its owner can take again.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let lock = manager.rlock()?;
    /// let _guards = (lock.lock()?, lock.lock()?);
    /// assert!(lock.is_owned()?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn rlock(&self) -> Result<RLockProxy, Error> {
        RLockProxy::create(self.attachment())
    }

    /// A new semaphore with so many permits. More can be added.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let seats = manager.semaphore(1)?;
    /// seats.release(1)?;
    /// assert_eq!(seats.value()?, 2);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn semaphore(&self, permits: u64) -> Result<SemaphoreProxy, Error> {
        SemaphoreProxy::create(self.attachment(), permits)
    }

    /// A new semaphore with so many permits and never more.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let seats = manager.bounded_semaphore(1)?;
    /// assert!(seats.release(1).is_err());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn bounded_semaphore(&self, permits: u64) -> Result<SemaphoreProxy, Error> {
        SemaphoreProxy::create_bounded(self.attachment(), permits)
    }

    /// A new event, not set.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let ready = manager.event()?;
    /// ready.set()?;
    /// ready.wait()?;
    /// assert!(ready.is_set()?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn event(&self) -> Result<EventProxy, Error> {
        EventProxy::create(self.attachment())
    }

    /// A new condition with a re-entrant lock of its own.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let condition = manager.condition()?;
    /// let _guard = condition.lock()?;
    /// condition.notify_all()?;
    /// assert!(condition.is_locked()?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
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
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let barrier = manager.barrier(1)?;
    /// assert_eq!(barrier.wait()?, 0);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn barrier(&self, parties: u64) -> Result<BarrierProxy, Error> {
        BarrierProxy::create(self.attachment(), parties)
    }

    /// A new, empty queue for `maxsize` items; 0: for any number.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let queue = manager.queue::<String>(1)?;
    /// queue.put("only")?;
    /// assert!(queue.is_full()?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn queue<T>(&self, maxsize: usize) -> Result<QueueProxy<T>, Error> {
        QueueProxy::create(self.attachment(), maxsize)
    }

    /// The same, as Python's `JoinableQueue`.
    ///
    /// ```
    /// use coheld::Kind;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let jobs = manager.joinable_queue::<String>(0)?;
    /// assert_eq!(jobs.as_proxy().kind(), Kind::JoinableQueue);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn joinable_queue<T>(&self, maxsize: usize) -> Result<QueueProxy<T>, Error> {
        QueueProxy::create_joinable(self.attachment(), maxsize)
    }

    /// The key as the text that other programs take from the environment variable
    /// [`COHELD_AUTHKEY`](crate::AUTHKEY_VARIABLE). Keep it secret.
    ///
    /// ```
    /// use std::process::Command;
    /// use coheld::AUTHKEY_VARIABLE;
    ///
    /// let manager = coheld::Manager::start()?;
    /// // A program that connects with `Manager::connect_from_environment`.
    /// let mut client = Command::new("client");
    /// client.env(AUTHKEY_VARIABLE, manager.authkey_text());
    /// assert_eq!(manager.authkey_text().len(), 2 * manager.authkey().len());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn authkey_text(&self) -> String {
        key::encode(self.authkey())
    }

    /// How many objects there are, those of other processes included.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let (list, inner) = (manager.list::<coheld::Value>()?, manager.list::<i64>()?);
    /// list.append_proxy(inner)?;
    /// assert_eq!(manager.number_of_objects(), 2);
    /// list.clear()?;
    /// assert_eq!(manager.number_of_objects(), 1);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn number_of_objects(&self) -> u64 {
        hosted::count_objects(self.attachment().segment())
    }
}
