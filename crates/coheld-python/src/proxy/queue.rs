//! The proxies of queues: `AutoProxy[Queue]` and `AutoProxy[JoinableQueue]`.

use coheld_store::{Queue, StoreError, Wait};
use pyo3::{
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyTuple},
};

use super::{
    BaseProxy, Kind, ProxyState,
    argument::{Argument, Keywords, Rest, is_simple, positional},
    state::state_of,
    timeout,
};
use crate::{
    codec,
    errors::{self, OrRaise},
    interpreter,
};

/// A proxy of a shared queue.
#[pyclass(extends = BaseProxy, frozen, subclass)]
pub(crate) struct QueueProxy;

/// A proxy of a shared queue that was made as a JoinableQueue, which has the same methods.
#[pyclass(extends = QueueProxy, frozen, subclass)]
pub(crate) struct JoinableQueueProxy;

static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Calls a method of an ordinary queue: it refuses the arguments in the words of the running
/// Python.
#[cold]
fn refuse<'py>(
    py: Python<'py>,
    method: &str,
    arguments: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let queue = interpreter::call(CLASS.import(py, "queue", "Queue")?, ())?;
    interpreter::call_with(&queue.getattr(method)?, arguments, keywords)
}

fn given<'a, 'py>(argument: &'a Argument<'py>) -> Option<&'a Bound<'py, PyAny>> {
    match argument {
        Argument::Given(object) => Some(object),
        Argument::Missing => None,
    }
}

/// How long to wait, from the arguments `block` and `timeout`.
fn wait_of(block: &Argument<'_>, timeout: &Argument<'_>) -> PyResult<Wait> {
    if !timeout::is_true(given(block))? {
        return Ok(Wait::No);
    }
    match given(timeout) {
        None => Ok(Wait::Forever),
        Some(timeout) => timeout::wait_not_negative(timeout),
    }
}

fn put(py: Python<'_>, state: &ProxyState, item: &Bound<'_, PyAny>, wait: Wait) -> PyResult<()> {
    let item = codec::encode(item, state)?;
    Queue::new(&state.referent(py)?)
        .put(&item.input()?, wait)
        .or_raise(py)
}

fn get<'py>(py: Python<'py>, state: &ProxyState, wait: Wait) -> PyResult<Bound<'py, PyAny>> {
    match Queue::new(&state.referent(py)?).get(wait) {
        Ok(item) => codec::output(py, state.attachment(), item),
        Err(StoreError::Empty) => Err(errors::queue_empty(py)),
        Err(error) => Err(errors::from_store(py, error)),
    }
}

#[pymethods]
impl QueueProxy {
    #[classattr]
    fn _exposed_(py: Python<'_>) -> PyResult<Py<PyTuple>> {
        Kind::Queue.exposed_tuple(py)
    }

    #[classattr]
    fn _isauto() -> bool {
        true
    }

    #[new]
    #[pyo3(signature = (*_args, **_kwds))]
    fn new(_args: Rest<'_, '_>, _kwds: Option<Keywords<'_, '_>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(BaseProxy::default()).add_subclass(Self)
    }

    /// Put an item in; wait for room if there is none.
    ///
    /// Raises `queue.Full` when there was none in time, and `coheld.ShutDown` when the queue is.
    #[pyo3(signature = (item=Argument::Missing, block=Argument::Missing,
                        timeout=Argument::Missing, *args, **kwds),
           text_signature = "($self, item, block=True, timeout=None)")]
    fn put<'py>(
        slf: &Bound<'py, Self>,
        item: Argument<'py>,
        block: Argument<'py>,
        timeout: Argument<'py>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<()> {
        let (py, state) = (slf.py(), state_of(slf)?);
        match &item {
            Argument::Given(item) if is_simple(args, kwds) => {
                let wait = match (&block, &timeout) {
                    (Argument::Missing, Argument::Missing) => Wait::Forever,
                    // There always is room: nobody looks at how long to wait for some.
                    _ if state.auxiliary(py)? == Queue::auxiliary(0) => Wait::Forever,
                    _ => wait_of(&block, &timeout)?,
                };
                put(py, state, item, wait)
            }
            item => {
                let arguments = positional(&[item, &block, &timeout], args)?;
                refuse(py, "put", &arguments, kwds).map(drop)
            }
        }
    }

    /// Take an item out; wait for one if there is none.
    ///
    /// Raises `queue.Empty` when there was none in time, and `coheld.ShutDown` when the queue is
    /// and has no items.
    #[pyo3(signature = (block=Argument::Missing, timeout=Argument::Missing, *args, **kwds),
           text_signature = "($self, block=True, timeout=None)")]
    fn get<'py>(
        slf: &Bound<'py, Self>,
        block: Argument<'py>,
        timeout: Argument<'py>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if !is_simple(args, kwds) {
            let arguments = positional(&[&block, &timeout], args)?;
            return refuse(py, "get", &arguments, kwds);
        }
        let wait = match (&block, &timeout) {
            (Argument::Missing, Argument::Missing) => Wait::Forever,
            _ => wait_of(&block, &timeout)?,
        };
        get(py, state_of(slf)?, wait)
    }

    /// Put an item in if there is room; raise `queue.Full` otherwise.
    #[pyo3(signature = (item=Argument::Missing, *args, **kwds), text_signature = "($self, item)")]
    fn put_nowait<'py>(
        slf: &Bound<'py, Self>,
        item: Argument<'py>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<()> {
        let py = slf.py();
        match &item {
            Argument::Given(item) if is_simple(args, kwds) => {
                put(py, state_of(slf)?, item, Wait::No)
            }
            item => {
                let arguments = positional(&[item], args)?;
                refuse(py, "put_nowait", &arguments, kwds).map(drop)
            }
        }
    }

    /// Take an item out if there is one; raise `queue.Empty` otherwise.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self)")]
    fn get_nowait<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if !is_simple(args, kwds) {
            return refuse(py, "get_nowait", args, kwds);
        }
        get(py, state_of(slf)?, Wait::No)
    }

    /// Return the number of items in the queue.
    fn qsize(slf: &Bound<'_, Self>) -> PyResult<u64> {
        let py = slf.py();
        let referent = state_of(slf)?.referent(py)?;
        Queue::new(&referent).len().or_raise(py)
    }

    /// Return whether the queue has no items.
    fn empty(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let py = slf.py();
        let referent = state_of(slf)?.referent(py)?;
        Queue::new(&referent).is_empty().or_raise(py)
    }

    /// Return whether the queue has as many items as it takes.
    fn full(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let (py, state) = (slf.py(), state_of(slf)?);
        let referent = state.referent(py)?;
        let most = Queue::new(&referent).maxsize().or_raise(py)?;
        Ok(most > 0 && Queue::new(&referent).len().or_raise(py)? >= most)
    }

    /// Say that an item that was taken out is done.
    fn task_done(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let referent = state_of(slf)?.referent(py)?;
        Queue::new(&referent).task_done().or_raise(py)
    }

    /// Wait until all items that were put in are done.
    fn join(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let referent = state_of(slf)?.referent(py)?;
        Queue::new(&referent)
            .join(Wait::Forever)
            .or_raise(py)
            .map(drop)
    }

    /// Let nobody put items in any more, nor take any out once there are none; with *immediate*
    /// there are none from now on. Whoever waits gets a `coheld.ShutDown`.
    #[pyo3(signature = (immediate=None), text_signature = "($self, immediate=False)")]
    fn shutdown(slf: &Bound<'_, Self>, immediate: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let py = slf.py();
        let immediate = match immediate {
            None => false,
            Some(immediate) => interpreter::is_true(immediate)?,
        };
        let referent = state_of(slf)?.referent(py)?;
        Queue::new(&referent).shut_down(immediate).or_raise(py)
    }
}

#[pymethods]
impl JoinableQueueProxy {
    #[new]
    #[pyo3(signature = (*_args, **_kwds))]
    fn new(_args: Rest<'_, '_>, _kwds: Option<Keywords<'_, '_>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(BaseProxy::default())
            .add_subclass(QueueProxy)
            .add_subclass(Self)
    }
}
