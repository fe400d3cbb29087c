//! Values as pickles that Python's `pickle.loads` reads.

use std::os::unix::ffi::OsStrExt as _;

use coheld_wire::pickle;

use super::{AUTO_PROXY, DEPTH_LIMIT, EDGE_FUNCTION, ITERATOR_PROXY, MESSAGE_MODULE, PROXY_MODULE};
use crate::hosted::Leases;
use crate::proxy::{ITERATOR, Interface, Proxy};
use crate::token::Place;
use crate::value::{Value, ValueError};
use crate::{Address, Error, key};

/// The protocol in which Coheld writes.
const PROTOCOL: u8 = 5;

/// Writes one pickle.
pub(crate) struct Writer<'v> {
    pickle: pickle::Writer,
    /// The proxies met; their numbers stand in the pickle, unless it is a message.
    proxies: Vec<&'v Proxy>,
    /// Whether it goes to another process directly, and not into a shared object.
    is_message: bool,
}

/// The pickle of a value for another process, and the leases that go with it.
pub(crate) fn write_message(value: &Value) -> Result<(Vec<u8>, Leases), Error> {
    let mut writer = Writer::new(true);
    writer.value(value, 0)?;
    let mut leases = Leases::new();
    for proxy in writer.proxies {
        match proxy.handle().lease() {
            Ok(lease) => leases.add(proxy.attachment(), lease),
            Err(error) => {
                leases.give_back();
                return Err(error);
            }
        }
    }
    Ok((writer.pickle.finish(), leases))
}

impl<'v> Writer<'v> {
    /// The pickle of a value and the proxies in it, in the order of their numbers.
    pub(crate) fn pickle(value: &'v Value) -> Result<(Vec<u8>, Vec<&'v Proxy>), ValueError> {
        let mut writer = Self::new(false);
        writer.value(value, 0)?;
        Ok((writer.pickle.finish(), writer.proxies))
    }

    fn new(is_message: bool) -> Self {
        Self {
            pickle: pickle::Writer::unframed(PROTOCOL),
            proxies: Vec::new(),
            is_message,
        }
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
        let number = self.proxies.len();
        self.proxies.push(proxy);
        if self.is_message {
            return self.proxy_in_message(proxy);
        }
        let exposed = exposed(proxy);
        let arguments = 4 + usize::from(exposed.is_some());
        self.pickle
            .open_call(EDGE_FUNCTION.0, EDGE_FUNCTION.1, arguments);
        self.pickle.int(number.cast_signed() as i64);
        self.class(proxy);
        self.pickle.text("pickle");
        if let Some(names) = exposed {
            self.names(names);
        }
        self.pickle.close_call(arguments);
    }

    /// As Python pickles proxies between processes, with a lease.
    fn proxy_in_message(&mut self, proxy: &'v Proxy) {
        let handle = proxy.handle();
        let place = Place {
            kind: handle.kind(),
            offset: handle.offset(),
            generation: handle.generation(),
        };
        self.pickle.open_call(MESSAGE_MODULE, "RebuildProxy", 4);
        let (module, name) = class(proxy);
        self.pickle.global(module, name);
        self.pickle.open_call(MESSAGE_MODULE, "Token", 4);
        self.pickle.text(typeid(proxy));
        self.address(handle.attachment().address());
        self.pickle.text(&place.text());
        let segment = key::encode(&handle.attachment().segment_id());
        self.pickle.text(&segment);
        self.pickle.close_call(4);
        self.pickle.text("pickle");
        let exposed = exposed(proxy);
        let length = 1 + usize::from(exposed.is_some());
        self.pickle.open_dict(length);
        self.pickle.text("lease");
        self.pickle.bool(true);
        if let Some(names) = exposed {
            self.pickle.text("exposed");
            self.names(names);
        }
        self.pickle.close_dict(length);
        self.pickle.close_call(4);
    }

    fn class(&mut self, proxy: &Proxy) {
        let (module, name) = class(proxy);
        self.pickle.global(module, name);
        self.pickle.text(typeid(proxy));
    }

    fn names(&mut self, names: &[String]) {
        self.pickle.open_tuple(names.len());
        for name in names {
            self.pickle.text(name);
        }
        self.pickle.close_tuple(names.len());
    }

    /// An address as Python has it.
    fn address(&mut self, address: &Address) {
        match address {
            Address::Path(path) => match path.to_str() {
                Some(path) => self.pickle.text(path),
                None => self.pickle.bytes(path.as_os_str().as_bytes()),
            },
            Address::Abstract(name) => self.pickle.bytes(&[&b"\0"[..], name].concat()),
            Address::Tcp { host, port } => {
                self.pickle.open_tuple(2);
                self.pickle.text(host);
                self.pickle.int((*port).into());
                self.pickle.close_tuple(2);
            }
        }
    }
}

/// The class of the proxies of an object in Python, or the function that makes them.
fn class(proxy: &Proxy) -> (&'static str, &'static str) {
    match proxy.interface() {
        Some(interface) if interface.name() == ITERATOR => ITERATOR_PROXY,
        Some(_) => AUTO_PROXY,
        None => (PROXY_MODULE, proxy.kind().proxy_name()),
    }
}

/// The name of the type of an object in Python.
fn typeid(proxy: &Proxy) -> &str {
    let known = proxy.interface().map(Interface::name);
    known.unwrap_or(proxy.kind().typeid())
}

/// The names of methods that have to be told.
fn exposed(proxy: &Proxy) -> Option<&[String]> {
    let interface = proxy.interface().filter(|it| it.name() != ITERATOR);
    interface.map(Interface::methods)
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
