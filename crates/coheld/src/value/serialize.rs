//! Any serde type on its way into a shared object.
//!
//! Scalars go straight to whoever stores them, without being copied; everything else is built as a
//! [`Value`] first. Structs and maps become dicts, sequences lists, tuples tuples, `None` and `()`
//! become `None`; a variant of an enum becomes its name, or a dict of its name and its content.

use serde::ser::{
    self, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::{BigInt, Value, ValueError, magic};

/// A value that is stored natively.
#[derive(Clone, Copy)]
pub(super) enum Scalar<'s> {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(&'s str),
    Bytes(&'s [u8]),
}

/// Where a serialised value goes.
pub(super) trait Sink: Sized {
    /// What comes of it.
    type Answer;
    /// Takes a scalar.
    fn scalar(self, scalar: Scalar<'_>) -> Self::Answer;
    /// Takes anything else.
    fn value(self, value: Value) -> Self::Answer;
}

/// Makes a [`Value`].
pub(super) struct IntoValue;

impl Sink for IntoValue {
    type Answer = Value;

    #[inline]
    fn scalar(self, scalar: Scalar<'_>) -> Value {
        match scalar {
            Scalar::None => Value::None,
            Scalar::Bool(value) => Value::Bool(value),
            Scalar::Int(value) => Value::Int(value),
            Scalar::Float(value) => Value::Float(value),
            Scalar::Str(text) => Value::Str(text.to_owned()),
            Scalar::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
        }
    }

    fn value(self, value: Value) -> Value {
        value
    }
}

/// Elements for which room is made because the program says there will be so many.
const LENGTH_TRUSTED: usize = 1 << 16;

/// The serializer for a sink.
pub(super) struct Encoder<S>(pub(super) S);

fn value_of<T: Serialize + ?Sized>(from: &T) -> Result<Value, ValueError> {
    from.serialize(Encoder(IntoValue))
}

impl<S: Sink> Encoder<S> {
    fn big_int(self, value: BigInt) -> S::Answer {
        match value.to_i64() {
            Some(small) => self.0.scalar(Scalar::Int(small)),
            None => self.0.value(Value::BigInt(value)),
        }
    }

    fn items(self, length: usize, shape: Shape) -> Items<S> {
        let all = Vec::with_capacity(length.min(LENGTH_TRUSTED));
        Items {
            sink: self.0,
            all,
            shape,
        }
    }

    fn entries(self, length: usize, variant: Option<&'static str>) -> Entries<S> {
        let all = Vec::with_capacity(length.min(LENGTH_TRUSTED));
        Entries {
            sink: self.0,
            all,
            key: None,
            variant,
        }
    }
}

macro_rules! small_ints {
    ($($method:ident: $int:ty),*) => {$(
        #[inline]
        fn $method(self, value: $int) -> Result<S::Answer, ValueError> {
            Ok(self.0.scalar(Scalar::Int(i64::from(value))))
        }
    )*};
}

impl<S: Sink> Serializer for Encoder<S> {
    type Ok = S::Answer;
    type Error = ValueError;
    type SerializeSeq = Items<S>;
    type SerializeTuple = Items<S>;
    type SerializeTupleStruct = Items<S>;
    type SerializeTupleVariant = Items<S>;
    type SerializeMap = Entries<S>;
    type SerializeStruct = Entries<S>;
    type SerializeStructVariant = Entries<S>;

    small_ints!(serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64);
    small_ints!(serialize_u8: u8, serialize_u16: u16, serialize_u32: u32);

    #[inline]
    fn serialize_u64(self, value: u64) -> Result<S::Answer, ValueError> {
        match i64::try_from(value) {
            Ok(small) => Ok(self.0.scalar(Scalar::Int(small))),
            Err(_) => Ok(self.big_int(BigInt::from(u128::from(value)))),
        }
    }

    fn serialize_i128(self, value: i128) -> Result<S::Answer, ValueError> {
        Ok(self.big_int(BigInt::from(value)))
    }

    fn serialize_u128(self, value: u128) -> Result<S::Answer, ValueError> {
        Ok(self.big_int(BigInt::from(value)))
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<S::Answer, ValueError> {
        Ok(self.0.scalar(Scalar::Bool(value)))
    }

    #[inline]
    fn serialize_f32(self, value: f32) -> Result<S::Answer, ValueError> {
        Ok(self.0.scalar(Scalar::Float(f64::from(value))))
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<S::Answer, ValueError> {
        Ok(self.0.scalar(Scalar::Float(value)))
    }

    fn serialize_char(self, value: char) -> Result<S::Answer, ValueError> {
        Ok(self.0.scalar(Scalar::Str(value.encode_utf8(&mut [0; 4]))))
    }

    #[inline]
    fn serialize_str(self, text: &str) -> Result<S::Answer, ValueError> {
        Ok(self.0.scalar(Scalar::Str(text)))
    }

    #[inline]
    fn serialize_bytes(self, bytes: &[u8]) -> Result<S::Answer, ValueError> {
        Ok(self.0.scalar(Scalar::Bytes(bytes)))
    }

    #[inline]
    fn serialize_none(self) -> Result<S::Answer, ValueError> {
        Ok(self.0.scalar(Scalar::None))
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Answer, ValueError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<S::Answer, ValueError> {
        Ok(self.0.scalar(Scalar::None))
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<S::Answer, ValueError> {
        Ok(self.0.scalar(Scalar::None))
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<S::Answer, ValueError> {
        Ok(self.0.scalar(Scalar::Str(variant)))
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Answer, ValueError> {
        if name == magic::NAME
            && let Some(value) = magic::take()
        {
            return Ok(self.0.value(value));
        }
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Answer, ValueError> {
        Ok(self.0.value(named(variant, value_of(value)?)))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Items<S>, ValueError> {
        Ok(self.items(length.unwrap_or(0), Shape::List))
    }

    fn serialize_tuple(self, length: usize) -> Result<Items<S>, ValueError> {
        Ok(self.items(length, Shape::Tuple))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        length: usize,
    ) -> Result<Items<S>, ValueError> {
        Ok(self.items(length, Shape::Tuple))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Items<S>, ValueError> {
        Ok(self.items(length, Shape::Variant(variant)))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Entries<S>, ValueError> {
        Ok(self.entries(length.unwrap_or(0), None))
    }

    fn serialize_struct(self, _: &'static str, length: usize) -> Result<Entries<S>, ValueError> {
        Ok(self.entries(length, None))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Entries<S>, ValueError> {
        Ok(self.entries(length, Some(variant)))
    }
}

/// What a sequence becomes.
enum Shape {
    List,
    Tuple,
    /// The tuple that belongs to this variant.
    Variant(&'static str),
}

/// A sequence that is being built.
pub(super) struct Items<S> {
    sink: S,
    all: Vec<Value>,
    shape: Shape,
}

impl<S: Sink> Items<S> {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        self.all.push(value_of(value)?);
        Ok(())
    }

    fn finish(self) -> S::Answer {
        let value = match self.shape {
            Shape::List => Value::List(self.all),
            Shape::Tuple => Value::Tuple(self.all),
            Shape::Variant(variant) => named(variant, Value::Tuple(self.all)),
        };
        self.sink.value(value)
    }
}

macro_rules! build_items {
    ($($builder:ident $method:ident),*) => {$(
        impl<S: Sink> $builder for Items<S> {
            type Ok = S::Answer;
            type Error = ValueError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
                self.push(value)
            }

            fn end(self) -> Result<S::Answer, ValueError> {
                Ok(self.finish())
            }
        }
    )*};
}

build_items!(SerializeSeq serialize_element, SerializeTuple serialize_element);
build_items!(SerializeTupleStruct serialize_field, SerializeTupleVariant serialize_field);

/// A dict that is being built.
pub(super) struct Entries<S> {
    sink: S,
    all: Vec<(Value, Value)>,
    key: Option<Value>,
    variant: Option<&'static str>,
}

impl<S: Sink> Entries<S> {
    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), ValueError> {
        self.all.push((Value::from(name), value_of(value)?));
        Ok(())
    }

    fn finish(self) -> S::Answer {
        let dict = Value::Dict(self.all);
        self.sink.value(match self.variant {
            Some(variant) => named(variant, dict),
            None => dict,
        })
    }
}

impl<S: Sink> SerializeMap for Entries<S> {
    type Ok = S::Answer;
    type Error = ValueError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), ValueError> {
        self.key = Some(value_of(key)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        let value = value_of(value)?;
        let key = self.key.take();
        let key = key.ok_or_else(|| ser::Error::custom("a map gave a value without a key"))?;
        self.all.push((key, value));
        Ok(())
    }

    fn end(self) -> Result<S::Answer, ValueError> {
        Ok(self.finish())
    }
}

macro_rules! build_fields {
    ($($builder:ident),*) => {$(
        impl<S: Sink> $builder for Entries<S> {
            type Ok = S::Answer;
            type Error = ValueError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), ValueError> {
                self.field(name, value)
            }

            fn end(self) -> Result<S::Answer, ValueError> {
                Ok(self.finish())
            }
        }
    )*};
}

build_fields!(SerializeStruct, SerializeStructVariant);

fn named(variant: &str, content: Value) -> Value {
    Value::Dict(vec![(Value::from(variant), content)])
}
