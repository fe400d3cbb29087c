//! The texts of objects, as Python writes them.

use coheld_store::sync::LockState;
use coheld_store::{Array, Barrier, Condition, Event, Lock, Semaphore, word};

use crate::{Error, Kind, NamespaceProxy, Proxy, Value, ValueProxy, call};
use coheld_shm::Referent;

/// What `repr` and `str` of the object are. Its place in the segment stands for the address.
pub(super) fn describe(proxy: &Proxy) -> Result<String, Error> {
    let referent = proxy.referent()?;
    match proxy.kind() {
        Kind::List | Kind::Dict | Kind::Set => Ok(call::copy(proxy)?.to_string()),
        Kind::Namespace => {
            let mut items = NamespaceProxy::try_from(proxy.clone())?.items()?;
            items.retain(|(name, _)| !name.starts_with('_'));
            items.sort_by(|(one, _), (two, _)| one.cmp(two));
            let items = items.iter().map(|(name, value)| format!("{name}={value}"));
            Ok(format!(
                "Namespace({})",
                items.collect::<Vec<_>>().join(", ")
            ))
        }
        Kind::Value => {
            let value: Value = ValueProxy::try_from(proxy.clone())?.get()?;
            Ok(format!("Value({}, {value})", typecode_of_value(proxy)?))
        }
        Kind::Array => {
            let typecode = char::from(Array::new(&referent).typecode()?);
            let text = match call::copy(proxy)? {
                Value::List(items) if items.is_empty() => {
                    return Ok(format!("array('{typecode}')"));
                }
                Value::List(items) if matches!(typecode, 'u' | 'w') => {
                    let text = items.iter().filter_map(Value::as_str);
                    Value::from(text.collect::<String>()).to_string()
                }
                items => items.to_string(),
            };
            Ok(format!("array('{typecode}', {text})"))
        }
        kind => waited_for(kind, &referent, proxy.handle().offset()),
    }
}

/// What a value was made with.
pub(super) fn typecode_of_value(proxy: &Proxy) -> Result<Value, Error> {
    let auxiliary = proxy.referent()?.lock()?.auxiliary();
    Ok(match word::decode(auxiliary)? {
        word::Scalar::Str(text) => Value::from(text.as_str()?),
        _ => Value::None,
    })
}

fn waited_for(kind: Kind, referent: &Referent<'_>, address: u64) -> Result<String, Error> {
    let told = |text: String| format!("<threading.{kind} at {address:#x}: {text}>");
    let word = |locked| if locked { "locked" } else { "unlocked" };
    Ok(match kind {
        Kind::Lock => {
            let word = word(Lock::new(referent).is_locked()?);
            format!("<{word} _thread.lock object at {address:#x}>")
        }
        Kind::RLock => {
            let lock = Lock::new(referent);
            let locked = lock.is_locked()?;
            let state = if locked {
                lock.state()?
            } else {
                LockState::default()
            };
            let owner = u64::from(state.process) << 32 | u64::from(state.thread);
            let (word, depth) = (word(locked), state.depth);
            format!("<{word} _thread.RLock object owner={owner} count={depth} at {address:#x}>")
        }
        Kind::Semaphore => told(format!("value={}", Semaphore::new(referent).value()?)),
        Kind::BoundedSemaphore => {
            let semaphore = Semaphore::new(referent);
            told(format!(
                "value={}/{}",
                semaphore.value()?,
                semaphore.initial()?
            ))
        }
        Kind::Event => {
            let set = Event::new(referent).is_set()?;
            told(if set { "set" } else { "unset" }.to_owned())
        }
        Kind::Condition => {
            let condition = Condition::new(referent);
            let (waiting, lock) = (condition.waiting()?, condition.lock()?);
            let lock = match Kind::from_number(lock.kind()) {
                Some(kind) => waited_for(kind, &lock, lock.offset())?,
                None => "?".to_owned(),
            };
            format!("<Condition({lock}, {waiting})>")
        }
        Kind::Barrier => {
            let barrier = Barrier::new(referent);
            if barrier.is_broken()? {
                told("broken".to_owned())
            } else {
                told(format!(
                    "waiters={}/{}",
                    barrier.waiting()?,
                    barrier.parties()?
                ))
            }
        }
        Kind::Queue | Kind::JoinableQueue => format!("<queue.Queue object at {address:#x}>"),
        _ => format!("<{kind} at {address:#x}>"),
    })
}
