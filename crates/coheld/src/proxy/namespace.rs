//! `NamespaceProxy`.

use std::sync::Arc;

use coheld_store::{Key, Namespace};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::common::{lockable, typed_by_kind, typed_proxy};
use super::{Kind, Proxy};
use crate::value::{read_output, with_input};
use crate::{Attachment, Error, Value};

/// A shared namespace: named values, each of its own type.
///
/// ```
/// use coheld::Manager;
///
/// let manager = Manager::start()?;
/// let state = manager.namespace()?;
/// state.set("name", "run 7")?;
/// state.set("step", &3)?;
/// assert_eq!(state.get::<String>("name")?.as_deref(), Some("run 7"));
/// assert_eq!(state.get::<i64>("step")?, Some(3));
/// assert_eq!(state.get::<i64>("missing")?, None);
/// # Ok::<(), coheld::Error>(())
/// ```
pub struct NamespaceProxy {
    proxy: Proxy,
}

typed_proxy!(NamespaceProxy);
lockable!(NamespaceProxy);
typed_by_kind!(NamespaceProxy, Kind::Namespace);

impl NamespaceProxy {
    fn over(proxy: Proxy) -> Self {
        Self { proxy }
    }

    /// A new, empty namespace.
    ///
    /// ```
    /// use coheld::NamespaceProxy;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let state = NamespaceProxy::create(manager.attachment())?;
    /// assert!(state.items()?.is_empty());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn create(attachment: &Arc<Attachment>) -> Result<Self, Error> {
        Proxy::create(attachment, Kind::Namespace, 0).map(Self::over)
    }

    /// The value of a name, if it has one.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let state = manager.namespace()?;
    /// state.set("pair", &(1, 2))?;
    /// assert_eq!(state.get::<(u8, u8)>("pair")?, Some((1, 2)));
    /// assert!(state.get::<String>("pair").is_err(), "it is of another type");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let key = Key::str(name, self.proxy.hasher());
        match Namespace::new(&self.proxy.referent()?).get(&key)? {
            Some(output) => read_output(output, self.proxy.attachment()).map(Some),
            None => Ok(None),
        }
    }

    /// Gives a name a value.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let state = manager.namespace()?;
    /// state.set("ready", &false)?;
    /// state.set("ready", &true)?;
    /// assert_eq!(state.get("ready")?, Some(true));
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn set<T: Serialize + ?Sized>(&self, name: &str, value: &T) -> Result<(), Error> {
        let referent = self.proxy.referent()?;
        let key = Key::str(name, self.proxy.hasher());
        with_input(value, self.proxy.attachment(), |input| {
            Ok(Namespace::new(&referent).set(&key, input)?)
        })
    }

    /// Takes a name out. `true`: it was there.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let state = manager.namespace()?;
    /// state.set("note", "gone soon")?;
    /// assert!(state.remove("note")?);
    /// assert!(!state.remove("note")?);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn remove(&self, name: &str) -> Result<bool, Error> {
        let key = Key::str(name, self.proxy.hasher());
        Ok(Namespace::new(&self.proxy.referent()?).delete(&key)?)
    }

    /// All names and values at one moment.
    ///
    /// ```
    /// use coheld::Value;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let state = manager.namespace()?;
    /// state.set("step", &3)?;
    /// assert_eq!(state.items()?, [("step".to_owned(), Value::from(3))]);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn items(&self) -> Result<Vec<(String, Value)>, Error> {
        let snapshot = Namespace::new(&self.proxy.referent()?).snapshot_items()?;
        self.proxy.read_pairs(&snapshot)
    }
}
