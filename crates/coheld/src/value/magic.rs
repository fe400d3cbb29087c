//! `Value` as a serde type that keeps what serde has no words for.
//!
//! Serde's model knows neither tuples beside lists nor proxies. So a value announces itself by the
//! name of a newtype, and travels beside serde in a place of the thread. Only Coheld's own
//! serializers look there; any other gets the plain data.

use std::cell::RefCell;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error as _, Serialize, SerializeMap, Serializer};

use super::{BigInt, Value};

/// The name by which a value announces itself.
pub(super) const NAME: &str = "coheld::Value";

thread_local! {
    static PLACE: RefCell<Option<Value>> = const { RefCell::new(None) };
}

/// Puts a value beside serde.
pub(super) fn put(value: Value) {
    PLACE.with_borrow_mut(|place| *place = Some(value));
}

/// Takes the value from beside serde.
pub(super) fn take() -> Option<Value> {
    PLACE.with_borrow_mut(Option::take)
}

impl Serialize for Value {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_none(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Str(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.serialize_bytes(bytes),
            _ => {
                put(self.clone());
                serializer.serialize_newtype_struct(NAME, &Plain(self))
            }
        }
    }
}

/// A value for serializers of others.
struct Plain<'v>(&'v Value);

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        drop(take());
        match self.0 {
            Value::Tuple(items) | Value::List(items) | Value::Set(items) => {
                serializer.collect_seq(items)
            }
            Value::Dict(pairs) => {
                let mut map = serializer.serialize_map(Some(pairs.len()))?;
                for (key, value) in pairs {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
            Value::BigInt(value) => match value.to_i128() {
                Some(value) => serializer.serialize_i128(value),
                None => serializer.collect_str(value),
            },
            other => {
                let name = other.type_name();
                Err(S::Error::custom(format_args!(
                    "a {name} means something in Coheld only"
                )))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(NAME, ValueVisitor)
    }
}

struct ValueVisitor;

macro_rules! visit_numbers {
    ($($method:ident: $int:ty),*) => {$(
        fn $method<E: de::Error>(self, value: $int) -> Result<Value, E> {
            Ok(Value::from(value))
        }
    )*};
}

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    visit_numbers!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_i128: i128);
    visit_numbers!(visit_u128: u128, visit_f64: f64, visit_str: &str, visit_string: String);

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(Value::Bytes(bytes.to_vec()))
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Value, E> {
        Ok(Value::Bytes(bytes))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::None)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        match take() {
            Some(value) => Ok(value),
            None => inner.deserialize_any(self),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Value::List(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            all.push(entry);
        }
        Ok(Value::Dict(all))
    }
}

impl Serialize for BigInt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Value::from(self.clone()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for BigInt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Int(value) => Ok(Self::from(value)),
            Value::BigInt(value) => Ok(value),
            other => Err(de::Error::invalid_type(
                de::Unexpected::Other(other.type_name()),
                &"an integer of any size",
            )),
        }
    }
}
