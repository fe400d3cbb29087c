//! Values as Rust programs see them: the dynamic [`Value`], and how any serde type becomes one.
//!
//! Numbers, text, bytes, `None` and proxies are stored natively, so that Python and Rust meet in
//! them. Everything else is stored as a pickle, which is what Python stores. Of a pickle Rust reads
//! plain data and the proxies in it; what it cannot read stays as it is ([`Value::Pickle`]) and can
//! be handed on without harm.

mod compare;
mod convert;
mod decode;
mod deserialize;
mod encode;
mod error;
mod integer;
mod magic;
pub(crate) mod pickle;
mod serialize;

pub use self::{convert::Bytes, error::ValueError, integer::BigInt, pickle::Pickle};
pub(crate) use self::{
    decode::{read_output, read_ref, redeem, value_of_output, with_unread_pickles},
    encode::{Encoded, EncodedKey, to_value, with_input, with_key},
};

use coheld_store::Slice;

use crate::proxy::Proxy;

/// Any value that a shared object can hold.
///
/// Two values are equal when Python says so: `1`, `1.0` and `True` are, the order of a dict does
/// not count, proxies are equal when they name the same object. Pickles are equal when their bytes
/// are.
///
/// ```
/// use coheld::Value;
///
/// let value = Value::from(vec![Value::from(1), Value::from("two"), Value::None]);
/// assert_eq!(value, Value::List(vec![Value::Float(1.0), Value::from("two"), Value::None]));
/// assert_eq!(value.to_string(), "[1, 'two', None]");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Value {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer of 64 bits.
    Int(i64),
    /// An integer that has more.
    BigInt(BigInt),
    /// A float.
    Float(f64),
    /// Text.
    Str(String),
    /// Text with lone surrogates, which only Python can have: UTF-8 as its `surrogatepass` writes
    /// it. Reading it as a `String` is an error.
    Surrogates(Vec<u8>),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A tuple.
    Tuple(Vec<Value>),
    /// A list: a copy, not a shared one.
    List(Vec<Value>),
    /// A dict in its order: a copy, not a shared one.
    Dict(Vec<(Value, Value)>),
    /// A set: a copy, not a shared one.
    Set(Vec<Value>),
    /// A slice, as an argument of [`call_method`](Proxy::call_method).
    Slice(Slice),
    /// A shared object.
    Proxy(Proxy),
    /// An object that only Python can make sense of.
    Pickle(Pickle),
}

impl Value {
    /// The name of its type in Python.
    ///
    /// ```
    /// use coheld::Value;
    ///
    /// assert_eq!(Value::from("a").type_name(), "str");
    /// assert_eq!(Value::Tuple(Vec::new()).type_name(), "tuple");
    /// ```
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::BigInt(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) | Self::Surrogates(_) => "str",
            Self::Bytes(_) => "bytes",
            Self::Tuple(_) => "tuple",
            Self::List(_) => "list",
            Self::Dict(_) => "dict",
            Self::Set(_) => "set",
            Self::Slice(_) => "slice",
            Self::Proxy(proxy) => proxy.kind().proxy_name(),
            Self::Pickle(_) => "object",
        }
    }

    /// The integer, if it is one of 64 bits.
    ///
    /// ```
    /// use coheld::Value;
    ///
    /// assert_eq!(Value::from(7).as_int(), Some(7));
    /// assert_eq!(Value::from(true).as_int(), Some(1), "as in Python");
    /// assert_eq!(Value::from(7.0).as_int(), None);
    /// ```
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Bool(value) => Some(i64::from(*value)),
            _ => None,
        }
    }

    /// The number as a double, if it is a number.
    ///
    /// ```
    /// use coheld::Value;
    ///
    /// assert_eq!(Value::from(7).as_float(), Some(7.0));
    /// assert_eq!(Value::from("7").as_float(), None);
    /// ```
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            #[allow(clippy::cast_precision_loss, reason = "as Python's float() does")]
            Self::Int(value) => Some(*value as f64),
            Self::Bool(value) => Some(f64::from(u8::from(*value))),
            Self::BigInt(value) => Some(value.to_f64()),
            _ => None,
        }
    }

    /// The text, if it is one.
    ///
    /// ```
    /// use coheld::Value;
    ///
    /// assert_eq!(Value::from("text").as_str(), Some("text"));
    /// assert_eq!(Value::None.as_str(), None);
    /// ```
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes, if it is such.
    ///
    /// ```
    /// use coheld::{Bytes, Value};
    ///
    /// assert_eq!(Value::from(Bytes(vec![1, 2])).as_bytes(), Some(&[1, 2][..]));
    /// assert_eq!(Value::from("text").as_bytes(), None);
    /// ```
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Whether it is `True`, if it is one of the two.
    ///
    /// ```
    /// use coheld::Value;
    ///
    /// assert_eq!(Value::from(true).as_bool(), Some(true));
    /// assert_eq!(Value::from(1).as_bool(), None);
    /// ```
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The entries of a dict in their order.
    ///
    /// ```
    /// use coheld::Value;
    ///
    /// let ages = Value::Dict(vec![("Ada".into(), 36.into())]);
    /// assert_eq!(ages.as_entries(), Some(&[(Value::from("Ada"), Value::from(36))][..]));
    /// ```
    pub fn as_entries(&self) -> Option<&[(Value, Value)]> {
        match self {
            Self::Dict(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items of a list, tuple or set.
    ///
    /// ```
    /// use coheld::Value;
    ///
    /// let pair = Value::Tuple(vec![1.into(), 2.into()]);
    /// assert_eq!(pair.as_items(), Some(&[Value::from(1), Value::from(2)][..]));
    /// ```
    pub fn as_items(&self) -> Option<&[Value]> {
        match self {
            Self::List(items) | Self::Tuple(items) | Self::Set(items) => Some(items),
            _ => None,
        }
    }

    /// The shared object, if it is one.
    ///
    /// ```
    /// use coheld::Value;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let list = manager.list::<i64>()?;
    /// assert_eq!(Value::from(&list).as_proxy(), Some(list.as_proxy()));
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn as_proxy(&self) -> Option<&Proxy> {
        match self {
            Self::Proxy(proxy) => Some(proxy),
            _ => None,
        }
    }

    /// Whether it is `None`.
    ///
    /// ```
    /// use coheld::Value;
    ///
    /// assert!(Value::from(None::<i64>).is_none() && !Value::from(0).is_none());
    /// ```
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// The value as another type, as reading it from a shared object would give it.
    ///
    /// ```
    /// use coheld::Value;
    ///
    /// let pair = Value::Tuple(vec![Value::from("a"), Value::from(1)]);
    /// assert_eq!(pair.read::<(String, u8)>()?, ("a".to_owned(), 1));
    /// assert!(pair.read::<i64>().is_err());
    /// # Ok::<(), coheld::ValueError>(())
    /// ```
    pub fn read<T: serde::de::DeserializeOwned>(self: &Value) -> Result<T, ValueError> {
        T::deserialize(deserialize::ValueDeserializer(self.clone()))
    }

    /// The value that storing `from` would give.
    ///
    /// ```
    /// use coheld::Value;
    /// use serde::Serialize;
    ///
    /// #[derive(Serialize)]
    /// struct Point {
    ///     x: i64,
    /// }
    ///
    /// let point = Value::of(&Point { x: 1 })?;
    /// assert_eq!(point, Value::Dict(vec![("x".into(), 1.into())]));
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub fn of<T: serde::Serialize + ?Sized>(from: &T) -> Result<Self, ValueError> {
        to_value(from)
    }
}
