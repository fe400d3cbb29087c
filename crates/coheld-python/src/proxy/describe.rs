//! The texts of what is waited for, as the running Python writes them of objects of its own.

use coheld_shm::Referent;
use coheld_store::{Barrier, Condition, Event, Lock, Semaphore};
use pyo3::prelude::*;

use super::{Kind, ProxyState};
use crate::errors::{self, OrRaise};

/// Since this version the objects of `threading` tell their state.
const TELLING: (u8, u8) = (3, 11);

/// What `repr` and `str` of the referent are. The address is the place in the segment.
pub(crate) fn describe(py: Python<'_>, state: &ProxyState) -> PyResult<String> {
    let referent = state.referent(py)?;
    describe_as(py, state.kind(), &referent, state.handle().offset())
}

fn describe_as(
    py: Python<'_>,
    kind: Kind,
    referent: &Referent<'_>,
    address: u64,
) -> PyResult<String> {
    let info = py.version_info();
    let name = kind.typeid();
    let told = |text: String| {
        if (info.major, info.minor) >= TELLING {
            format!("<threading.{name} at {address:#x}: {text}>")
        } else {
            format!("<threading.{name} object at {address:#x}>")
        }
    };
    Ok(match kind {
        Kind::Lock => {
            let word = word(Lock::new(referent).is_locked().or_raise(py)?);
            format!("<{word} _thread.lock object at {address:#x}>")
        }
        Kind::RLock => {
            let lock = Lock::new(referent);
            let word = word(lock.is_locked().or_raise(py)?);
            let state = match word {
                "locked" => lock.state().or_raise(py)?,
                _ => coheld_store::sync::LockState::default(),
            };
            // A number for the thread, another one in every process.
            let owner = u64::from(state.process) << 32 | u64::from(state.thread);
            let depth = state.depth;
            format!("<{word} _thread.RLock object owner={owner} count={depth} at {address:#x}>")
        }
        Kind::Semaphore => {
            let free = Semaphore::new(referent).value().or_raise(py)?;
            told(format!("value={free}"))
        }
        Kind::BoundedSemaphore => {
            let semaphore = Semaphore::new(referent);
            let free = semaphore.value().or_raise(py)?;
            told(format!(
                "value={free}/{}",
                semaphore.initial().or_raise(py)?
            ))
        }
        Kind::Event => {
            let set = Event::new(referent).is_set().or_raise(py)?;
            told(if set { "set" } else { "unset" }.to_owned())
        }
        Kind::Condition => {
            let condition = Condition::new(referent);
            let waiting = condition.waiting().or_raise(py)?;
            let lock = condition.lock().or_raise(py)?;
            match Kind::from_number(lock.kind()) {
                Some(kind) => {
                    let lock = describe_as(py, kind, &lock, address)?;
                    format!("<Condition({lock}, {waiting})>")
                }
                None => format!("<Condition(?, {waiting})>"),
            }
        }
        Kind::Barrier => {
            let barrier = Barrier::new(referent);
            if barrier.is_broken().or_raise(py)? {
                told("broken".to_owned())
            } else {
                let waiting = barrier.waiting().or_raise(py)?;
                let parties = barrier.parties().or_raise(py)?;
                told(format!("waiters={waiting}/{parties}"))
            }
        }
        _ => format!("<queue.Queue object at {address:#x}>"),
    })
}

const fn word(locked: bool) -> &'static str {
    if locked { "locked" } else { "unlocked" }
}

/// The error for a copy of something that has no content to be copied.
#[cold]
pub(crate) fn unserializable(py: Python<'_>, state: &ProxyState) -> PyErr {
    let kind = match super::acquirer::kind_of_lock(py, state) {
        Ok(kind) => kind,
        Err(error) => return error,
    };
    let class = match kind {
        Kind::RLock => "_thread.RLock",
        _ => "_thread.lock",
    };
    errors::remote_error(
        py,
        format!(
            "Unserializable message: Traceback (most recent call last):\n\
             TypeError: cannot pickle '{class}' object\n\n"
        ),
    )
}
