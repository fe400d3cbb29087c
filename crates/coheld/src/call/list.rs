//! The methods of `list`.

use coheld_store::{List, Slice, StoreError};

use super::{Exception, Method, compare, elements, index, raise, truth};
use crate::value::Encoded;
use crate::{Error, ListProxy, Value, order};

const METHODS: &[&str] = &[
    "__add__",
    "__contains__",
    "__delitem__",
    "__getitem__",
    "__iadd__",
    "__imul__",
    "__len__",
    "__mul__",
    "__reversed__",
    "__rmul__",
    "__setitem__",
    "append",
    "clear",
    "copy",
    "count",
    "extend",
    "index",
    "insert",
    "pop",
    "remove",
    "reverse",
    "sort",
];

/// Most elements of what a multiplication returns: the only result that can be much longer than
/// what was stored.
const REPEATED_LIMIT: usize = 1 << 24;

const INDICES: &str = "list indices";

pub(super) fn call(list: &ListProxy<Value>, method: &Method<'_>) -> Result<Value, Error> {
    let done = |()| Value::None;
    match (method.name, method.arguments) {
        ("append", [value]) => list.append(value).map(done),
        ("__len__", []) => Ok(Value::from(list.len()?)),
        ("__getitem__", [Value::Slice(slice)]) => Ok(Value::List(list.slice_by(*slice)?)),
        ("__getitem__", [at]) => list.get(index(at, INDICES)?),
        ("__setitem__", [Value::Slice(slice), values]) => {
            set_slice(list, *slice, &elements(values)?).map(done)
        }
        ("__setitem__", [at, value]) => list.set(index(at, INDICES)?, value).map(done),
        ("__delitem__", [Value::Slice(slice)]) => {
            let referent = list.as_proxy().referent()?;
            Ok(List::new(&referent).delete_slice(*slice, None).map(done)?)
        }
        ("__delitem__", [at]) => {
            let referent = list.as_proxy().referent()?;
            Ok(List::new(&referent)
                .delete(index(at, INDICES)?, None)
                .map(done)?)
        }
        ("__contains__", [value]) => Ok(Value::Bool(list.contains(value)?)),
        ("__add__", [other]) => {
            let mut all = list.to_vec()?;
            all.extend(elements(other)?);
            Ok(Value::List(all))
        }
        ("__mul__" | "__rmul__", [times]) => repeated(&list.to_vec()?, index(times, INDICES)?),
        ("__imul__", [times]) => {
            let referent = list.as_proxy().referent()?;
            Ok(List::new(&referent)
                .repeat(index(times, INDICES)?)
                .map(done)?)
        }
        ("__reversed__", []) => Ok(Value::List(list.iter()?.rev().collect())),
        ("clear", []) => list.clear().map(done),
        ("copy", []) => Ok(Value::List(list.to_vec()?)),
        ("count", [value]) => Ok(Value::from(
            list.iter()?.filter(|element| element == value).count(),
        )),
        ("extend" | "__iadd__", [values]) => list.extend(elements(values)?).map(done),
        ("index", [value]) => index_of(list, value, Slice::FULL),
        ("index", [value, start]) => index_of(
            list,
            value,
            Slice {
                start: Some(index(start, INDICES)?),
                ..Slice::FULL
            },
        ),
        ("index", [value, start, stop]) => {
            let (start, stop) = (index(start, INDICES)?, index(stop, INDICES)?);
            index_of(list, value, Slice::range(start, stop))
        }
        ("insert", [at, value]) => list.insert(index(at, INDICES)?, value).map(done),
        ("pop", []) => list.remove(-1),
        ("pop", [at]) => list.remove(index(at, INDICES)?),
        ("remove", [value]) => {
            if list.remove_value(value)? {
                Ok(Value::None)
            } else {
                Err(raise(
                    Exception::ValueError,
                    "list.remove(x): x not in list",
                ))
            }
        }
        ("reverse", []) => list.reverse().map(done),
        ("sort", []) => sort(list, false).map(done),
        ("sort", [Value::None, reverse]) => sort(list, truth(reverse)).map(done),
        ("sort", [_, _]) => Err(raise(
            Exception::TypeError,
            "sort() with a key calls a function of Python, and there is no Python here; sort a \
             copy, and store that",
        )),
        _ => Err(method.refuse(METHODS)),
    }
}

/// The items several times over.
fn repeated(items: &[Value], times: i64) -> Result<Value, Error> {
    let times = usize::try_from(times).unwrap_or(0);
    let count = items.len().saturating_mul(times);
    let mut all = Vec::new();
    if count > REPEATED_LIMIT || all.try_reserve_exact(count).is_err() {
        let message = format!("a list of {count} elements is too long for a reply");
        return Err(raise(Exception::MemoryError, message));
    }
    all.extend(items.iter().cycle().take(count).cloned());
    Ok(Value::List(all))
}

fn set_slice(list: &ListProxy<Value>, slice: Slice, values: &[Value]) -> Result<(), Error> {
    let proxy = list.as_proxy();
    let encoded = values
        .iter()
        .map(|value| Encoded::of(value, proxy.attachment()));
    let encoded = encoded.collect::<Result<Vec<_>, _>>()?;
    let inputs: Vec<_> = encoded.iter().map(Encoded::input).collect();
    Ok(List::new(&proxy.referent()?).set_slice(slice, &inputs, None)?)
}

fn index_of(list: &ListProxy<Value>, value: &Value, within: Slice) -> Result<Value, Error> {
    let all = list.to_vec()?;
    let bounds = within.resolve(all.len() as u64)?;
    let mut places = (0..bounds.count).map(|number| bounds.index(number) as usize);
    match places.find(|&place| all[place] == *value) {
        Some(place) => Ok(Value::from(place)),
        None => Err(raise(
            Exception::ValueError,
            format!("{value} is not in list"),
        )),
    }
}

/// Sorts as Python does: a pair that cannot be compared is an error, and nothing has changed.
fn sort(list: &ListProxy<Value>, reverse: bool) -> Result<(), Error> {
    let referent = list.as_proxy().referent()?;
    let list_in_store = List::new(&referent);
    loop {
        let snapshot = list_in_store.snapshot()?;
        let values: Vec<Value> = list.as_proxy().read_all(&snapshot)?;
        let order = order::sorted(values.len(), |one, two| {
            // Equal ones stay in their order, whichever comes first.
            let (one, two) = if reverse { (two, one) } else { (one, two) };
            Ok::<_, Error>(compare(&values[one], &values[two])?.is_lt())
        })?;
        match list_in_store.permute(&order, Some(snapshot.version())) {
            Err(StoreError::Changed) => {}
            done => return Ok(done?),
        }
    }
}
