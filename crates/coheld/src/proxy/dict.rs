//! `DictProxy`.

use std::borrow::Borrow;
use std::marker::PhantomData;
use std::sync::Arc;

use coheld_store::{Dict, Input, Key, Updated, arithmetic, word};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::attempts::until_done;
use super::common::{lockable, typed_by_kind, typed_proxy};
use super::value::sum;
use super::{BytesRef, Kind, Proxy};
use crate::value::{Encoded, EncodedKey, ValueError, read_output, to_value, with_input, with_key};
use crate::{Attachment, Error, Value};

/// A shared dict whose keys and values are read and written as `K` and `V`.
///
/// It keeps the order of insertion. Keys are equal when Python says so.
///
/// ```
/// use coheld::Manager;
///
/// let manager = Manager::start()?;
/// let ages = manager.dict::<String, u32>()?;
/// ages.insert("Ada", &36)?;
/// ages.extend([("Grace".to_owned(), 85), ("Alan".to_owned(), 41)])?;
/// assert_eq!(ages.get("Ada")?, Some(36));
/// assert_eq!(ages.remove("Alan")?, Some(41));
/// assert_eq!(ages.keys()?, ["Ada", "Grace"]);
/// # Ok::<(), coheld::Error>(())
/// ```
pub struct DictProxy<K, V> {
    proxy: Proxy,
    content: PhantomData<fn() -> (K, V)>,
}

typed_proxy!(DictProxy<K, V>);
lockable!(DictProxy<K, V>);
typed_by_kind!(DictProxy<K, V>, Kind::Dict);

impl<K, V> DictProxy<K, V> {
    fn over(proxy: Proxy) -> Self {
        Self {
            proxy,
            content: PhantomData,
        }
    }

    /// A new, empty dict.
    ///
    /// ```
    /// use coheld::DictProxy;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let stock: DictProxy<String, u32> = DictProxy::create(manager.attachment())?;
    /// stock.insert("apple", &4)?;
    /// assert_eq!(stock.len()?, 1);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn create(attachment: &Arc<Attachment>) -> Result<Self, Error> {
        Proxy::create(attachment, Kind::Dict, 0).map(Self::over)
    }

    /// Number of entries.
    pub fn len(&self) -> Result<usize, Error> {
        Ok(Dict::new(&self.proxy.referent()?).len()? as usize)
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len()? == 0)
    }

    /// Takes all entries out.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let dict = manager.dict::<u32, bool>()?;
    /// dict.insert(&1, &true)?;
    /// dict.clear()?;
    /// assert!(dict.is_empty()?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn clear(&self) -> Result<(), Error> {
        Ok(Dict::new(&self.proxy.referent()?).clear()?)
    }
}

impl<K, V> DictProxy<K, V>
where
    K: Serialize + DeserializeOwned,
    V: Serialize + DeserializeOwned,
{
    /// The value of a key.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let places = manager.dict::<(i32, i32), String>()?;
    /// places.insert(&(0, 1), "home")?;
    /// assert_eq!(places.get(&(0, 1))?.as_deref(), Some("home"));
    /// assert_eq!(places.get(&(5, 5))?, None);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[inline]
    pub fn get<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<Option<V>, Error>
    where
        K: Borrow<Q>,
    {
        let referent = self.proxy.referent()?;
        match self.with_key(key, |key| Ok(Dict::new(&referent).get(key)?))? {
            Some(output) => read_output(output, self.proxy.attachment()).map(Some),
            None => Ok(None),
        }
    }

    /// The bytes of a key, without a copy if they are many; what is no bytes is an error.
    ///
    /// ```
    /// use coheld::{Bytes, Manager};
    ///
    /// let manager = Manager::start()?;
    /// let dict = manager.dict::<String, Bytes>()?;
    /// dict.insert("k", &Bytes(vec![7; 1 << 20]))?;
    /// let Some(bytes) = dict.get_ref("k")? else {
    ///     panic!("it has just been stored");
    /// };
    /// dict.clear()?;
    /// assert!(bytes.len() == 1 << 20 && bytes.iter().all(|byte| *byte == 7));
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn get_ref<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<Option<BytesRef>, Error>
    where
        K: Borrow<Q>,
    {
        let referent = self.proxy.referent()?;
        match self.with_key(key, |key| Ok(Dict::new(&referent).get(key)?))? {
            Some(output) => BytesRef::of(output, self.proxy.attachment()).map(Some),
            None => Ok(None),
        }
    }

    /// Whether the key is there.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let seen = manager.dict::<String, u64>()?;
    /// seen.insert("a.txt", &3)?;
    /// assert!(seen.contains_key("a.txt")? && !seen.contains_key("b.txt")?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[inline]
    #[doc(alias = "contains")]
    pub fn contains_key<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<bool, Error>
    where
        K: Borrow<Q>,
    {
        let referent = self.proxy.referent()?;
        self.with_key(key, |key| Ok(Dict::new(&referent).contains(key)?))
    }

    /// Gives the key a value. A key that is there keeps its place.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let dict = manager.dict::<String, Vec<i64>>()?;
    /// dict.insert("primes", &vec![2, 3])?;
    /// dict.insert("evens", &vec![2, 4])?;
    /// dict.insert("primes", &vec![2, 3, 5])?;
    /// assert_eq!(dict.items()?[0], ("primes".to_owned(), vec![2, 3, 5]));
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[inline]
    pub fn insert<Q, W>(&self, key: &Q, value: &W) -> Result<(), Error>
    where
        K: Borrow<Q>,
        V: Borrow<W>,
        Q: Serialize + ?Sized,
        W: Serialize + ?Sized,
    {
        let referent = self.proxy.referent()?;
        with_input(value, self.proxy.attachment(), |input| {
            self.with_key(key, |key| Ok(Dict::new(&referent).insert(key, input)?))
        })
    }

    /// Takes the key out and returns its value, if it was there.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let sessions = manager.dict::<u64, String>()?;
    /// sessions.insert(&7, "Ada")?;
    /// assert_eq!(sessions.remove(&7)?.as_deref(), Some("Ada"));
    /// assert_eq!(sessions.remove(&7)?, None);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn remove<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<Option<V>, Error>
    where
        K: Borrow<Q>,
    {
        let referent = self.proxy.referent()?;
        match self.with_key(key, |key| Ok(Dict::new(&referent).remove(key)?))? {
            Some(output) => read_output(output, self.proxy.attachment()).map(Some),
            None => Ok(None),
        }
    }

    /// Takes the last entry out.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let undo = manager.dict::<u32, String>()?;
    /// undo.insert(&1, "typed")?;
    /// undo.insert(&2, "deleted")?;
    /// assert_eq!(undo.pop_last()?, Some((2, "deleted".to_owned())));
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn pop_last(&self) -> Result<Option<(K, V)>, Error> {
        let Some((key, value)) = Dict::new(&self.proxy.referent()?).pop_last()? else {
            return Ok(None);
        };
        let attachment = self.proxy.attachment();
        // Both, before either fails: whatever was taken out has to be taken over.
        let (key, value) = (read_output(key, attachment), read_output(value, attachment));
        Ok(Some((key?, value?)))
    }

    /// Gives the key a value if it has none, and returns what it has then.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let owners = manager.dict::<String, u32>()?;
    /// // Whoever is first is the owner, and all others hear who it is.
    /// assert_eq!(owners.set_default("door", 7)?, 7);
    /// assert_eq!(owners.set_default("door", 8)?, 7);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[doc(alias = "or_insert")]
    #[doc(alias = "entry")]
    pub fn set_default<Q: Serialize + ?Sized>(&self, key: &Q, value: V) -> Result<V, Error>
    where
        K: Borrow<Q>,
    {
        let referent = self.proxy.referent()?;
        let found = with_input(&value, self.proxy.attachment(), |input| {
            self.with_key(key, |key| Ok(Dict::new(&referent).set_default(key, input)?))
        })?;
        match found {
            Some(output) => read_output(output, self.proxy.attachment()),
            None => Ok(value),
        }
    }

    /// Stores all entries, or none of them: `update` of Python.
    ///
    /// ```
    /// use std::collections::HashMap;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let shared = manager.dict::<String, i64>()?;
    /// let own = HashMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]);
    /// shared.extend(own)?;
    /// assert_eq!(shared.get("b")?, Some(2));
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn extend(&self, entries: impl IntoIterator<Item = (K, V)>) -> Result<(), Error> {
        #[allow(
            clippy::redundant_closure_for_method_calls,
            reason = "the method itself is good for one lifetime only"
        )]
        self.with_entries(entries, |dict, pairs| dict.update(pairs))
    }

    /// Makes the entries the whole content.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let settings = manager.dict::<String, bool>()?;
    /// settings.insert("old", &true)?;
    /// settings.replace([("new".to_owned(), false)])?;
    /// assert_eq!(settings.items()?, [("new".to_owned(), false)]);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn replace(&self, entries: impl IntoIterator<Item = (K, V)>) -> Result<(), Error> {
        self.with_entries(entries, |dict, pairs| dict.replace(pairs, None))
    }

    /// Gives the key the value that `change` makes of the one it has, and returns that. `None`
    /// stands for no value: `change` gets it when the key is not there, and takes the key out by
    /// it. Safe against everybody else who does the same.
    ///
    /// `change` runs without any lock, and once more whenever somebody else has changed the dict
    /// meanwhile. It must not change the dict itself.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let words = manager.dict::<String, Vec<u32>>()?;
    /// for line in [3, 14] {
    ///     words.update("pi", |lines| {
    ///         let mut lines = lines.unwrap_or_default();
    ///         lines.push(line);
    ///         Some(lines)
    ///     })?;
    /// }
    /// assert_eq!(words.get("pi")?, Some(vec![3, 14]));
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[doc(alias = "entry")]
    #[doc(alias = "and_modify")]
    pub fn update<Q: Serialize + ?Sized>(
        &self,
        key: &Q,
        mut change: impl FnMut(Option<V>) -> Option<V>,
    ) -> Result<Option<V>, Error>
    where
        K: Borrow<Q>,
    {
        self.try_update(key, |old| Ok(change(old)))
    }

    /// The same with a function that can fail; then nothing has changed.
    pub(crate) fn try_update<Q: Serialize + ?Sized>(
        &self,
        key: &Q,
        mut change: impl FnMut(Option<V>) -> Result<Option<V>, Error>,
    ) -> Result<Option<V>, Error>
    where
        K: Borrow<Q>,
    {
        let referent = self.proxy.referent()?;
        let (attachment, dict) = (self.proxy.attachment(), Dict::new(&referent));
        self.with_key(key, |key| {
            until_done(&referent, || {
                let version = dict.version()?;
                let old = dict.get(key)?;
                let was_there = old.is_some();
                let old = old.map(|old| read_output(old, attachment)).transpose()?;
                let new = change(old)?;
                match &new {
                    Some(new) => with_input(new, attachment, |input| {
                        Ok(dict.insert_if(key, input, version)?)
                    })?,
                    None if was_there => drop(dict.delete_if(key, version)?),
                    None => {}
                }
                Ok(new)
            })
        })
    }

    /// Gives the key the value `new` if its value is equal to `old`, as Python has it; whether it
    /// was. A key that is not there has no value that could be.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let owners = manager.dict::<String, u32>()?;
    /// owners.insert("door", &0)?;
    /// assert!(owners.compare_exchange("door", &0, &7)?);
    /// assert!(!owners.compare_exchange("door", &0, &8)?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn compare_exchange<Q, O, W>(&self, key: &Q, old: &O, new: &W) -> Result<bool, Error>
    where
        K: Borrow<Q>,
        V: Borrow<O> + Borrow<W>,
        Q: Serialize + ?Sized,
        O: Serialize + ?Sized,
        W: Serialize + ?Sized,
    {
        let referent = self.proxy.referent()?;
        let (attachment, dict) = (self.proxy.attachment(), Dict::new(&referent));
        let exchange = |key: &Key<'_>, new: &Input<'_>| {
            let in_words = with_input(old, attachment, |old| {
                let (Some(old), Some(new)) = (old.inline_word(), new.inline_word()) else {
                    return Ok(Updated::NotInline);
                };
                let change = |found: Option<u64>| arithmetic::equal(found?, old).then_some(new);
                Ok(dict.update_word(key, change)?)
            })?;
            match in_words {
                Updated::Stored { .. } => return Ok(true),
                Updated::Unchanged { .. } => return Ok(false),
                Updated::NotInline => {}
            }
            let old = to_value(old)?;
            until_done(&referent, || {
                let version = dict.version()?;
                let Some(found) = dict.get(key)? else {
                    return Ok(false);
                };
                let is_equal = read_output::<Value>(found, attachment)? == old;
                if is_equal {
                    dict.insert_if(key, new, version)?;
                }
                Ok(is_equal)
            })
        };
        with_input(new, attachment, |new| {
            self.with_key(key, |key| exchange(key, new))
        })
    }

    /// All keys at one moment, in their order.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let dict = manager.dict::<i64, String>()?;
    /// dict.extend([(2, "two".to_owned()), (1, "one".to_owned())])?;
    /// assert_eq!(dict.keys()?, [2, 1]);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn keys(&self) -> Result<Vec<K>, Error> {
        let snapshot = Dict::new(&self.proxy.referent()?).snapshot_keys()?;
        self.proxy.read_all(&snapshot)
    }

    /// All values at one moment, in the order of their keys.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let counts = manager.dict::<String, u64>()?;
    /// counts.extend([("a".to_owned(), 3), ("b".to_owned(), 4)])?;
    /// assert_eq!(counts.values()?.iter().sum::<u64>(), 7);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn values(&self) -> Result<Vec<V>, Error> {
        let snapshot = Dict::new(&self.proxy.referent()?).snapshot_values()?;
        self.proxy.read_all(&snapshot)
    }

    /// All entries at one moment, in their order. Collect them into the map you need.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let dict = manager.dict::<String, u8>()?;
    /// dict.extend([("b".to_owned(), 2), ("a".to_owned(), 1)])?;
    /// let sorted: BTreeMap<_, _> = dict.items()?.into_iter().collect();
    /// assert_eq!(sorted.first_key_value(), Some((&"a".to_owned(), &1)));
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn items(&self) -> Result<Vec<(K, V)>, Error> {
        let snapshot = Dict::new(&self.proxy.referent()?).snapshot_items()?;
        self.proxy.read_pairs(&snapshot)
    }

    /// Iterates over the entries that there are at this moment; later changes are not seen.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let stock = manager.dict::<String, i64>()?;
    /// stock.extend([("apple".to_owned(), 3), ("pear".to_owned(), 0)])?;
    /// for (name, count) in stock.iter()? {
    ///     if count == 0 {
    ///         stock.remove(&name)?;
    ///     }
    /// }
    /// assert_eq!(stock.keys()?, ["apple"]);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[allow(
        clippy::iter_not_returning_iterator,
        reason = "taking the copy can fail"
    )]
    pub fn iter(&self) -> Result<std::vec::IntoIter<(K, V)>, Error> {
        Ok(self.items()?.into_iter())
    }

    #[inline]
    fn with_key<Q: Serialize + ?Sized, R>(
        &self,
        key: &Q,
        then: impl FnOnce(&Key<'_>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        with_key(key, self.proxy.attachment(), self.proxy.hasher(), then)
    }

    fn with_entries(
        &self,
        entries: impl IntoIterator<Item = (K, V)>,
        then: impl FnOnce(&Dict<'_>, &[(Key<'_>, Input<'_>)]) -> coheld_store::Result<()>,
    ) -> Result<(), Error> {
        let (attachment, hasher) = (self.proxy.attachment(), self.proxy.hasher());
        let entries = entries.into_iter();
        let values = entries.map(|(key, value)| Ok((to_value(&key)?, to_value(&value)?)));
        let values = values.collect::<Result<Vec<_>, ValueError>>()?;
        let encoded = values.iter().map(|(key, value)| {
            Ok((
                EncodedKey::of(key, attachment)?,
                Encoded::of(value, attachment)?,
            ))
        });
        let encoded = encoded.collect::<Result<Vec<_>, Error>>()?;
        let pairs = encoded
            .iter()
            .map(|(key, value)| Ok((key.key(hasher)?, value.input())));
        let pairs = pairs.collect::<Result<Vec<_>, Error>>()?;
        Ok(then(&Dict::new(&self.proxy.referent()?), &pairs)?)
    }
}

impl<K: Serialize + DeserializeOwned> DictProxy<K, i64> {
    /// Adds `by` to the number of a key, which counts as 0 if it is not there, and returns the
    /// sum. Safe against everybody else who does the same.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let counts = manager.dict::<String, i64>()?;
    /// assert_eq!(counts.increment("words", 2)?, 2);
    /// assert_eq!(counts.increment("words", 3)?, 5);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[doc(alias = "fetch_add")]
    pub fn increment<Q: Serialize + ?Sized>(&self, key: &Q, by: i64) -> Result<i64, Error>
    where
        K: Borrow<Q>,
    {
        let referent = self.proxy.referent()?;
        let add = |old: Option<u64>| {
            let old = old.map_or(Some(0), word::to_int)?;
            word::from_int(old.checked_add(by)?)
        };
        let done = self.with_key(key, |key| Ok(Dict::new(&referent).update_word(key, add)?))?;
        if let Updated::Stored { new, .. } = done
            && let Some(sum) = word::to_int(new)
        {
            return Ok(sum);
        }
        let new = self.try_update(key, |old| sum(old.unwrap_or(0), by).map(Some))?;
        Ok(new.unwrap_or(by))
    }
}
