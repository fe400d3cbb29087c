//! Methods by their names in Python: one table for each kind of object.
//!
//! A method works on the typed proxy with [`Value`] as its type, so there is one implementation of
//! everything; this module only finds it, checks the arguments, and puts errors into the words of
//! Python.

mod dict;
mod hosted;
mod list;
mod plain;
mod queue;
mod raised;
mod set;
mod signature;
mod sum;
mod sync;

use coheld_store::{StoreError, Wait};

pub(crate) use self::hosted::METHOD_ERROR;
pub(crate) use self::plain::{array_items, item_bytes, item_size};
pub use self::raised::{Exception, Raised};
use crate::proxy::within_seconds;
use crate::value::ValueError;
use crate::{DictProxy, Error, Kind, ListProxy, NamespaceProxy, Proxy, SetProxy, Value};

/// Calls a method of an object by its name in Python, with arguments by position and by name.
pub(crate) fn call_with_keywords(
    proxy: &Proxy,
    name: &str,
    arguments: Vec<Value>,
    keywords: &[(String, Value)],
) -> Result<Value, Error> {
    if keywords.is_empty() {
        return call_method(proxy, name, &arguments);
    }
    if proxy.referent()?.kind() == Kind::Hosted.number() {
        return hosted::call(proxy, name, &arguments, keywords);
    }
    let arguments = signature::arrange(proxy.kind(), name, arguments, keywords)?;
    call_method(proxy, name, &arguments)
}

/// Calls a method of an object by its name in Python.
pub(crate) fn call_method(proxy: &Proxy, name: &str, arguments: &[Value]) -> Result<Value, Error> {
    // A dict or a set may have moved to a host since the proxy was made.
    if proxy.referent()?.kind() == Kind::Hosted.number() {
        return hosted::call(proxy, name, arguments, &[]);
    }
    let method = Method {
        kind: proxy.kind(),
        name,
        arguments,
    };
    let answer = match proxy.kind() {
        Kind::List => list::call(&ListProxy::try_from(proxy.clone())?, &method),
        Kind::Dict => dict::call(&DictProxy::try_from(proxy.clone())?, &method),
        Kind::Set => set::call(&SetProxy::try_from(proxy.clone())?, &method),
        Kind::Namespace => plain::namespace(&NamespaceProxy::try_from(proxy.clone())?, &method),
        Kind::Value => plain::value(proxy, &method),
        Kind::Array => plain::array(proxy, &method),
        Kind::Lock => sync::lock(&proxy.clone().try_into()?, &method),
        Kind::RLock => sync::rlock(&proxy.clone().try_into()?, &method),
        Kind::Semaphore | Kind::BoundedSemaphore => {
            sync::semaphore(&proxy.clone().try_into()?, &method)
        }
        Kind::Event => sync::event(&proxy.clone().try_into()?, &method),
        Kind::Condition => sync::condition(&proxy.clone().try_into()?, &method),
        Kind::Barrier => sync::barrier(&proxy.clone().try_into()?, &method),
        Kind::Queue | Kind::JoinableQueue => queue::call(&proxy.clone().try_into()?, &method),
        Kind::Hosted => return hosted::call(proxy, name, arguments, &[]),
    };
    if let Err(Error::Store(StoreError::Moved)) = answer {
        return hosted::call(proxy, name, arguments, &[]);
    }
    answer.map_err(|error| raised::in_words(error, proxy.kind()))
}

/// A copy of an object as plain data.
pub(crate) fn copy(proxy: &Proxy) -> Result<Value, Error> {
    if proxy.referent()?.kind() == Kind::Hosted.number() {
        return hosted::copy(proxy);
    }
    match copy_native(proxy) {
        Err(Error::Store(StoreError::Moved)) => hosted::copy(proxy),
        copied => copied,
    }
}

fn copy_native(proxy: &Proxy) -> Result<Value, Error> {
    match proxy.kind() {
        Kind::List => Ok(Value::List(ListProxy::try_from(proxy.clone())?.to_vec()?)),
        Kind::Dict => Ok(Value::Dict(DictProxy::try_from(proxy.clone())?.items()?)),
        Kind::Set => Ok(Value::Set(SetProxy::try_from(proxy.clone())?.to_vec()?)),
        Kind::Namespace => {
            let items = NamespaceProxy::try_from(proxy.clone())?.items()?;
            let items = items
                .into_iter()
                .map(|(name, value)| (Value::Str(name), value));
            Ok(Value::Dict(items.collect()))
        }
        Kind::Value => crate::ValueProxy::try_from(proxy.clone())?.get(),
        Kind::Array => plain::array_copy(proxy),
        kind @ (Kind::Lock
        | Kind::RLock
        | Kind::Semaphore
        | Kind::BoundedSemaphore
        | Kind::Event
        | Kind::Condition
        | Kind::Barrier
        | Kind::Queue
        | Kind::JoinableQueue) => {
            let message = format!("a {kind} is nothing that could be copied");
            Err(raise(Exception::TypeError, message))
        }
        Kind::Hosted => hosted::copy(proxy),
    }
}

/// A call under way.
struct Method<'m> {
    kind: Kind,
    name: &'m str,
    arguments: &'m [Value],
}

impl Method<'_> {
    /// The error when no method takes these arguments.
    fn refuse(&self, methods: &[&str]) -> Error {
        let (name, count) = (self.name, self.arguments.len());
        let kind = self.kind;
        if methods.contains(&name) {
            let message = format!("{kind}.{name}() does not take {count} arguments of these types");
            return raise(Exception::TypeError, message);
        }
        let message = format!("'{kind}' object has no attribute '{name}'");
        raise(Exception::AttributeError, message)
    }
}

/// An exception of Python.
pub(crate) fn raise(exception: Exception, message: impl Into<String>) -> Error {
    Raised::new(exception, message).into()
}

fn key_error(key: &Value) -> Error {
    raise(Exception::KeyError, key.to_string())
}

/// An index or a count, as Python's `operator.index` takes it.
fn index(value: &Value, what: &str) -> Result<i64, Error> {
    match value {
        Value::BigInt(large) => Ok(if large.is_negative() {
            i64::MIN
        } else {
            i64::MAX
        }),
        _ => value.as_int().ok_or_else(|| {
            let found = value.type_name();
            raise(
                Exception::TypeError,
                format!("{what} must be integers or slices, not {found}"),
            )
        }),
    }
}

/// Whether Python takes the value for true.
fn truth(value: &Value) -> bool {
    match value {
        Value::None => false,
        Value::Str(text) => !text.is_empty(),
        Value::Bytes(bytes) => !bytes.is_empty(),
        Value::List(items) | Value::Tuple(items) | Value::Set(items) => !items.is_empty(),
        Value::Dict(pairs) => !pairs.is_empty(),
        other => other.as_float() != Some(0.0),
    }
}

/// A time-out in seconds, or `None` for none.
pub(crate) fn seconds(value: &Value) -> Result<Option<f64>, Error> {
    if value.is_none() {
        return Ok(None);
    }
    let message = || {
        let found = value.type_name();
        format!("a timeout is a number of seconds or None, not {found}")
    };
    match value.as_float() {
        Some(seconds) => Ok(Some(seconds)),
        None => Err(raise(Exception::TypeError, message())),
    }
}

/// Waiting for a number of seconds at most. More than any clock counts are as good as for ever.
fn within(seconds: f64) -> Result<Wait, Error> {
    if seconds.is_nan() {
        let message = "Invalid value NaN (not a number)";
        return Err(raise(Exception::ValueError, message));
    }
    Ok(within_seconds(seconds))
}

/// The elements of what Python would iterate over.
pub(crate) fn elements(value: &Value) -> Result<Vec<Value>, Error> {
    match value {
        Value::List(items) | Value::Tuple(items) | Value::Set(items) => Ok(items.clone()),
        Value::Dict(pairs) => Ok(pairs.iter().map(|(key, _)| key.clone()).collect()),
        Value::Str(text) => Ok(text
            .chars()
            .map(|one| Value::from(one.to_string()))
            .collect()),
        Value::Bytes(bytes) => Ok(bytes.iter().map(|&byte| Value::from(byte)).collect()),
        Value::Proxy(proxy) if matches!(proxy.kind(), Kind::List | Kind::Dict | Kind::Set) => {
            elements(&copy(proxy)?)
        }
        other => {
            let message = format!("'{}' object is not iterable", other.type_name());
            Err(raise(Exception::TypeError, message))
        }
    }
}

/// The entries of what Python's `dict.update` takes.
pub(crate) fn entries(value: &Value) -> Result<Vec<(Value, Value)>, Error> {
    match value {
        Value::Dict(pairs) => Ok(pairs.clone()),
        Value::Proxy(proxy) if proxy.kind() == Kind::Dict => entries(&copy(proxy)?),
        other => {
            let pair = |(place, item): (usize, &Value)| match item.as_items() {
                Some([key, value]) => Ok((key.clone(), value.clone())),
                Some(items) => {
                    let message = format!(
                        "dictionary update sequence element #{place} has length {}; 2 is required",
                        items.len()
                    );
                    Err(raise(Exception::ValueError, message))
                }
                None => {
                    let message = format!(
                        "cannot convert dictionary update sequence element #{place} to a sequence"
                    );
                    Err(raise(Exception::TypeError, message))
                }
            };
            elements(other)?.iter().enumerate().map(pair).collect()
        }
    }
}

/// Which of two values comes first, as Python's `<` has it.
fn compare(one: &Value, two: &Value) -> Result<std::cmp::Ordering, Error> {
    use std::cmp::Ordering;
    let refused = || {
        let (one, two) = (one.type_name(), two.type_name());
        let message = format!("'<' not supported between instances of '{one}' and '{two}'");
        raise(Exception::TypeError, message)
    };
    match (one, two) {
        (Value::Str(one), Value::Str(two)) => Ok(one.cmp(two)),
        (Value::Bytes(one), Value::Bytes(two)) => Ok(one.cmp(two)),
        (Value::List(one), Value::List(two)) | (Value::Tuple(one), Value::Tuple(two)) => {
            match one.iter().zip(two).find(|(one, two)| one != two) {
                Some((one, two)) => compare(one, two),
                None => Ok(one.len().cmp(&two.len())),
            }
        }
        (one, two) if one == two && one.as_float().is_some() => Ok(Ordering::Equal),
        (one, two) => match (one.as_int(), two.as_int()) {
            (Some(one), Some(two)) => Ok(one.cmp(&two)),
            _ => {
                let one = one.as_float().ok_or_else(refused)?;
                let two = two.as_float().ok_or_else(refused)?;
                // A NaN is neither before nor behind anything.
                Ok(one.partial_cmp(&two).unwrap_or(Ordering::Equal))
            }
        },
    }
}

impl From<Raised> for Error {
    fn from(raised: Raised) -> Self {
        Self::Raised(raised)
    }
}

impl From<ValueError> for Error {
    fn from(error: ValueError) -> Self {
        Self::Value(error)
    }
}
