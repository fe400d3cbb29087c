//! The proxy of any kind of object.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use coheld_shm::Referent;
use coheld_store::{KeyHasher, Snapshot, StoreError};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Interface, Kind, RLockProxy};
use crate::value::{read_ref, redeem};
use crate::{Attachment, Error, Handle, Manager, Token, Value, call};

/// A proxy of a shared object of any kind.
///
/// ```
/// use coheld::{Kind, ListProxy, Manager, Proxy, Value};
///
/// let manager = Manager::start()?;
/// let list = manager.list::<i64>()?;
/// let proxy = Proxy::from(&list);
/// assert_eq!(proxy.kind(), Kind::List);
/// proxy.call_method("append", &[Value::from(7)])?;
/// assert_eq!(list.to_vec()?, [7]);
/// let same: ListProxy<i64> = proxy.try_into()?;
/// assert_eq!(same, list);
/// # Ok::<(), coheld::Error>(())
/// ```
#[derive(Clone)]
pub struct Proxy {
    shared: Arc<Shared>,
}

#[derive(Clone)]
struct Shared {
    handle: Handle,
    kind: Kind,
    hasher: KeyHasher,
    /// Of a hosted object, if it is known.
    interface: Option<Interface>,
    /// How long calls may take, if that is not as long as the segment says.
    limit: Option<Duration>,
}

impl Proxy {
    /// A new object of this kind, empty. `auxiliary` is the kind's own.
    pub(crate) fn create(
        attachment: &Arc<Attachment>,
        kind: Kind,
        auxiliary: u64,
    ) -> Result<Self, Error> {
        Self::from_handle(Handle::create(attachment, kind.number(), auxiliary)?)
    }

    /// The lock that belongs to the object.
    pub(super) fn get_lock(&self) -> Result<RLockProxy, Error> {
        Self::from_handle(self.shared.handle.companion()?)?.try_into()
    }

    /// The proxy of the object that a handle refers to.
    ///
    /// ```
    /// use coheld::{Kind, Proxy};
    ///
    /// let manager = coheld::Manager::start()?;
    /// let event = manager.event()?;
    /// let handle = event.as_proxy().handle().clone();
    /// assert_eq!(Proxy::from_handle(handle)?.kind(), Kind::Event);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn from_handle(handle: Handle) -> Result<Self, Error> {
        Self::with_interface(handle, None)
    }

    /// The same for a hosted object of which more is known.
    pub(crate) fn with_interface(
        handle: Handle,
        interface: Option<Interface>,
    ) -> Result<Self, Error> {
        let kind = Kind::from_number(handle.kind()).ok_or(Error::Protocol {
            why: "a shared object is of a kind that this version does not know",
        })?;
        let hasher = KeyHasher::new(handle.attachment().segment().secret());
        let shared = Arc::new(Shared {
            handle,
            kind,
            hasher,
            interface,
            limit: None,
        });
        Ok(Self { shared })
    }

    /// A proxy of the same object whose calls take `limit` at most, if the object lives in another
    /// process. One that takes longer is given up with [`Error::CallTimedOut`]; a method that has
    /// begun by then runs to its end all the same, one that has not may never begin.
    ///
    /// [`Duration::MAX`] is no limit, whatever [`SegmentOptions`](crate::SegmentOptions) says; zero
    /// is too short for any call. Clones have the limit, too; a proxy that is put into a shared
    /// object or sent leaves it behind, and those that methods return have none. Objects in shared
    /// memory have their own methods that wait for some time only.
    ///
    /// Calls back from a method are answered by the thread that waits for it, unless there is a
    /// limit, as it may leave; then another thread answers, which has none of its locks.
    ///
    /// ```
    /// use std::time::Duration;
    /// use coheld::{Manager, Proxy};
    ///
    /// let manager = Manager::start()?;
    /// let list = Proxy::from(manager.list::<i64>()?);
    /// let hasty = list.within(Duration::from_millis(50));
    /// hasty.call::<()>("append", 7)?;
    /// assert_eq!((hasty.limit(), list.limit()), (Some(Duration::from_millis(50)), None));
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[must_use]
    pub fn within(&self, limit: Duration) -> Self {
        let shared = Arc::new(Shared {
            limit: Some(limit),
            ..Shared::clone(&self.shared)
        });
        Self { shared }
    }

    /// How long calls through this proxy may take, if [`within`](Self::within) has said so.
    #[must_use]
    pub fn limit(&self) -> Option<Duration> {
        self.shared.limit
    }

    /// The object that a token names. Attaches to its manager first, if need be.
    ///
    /// ```
    /// use coheld::{Kind, Proxy, Value};
    ///
    /// let manager = coheld::Manager::start()?;
    /// let token = manager.list::<i64>()?.token()?;
    /// // Whoever has a token and the key need not know what it names.
    /// let proxy = Proxy::from_token(&token, manager.authkey())?;
    /// assert_eq!(proxy.kind(), Kind::List);
    /// assert_eq!(proxy.call_method("__len__", &[])?, Value::from(0));
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn from_token(token: &Token, authkey: &[u8]) -> Result<Self, Error> {
        Self::from_handle(Manager::attach_token(token, authkey)?)
    }

    /// The name of the object, for another process.
    ///
    /// The object stays alive on the way: until the token is used, for some minutes at most.
    ///
    /// ```
    /// use coheld::Proxy;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let proxy = Proxy::from(manager.event()?);
    /// let token = proxy.token()?;
    /// assert_eq!(Proxy::from_token(&token, manager.authkey())?, proxy);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn token(&self) -> Result<Token, Error> {
        self.handle().token()
    }

    /// What the object is.
    ///
    /// ```
    /// use coheld::{Kind, Proxy};
    ///
    /// let manager = coheld::Manager::start()?;
    /// let proxy = Proxy::from(manager.value(&1)?);
    /// assert_eq!(proxy.kind(), Kind::Value);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[inline]
    pub fn kind(&self) -> Kind {
        self.shared.kind
    }

    /// The name of the type of a hosted object and the names of its methods, if this proxy brought
    /// them along: those of tokens do not.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let list = manager.list::<i64>()?;
    /// assert!(list.as_proxy().interface().is_none(), "it is no hosted object");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn interface(&self) -> Option<&Interface> {
        self.shared.interface.as_ref()
    }

    /// The reference to the object.
    ///
    /// ```
    /// let manager = coheld::Manager::start()?;
    /// let list = manager.list::<i64>()?;
    /// let same = list.clone();
    /// assert_eq!(list.as_proxy().handle().offset(), same.as_proxy().handle().offset());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    #[inline]
    pub fn handle(&self) -> &Handle {
        &self.shared.handle
    }

    /// Calls a method by its name in Python, as `_callmethod` does there.
    ///
    /// Errors of the method are [`Error::Raised`] and say which exception Python raises.
    ///
    /// A method of a hosted object runs in the process of its host and gets copies of the
    /// arguments. Proxies among them, and among what it returns, stay proxies of the same objects.
    ///
    /// ```
    /// use coheld::{Error, Exception, Manager, Proxy, Value};
    ///
    /// let manager = Manager::start()?;
    /// let dict = Proxy::from(manager.dict::<String, i64>()?);
    /// dict.call_method("__setitem__", &["a".into(), 1.into()])?;
    /// assert_eq!(dict.call_method("get", &["a".into()])?, Value::Int(1));
    ///
    /// let Err(Error::Raised(raised)) = dict.call_method("__getitem__", &["b".into()]) else {
    ///     panic!("there is no such key");
    /// };
    /// assert_eq!(raised.exception, Exception::KeyError);
    /// assert_eq!(raised.message, "'b'");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn call_method(&self, name: &str, arguments: &[Value]) -> Result<Value, Error> {
        call::call_method(self, name, arguments)
    }

    /// The same with arguments and a result of any type that serde knows. The arguments are a
    /// tuple.
    ///
    /// ```
    /// use coheld::{Manager, Proxy};
    ///
    /// let manager = Manager::start()?;
    /// let list = Proxy::from(manager.list::<String>()?);
    /// list.call::<()>("insert", (0, "first"))?;
    /// assert_eq!(list.call::<String>("pop", ())?, "first");
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn call<T: DeserializeOwned>(
        &self,
        name: &str,
        arguments: impl Serialize,
    ) -> Result<T, Error> {
        let arguments = match Value::of(&arguments)? {
            Value::Tuple(arguments) => arguments,
            Value::None => Vec::new(),
            one => vec![one],
        };
        Ok(self.call_method(name, &arguments)?.read()?)
    }

    /// A copy of the object as plain data, as `_getvalue` gives it in Python.
    ///
    /// ```
    /// use coheld::{Proxy, Value};
    ///
    /// let manager = coheld::Manager::start()?;
    /// let set = manager.set::<i64>()?;
    /// set.update([1, 2])?;
    /// let copy = Proxy::from(&set).value()?;
    /// assert_eq!(copy, Value::Set(vec![Value::from(2), Value::from(1)]));
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn value(&self) -> Result<Value, Error> {
        call::copy(self)
    }

    #[inline]
    pub(crate) fn attachment(&self) -> &Arc<Attachment> {
        self.shared.handle.attachment()
    }

    #[inline]
    pub(crate) fn hasher(&self) -> &KeyHasher {
        &self.shared.hasher
    }

    #[inline]
    pub(crate) fn referent(&self) -> Result<Referent<'_>, Error> {
        self.shared.handle.referent()
    }

    /// This proxy if it is one of an object of one of these kinds.
    pub(super) fn expect(self, expected: &[Kind]) -> Result<Self, Error> {
        if expected.contains(&self.kind()) {
            return Ok(self);
        }
        // The first one is what the others are variants of.
        let expected = expected.first().map_or(0, |kind| kind.number());
        let found = self.kind().number();
        Err(StoreError::WrongKind { expected, found }.into())
    }

    /// The pairs of a snapshot in which keys and values alternate.
    pub(crate) fn read_pairs<K: DeserializeOwned, V: DeserializeOwned>(
        &self,
        snapshot: &Snapshot,
    ) -> Result<Vec<(K, V)>, Error> {
        let mut pairs = Vec::with_capacity(snapshot.len() / 2);
        for index in (1..snapshot.len()).step_by(2) {
            let (Some(key), Some(value)) = (snapshot.get(index - 1), snapshot.get(index)) else {
                break;
            };
            let key = read_ref(key, self.attachment());
            let value = read_ref(value, self.attachment());
            match key.and_then(|key| Ok((key, value?))) {
                Ok(pair) => pairs.push(pair),
                Err(error) => {
                    self.give_back(snapshot, index + 1);
                    return Err(error);
                }
            }
        }
        Ok(pairs)
    }

    /// All values of a snapshot. If one cannot be read, the leases of the others are given back.
    pub(crate) fn read_all<T: DeserializeOwned>(
        &self,
        snapshot: &Snapshot,
    ) -> Result<Vec<T>, Error> {
        let mut values = Vec::with_capacity(snapshot.len());
        for index in 0..snapshot.len() {
            let Some(output) = snapshot.get(index) else {
                break;
            };
            match read_ref(output, self.attachment()) {
                Ok(value) => values.push(value),
                Err(error) => {
                    self.give_back(snapshot, index + 1);
                    return Err(error);
                }
            }
        }
        Ok(values)
    }

    #[cold]
    fn give_back(&self, snapshot: &Snapshot, from: usize) {
        use coheld_store::OutputRef;
        for index in from..snapshot.len() {
            let leases = match snapshot.get(index) {
                Some(OutputRef::Block { edges, .. }) => edges.to_vec(),
                Some(OutputRef::Edge(lease)) => vec![lease],
                _ => continue,
            };
            // What fails here ends by its deadline.
            drop(redeem(&leases, self.attachment()));
        }
    }
}

impl PartialEq for Proxy {
    /// Whether both name the same object.
    fn eq(&self, other: &Self) -> bool {
        let place = |proxy: &Self| {
            let handle = proxy.handle();
            (
                handle.offset(),
                handle.generation(),
                handle.attachment().segment_id(),
            )
        };
        Arc::ptr_eq(&self.shared, &other.shared) || place(self) == place(other)
    }
}

impl Eq for Proxy {}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, offset) = (self.kind(), self.handle().offset());
        let name = kind.proxy_name();
        match self.interface() {
            Some(interface) => {
                write!(
                    formatter,
                    "<proxy object, typeid '{interface}' at {offset:#x}>"
                )
            }
            None => write!(formatter, "<{name} object, typeid '{kind}' at {offset:#x}>"),
        }
    }
}

impl From<Proxy> for Value {
    fn from(proxy: Proxy) -> Self {
        Self::Proxy(proxy)
    }
}

impl From<&Proxy> for Value {
    fn from(proxy: &Proxy) -> Self {
        Self::Proxy(proxy.clone())
    }
}

impl Serialize for Proxy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Value::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Proxy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Proxy(proxy) => Ok(proxy),
            other => Err(D::Error::custom(format_args!(
                "expected a shared object, found {}",
                other.type_name()
            ))),
        }
    }
}
