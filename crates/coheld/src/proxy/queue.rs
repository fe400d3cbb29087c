//! `QueueProxy`.

use std::borrow::Borrow;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coheld_store::{Queue, StoreError, Wait};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::common::{typed_by_kind, typed_proxy};
use super::{Kind, Proxy};
use crate::value::{Encoded, read_output, with_input};
use crate::{Attachment, Error, Value};

/// A shared queue whose items are put and gotten as `T`: first in, first out, each to one getter.
///
/// ```
/// use coheld::Manager;
///
/// let manager = Manager::start()?;
/// let (squares, numbers) = (manager.queue::<i64>(0)?, manager.queue::<i64>(10)?);
/// std::thread::scope(|scope| {
///     scope.spawn(|| -> Result<(), coheld::Error> {
///         for number in numbers.iter() {
///             let number = number?;
///             squares.put(&(number * number))?;
///         }
///         squares.shut_down(false)
///     });
///     for number in 1..=3 {
///         numbers.put(&number)?;
///     }
///     // No more are to come; those that there are will be gotten.
///     numbers.shut_down(false)
/// })?;
/// let squares: Result<Vec<i64>, _> = squares.iter().collect();
/// assert_eq!(squares?, [1, 4, 9]);
/// # Ok::<(), coheld::Error>(())
/// ```
///
/// After a [`shut_down`](Self::shut_down), whoever puts or gets in vain has the error
/// [`StoreError::ShutDown`].
pub struct QueueProxy<T> {
    proxy: Proxy,
    content: PhantomData<fn() -> T>,
}

typed_proxy!(QueueProxy<T>);
typed_by_kind!(QueueProxy<T>, Kind::Queue, Kind::JoinableQueue);

impl<T> QueueProxy<T> {
    fn over(proxy: Proxy) -> Self {
        Self {
            proxy,
            content: PhantomData,
        }
    }

    /// A new, empty queue for `maxsize` items; 0: for any number.
    ///
    /// ```
    /// use coheld::QueueProxy;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let queue: QueueProxy<String> = QueueProxy::create(manager.attachment(), 2)?;
    /// assert_eq!(queue.maxsize()?, 2);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn create(attachment: &Arc<Attachment>, maxsize: usize) -> Result<Self, Error> {
        Self::create_as(attachment, Kind::Queue, maxsize)
    }

    /// The same under the name by which Python programs ask for `task_done` and `join`. In Coheld
    /// every queue has them.
    ///
    /// ```
    /// use coheld::{Kind, QueueProxy};
    ///
    /// let manager = coheld::Manager::start()?;
    /// let jobs: QueueProxy<u64> = QueueProxy::create_joinable(manager.attachment(), 0)?;
    /// assert_eq!(jobs.as_proxy().kind(), Kind::JoinableQueue);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn create_joinable(attachment: &Arc<Attachment>, maxsize: usize) -> Result<Self, Error> {
        Self::create_as(attachment, Kind::JoinableQueue, maxsize)
    }

    fn create_as(attachment: &Arc<Attachment>, kind: Kind, maxsize: usize) -> Result<Self, Error> {
        let auxiliary = Queue::auxiliary(maxsize as u64);
        Proxy::create(attachment, kind, auxiliary).map(Self::over)
    }

    /// Number of items in it. Others may be putting and getting at this moment.
    pub fn len(&self) -> Result<usize, Error> {
        Ok(Queue::new(&self.proxy.referent()?).len()? as usize)
    }

    /// Whether there are no items in it.
    pub fn is_empty(&self) -> Result<bool, Error> {
        Ok(Queue::new(&self.proxy.referent()?).is_empty()?)
    }

    /// Whether a put would have to wait.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let queue = manager.queue::<u8>(1)?;
    /// assert!(queue.is_empty()? && !queue.is_full()?);
    /// queue.put(&1)?;
    /// assert!(queue.is_full()? && queue.len()? == 1);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn is_full(&self) -> Result<bool, Error> {
        let maxsize = self.maxsize()?;
        Ok(maxsize > 0 && self.len()? >= maxsize)
    }

    /// The most items it takes; 0: any number.
    pub fn maxsize(&self) -> Result<usize, Error> {
        Ok(Queue::new(&self.proxy.referent()?).maxsize()? as usize)
    }

    /// Reports that the work on an item that was gotten is done, for those that wait in
    /// [`join`](Self::join).
    ///
    /// More often than items were put this is
    /// [`StoreError::TaskDoneTooOften`].
    ///
    /// ```
    /// use coheld::{Error, StoreError};
    ///
    /// let manager = coheld::Manager::start()?;
    /// let jobs = manager.queue::<u8>(0)?;
    /// jobs.put(&1)?;
    /// jobs.get()?;
    /// jobs.task_done()?;
    /// assert!(matches!(jobs.task_done(), Err(Error::Store(StoreError::TaskDoneTooOften))));
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn task_done(&self) -> Result<(), Error> {
        Ok(Queue::new(&self.proxy.referent()?).task_done()?)
    }

    /// Waits until the work on every item that was put is reported done.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let jobs = manager.joinable_queue::<String>(0)?;
    /// jobs.put("sweep the floor")?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| -> Result<(), coheld::Error> {
    ///         let job = jobs.get()?;
    ///         assert_eq!(job, "sweep the floor");
    ///         jobs.task_done()
    ///     });
    ///     jobs.join()
    /// })?;
    /// assert_eq!(jobs.unfinished()?, 0);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn join(&self) -> Result<(), Error> {
        while !self.join_as(Wait::Forever)? {}
        Ok(())
    }

    /// As `join`, but no longer than this; whether it was so in time.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let jobs = manager.queue::<u8>(0)?;
    /// assert!(jobs.join_for(Duration::ZERO)?, "there is nothing to wait for");
    /// jobs.put(&1)?;
    /// assert!(!jobs.join_for(Duration::from_millis(1))?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn join_for(&self, time: Duration) -> Result<bool, Error> {
        self.join_as(Wait::for_duration(time))
    }

    /// As `join_for`, up to a moment.
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let jobs = manager.queue::<u8>(0)?;
    /// jobs.put(&1)?;
    /// jobs.get()?;
    /// assert!(!jobs.join_until(Instant::now())?, "nobody has said that it is done");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn join_until(&self, deadline: Instant) -> Result<bool, Error> {
        self.join_as(Wait::Until(deadline))
    }

    fn join_as(&self, wait: Wait) -> Result<bool, Error> {
        Ok(Queue::new(&self.proxy.referent()?).join(wait)?)
    }

    /// How many items were put and are not reported done.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let jobs = manager.queue::<u8>(0)?;
    /// jobs.put(&1)?;
    /// jobs.get()?;
    /// assert_eq!(jobs.unfinished()?, 1);
    /// jobs.task_done()?;
    /// assert_eq!(jobs.unfinished()?, 0);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn unfinished(&self) -> Result<u64, Error> {
        Ok(Queue::new(&self.proxy.referent()?).unfinished()?)
    }

    /// No more puts, for anybody. The items that there are can be gotten, unless it is to be
    /// `immediate`: then they are gone, and count as done.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let queue = manager.queue::<u8>(0)?;
    /// queue.put(&7)?;
    /// queue.shut_down(false)?;
    /// assert!(queue.put(&8).unwrap_err().is_shut_down());
    /// assert_eq!(queue.get()?, 7);
    /// assert!(queue.get().unwrap_err().is_shut_down());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[doc(alias = "close")]
    pub fn shut_down(&self, immediate: bool) -> Result<(), Error> {
        Ok(Queue::new(&self.proxy.referent()?).shut_down(immediate)?)
    }

    /// Puts a proxy of any kind of object, whatever `T` is.
    ///
    /// ```
    /// use coheld::{DictProxy, Value};
    ///
    /// let manager = coheld::Manager::start()?;
    /// let (inbox, form) = (manager.queue::<Value>(0)?, manager.dict::<String, i64>()?);
    /// inbox.put_proxy(&form)?;
    /// let received: DictProxy<String, i64> = inbox.get()?.read()?;
    /// assert_eq!(received, form);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn put_proxy(&self, proxy: impl Into<Proxy>) -> Result<(), Error> {
        let value = Value::Proxy(proxy.into());
        let encoded = Encoded::of(&value, self.proxy.attachment())?;
        Ok(Queue::new(&self.proxy.referent()?).put(&encoded.input(), Wait::Forever)?)
    }
}

impl<T: Serialize + DeserializeOwned> QueueProxy<T> {
    /// Puts an item at the end; waits for room.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let queue = manager.queue::<(u32, String)>(0)?;
    /// queue.put(&(1, "first".to_owned()))?;
    /// assert_eq!(queue.get()?, (1, "first".to_owned()));
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[doc(alias = "send")]
    #[doc(alias = "push")]
    #[inline]
    pub fn put<Q: Serialize + ?Sized>(&self, item: &Q) -> Result<(), Error>
    where
        T: Borrow<Q>,
    {
        self.put_as(item, Wait::Forever)
    }

    /// Puts an item if there is room; whether there was.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let queue = manager.queue::<u8>(1)?;
    /// assert!(queue.try_put(&1)?);
    /// assert!(!queue.try_put(&2)?, "it is full");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[inline]
    pub fn try_put<Q: Serialize + ?Sized>(&self, item: &Q) -> Result<bool, Error>
    where
        T: Borrow<Q>,
    {
        in_time(self.put_as(item, Wait::No)).map(|put| put.is_some())
    }

    /// As `put`, but waits no longer than this; whether there was room in time.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let queue = manager.queue::<u8>(1)?;
    /// assert!(queue.put_for(&1, Duration::from_millis(1))?);
    /// assert!(!queue.put_for(&2, Duration::from_millis(1))?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn put_for<Q: Serialize + ?Sized>(&self, item: &Q, time: Duration) -> Result<bool, Error>
    where
        T: Borrow<Q>,
    {
        in_time(self.put_as(item, Wait::for_duration(time))).map(|put| put.is_some())
    }

    /// As `put_for`, up to a moment.
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let queue = manager.queue::<String>(1)?;
    /// assert!(queue.put_until("first", Instant::now())?);
    /// assert!(!queue.put_until("second", Instant::now())?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn put_until<Q: Serialize + ?Sized>(
        &self,
        item: &Q,
        deadline: Instant,
    ) -> Result<bool, Error>
    where
        T: Borrow<Q>,
    {
        in_time(self.put_as(item, Wait::Until(deadline))).map(|put| put.is_some())
    }

    #[inline]
    pub(crate) fn put_as<Q: Serialize + ?Sized>(&self, item: &Q, wait: Wait) -> Result<(), Error>
    where
        T: Borrow<Q>,
    {
        let referent = self.proxy.referent()?;
        with_input(item, self.proxy.attachment(), |input| {
            Ok(Queue::new(&referent).put(input, wait)?)
        })
    }

    /// Takes the first item; waits for one.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let queue = manager.queue::<i64>(0)?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| queue.put(&7));
    ///     assert_eq!(queue.get()?, 7);
    ///     Ok::<_, coheld::Error>(())
    /// })?;
    /// assert!(queue.is_empty()?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[doc(alias = "recv")]
    #[doc(alias = "pop")]
    #[inline]
    pub fn get(&self) -> Result<T, Error> {
        self.get_as(Wait::Forever)
    }

    /// Takes the first item, if there is one.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let queue = manager.queue::<i64>(0)?;
    /// assert_eq!(queue.try_get()?, None);
    /// queue.put(&7)?;
    /// assert_eq!(queue.try_get()?, Some(7));
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[inline]
    pub fn try_get(&self) -> Result<Option<T>, Error> {
        in_time(self.get_as(Wait::No))
    }

    /// As `get`, but waits no longer than this; `None`: there was none in time.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let queue = manager.queue::<i64>(0)?;
    /// assert_eq!(queue.get_for(Duration::from_millis(1))?, None);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn get_for(&self, time: Duration) -> Result<Option<T>, Error> {
        in_time(self.get_as(Wait::for_duration(time)))
    }

    /// As `get_for`, up to a moment.
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let queue = manager.queue::<i64>(0)?;
    /// queue.put(&7)?;
    /// assert_eq!(queue.get_until(Instant::now())?, Some(7));
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn get_until(&self, deadline: Instant) -> Result<Option<T>, Error> {
        in_time(self.get_as(Wait::Until(deadline)))
    }

    #[inline]
    pub(crate) fn get_as(&self, wait: Wait) -> Result<T, Error> {
        let output = Queue::new(&self.proxy.referent()?).get(wait)?;
        read_output(output, self.proxy.attachment())
    }

    /// Takes items one after the other, waiting for each, until the queue is shut down.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let queue = manager.queue::<i64>(0)?;
    /// for number in 1..=3 {
    ///     queue.put(&number)?;
    /// }
    /// queue.shut_down(false)?;
    /// let mut sum = 0;
    /// for number in &queue {
    ///     sum += number?;
    /// }
    /// assert_eq!(sum, 6);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn iter(&self) -> Items<'_, T> {
        Items { queue: self }
    }
}

impl<'q, T: Serialize + DeserializeOwned> IntoIterator for &'q QueueProxy<T> {
    type Item = Result<T, Error>;
    type IntoIter = Items<'q, T>;

    fn into_iter(self) -> Items<'q, T> {
        self.iter()
    }
}

/// The items of a queue until it is shut down: see [`QueueProxy::iter`].
///
/// ```
/// use coheld::proxy::Items;
///
/// let manager = coheld::Manager::start()?;
/// let queue = manager.queue::<i64>(0)?;
/// queue.put(&1)?;
/// let mut items: Items<'_, i64> = queue.iter();
/// assert_eq!(items.next().transpose()?, Some(1));
/// queue.shut_down(false)?;
/// assert!(items.next().is_none());
/// # Ok::<(), coheld::Error>(())
/// ```
#[derive(Debug)]
pub struct Items<'q, T> {
    queue: &'q QueueProxy<T>,
}

impl<T: Serialize + DeserializeOwned> Iterator for Items<'_, T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Result<T, Error>> {
        match self.queue.get() {
            Err(Error::Store(StoreError::ShutDown)) => None,
            gotten => Some(gotten),
        }
    }
}

/// `None` for what could not be done in time.
#[inline]
fn in_time<T>(done: Result<T, Error>) -> Result<Option<T>, Error> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(Error::Store(StoreError::Full | StoreError::Empty)) => Ok(None),
        Err(error) => Err(error),
    }
}
