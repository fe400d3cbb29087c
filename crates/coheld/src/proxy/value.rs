//! `ValueProxy`.

use std::borrow::Borrow;
use std::marker::PhantomData;
use std::sync::Arc;

use coheld_store::word;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::common::{typed_by_kind, typed_proxy};
use super::{Kind, Proxy};
use crate::value::{read_output, with_input};
use crate::{Attachment, Error};

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
    pub fn create(attachment: &Arc<Attachment>, initial: &T) -> Result<Self, Error> {
        // The typecode that Python shows: any object.
        let made = Self::over(Proxy::create(attachment, Kind::Value, word::NONE)?);
        made.set(initial)?;
        Ok(made)
    }

    /// The value.
    #[inline]
    pub fn get(&self) -> Result<T, Error> {
        let output = coheld_store::Value::new(&self.proxy.referent()?).get()?;
        read_output(output, self.proxy.attachment())
    }

    /// Replaces the value.
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
}
