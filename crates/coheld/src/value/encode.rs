//! Values in the form in which the store takes them.

use std::borrow::Cow;
use std::sync::Arc;

use coheld_store::buffer::LEAST;
use coheld_store::kinds::block as kind;
use coheld_store::{CanonicalBuilder, Input, Key, KeyHasher, TupleKey, word};
use serde::Serialize;

use super::pickle::Writer;
use super::serialize::{Encoder, IntoValue, Scalar, Sink};
use super::{Value, ValueError};
use crate::proxy::Proxy;
use crate::{Attachment, Error, Handle};

/// A value ready to be stored. Borrows from the value, which keeps the proxies in it alive.
pub(crate) enum Encoded<'v> {
    /// It fits in a word.
    Word(u64),
    /// It needs a block without edges.
    Block(u8, Cow<'v, [u8]>),
    /// A pickle with proxies in it.
    Pickle(Cow<'v, [u8]>, Vec<u64>),
    /// A proxy by itself.
    Edge(u64),
    /// Bytes that are a referent of their own.
    Buffer(Handle),
}

impl<'v> Encoded<'v> {
    /// The value for an object behind `attachment`.
    pub(crate) fn of(value: &'v Value, attachment: &Arc<Attachment>) -> Result<Self, Error> {
        let block = |kind, bytes: &'v [u8]| Self::Block(kind, Cow::Borrowed(bytes));
        Ok(match value {
            Value::None => Self::Word(word::NONE),
            Value::Bool(value) => Self::Word(word::from_bool(*value)),
            Value::Int(value) => match word::from_int(*value) {
                Some(word) => Self::Word(word),
                None => Self::Block(kind::BIGINT, Cow::Owned(value.to_le_bytes().to_vec())),
            },
            Value::BigInt(value) => block(kind::BIGINT, value.as_bytes()),
            Value::Float(value) => match word::from_float(*value) {
                Some(word) => Self::Word(word),
                None => Self::Block(kind::FLOAT, Cow::Owned(value.to_le_bytes().to_vec())),
            },
            Value::Str(text) => match word::from_str(text) {
                Some(word) => Self::Word(word),
                None => block(kind::STR, text.as_bytes()),
            },
            Value::Surrogates(bytes) => block(kind::STR_SURROGATE, bytes),
            Value::Bytes(bytes) if bytes.len() >= LEAST => {
                Self::Buffer(Handle::of_bytes(attachment, bytes)?)
            }
            Value::Bytes(bytes) => Self::bytes(bytes),
            // The names of its methods go along.
            Value::Proxy(proxy) if proxy.interface().is_some() => Self::written(value, attachment)?,
            Value::Proxy(proxy) => Self::Edge(edge(proxy, attachment)?),
            Value::Pickle(pickle) => Self::pickle(
                Cow::Borrowed(pickle.as_bytes()),
                pickle.proxies(),
                attachment,
            )?,
            Value::Tuple(_) | Value::List(_) | Value::Dict(_) | Value::Set(_) | Value::Slice(_) => {
                Self::written(value, attachment)?
            }
        })
    }

    /// Bytes without a referent of their own: all keys, and few bytes.
    fn bytes(bytes: &'v [u8]) -> Self {
        match word::from_bytes(bytes) {
            Some(word) => Self::Word(word),
            None => Self::Block(kind::BYTES, Cow::Borrowed(bytes)),
        }
    }

    fn written(value: &'v Value, attachment: &Attachment) -> Result<Self, Error> {
        let (bytes, proxies) = Writer::pickle(value)?;
        Self::pickle(Cow::Owned(bytes), proxies, attachment)
    }

    fn pickle<'p>(
        bytes: Cow<'v, [u8]>,
        proxies: impl IntoIterator<Item = &'p Proxy>,
        attachment: &Attachment,
    ) -> Result<Self, Error> {
        let edges = proxies.into_iter().map(|proxy| edge(proxy, attachment));
        Ok(Self::Pickle(bytes, edges.collect::<Result<_, Error>>()?))
    }

    /// The value as the store takes it.
    #[inline]
    pub(crate) fn input(&self) -> Input<'_> {
        match self {
            Self::Word(word) => Input::Word(*word),
            Self::Block(kind::BIGINT, bytes) => Input::big_int(bytes),
            Self::Block(kind, bytes) => Input::Block {
                kind: *kind,
                bytes,
                edges: &[],
            },
            Self::Pickle(bytes, edges) => Input::pickle(bytes, edges),
            Self::Edge(word) => Input::Edge(*word),
            Self::Buffer(handle) => Input::Edge(handle.edge_word()),
        }
    }
}

/// The word by which an object of `attachment` holds the object of the proxy.
fn edge(proxy: &Proxy, attachment: &Attachment) -> Result<u64, Error> {
    let handle = proxy.handle();
    if handle.attachment().segment_id() == attachment.segment_id() {
        Ok(handle.edge_word())
    } else {
        Err(ValueError::OtherManager.into())
    }
}

/// A value ready to be a key.
pub(crate) enum EncodedKey<'v> {
    /// A scalar.
    Scalar(Encoded<'v>),
    /// A tuple.
    Tuple(TupleKey),
}

impl<'v> EncodedKey<'v> {
    /// The value as a key of an object behind `attachment`.
    pub(crate) fn of(value: &'v Value, attachment: &Arc<Attachment>) -> Result<Self, Error> {
        match value {
            Value::Bytes(bytes) => Ok(Self::Scalar(Encoded::bytes(bytes))),
            Value::Tuple(items) => {
                let mut builder = CanonicalBuilder::new();
                push_tuple(&mut builder, items)?;
                let (original, _) = Writer::pickle(value)?;
                Ok(Self::Tuple(builder.finish(&original)?))
            }
            Value::List(_)
            | Value::Dict(_)
            | Value::Set(_)
            | Value::Slice(_)
            | Value::Proxy(_)
            | Value::Pickle(_) => Err(not_hashable(value)),
            _ => Ok(Self::Scalar(Encoded::of(value, attachment)?)),
        }
    }

    /// The key as the store takes it.
    pub(crate) fn key(&self, hasher: &KeyHasher) -> Result<Key<'_>, Error> {
        Ok(match self {
            Self::Scalar(encoded) => Key::from_input(&encoded.input(), hasher)?,
            Self::Tuple(tuple) => Key::from_tuple(tuple, hasher),
        })
    }
}

#[cold]
fn not_hashable(value: &Value) -> Error {
    if let Value::Pickle(_) = value {
        return ValueError::OnlyPythonCanHash.into();
    }
    ValueError::NotHashable {
        type_name: value.type_name(),
    }
    .into()
}

fn push_tuple(builder: &mut CanonicalBuilder, items: &[Value]) -> Result<(), Error> {
    builder.begin_tuple(items.len());
    for item in items {
        match item {
            Value::None => builder.none(),
            Value::Bool(value) => builder.bool(*value),
            Value::Int(value) => builder.int(*value),
            Value::BigInt(value) => builder.big_int(value.as_bytes()),
            Value::Float(value) => builder.float(*value),
            Value::Str(text) => builder.str(text.as_bytes()),
            Value::Surrogates(bytes) => builder.str(bytes),
            Value::Bytes(bytes) => builder.bytes(bytes),
            Value::Tuple(items) => push_tuple(builder, items)?,
            _ => return Err(not_hashable(item)),
        }
    }
    Ok(())
}

/// Any serde type as a value.
pub(crate) fn to_value<T: Serialize + ?Sized>(from: &T) -> Result<Value, ValueError> {
    from.serialize(Encoder(IntoValue))
}

/// Calls `then` with a value in the form in which the store takes it. Scalars are not copied.
#[inline]
pub(crate) fn with_input<T: Serialize + ?Sized, R>(
    value: &T,
    attachment: &Arc<Attachment>,
    then: impl FnOnce(&Input<'_>) -> Result<R, Error>,
) -> Result<R, Error> {
    value.serialize(Encoder(InputSink { attachment, then }))?
}

struct InputSink<'a, F> {
    attachment: &'a Arc<Attachment>,
    then: F,
}

impl<R, F: FnOnce(&Input<'_>) -> Result<R, Error>> Sink for InputSink<'_, F> {
    type Answer = Result<R, Error>;

    #[inline]
    fn scalar(self, scalar: Scalar<'_>) -> Result<R, Error> {
        if let Scalar::Bytes(bytes) = scalar
            && bytes.len() >= LEAST
        {
            let handle = Handle::of_bytes(self.attachment, bytes)?;
            return (self.then)(&Input::Edge(handle.edge_word()));
        }
        let mut scratch = [0; 8];
        (self.then)(&match scalar {
            Scalar::None => Input::NONE,
            Scalar::Bool(value) => Input::bool(value),
            Scalar::Int(value) => Input::int(value, &mut scratch),
            Scalar::Float(value) => Input::float(value, &mut scratch),
            Scalar::Str(text) => Input::str(text),
            Scalar::Bytes(bytes) => Input::bytes(bytes),
        })
    }

    fn value(self, value: Value) -> Result<R, Error> {
        let encoded = Encoded::of(&value, self.attachment)?;
        (self.then)(&encoded.input())
    }
}

/// Calls `then` with a value as a key. Scalars are not copied.
#[inline]
pub(crate) fn with_key<T: Serialize + ?Sized, R>(
    value: &T,
    attachment: &Arc<Attachment>,
    hasher: &KeyHasher,
    then: impl FnOnce(&Key<'_>) -> Result<R, Error>,
) -> Result<R, Error> {
    value.serialize(Encoder(KeySink {
        attachment,
        hasher,
        then,
    }))?
}

struct KeySink<'a, F> {
    attachment: &'a Arc<Attachment>,
    hasher: &'a KeyHasher,
    then: F,
}

impl<R, F: FnOnce(&Key<'_>) -> Result<R, Error>> Sink for KeySink<'_, F> {
    type Answer = Result<R, Error>;

    #[inline]
    fn scalar(self, scalar: Scalar<'_>) -> Result<R, Error> {
        let mut scratch = [0; 8];
        let key = match scalar {
            Scalar::Str(text) => Key::str(text, self.hasher),
            Scalar::Int(value) => Key::int(value, &mut scratch, self.hasher),
            Scalar::Bytes(bytes) => Key::bytes(bytes, self.hasher),
            Scalar::None => Key::from_word(word::NONE, self.hasher)?,
            Scalar::Bool(value) => Key::from_word(word::from_bool(value), self.hasher)?,
            Scalar::Float(value) => {
                Key::from_input(&Input::float(value, &mut scratch), self.hasher)?
            }
        };
        (self.then)(&key)
    }

    fn value(self, value: Value) -> Result<R, Error> {
        let encoded = EncodedKey::of(&value, self.attachment)?;
        (self.then)(&encoded.key(self.hasher)?)
    }
}
