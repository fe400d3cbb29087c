//! `SetProxy`.

use std::borrow::Borrow;
use std::marker::PhantomData;
use std::sync::Arc;

use coheld_store::{Key, Set};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::attempts::until_done;
use super::common::{lockable, typed_by_kind, typed_proxy};
use super::{Kind, Proxy};
use crate::value::{EncodedKey, read_output, to_value, with_key};
use crate::{Attachment, Error};

/// A shared set whose elements are read and written as `T`.
///
/// ```
/// use coheld::Manager;
///
/// let manager = Manager::start()?;
/// let seen = manager.set::<String>()?;
/// assert!(seen.add("first")?);
/// assert!(!seen.add("first")?);
/// assert!(seen.contains("first")?);
/// assert!(seen.remove("first")? && seen.is_empty()?);
/// # Ok::<(), coheld::Error>(())
/// ```
pub struct SetProxy<T> {
    proxy: Proxy,
    content: PhantomData<fn() -> T>,
}

typed_proxy!(SetProxy<T>);
lockable!(SetProxy<T>);
typed_by_kind!(SetProxy<T>, Kind::Set);

impl<T> SetProxy<T> {
    fn over(proxy: Proxy) -> Self {
        Self {
            proxy,
            content: PhantomData,
        }
    }

    /// A new, empty set.
    ///
    /// ```
    /// use coheld::SetProxy;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let set: SetProxy<u8> = SetProxy::create(manager.attachment())?;
    /// assert!(set.is_empty()?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn create(attachment: &Arc<Attachment>) -> Result<Self, Error> {
        Proxy::create(attachment, Kind::Set, 0).map(Self::over)
    }

    /// Number of elements.
    pub fn len(&self) -> Result<usize, Error> {
        Ok(Set::new(&self.proxy.referent()?).len()? as usize)
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len()? == 0)
    }

    /// Takes all elements out.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let set = manager.set::<u8>()?;
    /// set.update([1, 2])?;
    /// set.clear()?;
    /// assert_eq!(set.len()?, 0);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn clear(&self) -> Result<(), Error> {
        Ok(Set::new(&self.proxy.referent()?).clear()?)
    }
}

impl<T: Serialize + DeserializeOwned> SetProxy<T> {
    /// Adds an element. `true`: it was not there.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let done = manager.set::<u64>()?;
    /// // Each number is for whoever adds it: nobody else gets `true` for it.
    /// assert!(done.add(&42)?);
    /// assert!(!done.add(&42)?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[doc(alias = "insert")]
    pub fn add<Q: Serialize + ?Sized>(&self, element: &Q) -> Result<bool, Error>
    where
        T: Borrow<Q>,
    {
        let referent = self.proxy.referent()?;
        self.with_key(element, |key| Ok(Set::new(&referent).add(key)?))
    }

    /// Takes an element out. `true`: it was there.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let open = manager.set::<String>()?;
    /// open.add("door")?;
    /// assert!(open.remove("door")?);
    /// assert!(!open.remove("door")?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn remove<Q: Serialize + ?Sized>(&self, element: &Q) -> Result<bool, Error>
    where
        T: Borrow<Q>,
    {
        let referent = self.proxy.referent()?;
        self.with_key(element, |key| Ok(Set::new(&referent).discard(key)?))
    }

    /// Whether the element is there.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let primes = manager.set::<i64>()?;
    /// primes.update([2, 3, 5])?;
    /// assert!(primes.contains(&3)? && !primes.contains(&4)?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn contains<Q: Serialize + ?Sized>(&self, element: &Q) -> Result<bool, Error>
    where
        T: Borrow<Q>,
    {
        let referent = self.proxy.referent()?;
        self.with_key(element, |key| Ok(Set::new(&referent).contains(key)?))
    }

    /// Takes any element out; `None` if there is none.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let work = manager.set::<u32>()?;
    /// work.update([1, 2, 3])?;
    /// let mut sum = 0;
    /// while let Some(number) = work.pop()? {
    ///     sum += number;
    /// }
    /// assert_eq!(sum, 6);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn pop(&self) -> Result<Option<T>, Error> {
        match Set::new(&self.proxy.referent()?).pop_any()? {
            Some(output) => read_output(output, self.proxy.attachment()).map(Some),
            None => Ok(None),
        }
    }

    /// Adds all elements, or none of them.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let letters = manager.set::<char>()?;
    /// letters.update("hello".chars())?;
    /// assert_eq!(letters.len()?, 4);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[doc(alias = "extend")]
    pub fn update(&self, elements: impl IntoIterator<Item = T>) -> Result<(), Error> {
        #[allow(
            clippy::redundant_closure_for_method_calls,
            reason = "the method itself is good for one lifetime only"
        )]
        self.with_keys(elements, |set, keys| set.update(keys))
    }

    /// Takes all these elements out at once.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let free = manager.set::<u16>()?;
    /// free.update(8000..8010)?;
    /// free.remove_all([8000, 8001, 9999])?;
    /// assert_eq!(free.len()?, 8);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn remove_all(&self, elements: impl IntoIterator<Item = T>) -> Result<(), Error> {
        self.with_keys(elements, |set, keys| set.remove_all(keys, None))
    }

    /// Makes the elements the whole content.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let online = manager.set::<String>()?;
    /// online.add("Ada")?;
    /// online.replace(["Grace".to_owned()])?;
    /// assert_eq!(online.to_vec()?, ["Grace"]);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn replace(&self, elements: impl IntoIterator<Item = T>) -> Result<(), Error> {
        self.with_keys(elements, |set, keys| set.replace(keys, None))
    }

    /// Makes what `change` makes of the elements the whole content. `change` runs without any lock,
    /// and once more whenever somebody else has changed the set meanwhile.
    pub(crate) fn try_change(
        &self,
        mut change: impl FnMut(Vec<T>) -> Result<Vec<T>, Error>,
    ) -> Result<(), Error> {
        let referent = self.proxy.referent()?;
        until_done(&referent, || {
            let snapshot = Set::new(&referent).snapshot()?;
            let elements = change(self.proxy.read_all(&snapshot)?)?;
            let version = Some(snapshot.version());
            self.with_keys(elements, |set, keys| set.replace(keys, version))
        })
    }

    /// All elements at one moment. Collect them into the set you need.
    ///
    /// ```
    /// use std::collections::BTreeSet;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let set = manager.set::<i64>()?;
    /// set.update([3, 1, 2])?;
    /// let sorted: BTreeSet<i64> = set.to_vec()?.into_iter().collect();
    /// assert_eq!(sorted.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn to_vec(&self) -> Result<Vec<T>, Error> {
        let snapshot = Set::new(&self.proxy.referent()?).snapshot()?;
        self.proxy.read_all(&snapshot)
    }

    /// Iterates over the elements that there are at this moment; later changes are not seen.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let set = manager.set::<i64>()?;
    /// set.update([3, 1, 2])?;
    /// assert_eq!(set.iter()?.max(), Some(3));
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[allow(
        clippy::iter_not_returning_iterator,
        reason = "taking the copy can fail"
    )]
    pub fn iter(&self) -> Result<std::vec::IntoIter<T>, Error> {
        Ok(self.to_vec()?.into_iter())
    }

    #[inline]
    fn with_key<Q: Serialize + ?Sized, R>(
        &self,
        element: &Q,
        then: impl FnOnce(&Key<'_>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        with_key(element, self.proxy.attachment(), self.proxy.hasher(), then)
    }

    fn with_keys(
        &self,
        elements: impl IntoIterator<Item = T>,
        then: impl FnOnce(&Set<'_>, &[Key<'_>]) -> coheld_store::Result<()>,
    ) -> Result<(), Error> {
        let values = elements.into_iter().map(|element| to_value(&element));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let encoded = values
            .iter()
            .map(|value| EncodedKey::of(value, self.proxy.attachment()));
        let encoded = encoded.collect::<Result<Vec<_>, _>>()?;
        let keys = encoded.iter().map(|key| key.key(self.proxy.hasher()));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        Ok(then(&Set::new(&self.proxy.referent()?), &keys)?)
    }
}
