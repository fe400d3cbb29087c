//! The methods of `Lock`, `RLock`, `Semaphore`, `BoundedSemaphore`, `Event`, `Condition` and
//! `Barrier`.

use coheld_store::{Acquired, Condition, StoreError, Wait};

use super::{Exception, Method, index, raise, seconds, truth, within};
use crate::{
    BarrierProxy, ConditionProxy, Error, EventProxy, Kind, LockProxy, Proxy, RLockProxy,
    SemaphoreProxy, Value,
};

const ACQUIRER_METHODS: &[&str] = &["acquire", "locked", "release"];
const CONDITION_METHODS: &[&str] = &[
    "acquire",
    "locked",
    "notify",
    "notify_all",
    "release",
    "wait",
];

pub(super) fn lock(lock: &LockProxy, method: &Method<'_>) -> Result<Value, Error> {
    match (method.name, method.arguments) {
        ("acquire", arguments @ ([] | [_] | [_, _])) => {
            Ok(acquired(lock.acquire(lock_wait(arguments)?)?))
        }
        ("release", []) => lock.release().map(|()| Value::None),
        ("locked", []) => lock.is_locked().map(Value::Bool),
        _ => Err(method.refuse(ACQUIRER_METHODS)),
    }
}

pub(super) fn rlock(lock: &RLockProxy, method: &Method<'_>) -> Result<Value, Error> {
    match (method.name, method.arguments) {
        ("acquire", arguments @ ([] | [_] | [_, _])) => {
            Ok(acquired(lock.acquire(lock_wait(arguments)?)?))
        }
        ("release", []) => lock.release().map(|()| Value::None),
        ("locked", []) => lock.is_locked().map(Value::Bool),
        _ => Err(method.refuse(ACQUIRER_METHODS)),
    }
}

pub(super) fn semaphore(semaphore: &SemaphoreProxy, method: &Method<'_>) -> Result<Value, Error> {
    match (method.name, method.arguments) {
        ("acquire", arguments @ ([] | [_] | [_, _])) => Ok(acquired(
            semaphore.acquire_unguarded(semaphore_wait(arguments)?)?,
        )),
        ("release", []) => semaphore.release(1).map(|()| Value::None),
        ("release", [permits]) => match u64::try_from(index(permits, "permits")?) {
            Ok(permits @ 1..) => semaphore.release(permits).map(|()| Value::None),
            _ => Err(raise(Exception::ValueError, "n must be one or more")),
        },
        ("locked", []) => Ok(Value::Bool(semaphore.value()? == 0)),
        _ => Err(method.refuse(ACQUIRER_METHODS)),
    }
}

pub(super) fn event(event: &EventProxy, method: &Method<'_>) -> Result<Value, Error> {
    match (method.name, method.arguments) {
        ("is_set", []) => event.is_set().map(Value::Bool),
        ("set", []) => event.set().map(|()| Value::None),
        ("clear", []) => event.clear().map(|()| Value::None),
        ("wait", []) => event.wait_as(Wait::Forever).map(Value::Bool),
        ("wait", [timeout]) => event.wait_as(wait_for(timeout)?).map(Value::Bool),
        _ => Err(method.refuse(&["clear", "is_set", "set", "wait"])),
    }
}

pub(super) fn condition(condition: &ConditionProxy, method: &Method<'_>) -> Result<Value, Error> {
    let notify = |count| match condition.notify(count) {
        Err(Error::Store(StoreError::NotOwner | StoreError::NotLocked)) => Err(raise(
            Exception::RuntimeError,
            "cannot notify on un-acquired lock",
        )),
        notified => notified.map(|()| Value::None),
    };
    let wait = |wait| match condition.wait_as(wait) {
        Err(Error::Store(StoreError::NotOwner | StoreError::NotLocked)) => Err(raise(
            Exception::RuntimeError,
            "cannot wait on un-acquired lock",
        )),
        waited => waited.map(|(notified, again)| {
            report_death(again);
            Value::Bool(notified)
        }),
    };
    match (method.name, method.arguments) {
        ("acquire", arguments @ ([] | [_] | [_, _])) => {
            let wait = match kind_of_lock(condition.as_proxy())? {
                Some(Kind::Semaphore | Kind::BoundedSemaphore) => semaphore_wait(arguments)?,
                _ => lock_wait(arguments)?,
            };
            Ok(acquired(condition.acquire(wait)?))
        }
        ("release", []) => condition.release().map(|()| Value::None),
        ("locked", []) => condition.is_locked().map(Value::Bool),
        ("wait", []) => wait(Wait::Forever),
        ("wait", [timeout]) => wait(wait_for(timeout)?),
        ("notify", []) => notify(1),
        // As Python's, which takes a slice of its waiters: a negative number is none of them.
        ("notify", [count]) => notify(u64::try_from(index(count, "counts")?).unwrap_or(0)),
        ("notify_all", []) => notify(u64::MAX),
        _ => Err(method.refuse(CONDITION_METHODS)),
    }
}

fn kind_of_lock(condition: &Proxy) -> Result<Option<Kind>, Error> {
    let referent = condition.referent()?;
    let lock = Condition::new(&referent).lock()?;
    Ok(Kind::from_number(lock.kind()))
}

pub(super) fn barrier(barrier: &BarrierProxy, method: &Method<'_>) -> Result<Value, Error> {
    match (method.name, method.arguments) {
        ("wait", []) => barrier.wait().map(Value::from),
        ("wait", [timeout]) => {
            let wait = seconds(timeout)?.map(within).transpose()?;
            barrier.wait_as(wait).map(Value::from)
        }
        ("reset", []) => barrier.reset().map(|()| Value::None),
        ("abort", []) => barrier.abort().map(|()| Value::None),
        ("__getattribute__", [Value::Str(name)]) => match name.as_str() {
            "parties" => barrier.parties().map(Value::from),
            "n_waiting" => barrier.waiting().map(Value::from),
            "broken" => barrier.is_broken().map(Value::Bool),
            _ => {
                let message = format!("'Barrier' object has no attribute '{name}'");
                Err(raise(Exception::AttributeError, message))
            }
        },
        _ => Err(method.refuse(&["__getattribute__", "abort", "reset", "wait"])),
    }
}

/// The most seconds that Python's locks wait: `threading.TIMEOUT_MAX`.
const LONGEST_TIMEOUT: f64 = 9_223_372_036.0;

/// What `acquire` answers.
fn acquired(acquired: Option<Acquired>) -> Value {
    if let Some(acquired) = acquired {
        report_death(acquired);
    }
    Value::Bool(acquired.is_some())
}

/// Python warns; a method by name can only leave a note.
fn report_death(acquired: Acquired) {
    if let Some(process) = acquired.owner_died {
        log::warn!("process {process} died while it held what was acquired now");
    }
}

/// `acquire(blocking=True, timeout=-1)`, as locks take it.
fn lock_wait(arguments: &[Value]) -> Result<Wait, Error> {
    let blocking = arguments.first().is_none_or(truth);
    // Where locks have -1 for no time-out, proxies have None.
    let timeout = arguments.get(1).map_or(Ok(None), seconds)?;
    let timeout = timeout.filter(|seconds| seconds.to_bits() != (-1.0_f64).to_bits());
    match timeout {
        None if blocking => Ok(Wait::Forever),
        None => Ok(Wait::No),
        Some(_) if !blocking => Err(raise(
            Exception::ValueError,
            "can't specify a timeout for a non-blocking call",
        )),
        Some(seconds) if seconds < 0.0 => Err(raise(
            Exception::ValueError,
            "timeout value must be a non-negative number",
        )),
        Some(seconds) if seconds > LONGEST_TIMEOUT => Err(raise(
            Exception::OverflowError,
            "timeout value is too large",
        )),
        Some(seconds) => within(seconds),
    }
}

/// `acquire(blocking=True, timeout=None)`, as semaphores take it.
fn semaphore_wait(arguments: &[Value]) -> Result<Wait, Error> {
    let blocking = arguments.first().is_none_or(truth);
    match arguments.get(1).map_or(Ok(None), seconds)? {
        None if blocking => Ok(Wait::Forever),
        None => Ok(Wait::No),
        Some(_) if !blocking => Err(raise(
            Exception::ValueError,
            "can't specify timeout for non-blocking acquire",
        )),
        Some(seconds) => within(seconds),
    }
}

/// `wait(timeout=None)` of events and conditions: what is not above zero is no wait.
fn wait_for(timeout: &Value) -> Result<Wait, Error> {
    match seconds(timeout)? {
        None => Ok(Wait::Forever),
        Some(seconds) if seconds.is_nan() => Ok(Wait::No),
        Some(seconds) => within(seconds),
    }
}
