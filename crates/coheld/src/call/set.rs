//! The methods of `set`.

use super::{Exception, Method, elements, key_error, raise};
use crate::{Error, SetProxy, Value};

const METHODS: &[&str] = &[
    "__contains__",
    "__iter__",
    "__len__",
    "add",
    "clear",
    "copy",
    "difference",
    "difference_update",
    "discard",
    "intersection",
    "isdisjoint",
    "issubset",
    "issuperset",
    "pop",
    "remove",
    "symmetric_difference",
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
        ("union" | "__or__", others) => {
            let mut all = set.to_vec()?;
            for element in joined(others)? {
                if !all.contains(&element) {
                    all.push(element);
                }
            }
            Ok(Value::Set(all))
        }
        ("difference" | "__sub__", others) => {
            let others = joined(others)?;
            Ok(Value::Set(
                set.iter()?
                    .filter(|element| !others.contains(element))
                    .collect(),
            ))
        }
        ("intersection" | "__and__", others) => {
            let mut all = set.to_vec()?;
            for other in others {
                let other = elements(other)?;
                all.retain(|element| other.contains(element));
            }
            Ok(Value::Set(all))
        }
        ("symmetric_difference" | "__xor__", [other]) => {
            let (own, other) = (set.to_vec()?, elements(other)?);
            let mut all: Vec<Value> = own
                .iter()
                .filter(|element| !other.contains(element))
                .cloned()
                .collect();
            all.extend(other.into_iter().filter(|element| !own.contains(element)));
            Ok(Value::Set(all))
        }
        ("isdisjoint", [other]) => {
            let other = elements(other)?;
            Ok(Value::Bool(
                !set.iter()?.any(|element| other.contains(&element)),
            ))
        }
        ("issubset" | "__le__", [other]) => {
            let other = elements(other)?;
            Ok(Value::Bool(
                set.iter()?.all(|element| other.contains(&element)),
            ))
        }
        ("issuperset" | "__ge__", [other]) => {
            let own = set.to_vec()?;
            Ok(Value::Bool(
                elements(other)?.iter().all(|element| own.contains(element)),
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
