//! The methods of `dict`.

use super::sum::add;
use super::{Exception, Method, elements, entries, key_error, raise};
use crate::{DictProxy, Error, Value};

const METHODS: &[&str] = &[
    "__contains__",
    "__delitem__",
    "__getitem__",
    "__ior__",
    "__iter__",
    "__len__",
    "__or__",
    "__reversed__",
    "__ror__",
    "__setitem__",
    "clear",
    "compare_exchange",
    "copy",
    "fromkeys",
    "get",
    "increment",
    "items",
    "keys",
    "pop",
    "popitem",
    "setdefault",
    "update",
    "values",
];

pub(super) fn call(dict: &DictProxy<Value, Value>, method: &Method<'_>) -> Result<Value, Error> {
    let done = |()| Value::None;
    match (method.name, method.arguments) {
        ("__getitem__", [key]) => dict.get(key)?.ok_or_else(|| key_error(key)),
        ("__setitem__", [key, value]) => dict.insert(key, value).map(done),
        ("__delitem__", [key]) => match dict.remove(key)? {
            Some(_) => Ok(Value::None),
            None => Err(key_error(key)),
        },
        ("__contains__", [key]) => Ok(Value::Bool(dict.contains_key(key)?)),
        ("__len__", []) => Ok(Value::from(dict.len()?)),
        ("get", [key]) => Ok(dict.get(key)?.unwrap_or(Value::None)),
        ("get", [key, default]) => Ok(dict.get(key)?.unwrap_or_else(|| default.clone())),
        ("keys" | "__iter__", []) => Ok(Value::List(dict.keys()?)),
        ("__reversed__", []) => Ok(Value::List(dict.keys()?.into_iter().rev().collect())),
        ("values", []) => Ok(Value::List(dict.values()?)),
        ("items", []) => {
            let pairs = dict.items()?.into_iter();
            Ok(Value::List(
                pairs
                    .map(|(key, value)| Value::Tuple(vec![key, value]))
                    .collect(),
            ))
        }
        ("copy", []) => Ok(Value::Dict(dict.items()?)),
        ("pop", [key]) => dict.remove(key)?.ok_or_else(|| key_error(key)),
        ("pop", [key, default]) => Ok(dict.remove(key)?.unwrap_or_else(|| default.clone())),
        ("popitem", []) => match dict.pop_last()? {
            Some((key, value)) => Ok(Value::Tuple(vec![key, value])),
            None => {
                // The text is an argument of a KeyError, so it is shown in quotes.
                Err(raise(
                    Exception::KeyError,
                    "'popitem(): dictionary is empty'",
                ))
            }
        },
        ("setdefault", [key]) => dict.set_default(key, Value::None),
        ("setdefault", [key, default]) => dict.set_default(key, default.clone()),
        ("update" | "__ior__", [other]) => dict.extend(entries(other)?).map(done),
        ("update", []) => Ok(Value::None),
        ("__or__", [other]) => Ok(merge(dict.items()?, entries(other)?)),
        ("__ror__", [other]) => Ok(merge(entries(other)?, dict.items()?)),
        ("fromkeys", [keys]) => Ok(from_keys(elements(keys)?, &Value::None)),
        ("fromkeys", [keys, value]) => Ok(from_keys(elements(keys)?, value)),
        ("clear", []) => dict.clear().map(done),
        ("increment", [key]) => increment(dict, key, &ONE, &ZERO),
        ("increment", [key, by]) => increment(dict, key, by, &ZERO),
        ("increment", [key, by, initial]) => increment(dict, key, by, initial),
        ("compare_exchange", [key, old, new]) => {
            dict.compare_exchange(key, old, new).map(Value::Bool)
        }
        _ => Err(method.refuse(METHODS)),
    }
}

const ZERO: Value = Value::Int(0);
const ONE: Value = Value::Int(1);

fn increment(
    dict: &DictProxy<Value, Value>,
    key: &Value,
    by: &Value,
    initial: &Value,
) -> Result<Value, Error> {
    let sum = dict.try_update(key, |old| {
        add(old.as_ref().unwrap_or(initial), by).map(Some)
    })?;
    Ok(sum.unwrap_or(Value::None))
}

/// A dict with one value for all keys.
fn from_keys(keys: Vec<Value>, value: &Value) -> Value {
    let pairs = keys.into_iter().map(|key| (key, value.clone()));
    merge(Vec::new(), pairs.collect())
}

/// The entries of one dict and then those of another, whose values count.
fn merge(mut all: Vec<(Value, Value)>, others: Vec<(Value, Value)>) -> Value {
    for (key, value) in others {
        match all.iter_mut().find(|(own, _)| *own == key) {
            Some((_, own)) => *own = value,
            None => all.push((key, value)),
        }
    }
    Value::Dict(all)
}
