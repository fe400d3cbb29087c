//! `ListProxy`.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::marker::PhantomData;
use std::sync::Arc;

use coheld_store::{Input, List, Search, Slice, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::common::{lockable, typed_by_kind, typed_proxy};
use super::{BytesRef, Kind, Proxy};
use crate::value::{Encoded, read_output, to_value, with_input};
use crate::{Attachment, Error, Value};

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
    pub fn clear(&self) -> Result<(), Error> {
        Ok(List::new(&self.proxy.referent()?).clear()?)
    }

    /// Reverses the order.
    pub fn reverse(&self) -> Result<(), Error> {
        Ok(List::new(&self.proxy.referent()?).reverse()?)
    }

    /// Adds a proxy of any kind of object at the end, whatever `T` is.
    pub fn append_proxy(&self, proxy: impl Into<Proxy>) -> Result<(), Error> {
        let value = Value::Proxy(proxy.into());
        let encoded = Encoded::of(&value, self.proxy.attachment())?;
        Ok(List::new(&self.proxy.referent()?).append(&encoded.input())?)
    }
}

impl<T: Serialize + DeserializeOwned> ListProxy<T> {
    /// The element at `index`.
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
    #[inline]
    pub fn set<Q: Serialize + ?Sized>(&self, index: i64, value: &Q) -> Result<(), Error>
    where
        T: Borrow<Q>,
    {
        let referent = self.proxy.referent()?;
        self.with_input(value, |input| Ok(List::new(&referent).set(index, input)?))
    }

    /// Adds an element at the end.
    #[inline]
    pub fn append<Q: Serialize + ?Sized>(&self, value: &Q) -> Result<(), Error>
    where
        T: Borrow<Q>,
    {
        let referent = self.proxy.referent()?;
        self.with_input(value, |input| Ok(List::new(&referent).append(input)?))
    }

    /// Adds an element in front of the one at `index`, or at the end.
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
    pub fn extend(&self, values: impl IntoIterator<Item = T>) -> Result<(), Error> {
        self.with_inputs(values, |list, inputs| list.extend(inputs, None))
    }

    /// Makes the values the whole content.
    pub fn replace(&self, values: impl IntoIterator<Item = T>) -> Result<(), Error> {
        self.with_inputs(values, |list, inputs| list.replace(inputs, None))
    }

    /// Takes the last element out; `None` if there is none.
    pub fn pop(&self) -> Result<Option<T>, Error> {
        self.pop_at(-1)
    }

    /// Takes the first element out; `None` if there is none.
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
    pub fn remove(&self, index: i64) -> Result<T, Error> {
        let output = List::new(&self.proxy.referent()?).pop(index)?;
        read_output(output, self.proxy.attachment())
    }

    /// Takes the first element out that is equal to `value`, as Python has it. `false`: none was.
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
    pub fn index_of<Q: Serialize + ?Sized>(&self, value: &Q) -> Result<Option<usize>, Error>
    where
        T: Borrow<Q>,
    {
        Ok(self.find(&to_value(value)?)?.map(|(index, _)| index))
    }

    /// Whether an element is equal to `value`, as Python has it.
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
    pub fn to_vec(&self) -> Result<Vec<T>, Error> {
        let snapshot = List::new(&self.proxy.referent()?).snapshot()?;
        self.proxy.read_all(&snapshot)
    }

    /// Iterates over the elements that there are at this moment; later changes are not seen.
    #[allow(
        clippy::iter_not_returning_iterator,
        reason = "taking the copy can fail"
    )]
    pub fn iter(&self) -> Result<std::vec::IntoIter<T>, Error> {
        Ok(self.to_vec()?.into_iter())
    }

    /// The elements from `start` up to before `stop`, as Python's `list[start:stop]`.
    pub fn slice(&self, start: i64, stop: i64) -> Result<Vec<T>, Error> {
        self.slice_by(Slice::range(start, stop))
    }

    /// The elements that a slice with any bounds and step picks.
    pub fn slice_by(&self, slice: Slice) -> Result<Vec<T>, Error> {
        let snapshot = List::new(&self.proxy.referent()?).slice(slice)?;
        self.proxy.read_all(&snapshot)
    }

    /// Sorts the list; equal elements keep their order.
    ///
    /// The order is found on a copy and takes effect only if nobody has changed the list
    /// meanwhile; else it is found again.
    pub fn sort(&self) -> Result<(), Error>
    where
        T: Ord,
    {
        self.sort_by(T::cmp)
    }

    /// Sorts the list by a key of each element.
    pub fn sort_by_key<K: Ord>(&self, mut key: impl FnMut(&T) -> K) -> Result<(), Error> {
        self.sort_by(|one, two| key(one).cmp(&key(two)))
    }

    /// Sorts the list by a comparison.
    pub fn sort_by(&self, mut compare: impl FnMut(&T, &T) -> Ordering) -> Result<(), Error> {
        let referent = self.proxy.referent()?;
        let list = List::new(&referent);
        loop {
            let snapshot = list.snapshot()?;
            let values: Vec<T> = self.proxy.read_all(&snapshot)?;
            let mut order: Vec<u32> = (0..values.len() as u32).collect();
            order.sort_by(|&one, &two| compare(&values[one as usize], &values[two as usize]));
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
