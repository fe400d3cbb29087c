//! `Standing`: the place in line of all tasks of a loop that wait for the same.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coheld_shm::Referent;
use coheld_store::{
    self as store, Acquired, Arrived, Barrier, Condition, Event, Lock, Passage, Purpose, Queue,
    Semaphore, StoreError, Wait,
};
use pyo3::{
    exceptions::{PyRuntimeError, PyTypeError, PyValueError},
    prelude::*,
    types::{PyBool, PyTuple},
};

use super::watch::{Places, Watch};
use crate::{
    codec,
    errors::{self, OrRaise},
    proxy::{self, BarrierProxy, BaseProxy, Kind, ProxyState, native_state, state_of_base},
};

/// What a purpose is called in Python.
fn purpose_named(name: &str) -> PyResult<Purpose> {
    Ok(match name {
        "get" => Purpose::Get,
        "put" => Purpose::Put,
        "join" => Purpose::Join,
        "acquire" => Purpose::Acquire,
        "event" => Purpose::Event,
        "notification" => Purpose::Notification,
        "party" => Purpose::Party,
        name => {
            let text = format!("nobody waits for {name:?}");
            return Err(PyValueError::new_err(text));
        }
    })
}

/// The referent in whose line one stands for a purpose: of a condition, it may be its lock.
fn referent_for<'s>(
    py: Python<'_>,
    state: &'s ProxyState,
    purpose: Purpose,
) -> PyResult<Referent<'s>> {
    let referent = state.referent(py)?;
    if purpose == Purpose::Acquire && state.kind() == Kind::Condition {
        let (offset, generation) = {
            let lock = Condition::new(&referent).lock().or_raise(py)?;
            (lock.offset(), lock.generation())
        };
        return referent.segment().referent(offset, generation).or_raise(py);
    }
    Ok(referent)
}

/// Kind of a referent, its segment, and where in it the referent lies.
type WaitedPlace = (&'static str, [u8; 16], u64, u32);

/// Where one stands in line for a purpose: the kind of the referent, the identity of the segment,
/// place and generation of the referent. `None`: the object is not in the memory of this process.
#[pyfunction]
pub(crate) fn waited_place(
    py: Python<'_>,
    proxy: &Bound<'_, BaseProxy>,
    purpose: &str,
) -> PyResult<Option<WaitedPlace>> {
    let Some(state) = native_state(proxy)? else {
        return Ok(None);
    };
    let referent = referent_for(py, state, purpose_named(purpose)?)?;
    let kind = Kind::from_number(referent.kind()).ok_or_else(|| {
        errors::from_store(py, StoreError::Corrupted("a line of an unknown kind"))
    })?;
    let (offset, generation) = (referent.offset(), referent.generation());
    Ok(Some((
        kind.typeid(),
        state.segment_id(),
        offset,
        generation,
    )))
}

/// The default time-out of a barrier.
#[pyfunction]
pub(crate) fn barrier_timeout(
    py: Python<'_>,
    proxy: &Bound<'_, BarrierProxy>,
) -> PyResult<Option<Py<PyAny>>> {
    let state = state_of_base(proxy.as_super())?;
    let configuration = proxy.get().configuration(py, state)?;
    Ok(configuration.map(|(_, timeout)| timeout.clone_ref(py)))
}

fn truth(py: Python<'_>) -> Bound<'_, PyAny> {
    PyBool::new(py, true).to_owned().into_any()
}

/// A place in line that was taken.
struct Place {
    key: u64,
    places: Arc<Places>,
    standing: store::Standing<'static>,
}

impl Drop for Place {
    fn drop(&mut self) {
        // In a forked child the list, and its lock, are as a thread of the parent had left them.
        if !self.standing.is_foreign() {
            self.places.remove(self.key);
        }
    }
}

/// A place in line for an operation of a proxy, on which no thread sleeps.
#[pyclass(frozen, module = "coheld._coheld")]
pub(crate) struct Standing {
    /// Before `proxy`: it lies in the segment that the proxy keeps.
    place: Mutex<Option<Place>>,
    places: Arc<Places>,
    purpose: Purpose,
    key: u64,
    /// Keeps the referent, and the attachment with the segment that it lies in.
    proxy: Py<BaseProxy>,
}

impl Standing {
    fn place(&self) -> MutexGuard<'_, Option<Place>> {
        // One thread uses it, that of its loop.
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state<'a>(&'a self, py: Python<'a>) -> PyResult<&'a ProxyState> {
        state_of_base(self.proxy.bind(py))
    }

    /// Makes a place in line of a store's standing.
    fn take(&self, py: Python<'_>, standing: store::Standing<'_>) -> PyResult<()> {
        // SAFETY: `standing` borrows the segment of `proxy`'s attachment, which lies behind an
        // `Arc` in its state; `self` keeps the proxy, whose state is never replaced, and drops the
        // place before the proxy.
        let standing = unsafe {
            std::mem::transmute::<store::Standing<'_>, store::Standing<'static>>(standing)
        };
        // First, because it takes the key out of the list.
        let before = self.place().take();
        drop(before);
        self.places.add(py, self.key, standing.watched())?;
        let place = Place {
            key: self.key,
            places: Arc::clone(&self.places),
            standing,
        };
        *self.place() = Some(place);
        Ok(())
    }

    /// Runs `attempt` with the place, if one was taken.
    fn with_place<T>(&self, attempt: impl FnOnce(Option<&mut store::Standing<'static>>) -> T) -> T {
        let mut place = self.place();
        let Some(place) = place.as_mut() else {
            drop(place);
            return attempt(None);
        };
        if !place.standing.is_foreign() && place.places.hear(place.key) {
            place.standing.insist();
        }
        attempt(Some(&mut place.standing))
    }

    /// Acquires, if nobody else has it, and warns of an owner that died.
    fn acquire<'py>(&self, py: Python<'py>, again: bool) -> PyResult<Option<Bound<'py, PyAny>>> {
        let state = self.state(py)?;
        let referent = referent_for(py, state, self.purpose)?;
        let is_lock = matches!(
            Kind::from_number(referent.kind()),
            Some(Kind::Lock | Kind::RLock)
        );
        let acquired = self.with_place(|place| {
            if is_lock {
                Lock::new(&referent).attempt(again, place)
            } else {
                Semaphore::new(&referent).attempt(place)
            }
        });
        let Some(Acquired { owner_died }) = acquired.or_raise(py)? else {
            return Ok(None);
        };
        if let Some(process) = owner_died
            && let Err(error) = proxy::warn_of_owner(py, state, process)
        {
            // Whoever gets an exception does not expect to have the lock.
            if is_lock {
                Lock::new(&referent).release().or_raise(py)?;
            } else {
                Semaphore::new(&referent).release(1).or_raise(py)?;
            }
            return Err(error);
        }
        Ok(Some(truth(py)))
    }

    fn party(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let referent = self.state(py)?.referent(py)?;
        let barrier = Barrier::new(&referent);
        let place = self.place();
        let Some(place) = place.as_ref() else {
            return Ok(None);
        };
        if !place.standing.is_foreign() {
            place.places.hear(place.key);
        }
        let Some(number) = barrier.attempt(&place.standing).or_raise(py)? else {
            return Ok(None);
        };
        if barrier.must_come_again(&place.standing) {
            return Ok(Some(py.None()));
        }
        Ok(Some(number.into_pyobject(py)?.into_any().unbind()))
    }
}

#[pymethods]
impl Standing {
    #[new]
    fn new(proxy: Bound<'_, BaseProxy>, purpose: &str, watch: &Bound<'_, Watch>) -> PyResult<Self> {
        let purpose = purpose_named(purpose)?;
        let Some(state) = native_state(&proxy)? else {
            return Err(PyTypeError::new_err(
                "only for an object in shared memory one can stand in line",
            ));
        };
        if !watch.get().places().is_at(state.attachment()) {
            return Err(PyTypeError::new_err("the watch is that of another manager"));
        }
        Ok(Self {
            place: Mutex::new(None),
            places: Arc::clone(watch.get().places()),
            purpose,
            key: watch.get().places().new_key(),
            proxy: proxy.unbind(),
        })
    }

    /// Stands at the end of the line; the operation is to be tried afterwards. For a condition,
    /// also lets go of its lock; how often it was acquired.
    fn stand(&self, py: Python<'_>) -> PyResult<u64> {
        let state = self.state(py)?;
        let referent = referent_for(py, state, self.purpose)?;
        if self.purpose == Purpose::Notification {
            let stood = Condition::new(&referent).stand();
            let (standing, depth) = stood.map_err(|error| match error {
                StoreError::NotOwner | StoreError::NotLocked => {
                    PyRuntimeError::new_err("cannot wait on un-acquired lock")
                }
                error => errors::from_store(py, error),
            })?;
            self.take(py, standing)?;
            return Ok(depth);
        }
        let standing = store::Standing::new(&referent, self.purpose).or_raise(py)?;
        if self.purpose == Purpose::Acquire {
            // The owner may have died before.
            standing.watched().look_up().or_raise(py)?;
        }
        self.take(py, standing)?;
        Ok(0)
    }

    /// Comes to a barrier; what `attempt` returns, at once if nobody is waited for.
    fn arrive(&self, py: Python<'_>, waits: bool) -> PyResult<Option<(Py<PyAny>,)>> {
        let proxy = self.proxy.bind(py).cast::<BarrierProxy>()?;
        let state = self.state(py)?;
        let referent = state.referent(py)?;
        let mut action = match proxy.get().configuration(py, state)? {
            Some((action, _)) if crate::interpreter::is_true(action.bind(py))? => {
                let action = action.bind(py);
                Some(move || crate::interpreter::call(action, ()).map(drop))
            }
            _ => None,
        };
        let action = action
            .as_mut()
            .map(|action| action as &mut dyn FnMut() -> PyResult<()>);
        let wait = if waits { Wait::Forever } else { Wait::No };
        let arrived = Barrier::new(&referent).arrive(wait, action).or_raise(py)?;
        match arrived {
            Arrived::Through(Passage::Passed(number)) => {
                Ok(Some((number.into_pyobject(py)?.into_any().unbind(),)))
            }
            Arrived::Through(Passage::Failed(error)) => Err(error),
            Arrived::Waits(standing) => {
                self.take(py, standing)?;
                Ok(None)
            }
        }
    }

    /// The time is over for who waits at a barrier; whether that broke it.
    fn lose_patience(&self, py: Python<'_>) -> PyResult<bool> {
        let referent = self.state(py)?.referent(py)?;
        match self.place().as_ref() {
            Some(place) => Barrier::new(&referent)
                .lose_patience(&place.standing)
                .or_raise(py),
            None => Ok(false),
        }
    }

    /// Tries the operation once, with the rights of the place if one was taken; without, it is a
    /// newcomer's that would wait. `None`: in vain; else a tuple with its result.
    #[pyo3(signature = (argument=None))]
    fn attempt<'py>(
        &self,
        py: Python<'py>,
        argument: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let state = self.state(py)?;
        let none = || Some(py.None().into_bound(py));
        let done = match self.purpose {
            Purpose::Get => {
                let referent = state.referent(py)?;
                let taken = self.with_place(|place| Queue::new(&referent).attempt_get(place));
                match taken.or_raise(py)? {
                    Some(item) => Some(codec::output(py, state.attachment(), item)?),
                    None => None,
                }
            }
            Purpose::Put => {
                let none_given = py.None().into_bound(py);
                let item = codec::encode(argument.unwrap_or(&none_given), state)?;
                let input = item.input()?;
                let referent = state.referent(py)?;
                let put = self.with_place(|place| Queue::new(&referent).attempt_put(&input, place));
                put.or_raise(py)?.and_then(|()| none())
            }
            Purpose::Join => {
                let referent = state.referent(py)?;
                let done = self.with_place(|place| Queue::new(&referent).attempt_join(place));
                done.or_raise(py)?.and_then(|()| none())
            }
            Purpose::Acquire => {
                let again = argument.map_or(Ok(false), pyo3::types::PyAnyMethods::is_truthy)?;
                self.acquire(py, again)?
            }
            Purpose::Event => {
                let referent = state.referent(py)?;
                let told = self.with_place(|place| Event::new(&referent).attempt(place.as_deref()));
                told.or_raise(py)?.then(|| truth(py))
            }
            Purpose::Notification => self.is_signalled().then(|| truth(py)),
            Purpose::Party | Purpose::Entry => self.party(py)?.map(|number| number.into_bound(py)),
        };
        done.map(|result| PyTuple::new(py, [result])).transpose()
    }

    /// Whether there is a place, and it was signalled since the last try.
    fn is_signalled(&self) -> bool {
        let place = self.place();
        place
            .as_ref()
            .is_some_and(|place| !place.standing.is_foreign() && place.standing.is_signalled())
    }

    /// The key by which the watch tells of the place.
    #[getter]
    fn key(&self) -> u64 {
        self.key
    }

    /// Goes to the end of the line, so that other processes have their turn.
    fn rotate(&self, py: Python<'_>) -> PyResult<()> {
        match self.place().as_mut() {
            Some(place) if !place.standing.is_foreign() => place.standing.rotate().or_raise(py),
            _ => Ok(()),
        }
    }

    /// Leaves the line. A signal that is left over goes to the next; so does one that is the answer
    /// itself, if it is of no *use* here any more.
    #[pyo3(signature = (used=true))]
    fn leave(&self, py: Python<'_>, used: bool) -> PyResult<()> {
        let place = self.place().take();
        match place {
            Some(place) if used && !place.standing.is_foreign() => {
                place.standing.leave().or_raise(py)
            }
            _ => Ok(()),
        }
    }
}
