//! The methods of `set`.

use super::{Exception, Method, elements, key_error, raise};
use crate::{Error, SetProxy, Value};

const METHODS: &[&str] = &[
    "__and__",
    "__contains__",
    "__ge__",
    "__gt__",
    "__iand__",
    "__ior__",
    "__isub__",
    "__iter__",
    "__ixor__",
    "__le__",
    "__len__",
    "__lt__",
    "__or__",
    "__rand__",
    "__ror__",
    "__rsub__",
    "__rxor__",
    "__sub__",
    "__xor__",
    "add",
    "clear",
    "copy",
    "difference",
    "difference_update",
    "discard",
    "intersection",
    "intersection_update",
    "isdisjoint",
    "issubset",
    "issuperset",
    "pop",
    "remove",
    "symmetric_difference",
    "symmetric_difference_update",
    "union",
    "update",
];

pub(super) fn call(set: &SetProxy<Value>, method: &Method<'_>) -> Result<Value, Error> {
    let done = |()| Value::None;
    match (method.name, method.arguments) {
        ("add", [element]) => set.add(element).map(|_| Value::None),
        ("discard", [element]) => set.remove(element).map(|_| Value::None),
        ("remove", [element]) => {
            if set.remove(element)? {
                Ok(Value::None)
            } else {
                Err(key_error(element))
            }
        }
        ("__contains__", [element]) => Ok(Value::Bool(set.contains(element)?)),
        ("__len__", []) => Ok(Value::from(set.len()?)),
        ("__iter__", []) => Ok(Value::List(set.to_vec()?)),
        ("copy", []) => Ok(Value::Set(set.to_vec()?)),
        ("clear", []) => set.clear().map(done),
        ("pop", []) => set.pop()?.ok_or_else(|| {
            // The text is an argument of a KeyError, so it is shown in quotes.
            raise(Exception::KeyError, "'pop from an empty set'")
        }),
        ("update" | "__ior__", others) => set.update(joined(others)?).map(done),
        ("difference_update" | "__isub__", others) => set.remove_all(joined(others)?).map(done),
        ("intersection_update" | "__iand__", others) => {
            let others = all_elements(others)?;
            set.try_change(|own| Ok(intersection(own, &others)))
                .map(done)
        }
        ("symmetric_difference_update" | "__ixor__", [other]) => {
            let other = elements(other)?;
            set.try_change(|own| Ok(symmetric_difference(&own, &other)))
                .map(done)
        }
        ("union" | "__or__" | "__ror__", others) => {
            let mut all = set.to_vec()?;
            for element in joined(others)? {
                if !all.contains(&element) {
                    all.push(element);
                }
            }
            Ok(Value::Set(all))
        }
        ("difference" | "__sub__", others) => {
            Ok(Value::Set(difference(set.to_vec()?, &joined(others)?)))
        }
        ("__rsub__", [other]) => Ok(Value::Set(difference(elements(other)?, &set.to_vec()?))),
        ("intersection" | "__and__" | "__rand__", others) => {
            let others = all_elements(others)?;
            Ok(Value::Set(intersection(set.to_vec()?, &others)))
        }
        ("symmetric_difference" | "__xor__" | "__rxor__", [other]) => {
            let (own, other) = (set.to_vec()?, elements(other)?);
            Ok(Value::Set(symmetric_difference(&own, &other)))
        }
        ("isdisjoint", [other]) => {
            let other = elements(other)?;
            Ok(Value::Bool(
                !set.iter()?.any(|element| other.contains(&element)),
            ))
        }
        ("issubset" | "__le__", [other]) => {
            Ok(Value::Bool(is_within(&set.to_vec()?, &elements(other)?)))
        }
        ("issuperset" | "__ge__", [other]) => {
            Ok(Value::Bool(is_within(&elements(other)?, &set.to_vec()?)))
        }
        ("__lt__", [other]) => {
            let (own, other) = (set.to_vec()?, elements(other)?);
            Ok(Value::Bool(
                is_within(&own, &other) && !is_within(&other, &own),
            ))
        }
        ("__gt__", [other]) => {
            let (own, other) = (set.to_vec()?, elements(other)?);
            Ok(Value::Bool(
                is_within(&other, &own) && !is_within(&own, &other),
            ))
        }
        _ => Err(method.refuse(METHODS)),
    }
}

/// The elements of all arguments.
fn joined(others: &[Value]) -> Result<Vec<Value>, Error> {
    let mut all = Vec::new();
    for other in others {
        all.extend(elements(other)?);
    }
    Ok(all)
}

/// The elements of each argument.
fn all_elements(others: &[Value]) -> Result<Vec<Vec<Value>>, Error> {
    others.iter().map(elements).collect()
}

fn is_within(one: &[Value], other: &[Value]) -> bool {
    one.iter().all(|element| other.contains(element))
}

fn difference(mut one: Vec<Value>, other: &[Value]) -> Vec<Value> {
    one.retain(|element| !other.contains(element));
    one
}

fn intersection(mut one: Vec<Value>, others: &[Vec<Value>]) -> Vec<Value> {
    one.retain(|element| others.iter().all(|other| other.contains(element)));
    one
}

fn symmetric_difference(one: &[Value], other: &[Value]) -> Vec<Value> {
    let only = |of: &[Value], beside: &[Value]| difference(of.to_vec(), beside);
    let mut all = only(one, other);
    for element in only(other, one) {
        if !all.contains(&element) {
            all.push(element);
        }
    }
    all
}
