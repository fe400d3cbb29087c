//! What is taken from modules of Python, by name.
//!
//! Python cannot import any more when it ends, while destructors of a program may still use
//! proxies. So all that proxies may come to need is looked up when this process gets its first
//! attachment. The modules are there by then.

use pyo3::{prelude::*, sync::PyOnceLock, types::PyType};

/// An attribute of a module, looked up once.
pub(crate) struct Imported {
    module: &'static str,
    name: &'static str,
    cell: PyOnceLock<Py<PyAny>>,
}

impl Imported {
    const fn new(module: &'static str, name: &'static str) -> Self {
        Self {
            module,
            name,
            cell: PyOnceLock::new(),
        }
    }

    /// The object.
    #[inline]
    pub(crate) fn get<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyAny>> {
        self.cell.import(py, self.module, self.name)
    }

    /// The object, which is a class.
    pub(crate) fn class<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyType>> {
        Ok(self.get(py)?.cast::<PyType>()?)
    }
}

/// Defines all of them, and the list.
macro_rules! imported {
    ($($constant:ident = $module:literal, $name:literal;)*) => {
        $(pub(crate) static $constant: Imported = Imported::new($module, $name);)*

        /// Looks up everything that has not been used yet.
        pub(crate) fn prepare(py: Python<'_>) -> PyResult<()> {
            $($constant.get(py)?;)*
            Ok(())
        }
    };
}

imported! {
    ARRAY = "array", "array";
    AUTHENTICATION_ERROR = "multiprocessing.context", "AuthenticationError";
    AUTHENTICATION_STRING = "multiprocessing.process", "AuthenticationString";
    BROKEN_BARRIER = "threading", "BrokenBarrierError";
    BYTES_IO = "io", "BytesIO";
    CALL_TIMEOUT = "coheld.errors", "CallTimeout";
    COHELD_ERROR = "coheld.errors", "CoheldError";
    CORRUPTED = "coheld.errors", "CorruptedError";
    DIALER = "coheld._wire", "dialer";
    DUMPS = "_pickle", "dumps";
    EMPTY = "queue", "Empty";
    FOLLOW_FORKS = "coheld._wire", "follow_forks";
    FORKING_PICKLER = "multiprocessing.reduction", "ForkingPickler";
    FORMAT_EXCEPTION = "traceback", "format_exception";
    FULL = "queue", "Full";
    ITERATE_REMOTE = "coheld._wire", "iterate";
    KEY_OF = "coheld._keys", "find";
    LISTENER_CLIENT = "multiprocessing.managers", "listener_client";
    LOADS = "_pickle", "loads";
    MANAGER_GONE = "coheld.errors", "ManagerGone";
    NAMESPACE = "multiprocessing.managers", "Namespace";
    NOTE_LINK = "coheld._presence", "note_link";
    OUT_OF_MEMORY = "coheld.errors", "OutOfMemory";
    OWNER_DIED = "coheld.errors", "OwnerDiedError";
    OWNER_DIED_WARNING = "coheld.errors", "OwnerDiedWarning";
    QUEUE = "queue", "Queue";
    REBUILD_EDGE = "coheld._coheld", "_rebuild_edge";
    REBUILD_PROXY = "coheld._coheld", "RebuildProxy";
    REFERENT_GONE = "coheld.managers", "ReferentGone";
    REMOTE_ERROR = "multiprocessing.managers", "RemoteError";
    REMOTE_TRACEBACK = "coheld.errors", "RemoteTraceback";
    SHUT_DOWN = "coheld.errors", "ShutDown";
    SPAWNING = "multiprocessing.context", "get_spawning_popen";
    STOCK_TOKEN = "coheld._wire", "StockToken";
    THREAD = "threading", "Thread";
    REMOTE_REDUCE = "coheld._wire", "reduce_remote";
    WIRE_METHODS = "coheld._wire", "methods_of";
    WIRE_PROXY = "coheld._wire", "proxy_of_result";
    WIRE_REBUILD = "coheld._wire", "rebuild";
    WIRE_REDUCE = "coheld._wire", "reduce_proxy";
    WIRE_UNPICKLER = "coheld._wire", "Unpickler";
    VALUE = "multiprocessing.managers", "Value";
}
