//! What the generated proxies consist of.

use std::time::Duration;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Streamed;
use crate::call::{Exception, raise};
use crate::{Error, Kind, Proxy, Token, Value, call};

/// What every generated proxy has beside the methods of its object.
///
/// ```
/// use coheld::ExposedProxy;
///
/// struct Clock;
///
/// #[coheld::expose]
/// impl Clock {
///     pub fn seconds(&self) -> u64 {
///         7
///     }
/// }
///
/// /// The same object, as another process comes by it.
/// fn by_token<P: ExposedProxy>(proxy: &P, authkey: &[u8]) -> coheld::Result<P> {
///     P::from_token(&proxy.token()?, authkey)
/// }
///
/// let manager = coheld::Manager::start()?;
/// let clock = manager.share(Clock)?;
/// let same = by_token(&clock, manager.authkey())?;
/// assert_eq!(same.seconds()?, 7);
/// assert_eq!(same.as_proxy(), clock.as_proxy());
/// # Ok::<(), coheld::Error>(())
/// ```
pub trait ExposedProxy: Clone + TryFrom<Proxy, Error = Error> {
    /// The same proxy without its type.
    fn as_proxy(&self) -> &Proxy;

    /// A proxy of the same object whose calls take `limit` at most, each; those for the items of
    /// its iterators as well, which are over after one that took longer. See [`Proxy::within`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use coheld::ExposedProxy as _;
    ///
    /// struct Clock;
    ///
    /// #[coheld::expose]
    /// impl Clock {
    ///     pub fn seconds(&self) -> u64 {
    ///         7
    ///     }
    /// }
    ///
    /// let manager = coheld::Manager::start()?;
    /// let clock = manager.share(Clock)?;
    /// assert_eq!(clock.within(Duration::from_secs(1))?.seconds()?, 7);
    /// # Ok::<(), coheld::Error>(())
    /// ```
    fn within(&self, limit: Duration) -> Result<Self, Error> {
        Self::try_from(self.as_proxy().within(limit))
    }

    /// The name of the object, for another process.
    ///
    /// The object stays alive on the way: until the token is used, for some minutes at most.
    fn token(&self) -> Result<Token, Error> {
        self.as_proxy().token()
    }

    /// The object that a token names. Attaches to its manager first, if need be.
    fn from_token(token: &Token, authkey: &[u8]) -> Result<Self, Error> {
        Self::try_from(Proxy::from_token(token, authkey)?)
    }
}

/// Calls a method and reads what it returned.
pub fn ask<T: DeserializeOwned>(
    proxy: &Proxy,
    method: &str,
    arguments: &[Value],
) -> Result<T, Error> {
    let returned = call::call_method(proxy, method, arguments)?;
    read(&returned, method)
}

/// Calls a method that returns an iterator.
pub fn stream<T: DeserializeOwned>(
    proxy: &Proxy,
    method: &str,
    arguments: &[Value],
) -> Result<Streamed<T>, Error> {
    let mut returned = call::call_method(proxy, method, arguments)?;
    if let (Value::Proxy(items), Some(limit)) = (&mut returned, proxy.limit()) {
        *items = items.within(limit);
    }
    Streamed::over(returned, method)
}

/// A value that another process has sent, as the type that the caller expects.
pub(super) fn read<T: DeserializeOwned>(value: &Value, method: &str) -> Result<T, Error> {
    value.read().map_err(|error| {
        let found = value.type_name();
        let message = format!("{method}() returned {found}, not what its proxy expects: {error}");
        raise(Exception::TypeError, message)
    })
}

/// An argument as a value.
pub fn argument<T: Serialize + ?Sized>(argument: &T) -> Result<Value, Error> {
    Ok(Value::of(argument)?)
}

/// The proxy, if it is one of a hosted object that is not known to lack one of these methods.
pub fn expect(proxy: Proxy, name: &str, methods: &[&str]) -> Result<Proxy, Error> {
    let why = if proxy.kind() != Kind::Hosted {
        proxy.kind().to_string()
    } else if let Some(interface) = proxy.interface()
        && let Some(missing) = interface.lacks(methods)
    {
        format!("{interface} without a method '{missing}'")
    } else {
        return Ok(proxy);
    };
    let message = format!("a proxy of a {name} was expected, and this one is of a {why}");
    Err(raise(Exception::TypeError, message))
}

/// Writes a proxy as a value.
pub fn serialize<S: Serializer>(proxy: &Proxy, serializer: S) -> Result<S::Ok, S::Error> {
    Value::from(proxy).serialize(serializer)
}

/// Reads a proxy out of a value.
pub fn deserialize<'de, D, P>(deserializer: D) -> Result<P, D::Error>
where
    D: Deserializer<'de>,
    P: TryFrom<Proxy, Error = Error>,
{
    match Value::deserialize(deserializer)? {
        Value::Proxy(proxy) => P::try_from(proxy).map_err(D::Error::custom),
        other => Err(D::Error::custom(format_args!(
            "expected a shared object, found {}",
            other.type_name()
        ))),
    }
}
