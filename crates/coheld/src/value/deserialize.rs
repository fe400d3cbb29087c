//! Shared values on their way to any serde type.

use coheld_store::word::{self, Scalar};
use serde::de::{
    self, Deserializer, EnumAccess, Error as _, IntoDeserializer, Unexpected, VariantAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;

use super::{Value, ValueError, magic};

/// The deserializer of a word that holds its value itself; nothing is allocated on the way.
pub(super) struct WordDeserializer(pub(super) u64);

impl WordDeserializer {
    /// Everything but small integers.
    fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match word::decode(self.0) {
            Ok(Scalar::Integer(value)) => visitor.visit_i64(value),
            Ok(Scalar::Float(value)) => visitor.visit_f64(value),
            Ok(Scalar::Bool(value)) => visitor.visit_bool(value),
            Ok(Scalar::None) => visitor.visit_unit(),
            Ok(Scalar::Str(text)) => match text.as_str() {
                Ok(text) => visitor.visit_str(text),
                Err(error) => Err(ValueError::custom(error)),
            },
            Ok(Scalar::Bytes(bytes)) => visitor.visit_bytes(bytes.as_bytes()),
            _ => Err(ValueError::custom("a word of the segment is damaged")),
        }
    }
}

impl<'de> Deserializer<'de> for WordDeserializer {
    type Error = ValueError;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        // Numbers are what programs read in their innermost loops.
        if let Some(value) = word::to_int(self.0) {
            return visitor.visit_i64(value);
        }
        self.visit(visitor)
    }

    #[inline]
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match word::to_float(self.0) {
            Some(value) => visitor.visit_f64(value),
            None => self.deserialize_any(visitor),
        }
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        if self.0 == word::NONE {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        if name == magic::NAME {
            return self.deserialize_any(visitor);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match word::decode(self.0) {
            Ok(Scalar::Bytes(bytes)) => visit_bytes_as_items(bytes.as_bytes(), visitor),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        match word::decode(self.0) {
            Ok(Scalar::Str(text)) => {
                let name = text.as_str().map_err(ValueError::custom)?;
                visitor.visit_enum(name.into_deserializer())
            }
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 char str string bytes byte_buf unit
        unit_struct tuple tuple_struct map struct identifier ignored_any
    }
}

/// `bytes` for who wants a sequence of integers, such as `Vec<u8>`.
fn visit_bytes_as_items<'de, V: Visitor<'de>>(
    bytes: &[u8],
    visitor: V,
) -> Result<V::Value, ValueError> {
    visitor.visit_seq(de::value::SeqDeserializer::new(bytes.iter().copied()))
}

/// The deserializer of any value.
pub(super) struct ValueDeserializer(pub(super) Value);

impl IntoDeserializer<'_, ValueError> for ValueDeserializer {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for ValueDeserializer {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.0 {
            Value::None => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Int(value) => visitor.visit_i64(value),
            Value::Float(value) => visitor.visit_f64(value),
            Value::Str(text) => visitor.visit_string(text),
            Value::Bytes(bytes) => visitor.visit_byte_buf(bytes),
            Value::Tuple(items) | Value::List(items) | Value::Set(items) => {
                let mut items = de::value::SeqDeserializer::new(items.into_iter().map(Self));
                let made = visitor.visit_seq(&mut items)?;
                items.end()?;
                Ok(made)
            }
            Value::Dict(pairs) => {
                let pairs = pairs
                    .into_iter()
                    .map(|(key, value)| (Self(key), Self(value)));
                let mut pairs = de::value::MapDeserializer::new(pairs);
                let made = visitor.visit_map(&mut pairs)?;
                pairs.end()?;
                Ok(made)
            }
            Value::BigInt(value) => match value.to_i128() {
                Some(wide) => match u64::try_from(wide) {
                    Ok(value) => visitor.visit_u64(value),
                    Err(_) => visitor.visit_i128(wide),
                },
                None => match unsigned(value.as_bytes()) {
                    Some(value) => visitor.visit_u128(value),
                    None => Err(mismatch("an integer of more than 128 bits", &visitor)),
                },
            },
            Value::Surrogates(_) => Err(mismatch("text with lone surrogates", &visitor)),
            Value::Slice(_) => Err(mismatch("a slice", &visitor)),
            Value::Proxy(_) => Err(mismatch("a shared object", &visitor)),
            Value::Pickle(_) => Err(mismatch("an object of a Python class", &visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.0 {
            Value::None => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        if name == magic::NAME {
            magic::put(self.0);
            return visitor.visit_newtype_struct(WordDeserializer(word::NONE));
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.0 {
            Value::Bytes(bytes) => visit_bytes_as_items(&bytes, visitor),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        match self.0 {
            Value::Str(name) => visitor.visit_enum(name.into_deserializer()),
            Value::Dict(mut pairs) if pairs.len() == 1 => match pairs.pop() {
                Some((name, content)) => visitor.visit_enum(Variant { name, content }),
                None => Err(mismatch("an empty dict", &visitor)),
            },
            other => Self(other).deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct tuple tuple_struct map struct identifier ignored_any
    }
}

#[cold]
fn mismatch(found: &'static str, expected: &dyn de::Expected) -> ValueError {
    ValueError::invalid_type(Unexpected::Other(found), expected)
}

/// The integer of more than 127 bits, if it fits without a sign.
fn unsigned(bytes: &[u8]) -> Option<u128> {
    let (0, low) = bytes.split_last().map(|(&last, low)| (last, low))? else {
        return None;
    };
    Some(u128::from_le_bytes(low.try_into().ok()?))
}

/// A variant with content: a dict of one entry.
struct Variant {
    name: Value,
    content: Value,
}

impl<'de> EnumAccess<'de> for Variant {
    type Error = ValueError;
    type Variant = Content;

    fn variant_seed<S: de::DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Content), ValueError> {
        Ok((
            seed.deserialize(ValueDeserializer(self.name))?,
            Content(self.content),
        ))
    }
}

struct Content(Value);

impl<'de> VariantAccess<'de> for Content {
    type Error = ValueError;

    fn unit_variant(self) -> Result<(), ValueError> {
        de::Deserialize::deserialize(ValueDeserializer(self.0))
    }

    fn newtype_variant_seed<S: de::DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<S::Value, ValueError> {
        seed.deserialize(ValueDeserializer(self.0))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ValueError> {
        ValueDeserializer(self.0).deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        ValueDeserializer(self.0).deserialize_any(visitor)
    }
}
