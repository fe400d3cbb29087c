//! New locks, queues and other objects that are waited for.

use coheld::Handle;
use coheld_store::{Barrier, Condition, Input, Queue, Semaphore, kinds::referent};
use pyo3::{exceptions::PyTypeError, prelude::*};

use crate::{
    attachment, codec,
    errors::OrRaise,
    proxy::{BaseProxy, Kind, ProxyState, state_of_base},
    token::Token,
};

/// Create an object that is waited for; return the token of the new referent.
///
/// `number` is the permits of a semaphore, the parties of a barrier or the size of a queue. `other`
/// is the proxy of a condition's lock, or the action and time-out of a barrier.
#[pyfunction]
#[pyo3(signature = (attachment, typeid, kind, number=0, other=None))]
pub(crate) fn create_waited_for(
    attachment: &Bound<'_, attachment::Attachment>,
    typeid: Bound<'_, PyAny>,
    kind: &str,
    number: u64,
    other: Option<&Bound<'_, PyAny>>,
) -> PyResult<Token> {
    let py = attachment.py();
    let target = attachment.get().shared();
    let new = |kind: u8, auxiliary: u64| {
        ProxyState::new(py, Handle::create(target, kind, auxiliary).or_raise(py)?)
    };
    let state = match Kind::from_typeid(kind) {
        Some(Kind::Lock) => new(referent::LOCK, 0)?,
        Some(Kind::RLock) => new(referent::RLOCK, 0)?,
        Some(kind @ (Kind::Semaphore | Kind::BoundedSemaphore)) => {
            let state = match kind {
                Kind::Semaphore => new(referent::SEMAPHORE, 0)?,
                _ => new(referent::BOUNDED_SEMAPHORE, 0)?,
            };
            Semaphore::new(&state.referent(py)?)
                .initialize(number)
                .or_raise(py)?;
            state
        }
        Some(Kind::Event) => new(referent::EVENT, 0)?,
        Some(Kind::Condition) => {
            let state = new(referent::CONDITION, 0)?;
            let own;
            let lock = match other {
                Some(lock) => state_of_base(lock.cast::<BaseProxy>()?)?,
                None => {
                    // The condition keeps it, once it is held by nobody here.
                    own = new(referent::RLOCK, 0)?;
                    &own
                }
            };
            Condition::new(&state.referent(py)?)
                .initialize(&Input::Edge(lock.handle().edge_word()))
                .or_raise(py)?;
            state
        }
        Some(Kind::Barrier) => {
            let state = new(referent::BARRIER, number)?;
            if let Some(configuration) = other {
                let configuration = codec::encode(configuration, &state)?;
                Barrier::new(&state.referent(py)?)
                    .initialize(&configuration.input()?)
                    .or_raise(py)?;
            }
            state
        }
        Some(Kind::Queue) => new(referent::QUEUE, Queue::auxiliary(number))?,
        Some(Kind::JoinableQueue) => new(referent::JOINABLE_QUEUE, Queue::auxiliary(number))?,
        _ => {
            return Err(PyTypeError::new_err(format!(
                "{kind:?} is no object that can be waited for"
            )));
        }
    };
    Token::holding(py, state.into_handle(), typeid)
}
