//! The methods of `Namespace`, `Value` and `Array`.

use coheld_store::{Array, Slice};

use super::sum::add;
use super::{Exception, Method, elements, index, raise};
use crate::proxy::{bits_of_value, value_of_bits};
use crate::{Error, NamespaceProxy, Proxy, Value, ValueProxy};

pub(super) fn namespace(namespace: &NamespaceProxy, method: &Method<'_>) -> Result<Value, Error> {
    let missing = |name: &str| {
        let message = format!("'Namespace' object has no attribute '{name}'");
        raise(Exception::AttributeError, message)
    };
    match (method.name, method.arguments) {
        ("__getattribute__", [Value::Str(name)]) => {
            namespace.get(name)?.ok_or_else(|| missing(name))
        }
        ("__setattr__", [Value::Str(name), value]) => {
            namespace.set(name, value).map(|()| Value::None)
        }
        ("__delattr__", [Value::Str(name)]) => {
            if namespace.remove(name)? {
                Ok(Value::None)
            } else {
                Err(missing(name))
            }
        }
        _ => Err(method.refuse(&["__getattribute__", "__setattr__", "__delattr__"])),
    }
}

pub(super) fn value(proxy: &Proxy, method: &Method<'_>) -> Result<Value, Error> {
    let value = ValueProxy::<Value>::try_from(proxy.clone())?;
    match (method.name, method.arguments) {
        ("get", []) => value.get(),
        ("set", [new]) => value.set(new).map(|()| Value::None),
        ("increment", []) => value.try_update(|old| add(&old, &Value::Int(1))),
        ("increment", [by]) => value.try_update(|old| add(&old, by)),
        ("compare_exchange", [old, new]) => value.compare_exchange(old, new).map(Value::Bool),
        _ => Err(method.refuse(&["get", "set", "increment", "compare_exchange"])),
    }
}

pub(super) fn array(proxy: &Proxy, method: &Method<'_>) -> Result<Value, Error> {
    let referent = proxy.referent()?;
    let array = Array::new(&referent);
    let what = "array indices";
    match (method.name, method.arguments) {
        ("__len__", []) => Ok(Value::from(array.len()?)),
        ("__getitem__", [Value::Slice(slice)]) => items(&array, *slice),
        ("__getitem__", [at]) => {
            let bits = array.get(index(at, what)?)?;
            let typecode = array.typecode()?;
            value_of_bits(typecode, bits).ok_or_else(|| unknown(typecode))
        }
        ("__setitem__", [Value::Slice(slice), values]) => {
            let items = item_bytes(array.typecode()?, &elements(values)?)?;
            Ok(array
                .set_slice(*slice, &items, None)
                .map(|()| Value::None)?)
        }
        ("__setitem__", [at, value]) => {
            let bits = item_bits(array.typecode()?, value)?;
            Ok(array.set(index(at, what)?, bits).map(|()| Value::None)?)
        }
        _ => Err(method.refuse(&["__len__", "__getitem__", "__setitem__"])),
    }
}

/// The bits of an item.
fn item_bits(typecode: u8, value: &Value) -> Result<u64, Error> {
    bits_of_value(typecode, value).ok_or_else(|| {
        let (name, code) = (value.type_name(), char::from(typecode));
        let message = format!("{name} {value} does not fit an array of typecode '{code}'");
        match value {
            Value::Int(_) | Value::BigInt(_) => raise(Exception::OverflowError, message),
            _ => raise(Exception::TypeError, message),
        }
    })
}

/// Bytes of an item of an array with this typecode.
pub(crate) fn item_size(typecode: u8) -> Option<u8> {
    Some(match typecode {
        b'b' | b'B' => 1,
        b'h' | b'H' => 2,
        b'i' | b'I' | b'f' | b'u' | b'w' => 4,
        b'l' | b'L' | b'q' | b'Q' | b'd' => 8,
        _ => return None,
    })
}

/// Values as the items of an array with this typecode, one after the other.
pub(crate) fn item_bytes(typecode: u8, values: &[Value]) -> Result<Vec<u8>, Error> {
    let size = item_size(typecode).ok_or_else(|| unknown(typecode))?;
    let mut bytes = Vec::with_capacity(values.len() * usize::from(size));
    for value in values {
        let bits = item_bits(typecode, value)?;
        bytes.extend_from_slice(&bits.to_le_bytes()[..usize::from(size)]);
    }
    Ok(bytes)
}

/// All items of an array, as a list.
pub(super) fn array_copy(proxy: &Proxy) -> Result<Value, Error> {
    items(&Array::new(&proxy.referent()?), Slice::FULL)
}

fn items(array: &Array<'_>, slice: Slice) -> Result<Value, Error> {
    array_items(array.typecode()?, &array.slice(slice)?).map(Value::List)
}

/// The items of an array with this typecode, of their bytes one after the other.
pub(crate) fn array_items(typecode: u8, bytes: &[u8]) -> Result<Vec<Value>, Error> {
    let size = item_size(typecode).ok_or_else(|| unknown(typecode))?;
    let item = |bytes: &[u8]| {
        let mut wide = [0; 8];
        wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
        value_of_bits(typecode, u64::from_le_bytes(wide))
    };
    let items = bytes.chunks_exact(usize::from(size)).map(item);
    items
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| unknown(typecode))
}

fn unknown(typecode: u8) -> Error {
    let typecode = char::from(typecode);
    raise(
        Exception::TypeError,
        format!("Rust has no values for the typecode '{typecode}'"),
    )
}
