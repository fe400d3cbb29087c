//! The proxies of queues: `AutoProxy[Queue]` and `AutoProxy[JoinableQueue]`.

use coheld_store::{Queue, StoreError, Wait};
use pyo3::{
    prelude::*,
    types::{PyDict, PyString, PyTuple},
};

use super::{
    BaseProxy, Kind, ProxyState,
    argument::{Argument, Keywords, Rest, is_simple, positional},
    route::{IntoAnswer, call, native_state, plain, route},
    timeout,
};
use crate::{
    codec,
    errors::{self, OrRaise},
    imported, interpreter,
};

/// A proxy of a shared queue.
#[pyclass(extends = BaseProxy, frozen, subclass)]
pub(crate) struct QueueProxy;

/// A proxy of a shared queue that was made as a JoinableQueue, which has the same methods.
#[pyclass(extends = QueueProxy, frozen, subclass)]
pub(crate) struct JoinableQueueProxy;

/// Calls a method of an ordinary queue: it refuses the arguments in the words of the running
/// Python.
#[cold]
fn refuse<'py>(
    py: Python<'py>,
    method: &Bound<'py, PyString>,
    arguments: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let queue = interpreter::call(imported::QUEUE.get(py)?, ())?;
    interpreter::call_with(&queue.getattr(method)?, arguments, keywords)
}

/// Calls a method of a hosted queue with the arguments as they were given: those by position first,
/// and those after a gap by their names.
#[cold]
fn call_named<'py>(
    proxy: &Bound<'py, BaseProxy>,
    method: &Bound<'py, PyString>,
    named: &[(&str, &Argument<'py>)],
    rest: Rest<'_, 'py>,
    keywords: Option<Keywords<'_, 'py>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = proxy.py();
    let is_given = |(_, argument): &&(&str, &Argument<'py>)| given(argument).is_some();
    let leading = named.iter().take_while(is_given).count();
    let first: Vec<_> = named[..leading]
        .iter()
        .map(|(_, argument)| *argument)
        .collect();
    let all = match keywords {
        Some(keywords) => keywords.copy()?,
        None => PyDict::new(py),
    };
    for (name, argument) in &named[leading..] {
        if let Some(object) = given(argument) {
            all.set_item(*name, object)?;
        }
    }
    call(proxy, method, &positional(&first, rest)?, Some(&all))
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
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "put");
        let Some(state) = native_state(slf.as_super())? else {
            let named = [("item", &item), ("block", &block), ("timeout", &timeout)];
            return call_named(slf.as_super(), name, &named, args, kwds);
        };
        match &item {
            Argument::Given(item) if is_simple(args, kwds) => {
                let wait = match (&block, &timeout) {
                    (Argument::Missing, Argument::Missing) => Wait::Forever,
                    // There always is room: nobody looks at how long to wait for some.
                    _ if state.auxiliary(py)? == Queue::auxiliary(0) => Wait::Forever,
                    _ => wait_of(&block, &timeout)?,
                };
                put(py, state, item, wait).answer(py)
            }
            item => {
                let arguments = positional(&[item, &block, &timeout], args)?;
                refuse(py, name, &arguments, kwds)
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
        let name = pyo3::intern!(py, "get");
        let Some(state) = native_state(slf.as_super())? else {
            let named = [("block", &block), ("timeout", &timeout)];
            return call_named(slf.as_super(), name, &named, args, kwds);
        };
        if !is_simple(args, kwds) {
            let arguments = positional(&[&block, &timeout], args)?;
            return refuse(py, name, &arguments, kwds);
        }
        let wait = match (&block, &timeout) {
            (Argument::Missing, Argument::Missing) => Wait::Forever,
            _ => wait_of(&block, &timeout)?,
        };
        get(py, state, wait)
    }

    /// Put an item in if there is room; raise `queue.Full` otherwise.
    #[pyo3(signature = (item=Argument::Missing, *args, **kwds), text_signature = "($self, item)")]
    fn put_nowait<'py>(
        slf: &Bound<'py, Self>,
        item: Argument<'py>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "put_nowait");
        let arguments = || positional(&[&item], args);
        route(slf.as_super(), name, arguments, kwds, |state| match &item {
            Argument::Given(item) if is_simple(args, kwds) => {
                put(py, state, item, Wait::No).answer(py)
            }
            _ => refuse(py, name, &arguments()?, kwds),
        })
    }

    /// Take an item out if there is one; raise `queue.Empty` otherwise.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self)")]
    fn get_nowait<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "get_nowait");
        route(
            slf.as_super(),
            name,
            || Ok(args.clone()),
            kwds,
            |state| {
                if is_simple(args, kwds) {
                    return get(py, state, Wait::No);
                }
                refuse(py, name, args, kwds)
            },
        )
    }

    /// Return the number of items in the queue.
    fn qsize<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        plain(slf.as_super(), pyo3::intern!(py, "qsize"), |referent| {
            Queue::new(referent).len().or_raise(py).answer(py)
        })
    }

    /// Return whether the queue has no items.
    fn empty<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        plain(slf.as_super(), pyo3::intern!(py, "empty"), |referent| {
            Queue::new(referent).is_empty().or_raise(py).answer(py)
        })
    }

    /// Return whether the queue has as many items as it takes.
    fn full<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        plain(slf.as_super(), pyo3::intern!(py, "full"), |referent| {
            let most = Queue::new(referent).maxsize().or_raise(py)?;
            let full = most > 0 && Queue::new(referent).len().or_raise(py)? >= most;
            Ok(full).answer(py)
        })
    }

    /// Say that an item that was taken out is done.
    fn task_done<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        plain(slf.as_super(), pyo3::intern!(py, "task_done"), |referent| {
            Queue::new(referent).task_done().or_raise(py).answer(py)
        })
    }

    /// Wait until all items that were put in are done.
    fn join<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        plain(slf.as_super(), pyo3::intern!(py, "join"), |referent| {
            let done = Queue::new(referent).join(Wait::Forever).or_raise(py);
            done.map(drop).answer(py)
        })
    }

    /// Let nobody put items in any more, nor take any out once there are none; with *immediate*
    /// there are none from now on. Whoever waits gets a `coheld.ShutDown`.
    #[pyo3(signature = (immediate=None), text_signature = "($self, immediate=False)")]
    fn shutdown<'py>(
        slf: &Bound<'py, Self>,
        immediate: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "shutdown");
        let arguments = || PyTuple::new(py, immediate);
        route(slf.as_super(), name, arguments, None, |state| {
            let immediate = match immediate {
                None => false,
                Some(immediate) => interpreter::is_true(immediate)?,
            };
            let referent = state.referent(py)?;
            Queue::new(&referent)
                .shut_down(immediate)
                .or_raise(py)
                .answer(py)
        })
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
