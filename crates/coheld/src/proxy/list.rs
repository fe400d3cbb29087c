//! `ListProxy`.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::Arc;

use coheld_store::{Input, List, Search, Slice, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::common::{lockable, typed_by_kind, typed_proxy};
use super::{BytesRef, Kind, Proxy};
use crate::value::{Encoded, read_output, to_value, with_input};
use crate::{Attachment, Error, Value, order};

/// A shared list whose elements are read and written as `T`.
///
/// Indices are those of Python: negative ones count from the end.
///
/// ```
/// use coheld::Manager;
///
/// let manager = Manager::start()?;
/// let list = manager.list::<String>()?;
/// list.append("one")?;
/// list.extend(["two", "three"].map(String::from))?;
/// assert_eq!(list.get(-1)?, "three");
/// assert_eq!(list.slice(1, 3)?, ["two", "three"]);
/// assert!(list.contains("two")?);
///
/// // Shared objects can hold shared objects.
/// let lists = manager.list::<coheld::ListProxy<String>>()?;
/// lists.append(&list)?;
/// lists.get(0)?.append("four")?;
/// assert_eq!(list.len()?, 4);
/// # Ok::<(), coheld::Error>(())
/// ```
pub struct ListProxy<T> {
    proxy: Proxy,
    content: PhantomData<fn() -> T>,
}

typed_proxy!(ListProxy<T>);
lockable!(ListProxy<T>);
typed_by_kind!(ListProxy<T>, Kind::List);

impl<T> ListProxy<T> {
    fn over(proxy: Proxy) -> Self {
        Self {
            proxy,
            content: PhantomData,
        }
    }

    /// A new, empty list.
    ///
    /// ```
    /// use coheld::ListProxy;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let names: ListProxy<String> = ListProxy::create(manager.attachment())?;
    /// assert!(names.is_empty()?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn create(attachment: &Arc<Attachment>) -> Result<Self, Error> {
        Proxy::create(attachment, Kind::List, 0).map(Self::over)
    }

    /// Number of elements.
    pub fn len(&self) -> Result<usize, Error> {
        Ok(List::new(&self.proxy.referent()?).len()? as usize)
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len()? == 0)
    }

    /// Takes all elements out.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let list = manager.list::<i64>()?;
    /// list.extend(0..10)?;
    /// list.clear()?;
    /// assert_eq!(list.len()?, 0);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn clear(&self) -> Result<(), Error> {
        Ok(List::new(&self.proxy.referent()?).clear()?)
    }

    /// Reverses the order.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let steps = manager.list::<String>()?;
    /// steps.extend(["open", "read", "close"].map(String::from))?;
    /// steps.reverse()?;
    /// assert_eq!(steps.get(0)?, "close");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn reverse(&self) -> Result<(), Error> {
        Ok(List::new(&self.proxy.referent()?).reverse()?)
    }

    /// Adds a proxy of any kind of object at the end, whatever `T` is.
    ///
    /// ```
    /// use coheld::{ListProxy, Value};
    ///
    /// let manager = coheld::Manager::start()?;
    /// let (rooms, guests) = (manager.list::<Value>()?, manager.list::<String>()?);
    /// rooms.append_proxy(&guests)?;
    /// guests.append("Ada")?;
    /// let same: ListProxy<String> = rooms.get(0)?.read()?;
    /// assert_eq!(same.to_vec()?, ["Ada"]);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn append_proxy(&self, proxy: impl Into<Proxy>) -> Result<(), Error> {
        let value = Value::Proxy(proxy.into());
        let encoded = Encoded::of(&value, self.proxy.attachment())?;
        Ok(List::new(&self.proxy.referent()?).append(&encoded.input())?)
    }
}

impl<T: Serialize + DeserializeOwned> ListProxy<T> {
    /// The element at `index`.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let list = manager.list::<f64>()?;
    /// list.extend([1.5, 2.5])?;
    /// assert_eq!((list.get(0)?, list.get(-1)?), (1.5, 2.5));
    /// assert!(list.get(2).unwrap_err().is_missing());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[inline]
    pub fn get(&self, index: i64) -> Result<T, Error> {
        let output = List::new(&self.proxy.referent()?).get(index)?;
        read_output(output, self.proxy.attachment())
    }

    /// The bytes of the element at `index`, without a copy if they are many; what is no bytes is an
    /// error. See [`DictProxy::get_ref`](crate::DictProxy::get_ref).
    pub fn get_ref(&self, index: i64) -> Result<BytesRef, Error> {
        let output = List::new(&self.proxy.referent()?).get(index)?;
        BytesRef::of(output, self.proxy.attachment())
    }

    /// Replaces the element at `index`.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let board = manager.list::<char>()?;
    /// board.extend(['.', '.', '.'])?;
    /// board.set(1, &'x')?;
    /// assert_eq!(board.to_vec()?, ['.', 'x', '.']);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[inline]
    pub fn set<Q: Serialize + ?Sized>(&self, index: i64, value: &Q) -> Result<(), Error>
    where
        T: Borrow<Q>,
    {
        let referent = self.proxy.referent()?;
        self.with_input(value, |input| Ok(List::new(&referent).set(index, input)?))
    }

    /// Adds an element at the end.
    ///
    /// ```
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Job {
    ///     name: String,
    ///     size: u64,
    /// }
    ///
    /// let manager = coheld::Manager::start()?;
    /// let jobs = manager.list::<Job>()?;
    /// jobs.append(&Job { name: "sweep".into(), size: 3 })?;
    /// assert_eq!(jobs.get(0)?.size, 3);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[inline]
    #[doc(alias = "push")]
    pub fn append<Q: Serialize + ?Sized>(&self, value: &Q) -> Result<(), Error>
    where
        T: Borrow<Q>,
    {
        let referent = self.proxy.referent()?;
        self.with_input(value, |input| Ok(List::new(&referent).append(input)?))
    }

    /// Adds an element in front of the one at `index`, or at the end.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let queue = manager.list::<String>()?;
    /// queue.append("second")?;
    /// queue.insert(0, "first")?;
    /// queue.insert(99, "last")?;
    /// assert_eq!(queue.to_vec()?, ["first", "second", "last"]);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn insert<Q: Serialize + ?Sized>(&self, index: i64, value: &Q) -> Result<(), Error>
    where
        T: Borrow<Q>,
    {
        let referent = self.proxy.referent()?;
        self.with_input(
            value,
            |input| Ok(List::new(&referent).insert(index, input)?),
        )
    }

    /// Adds all values at the end, or none of them.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let squares = manager.list::<u64>()?;
    /// squares.extend((1..=4).map(|number| number * number))?;
    /// assert_eq!(squares.to_vec()?, [1, 4, 9, 16]);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn extend(&self, values: impl IntoIterator<Item = T>) -> Result<(), Error> {
        self.with_inputs(values, |list, inputs| list.extend(inputs, None))
    }

    /// Makes the values the whole content.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let list = manager.list::<i64>()?;
    /// list.extend([1, 2, 3])?;
    /// // Others see the old content or the new one, nothing in between.
    /// list.replace([7])?;
    /// assert_eq!(list.to_vec()?, [7]);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn replace(&self, values: impl IntoIterator<Item = T>) -> Result<(), Error> {
        self.with_inputs(values, |list, inputs| list.replace(inputs, None))
    }

    /// Takes the last element out; `None` if there is none.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let stack = manager.list::<i64>()?;
    /// stack.extend([1, 2])?;
    /// assert_eq!((stack.pop()?, stack.pop()?, stack.pop()?), (Some(2), Some(1), None));
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn pop(&self) -> Result<Option<T>, Error> {
        self.pop_at(-1)
    }

    /// Takes the first element out; `None` if there is none.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let line = manager.list::<String>()?;
    /// line.extend(["Ada", "Grace"].map(String::from))?;
    /// assert_eq!(line.pop_front()?.as_deref(), Some("Ada"));
    /// assert_eq!(line.len()?, 1);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn pop_front(&self) -> Result<Option<T>, Error> {
        self.pop_at(0)
    }

    fn pop_at(&self, index: i64) -> Result<Option<T>, Error> {
        match List::new(&self.proxy.referent()?).pop(index) {
            Ok(output) => read_output(output, self.proxy.attachment()).map(Some),
            Err(StoreError::Empty) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the element at `index` out.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let list = manager.list::<i64>()?;
    /// list.extend([10, 20, 30])?;
    /// assert_eq!(list.remove(1)?, 20);
    /// assert!(list.remove(2).unwrap_err().is_missing());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn remove(&self, index: i64) -> Result<T, Error> {
        let output = List::new(&self.proxy.referent()?).pop(index)?;
        read_output(output, self.proxy.attachment())
    }

    /// Takes the first element out that is equal to `value`, as Python has it. `false`: none was.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let list = manager.list::<i64>()?;
    /// list.extend([5, 7, 5])?;
    /// assert!(list.remove_value(&5)?);
    /// assert_eq!(list.to_vec()?, [7, 5]);
    /// assert!(!list.remove_value(&6)?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn remove_value<Q: Serialize + ?Sized>(&self, value: &Q) -> Result<bool, Error>
    where
        T: Borrow<Q>,
    {
        let value = to_value(value)?;
        loop {
            let Some((index, version)) = self.find(&value)? else {
                return Ok(false);
            };
            match List::new(&self.proxy.referent()?)
                .delete(index.cast_signed() as i64, Some(version))
            {
                Ok(()) => return Ok(true),
                Err(StoreError::Changed) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Where the first element is that is equal to `value`, as Python has it.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let colours = manager.list::<String>()?;
    /// colours.extend(["red", "green", "red"].map(String::from))?;
    /// assert_eq!(colours.index_of("red")?, Some(0));
    /// assert_eq!(colours.index_of("blue")?, None);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn index_of<Q: Serialize + ?Sized>(&self, value: &Q) -> Result<Option<usize>, Error>
    where
        T: Borrow<Q>,
    {
        Ok(self.find(&to_value(value)?)?.map(|(index, _)| index))
    }

    /// Whether an element is equal to `value`, as Python has it.
    ///
    /// ```
    /// use coheld::Value;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let list = manager.list::<Value>()?;
    /// list.append(&Value::from(1))?;
    /// assert!(list.contains(&Value::from(1.0))?, "they are equal in Python");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn contains<Q: Serialize + ?Sized>(&self, value: &Q) -> Result<bool, Error>
    where
        T: Borrow<Q>,
    {
        Ok(self.index_of(value)?.is_some())
    }

    /// The index of the first element equal to `value`, and the version of the list.
    fn find(&self, value: &Value) -> Result<Option<(usize, u64)>, Error> {
        let referent = self.proxy.referent()?;
        let list = List::new(&referent);
        if let Some(word) = Encoded::of(value, self.proxy.attachment())?
            .input()
            .inline_word()
        {
            match list.find(word, 0, i64::MAX)? {
                Search::Found { index, version } => return Ok(Some((index as usize, version))),
                Search::Absent => return Ok(None),
                Search::Unknown => {}
            }
        }
        let snapshot = list.snapshot()?;
        let values: Vec<Value> = self.proxy.read_all(&snapshot)?;
        let index = values.iter().position(|element| element == value);
        Ok(index.map(|index| (index, snapshot.version())))
    }

    /// All elements at one moment.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let list = manager.list::<i64>()?;
    /// list.extend([1, 2, 3])?;
    /// let copy = list.to_vec()?;
    /// list.clear()?;
    /// assert_eq!(copy, [1, 2, 3]);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn to_vec(&self) -> Result<Vec<T>, Error> {
        let snapshot = List::new(&self.proxy.referent()?).snapshot()?;
        self.proxy.read_all(&snapshot)
    }

    /// Iterates over the elements that there are at this moment; later changes are not seen.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let list = manager.list::<i64>()?;
    /// list.extend([1, 2, 3])?;
    /// for number in list.iter()? {
    ///     list.append(&(10 * number))?;
    /// }
    /// assert_eq!(list.len()?, 6);
    /// assert_eq!(list.iter()?.sum::<i64>(), 66);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[allow(
        clippy::iter_not_returning_iterator,
        reason = "taking the copy can fail"
    )]
    pub fn iter(&self) -> Result<std::vec::IntoIter<T>, Error> {
        Ok(self.to_vec()?.into_iter())
    }

    /// The elements from `start` up to before `stop`, as Python's `list[start:stop]`.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let list = manager.list::<i64>()?;
    /// list.extend(0..10)?;
    /// assert_eq!(list.slice(2, 4)?, [2, 3]);
    /// assert_eq!(list.slice(-2, 99)?, [8, 9]);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn slice(&self, start: i64, stop: i64) -> Result<Vec<T>, Error> {
        self.slice_by(Slice::range(start, stop))
    }

    /// The elements that a slice with any bounds and step picks.
    ///
    /// ```
    /// use coheld::Slice;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let list = manager.list::<i64>()?;
    /// list.extend(0..6)?;
    /// let backwards = Slice { start: None, stop: None, step: Some(-2) };
    /// assert_eq!(list.slice_by(backwards)?, [5, 3, 1]);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn slice_by(&self, slice: Slice) -> Result<Vec<T>, Error> {
        let snapshot = List::new(&self.proxy.referent()?).slice(slice)?;
        self.proxy.read_all(&snapshot)
    }

    /// Sorts the list; equal elements keep their order.
    ///
    /// The order is found on a copy and takes effect only if nobody has changed the list
    /// meanwhile; else it is found again.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let list = manager.list::<String>()?;
    /// list.extend(["pear", "apple"].map(String::from))?;
    /// list.sort()?;
    /// assert_eq!(list.to_vec()?, ["apple", "pear"]);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn sort(&self) -> Result<(), Error>
    where
        T: Ord,
    {
        self.sort_by(T::cmp)
    }

    /// Sorts the list by a key of each element.
    ///
    /// ```
    /// use std::cmp::Reverse;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let scores = manager.list::<(String, u32)>()?;
    /// scores.extend([("Ada".to_owned(), 3), ("Grace".to_owned(), 9)])?;
    /// scores.sort_by_key(|(_, score)| Reverse(*score))?;
    /// assert_eq!(scores.get(0)?.0, "Grace");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn sort_by_key<K: Ord>(&self, mut key: impl FnMut(&T) -> K) -> Result<(), Error> {
        self.sort_by(|one, two| key(one).cmp(&key(two)))
    }

    /// Sorts the list by a comparison. One that contradicts itself gives the elements in any order.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let list = manager.list::<f64>()?;
    /// list.extend([2.5, -1.0, 0.0])?;
    /// list.sort_by(f64::total_cmp)?;
    /// assert_eq!(list.to_vec()?, [-1.0, 0.0, 2.5]);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn sort_by(&self, mut compare: impl FnMut(&T, &T) -> Ordering) -> Result<(), Error> {
        let referent = self.proxy.referent()?;
        let list = List::new(&referent);
        loop {
            let snapshot = list.snapshot()?;
            let values: Vec<T> = self.proxy.read_all(&snapshot)?;
            let Ok(order) = order::sorted(values.len(), |one, two| {
                Ok::<_, Infallible>(compare(&values[one], &values[two]).is_lt())
            });
            match list.permute(&order, Some(snapshot.version())) {
                Err(StoreError::Changed) => {}
                done => return Ok(done?),
            }
        }
    }

    #[inline]
    fn with_input<Q: Serialize + ?Sized, R>(
        &self,
        value: &Q,
        then: impl FnOnce(&Input<'_>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        with_input(value, self.proxy.attachment(), then)
    }

    fn with_inputs(
        &self,
        values: impl IntoIterator<Item = T>,
        then: impl FnOnce(&List<'_>, &[Input<'_>]) -> coheld_store::Result<()>,
    ) -> Result<(), Error> {
        let values = values.into_iter().map(|value| to_value(&value));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let encoded = values
            .iter()
            .map(|value| Encoded::of(value, self.proxy.attachment()));
        let encoded = encoded.collect::<Result<Vec<_>, _>>()?;
        let inputs: Vec<Input<'_>> = encoded.iter().map(Encoded::input).collect();
        Ok(then(&List::new(&self.proxy.referent()?), &inputs)?)
    }
}
