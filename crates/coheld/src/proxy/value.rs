//! `ValueProxy`.

use std::borrow::Borrow;
use std::marker::PhantomData;
use std::sync::Arc;

use coheld_store::{Updated, arithmetic, word};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::attempts::until_done;
use super::common::{lockable, typed_by_kind, typed_proxy};
use super::{Kind, Proxy};
use crate::value::{ValueError, read_output, to_value, with_input};
use crate::{Attachment, Error, Value};

/// A shared value that is read and written as `T`.
///
/// ```
/// use coheld::Manager;
///
/// let manager = Manager::start()?;
/// let progress = manager.value(&0.0)?;
/// progress.set(&0.5)?;
/// assert_eq!(progress.get()?, 0.5);
/// # Ok::<(), coheld::Error>(())
/// ```
pub struct ValueProxy<T> {
    proxy: Proxy,
    content: PhantomData<fn() -> T>,
}

typed_proxy!(ValueProxy<T>);
lockable!(ValueProxy<T>);
typed_by_kind!(ValueProxy<T>, Kind::Value);

impl<T> ValueProxy<T> {
    fn over(proxy: Proxy) -> Self {
        Self {
            proxy,
            content: PhantomData,
        }
    }
}

impl<T: Serialize + DeserializeOwned> ValueProxy<T> {
    /// A new value.
    ///
    /// ```
    /// use coheld::ValueProxy;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let best = ValueProxy::create(manager.attachment(), &None::<f64>)?;
    /// assert_eq!(best.get()?, None);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn create(attachment: &Arc<Attachment>, initial: &T) -> Result<Self, Error> {
        // The typecode that Python shows: any object.
        let made = Self::over(Proxy::create(attachment, Kind::Value, word::NONE)?);
        made.set(initial)?;
        Ok(made)
    }

    /// The value.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let title = manager.value(&"draft".to_owned())?;
    /// let mut copy = title.get()?;
    /// copy.push_str(", changed");
    /// assert_eq!(title.get()?, "draft", "what was read is a copy");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[doc(alias = "load")]
    #[inline]
    pub fn get(&self) -> Result<T, Error> {
        let output = coheld_store::Value::new(&self.proxy.referent()?).get()?;
        read_output(output, self.proxy.attachment())
    }

    /// Replaces the value.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let title = manager.value(&"draft".to_owned())?;
    /// title.set("final")?;
    /// assert_eq!(title.get()?, "final");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[doc(alias = "store")]
    #[inline]
    pub fn set<Q: Serialize + ?Sized>(&self, value: &Q) -> Result<(), Error>
    where
        T: Borrow<Q>,
    {
        let referent = self.proxy.referent()?;
        with_input(value, self.proxy.attachment(), |input| {
            Ok(coheld_store::Value::new(&referent).set(input)?)
        })
    }

    /// Replaces the value by what `change` makes of it, and returns that. Safe against everybody
    /// else who does the same.
    ///
    /// `change` runs without any lock, and once more whenever somebody else has changed the value
    /// meanwhile. It must not change the value itself.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let log = manager.value(&"start".to_owned())?;
    /// log.update(|text| text + ", end")?;
    /// assert_eq!(log.get()?, "start, end");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[doc(alias = "fetch_update")]
    pub fn update(&self, mut change: impl FnMut(T) -> T) -> Result<T, Error> {
        self.try_update(|old| Ok(change(old)))
    }

    /// The same with a function that can fail; then nothing has changed.
    pub(crate) fn try_update(
        &self,
        mut change: impl FnMut(T) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let referent = self.proxy.referent()?;
        let value = coheld_store::Value::new(&referent);
        until_done(&referent, || {
            let version = value.version()?;
            let new = change(read_output(value.get()?, self.proxy.attachment())?)?;
            with_input(&new, self.proxy.attachment(), |input| {
                Ok(value.set_if(input, version)?)
            })?;
            Ok(new)
        })
    }

    /// Makes the value `new` if it is equal to `old`, as Python has it; whether it was.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let state = manager.value(&"idle".to_owned())?;
    /// assert!(state.compare_exchange("idle", "busy")?);
    /// assert!(!state.compare_exchange("idle", "busy")?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn compare_exchange<Q, W>(&self, old: &Q, new: &W) -> Result<bool, Error>
    where
        T: Borrow<Q> + Borrow<W>,
        Q: Serialize + ?Sized,
        W: Serialize + ?Sized,
    {
        let referent = self.proxy.referent()?;
        let (attachment, value) = (self.proxy.attachment(), coheld_store::Value::new(&referent));
        with_input(new, attachment, |new| {
            let in_words = with_input(old, attachment, |old| {
                let (Some(old), Some(new)) = (old.inline_word(), new.inline_word()) else {
                    return Ok(Updated::NotInline);
                };
                let change = |found| arithmetic::equal(found, old).then_some(new);
                Ok(value.update_word(change)?)
            })?;
            match in_words {
                Updated::Stored { .. } => return Ok(true),
                Updated::Unchanged { .. } => return Ok(false),
                Updated::NotInline => {}
            }
            let old = to_value(old)?;
            until_done(&referent, || {
                let version = value.version()?;
                let is_equal = read_output::<Value>(value.get()?, attachment)? == old;
                if is_equal {
                    value.set_if(new, version)?;
                }
                Ok(is_equal)
            })
        })
    }
}

impl ValueProxy<i64> {
    /// Adds `by` to the value and returns the sum. Safe against everybody else who does the same.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let counter = manager.value(&40_i64)?;
    /// assert_eq!(counter.increment(2)?, 42);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[doc(alias = "fetch_add")]
    pub fn increment(&self, by: i64) -> Result<i64, Error> {
        let referent = self.proxy.referent()?;
        let add = |old| word::from_int(word::to_int(old)?.checked_add(by)?);
        if let Updated::Stored { new, .. } = coheld_store::Value::new(&referent).update_word(add)?
            && let Some(sum) = word::to_int(new)
        {
            return Ok(sum);
        }
        self.try_update(|old| sum(old, by))
    }
}

/// `old + by`, as long as Rust's type for it has room.
pub(super) fn sum(old: i64, by: i64) -> Result<i64, Error> {
    old.checked_add(by).ok_or_else(|| {
        let message = format!("the sum of {old} and {by} does not fit in 64 bits");
        ValueError::Mismatch(message).into()
    })
}
