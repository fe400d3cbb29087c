//! New objects, as clients ask for them: the constructors of Python.

use std::sync::Arc;

use coheld_store::{Barrier, word};

use super::creation::{self, Creation};
use crate::call::{self, Exception, raise};
use crate::value::Encoded;
use crate::{
    Attachment, BarrierProxy, ConditionProxy, DictProxy, Error, Kind, ListProxy, NamespaceProxy,
    Proxy, SetProxy, Value, ValueProxy,
};

/// Arguments of a constructor that have not been taken yet.
struct Arguments {
    typeid: &'static str,
    places: std::vec::IntoIter<Value>,
    names: Vec<(String, Value)>,
}

impl Arguments {
    /// The next argument by place, or the one of this name.
    fn take(&mut self, name: &str) -> Option<Value> {
        if let Some(value) = self.places.next() {
            return Some(value);
        }
        let at = self.names.iter().position(|(given, _)| given == name)?;
        Some(self.names.remove(at).1)
    }

    fn require(&mut self, name: &str) -> Result<Value, Error> {
        self.take(name).ok_or_else(|| {
            let typeid = self.typeid;
            type_error(format!("{typeid}() missing a required argument: '{name}'"))
        })
    }

    /// An argument that counts something.
    fn number(&mut self, name: &str, default: i64) -> Result<i64, Error> {
        let Some(value) = self.take(name) else {
            return Ok(default);
        };
        match value {
            Value::BigInt(large) => Ok(if large.is_negative() { -1 } else { i64::MAX }),
            _ => value.as_int().ok_or_else(|| {
                let (typeid, found) = (self.typeid, value.type_name());
                type_error(format!(
                    "{typeid}(): '{name}' must be an integer, not {found}"
                ))
            }),
        }
    }

    fn end(mut self) -> Result<(), Error> {
        let typeid = self.typeid;
        if self.places.next().is_some() {
            return Err(type_error(format!("{typeid}() takes fewer arguments")));
        }
        match self.names.first() {
            Some((name, _)) => Err(type_error(format!(
                "{typeid}() got an unexpected keyword argument '{name}'"
            ))),
            None => Ok(()),
        }
    }
}

fn type_error(message: String) -> Error {
    raise(Exception::TypeError, message)
}

/// Makes an object of a kind with the arguments of its constructor.
pub(super) fn create(
    attachment: &Arc<Attachment>,
    kind: Kind,
    places: Vec<Value>,
    names: Vec<(String, Value)>,
) -> Result<Proxy, Error> {
    let mut arguments = Arguments {
        typeid: kind.typeid(),
        places: places.into_iter(),
        names,
    };
    let simple = |arguments: Arguments, creation: Creation| {
        arguments.end()?;
        creation.make(attachment)
    };
    let creation = Creation::of(kind)?;
    match kind {
        Kind::List => {
            let items = arguments.places.next();
            arguments.end()?;
            let list = ListProxy::create(attachment)?;
            if let Some(items) = items {
                list.extend(call::elements(&items)?)?;
            }
            Ok(list.into())
        }
        Kind::Set => {
            let items = arguments.places.next();
            arguments.end()?;
            let set = SetProxy::create(attachment)?;
            if let Some(items) = items {
                set.update(call::elements(&items)?)?;
            }
            Ok(set.into())
        }
        Kind::Dict => {
            let mut pairs = match arguments.places.next() {
                Some(entries) => call::entries(&entries)?,
                None => Vec::new(),
            };
            let names = std::mem::take(&mut arguments.names);
            pairs.extend(
                names
                    .into_iter()
                    .map(|(name, value)| (Value::from(name), value)),
            );
            arguments.end()?;
            let dict = DictProxy::create(attachment)?;
            dict.extend(pairs)?;
            Ok(dict.into())
        }
        Kind::Namespace => {
            let namespace = NamespaceProxy::create(attachment)?;
            for (name, value) in std::mem::take(&mut arguments.names) {
                namespace.set(&name, &value)?;
            }
            arguments.end()?;
            Ok(namespace.into())
        }
        Kind::Value => {
            let (typecode, value) = (arguments.require("typecode")?, arguments.require("value")?);
            arguments.take("lock");
            arguments.end()?;
            let typecode = typecode.as_str().and_then(word::from_str);
            let made = Proxy::create(attachment, kind, typecode.unwrap_or(word::NONE))?;
            ValueProxy::<Value>::try_from(made.clone())?.set(&value)?;
            Ok(made)
        }
        Kind::Array => array(attachment, arguments),
        Kind::Queue | Kind::JoinableQueue => {
            // What is not above zero is no limit.
            let size = arguments.number("maxsize", 0)?.max(0);
            simple(arguments, creation.sized(size.unsigned_abs()))
        }
        Kind::Semaphore | Kind::BoundedSemaphore => {
            let permits = u64::try_from(arguments.number("value", 1)?);
            let refused = |_| {
                raise(
                    Exception::ValueError,
                    "semaphore initial value must be >= 0",
                )
            };
            let permits = permits.map_err(refused)?;
            simple(arguments, creation.sized(permits))
        }
        Kind::Barrier => barrier(attachment, arguments),
        Kind::Condition => {
            let lock = arguments.take("lock").unwrap_or(Value::None);
            arguments.end()?;
            match lock {
                Value::None => creation.make(attachment),
                Value::Proxy(lock) if is_lock(lock.kind()) => {
                    Ok(ConditionProxy::create_with(attachment, lock)?.into())
                }
                other => Err(type_error(format!(
                    "the lock of a shared condition cannot be {other}: give the proxy of a Lock, \
                     RLock, Semaphore or BoundedSemaphore, or none"
                ))),
            }
        }
        Kind::Lock | Kind::RLock | Kind::Event | Kind::Hosted => simple(arguments, creation),
    }
}

fn is_lock(kind: Kind) -> bool {
    use Kind::{BoundedSemaphore, Lock, RLock, Semaphore};
    matches!(kind, Lock | RLock | Semaphore | BoundedSemaphore)
}

fn array(attachment: &Arc<Attachment>, mut arguments: Arguments) -> Result<Proxy, Error> {
    let (typecode, items) = (
        arguments.require("typecode")?,
        arguments.require("sequence")?,
    );
    arguments.take("lock");
    arguments.end()?;
    let Some(&[typecode]) = typecode.as_str().map(str::as_bytes) else {
        let found = typecode.type_name();
        return Err(type_error(format!(
            "array() argument 1 must be a unicode character, not {found}"
        )));
    };
    if call::item_size(typecode).is_none() {
        return Err(creation::bad_typecode());
    }
    let items = match &items {
        Value::Bytes(bytes) => bytes.clone(),
        Value::Str(text) if !matches!(typecode, b'u' | b'w') => {
            return Err(type_error(format!(
                "cannot use a str to initialize an array with typecode '{}', as in {text:?}",
                char::from(typecode)
            )));
        }
        other => call::item_bytes(typecode, &call::elements(other)?)?,
    };
    creation::array_of(attachment, typecode, &items)
}

fn barrier(attachment: &Arc<Attachment>, mut arguments: Arguments) -> Result<Proxy, Error> {
    let parties = arguments.number("parties", 0)?;
    let action = arguments.take("action").unwrap_or(Value::None);
    let timeout = arguments.take("timeout").unwrap_or(Value::None);
    arguments.end()?;
    let parties = u64::try_from(parties).ok().filter(|&parties| parties > 0);
    let parties = parties.ok_or_else(|| raise(Exception::ValueError, "parties must be > 0"))?;
    if !action.is_none() {
        let what = "the action of a barrier";
        return Err(Error::NeedsPython { what });
    }
    let made: Proxy = BarrierProxy::create(attachment, parties)?.into();
    if !timeout.is_none() {
        call::seconds(&timeout)?;
        let configuration = Value::Tuple(vec![Value::None, timeout]);
        let encoded = Encoded::of(&configuration, attachment)?;
        Barrier::new(&made.referent()?).initialize(&encoded.input())?;
    }
    Ok(made)
}
