//! Values as pickles that Python's `pickle.loads` reads.

use super::{DEPTH_LIMIT, EDGE_FUNCTION, PROXY_MODULE, opcode};
use crate::proxy::Proxy;
use crate::value::{BigInt, Value, ValueError};

/// The protocol in which Coheld writes.
const PROTOCOL: u8 = 5;

/// Writes one pickle.
#[derive(Default)]
pub(crate) struct Writer<'v> {
    bytes: Vec<u8>,
    /// The proxies met; their numbers stand in the pickle.
    proxies: Vec<&'v Proxy>,
}

impl<'v> Writer<'v> {
    /// The pickle of a value and the proxies in it, in the order of their numbers.
    pub(crate) fn pickle(value: &'v Value) -> Result<(Vec<u8>, Vec<&'v Proxy>), ValueError> {
        let mut writer = Self::default();
        writer.bytes.extend_from_slice(&[opcode::PROTO, PROTOCOL]);
        writer.value(value, 0)?;
        writer.bytes.push(opcode::STOP);
        Ok((writer.bytes, writer.proxies))
    }

    fn value(&mut self, value: &'v Value, depth: usize) -> Result<(), ValueError> {
        if depth > DEPTH_LIMIT {
            return Err(ValueError::TooDeep { limit: DEPTH_LIMIT });
        }
        match value {
            Value::None => self.bytes.push(opcode::NONE),
            Value::Bool(true) => self.bytes.push(opcode::NEWTRUE),
            Value::Bool(false) => self.bytes.push(opcode::NEWFALSE),
            Value::Int(value) => self.int(*value),
            Value::BigInt(value) => self.big_int(value),
            Value::Float(value) => {
                self.bytes.push(opcode::BINFLOAT);
                self.bytes.extend_from_slice(&value.to_be_bytes());
            }
            Value::Str(text) => self.text(text.as_bytes()),
            Value::Surrogates(bytes) => self.text(bytes),
            Value::Bytes(bytes) => {
                let kinds = [opcode::SHORT_BINBYTES, opcode::BINBYTES, opcode::BINBYTES8];
                self.sized(kinds, bytes);
            }
            Value::Tuple(items) => self.tuple(items, depth)?,
            Value::List(items) => {
                self.bytes.push(opcode::EMPTY_LIST);
                self.filled(items, opcode::APPENDS, depth)?;
            }
            Value::Set(items) => {
                items.iter().try_for_each(check_hashable)?;
                self.bytes.push(opcode::EMPTY_SET);
                self.filled(items, opcode::ADDITEMS, depth)?;
            }
            Value::Dict(pairs) => {
                self.bytes
                    .extend_from_slice(&[opcode::EMPTY_DICT, opcode::MARK]);
                for (key, value) in pairs {
                    check_hashable(key)?;
                    self.value(key, depth + 1)?;
                    self.value(value, depth + 1)?;
                }
                self.bytes.push(opcode::SETITEMS);
            }
            Value::Slice(slice) => {
                self.global("builtins", "slice");
                for bound in [slice.start, slice.stop, slice.step] {
                    match bound {
                        Some(bound) => self.int(bound),
                        None => self.bytes.push(opcode::NONE),
                    }
                }
                self.bytes
                    .extend_from_slice(&[opcode::TUPLE3, opcode::REDUCE]);
            }
            Value::Proxy(proxy) => self.proxy(proxy),
            Value::Pickle(pickle) if pickle.proxies().is_empty() => {
                self.global("pickle", "loads");
                let kinds = [opcode::SHORT_BINBYTES, opcode::BINBYTES, opcode::BINBYTES8];
                self.sized(kinds, pickle.as_bytes());
                self.bytes
                    .extend_from_slice(&[opcode::TUPLE1, opcode::REDUCE]);
            }
            Value::Pickle(_) => {
                return Err(ValueError::Unwritable(
                    "an object of Python that holds proxies can be stored by itself only".into(),
                ));
            }
        }
        Ok(())
    }

    fn int(&mut self, value: i64) {
        if let Ok(small) = u8::try_from(value) {
            self.bytes.extend_from_slice(&[opcode::BININT1, small]);
        } else if let Ok(word) = i32::try_from(value) {
            self.bytes.push(opcode::BININT);
            self.bytes.extend_from_slice(&word.to_le_bytes());
        } else {
            self.big_int(&BigInt::from(value));
        }
    }

    fn big_int(&mut self, value: &BigInt) {
        let bytes = value.as_bytes();
        match u8::try_from(bytes.len()) {
            Ok(length) => self.bytes.extend_from_slice(&[opcode::LONG1, length]),
            Err(_) => {
                self.bytes.push(opcode::LONG4);
                // An integer of two gigabytes would have run out of memory long before.
                self.bytes
                    .extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            }
        }
        self.bytes.extend_from_slice(bytes);
    }

    fn text(&mut self, bytes: &[u8]) {
        let kinds = [
            opcode::SHORT_BINUNICODE,
            opcode::BINUNICODE,
            opcode::BINUNICODE8,
        ];
        self.sized(kinds, bytes);
    }

    /// Bytes behind their length, with the instruction for one of 1, 4 or 8 bytes.
    fn sized(&mut self, kinds: [u8; 3], bytes: &[u8]) {
        let length = bytes.len() as u64;
        let width = match length {
            0..=0xff => 1,
            0x100..=0xffff_ffff => 4,
            _ => 8,
        };
        self.bytes.push(kinds[width / 4]);
        self.bytes.extend_from_slice(&length.to_le_bytes()[..width]);
        self.bytes.extend_from_slice(bytes);
    }

    fn tuple(&mut self, items: &'v [Value], depth: usize) -> Result<(), ValueError> {
        let short = match items.len() {
            0 => opcode::EMPTY_TUPLE,
            1 => opcode::TUPLE1,
            2 => opcode::TUPLE2,
            3 => opcode::TUPLE3,
            _ => return self.filled(items, opcode::TUPLE, depth),
        };
        items
            .iter()
            .try_for_each(|item| self.value(item, depth + 1))?;
        self.bytes.push(short);
        Ok(())
    }

    /// A mark, the items, and the instruction that takes them up.
    fn filled(&mut self, items: &'v [Value], end: u8, depth: usize) -> Result<(), ValueError> {
        self.bytes.push(opcode::MARK);
        items
            .iter()
            .try_for_each(|item| self.value(item, depth + 1))?;
        self.bytes.push(end);
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) {
        self.text(module.as_bytes());
        self.text(name.as_bytes());
        self.bytes.push(opcode::STACK_GLOBAL);
    }

    fn proxy(&mut self, proxy: &'v Proxy) {
        let kind = proxy.kind();
        self.global(EDGE_FUNCTION.0, EDGE_FUNCTION.1);
        self.bytes.push(opcode::MARK);
        self.int(self.proxies.len().cast_signed() as i64);
        self.proxies.push(proxy);
        self.global(PROXY_MODULE, kind.proxy_name());
        self.text(kind.typeid().as_bytes());
        self.text(b"pickle");
        self.bytes
            .extend_from_slice(&[opcode::TUPLE, opcode::REDUCE]);
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
