//! Values as pickles that Python's `pickle.loads` reads.

use coheld_wire::pickle;

use super::{DEPTH_LIMIT, EDGE_FUNCTION, PROXY_MODULE};
use crate::proxy::Proxy;
use crate::value::{Value, ValueError};

/// The protocol in which Coheld writes.
const PROTOCOL: u8 = 5;

/// Writes one pickle.
pub(crate) struct Writer<'v> {
    pickle: pickle::Writer,
    /// The proxies met; their numbers stand in the pickle.
    proxies: Vec<&'v Proxy>,
}

impl<'v> Writer<'v> {
    /// The pickle of a value and the proxies in it, in the order of their numbers.
    pub(crate) fn pickle(value: &'v Value) -> Result<(Vec<u8>, Vec<&'v Proxy>), ValueError> {
        let mut writer = Self {
            pickle: pickle::Writer::unframed(PROTOCOL),
            proxies: Vec::new(),
        };
        writer.value(value, 0)?;
        Ok((writer.pickle.finish(), writer.proxies))
    }

    fn value(&mut self, value: &'v Value, depth: usize) -> Result<(), ValueError> {
        if depth > DEPTH_LIMIT {
            return Err(ValueError::TooDeep { limit: DEPTH_LIMIT });
        }
        match value {
            Value::None => self.pickle.none(),
            Value::Bool(value) => self.pickle.bool(*value),
            Value::Int(value) => self.pickle.int(*value),
            Value::BigInt(value) => self.pickle.big_int(value.as_bytes()),
            Value::Float(value) => self.pickle.float(*value),
            Value::Str(text) => self.pickle.text(text),
            Value::Surrogates(bytes) => self.pickle.surrogates(bytes),
            Value::Bytes(bytes) => self.pickle.bytes(bytes),
            Value::Tuple(items) => {
                self.pickle.open_tuple(items.len());
                self.items(items, depth)?;
                self.pickle.close_tuple(items.len());
            }
            Value::List(items) => {
                self.pickle.open_list(items.len());
                self.items(items, depth)?;
                self.pickle.close_list(items.len());
            }
            Value::Set(items) => {
                items.iter().try_for_each(check_hashable)?;
                self.pickle.open_set();
                self.items(items, depth)?;
                self.pickle.close_set();
            }
            Value::Dict(pairs) => {
                self.pickle.open_dict(pairs.len());
                for (key, value) in pairs {
                    check_hashable(key)?;
                    self.value(key, depth + 1)?;
                    self.value(value, depth + 1)?;
                }
                self.pickle.close_dict(pairs.len());
            }
            Value::Slice(slice) => {
                self.pickle.open_call("builtins", "slice", 3);
                for bound in [slice.start, slice.stop, slice.step] {
                    match bound {
                        Some(bound) => self.pickle.int(bound),
                        None => self.pickle.none(),
                    }
                }
                self.pickle.close_call(3);
            }
            Value::Proxy(proxy) => self.proxy(proxy),
            Value::Pickle(pickle) if pickle.proxies().is_empty() => {
                self.pickle.open_call("pickle", "loads", 1);
                self.pickle.bytes(pickle.as_bytes());
                self.pickle.close_call(1);
            }
            Value::Pickle(_) => {
                return Err(ValueError::Unwritable(
                    "an object of Python that holds proxies can be stored by itself only".into(),
                ));
            }
        }
        Ok(())
    }

    fn items(&mut self, items: &'v [Value], depth: usize) -> Result<(), ValueError> {
        items
            .iter()
            .try_for_each(|item| self.value(item, depth + 1))
    }

    fn proxy(&mut self, proxy: &'v Proxy) {
        let kind = proxy.kind();
        self.pickle.open_call(EDGE_FUNCTION.0, EDGE_FUNCTION.1, 4);
        self.pickle.int(self.proxies.len().cast_signed() as i64);
        self.proxies.push(proxy);
        self.pickle.global(PROXY_MODULE, kind.proxy_name());
        self.pickle.text(kind.typeid());
        self.pickle.text("pickle");
        self.pickle.close_call(4);
    }
}

/// Python could not load a dict or set with such a key.
fn check_hashable(key: &Value) -> Result<(), ValueError> {
    match key {
        Value::List(_) | Value::Dict(_) | Value::Set(_) => Err(ValueError::NotHashable {
            type_name: key.type_name(),
        }),
        Value::Tuple(items) => items.iter().try_for_each(check_hashable),
        _ => Ok(()),
    }
}
