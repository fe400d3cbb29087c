//! What the store gave out, as values and as any serde type.
#![allow(clippy::disallowed_types, reason = "a note of one thread about itself")]

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use coheld_shm::Lease;
use coheld_store::kinds::block as kind;
use coheld_store::word::Scalar;
use coheld_store::{Output, OutputRef, StoreError, key, word};
use serde::de::DeserializeOwned;

use super::deserialize::{ValueDeserializer, WordDeserializer};
use super::{BigInt, Pickle, Value, pickle};
use crate::proxy::Proxy;
use crate::{Attachment, Error, Handle};

/// A value that was copied out, as a `T`.
#[inline]
pub(crate) fn read_output<T: DeserializeOwned>(
    output: Output,
    attachment: &Arc<Attachment>,
) -> Result<T, Error> {
    match output {
        Output::Word(word) => Ok(T::deserialize(WordDeserializer(word))?),
        output => read_block(output, attachment),
    }
}

/// The same for a value that does not fit in a word.
#[cold]
fn read_block<T: DeserializeOwned>(
    output: Output,
    attachment: &Arc<Attachment>,
) -> Result<T, Error> {
    let value = value_of_output(output, attachment)?;
    Ok(T::deserialize(ValueDeserializer(value))?)
}

/// A value of a snapshot, as a `T`.
#[inline]
pub(crate) fn read_ref<T: DeserializeOwned>(
    output: OutputRef<'_>,
    attachment: &Arc<Attachment>,
) -> Result<T, Error> {
    match output {
        OutputRef::Word(word) => Ok(T::deserialize(WordDeserializer(word))?),
        output => {
            let value = value_of_ref(output, attachment)?;
            Ok(T::deserialize(ValueDeserializer(value))?)
        }
    }
}

/// A value that was copied out.
pub(crate) fn value_of_output(
    output: Output,
    attachment: &Arc<Attachment>,
) -> Result<Value, Error> {
    match output {
        Output::Word(word) => value_of_word(word),
        Output::Block { kind, bytes, edges } => {
            value_of_block(kind, Cow::Owned(bytes), &edges, attachment)
        }
        Output::Edge(lease) => value_of_edge(lease, attachment),
    }
}

/// A value of a snapshot.
pub(crate) fn value_of_ref(
    output: OutputRef<'_>,
    attachment: &Arc<Attachment>,
) -> Result<Value, Error> {
    match output {
        OutputRef::Word(word) => value_of_word(word),
        OutputRef::Block { kind, bytes, edges } => {
            value_of_block(kind, Cow::Borrowed(bytes), edges, attachment)
        }
        OutputRef::Edge(lease) => value_of_edge(lease, attachment),
    }
}

fn value_of_word(word: u64) -> Result<Value, Error> {
    Ok(match word::decode(word)? {
        Scalar::None => Value::None,
        Scalar::Bool(value) => Value::Bool(value),
        Scalar::Integer(value) => Value::Int(value),
        Scalar::Float(value) => Value::Float(value),
        Scalar::Str(text) => Value::from(text.as_str()?),
        Scalar::Bytes(bytes) => Value::Bytes(bytes.as_bytes().to_vec()),
        Scalar::Empty | Scalar::Block(_) | Scalar::Edge(_) => {
            return Err(damaged("a word without a value stands for a value"));
        }
    })
}

fn value_of_block(
    kind: u8,
    bytes: Cow<'_, [u8]>,
    edges: &[Lease],
    attachment: &Arc<Attachment>,
) -> Result<Value, Error> {
    let (proxies, buffers) = redeem_with_buffers(edges, attachment)?;
    let bytes = if buffers.is_empty() {
        bytes
    } else {
        Cow::Owned(with_buffers(&bytes, &buffers)?)
    };
    Ok(match kind {
        kind::STR => match String::from_utf8(bytes.into_owned()) {
            Ok(text) => Value::Str(text),
            Err(_) => return Err(damaged("a text is not UTF-8")),
        },
        kind::STR_SURROGATE => Value::Surrogates(bytes.into_owned()),
        kind::BYTES => Value::Bytes(bytes.into_owned()),
        kind::BIGINT => Value::from(BigInt::from_bytes(&bytes)),
        kind::FLOAT => match <[u8; 8]>::try_from(&*bytes) {
            Ok(bytes) => Value::Float(f64::from_le_bytes(bytes)),
            Err(_) => return Err(damaged("a float has a wrong length")),
        },
        kind::PICKLE => value_of_pickle(bytes, proxies),
        kind::KEY => read_pickle(Cow::Borrowed(key::original_pickle(&bytes)?), proxies),
        _ => return Err(damaged("a value is of an unknown kind")),
    })
}

thread_local! {
    /// Whether pickles are not looked into.
    static UNREAD: Cell<bool> = const { Cell::new(false) };
}

/// Does `work`, in which whatever is stored as a pickle stays one: for those who hand it on.
pub(crate) fn with_unread_pickles<R>(work: impl FnOnce() -> R) -> R {
    let before = UNREAD.replace(true);
    let done = work();
    UNREAD.set(before);
    done
}

fn value_of_pickle(bytes: Cow<'_, [u8]>, proxies: Vec<Proxy>) -> Value {
    if UNREAD.get() {
        return Value::Pickle(Pickle::with_proxies(bytes.into_owned(), proxies));
    }
    read_pickle(bytes, proxies)
}

fn read_pickle(bytes: Cow<'_, [u8]>, proxies: Vec<Proxy>) -> Value {
    match pickle::read(&bytes, &proxies) {
        Some(value) => value,
        None => Value::Pickle(Pickle::with_proxies(bytes.into_owned(), proxies)),
    }
}

/// The proxies for the leases of a value. Every lease is used up, also if one of them fails.
pub(crate) fn redeem(leases: &[Lease], attachment: &Arc<Attachment>) -> Result<Vec<Proxy>, Error> {
    let mut proxies = Vec::with_capacity(leases.len());
    let mut failure = None;
    for &lease in leases {
        match redeem_one(lease, attachment) {
            Ok(proxy) => proxies.push(proxy),
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(proxies), Err)
}

/// The pickle with its buffers in it.
#[cold]
fn with_buffers(pickle: &[u8], buffers: &[Vec<u8>]) -> Result<Vec<u8>, Error> {
    let buffers: Vec<&[u8]> = buffers.iter().map(Vec::as_slice).collect();
    coheld_wire::pickle::in_band(pickle, &buffers)
        .map_err(|_| damaged("a pickle does not fit the buffers beside it"))
}

/// The proxies for the leases of a value, and the bytes behind those of buffers. Every lease is
/// used up, also if one of them fails.
fn redeem_with_buffers(
    leases: &[Lease],
    attachment: &Arc<Attachment>,
) -> Result<(Vec<Proxy>, Vec<Vec<u8>>), Error> {
    let handles: Vec<_> = leases
        .iter()
        .map(|&lease| Handle::redeem(attachment, lease))
        .collect();
    let (mut proxies, mut buffers) = (Vec::with_capacity(handles.len()), Vec::new());
    for handle in handles {
        let handle = handle?;
        match handle.copy_of_bytes()? {
            Some(bytes) => buffers.push(bytes),
            None => proxies.push(Proxy::from_handle(handle)?),
        }
    }
    Ok((proxies, buffers))
}

/// What an edge by itself stands for: a proxy, or bytes that are a referent of their own.
fn value_of_edge(lease: Lease, attachment: &Arc<Attachment>) -> Result<Value, Error> {
    let handle = Handle::redeem(attachment, lease)?;
    match handle.copy_of_bytes()? {
        Some(bytes) => Ok(Value::Bytes(bytes)),
        None => Ok(Value::Proxy(Proxy::from_handle(handle)?)),
    }
}

fn redeem_one(lease: Lease, attachment: &Arc<Attachment>) -> Result<Proxy, Error> {
    Proxy::from_handle(Handle::redeem(attachment, lease)?)
}

#[cold]
fn damaged(what: &'static str) -> Error {
    StoreError::Corrupted(what).into()
}
