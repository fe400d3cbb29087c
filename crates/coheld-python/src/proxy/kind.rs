//! The kinds of referents, as Python knows them.

use coheld::Handle;
use coheld_store::{Hosted, kinds::referent};
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{PyTuple, PyType},
};

use super::{
    BaseProxy,
    acquirer::AcquirerProxy,
    array::ArrayProxy,
    barrier::BarrierProxy,
    condition::ConditionProxy,
    dict::DictProxy,
    event::EventProxy,
    list::ListProxy,
    namespace::NamespaceProxy,
    queue::{JoinableQueueProxy, QueueProxy},
    set::SetProxy,
    value::ValueProxy,
};

/// A kind of referent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    List,
    Dict,
    Set,
    Namespace,
    Value,
    Array,
    Lock,
    RLock,
    Semaphore,
    BoundedSemaphore,
    Event,
    Condition,
    Barrier,
    Queue,
    JoinableQueue,
    /// An object of any class, in the process of its host.
    Hosted,
}

impl Kind {
    /// The native ones.
    const ALL: [Self; 15] = [
        Self::List,
        Self::Dict,
        Self::Set,
        Self::Namespace,
        Self::Value,
        Self::Array,
        Self::Lock,
        Self::RLock,
        Self::Semaphore,
        Self::BoundedSemaphore,
        Self::Event,
        Self::Condition,
        Self::Barrier,
        Self::Queue,
        Self::JoinableQueue,
    ];

    /// The kind with this number in the segment.
    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match number {
            referent::LIST => Some(Self::List),
            referent::DICT => Some(Self::Dict),
            referent::SET => Some(Self::Set),
            referent::NAMESPACE => Some(Self::Namespace),
            referent::VALUE => Some(Self::Value),
            referent::ARRAY => Some(Self::Array),
            referent::LOCK => Some(Self::Lock),
            referent::RLOCK => Some(Self::RLock),
            referent::SEMAPHORE => Some(Self::Semaphore),
            referent::BOUNDED_SEMAPHORE => Some(Self::BoundedSemaphore),
            referent::EVENT => Some(Self::Event),
            referent::CONDITION => Some(Self::Condition),
            referent::BARRIER => Some(Self::Barrier),
            referent::QUEUE => Some(Self::Queue),
            referent::JOINABLE_QUEUE => Some(Self::JoinableQueue),
            referent::HOSTED => Some(Self::Hosted),
            _ => None,
        }
    }

    /// The typeid under which `SyncManager` registers it.
    pub(crate) const fn typeid(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Dict => "dict",
            Self::Set => "set",
            Self::Namespace => "Namespace",
            Self::Value => "Value",
            Self::Array => "Array",
            Self::Lock => "Lock",
            Self::RLock => "RLock",
            Self::Semaphore => "Semaphore",
            Self::BoundedSemaphore => "BoundedSemaphore",
            Self::Event => "Event",
            Self::Condition => "Condition",
            Self::Barrier => "Barrier",
            Self::Queue => "Queue",
            Self::JoinableQueue => "JoinableQueue",
            Self::Hosted => "object",
        }
    }

    /// The kind that is registered under a typeid.
    pub(crate) fn from_typeid(typeid: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.typeid() == typeid)
    }

    /// Whether such referents are waited for and have no content that could be copied.
    pub(crate) const fn is_waited_for(self) -> bool {
        !matches!(
            self,
            Self::List
                | Self::Dict
                | Self::Set
                | Self::Namespace
                | Self::Value
                | Self::Array
                | Self::Hosted
        )
    }

    /// Whether such a referent can become a hosted one.
    #[inline]
    pub(crate) const fn can_move(self) -> bool {
        matches!(self, Self::Dict | Self::Set)
    }

    /// How Python writes the class of such a referent.
    pub(crate) const fn class_text(self) -> &'static str {
        match self {
            Self::List => "<class 'list'>",
            Self::Dict => "<class 'dict'>",
            Self::Set => "<class 'set'>",
            Self::Namespace => "<class 'multiprocessing.managers.Namespace'>",
            Self::Value => "<class 'multiprocessing.managers.Value'>",
            Self::Array => "<class 'array.array'>",
            Self::Lock => "<class '_thread.lock'>",
            Self::RLock => "<class '_thread.RLock'>",
            Self::Semaphore => "<class 'threading.Semaphore'>",
            Self::BoundedSemaphore => "<class 'threading.BoundedSemaphore'>",
            Self::Event => "<class 'threading.Event'>",
            Self::Condition => "<class 'threading.Condition'>",
            Self::Barrier => "<class 'threading.Barrier'>",
            Self::Queue | Self::JoinableQueue => "<class 'queue.Queue'>",
            Self::Hosted => "<class 'object'>",
        }
    }

    /// The class of its proxies.
    pub(crate) fn class(self, py: Python<'_>) -> Bound<'_, PyType> {
        match self {
            Self::List => py.get_type::<ListProxy>(),
            Self::Dict => py.get_type::<DictProxy>(),
            Self::Set => py.get_type::<SetProxy>(),
            Self::Namespace => py.get_type::<NamespaceProxy>(),
            Self::Value => py.get_type::<ValueProxy>(),
            Self::Array => py.get_type::<ArrayProxy>(),
            Self::Lock | Self::RLock | Self::Semaphore | Self::BoundedSemaphore => {
                py.get_type::<AcquirerProxy>()
            }
            Self::Event => py.get_type::<EventProxy>(),
            Self::Condition => py.get_type::<ConditionProxy>(),
            Self::Barrier => py.get_type::<BarrierProxy>(),
            Self::Queue => py.get_type::<QueueProxy>(),
            Self::JoinableQueue => py.get_type::<JoinableQueueProxy>(),
            Self::Hosted => py.get_type::<BaseProxy>(),
        }
    }

    /// Makes sure that the class of a proxy does not stand for another kind than the referent's. A
    /// hosted referent has whatever methods its object has, so it suits any class.
    pub(crate) fn check_class(proxy: &Bound<'_, BaseProxy>, kind: Option<Self>) -> PyResult<()> {
        if kind == Some(Self::Hosted) {
            return Ok(());
        }
        let py = proxy.py();
        let own = kind.map(|kind| kind.class(py));
        for other in Self::ALL {
            let other = other.class(py);
            let fits = match &own {
                // Some classes stand for several kinds, or are derived from one another.
                Some(own) => own.is_subclass(&other)?,
                None => false,
            };
            if !fits && proxy.is_instance(&other)? {
                return Err(PyTypeError::new_err(format!(
                    "the token names a shared {}, of which a {} cannot be a proxy",
                    kind.map_or("object of an unknown kind", Self::typeid),
                    proxy.get_type().name()?
                )));
            }
        }
        Ok(())
    }

    /// The same as the `_exposed_` of the proxy class.
    pub(crate) fn exposed_tuple(self, py: Python<'_>) -> PyResult<Py<PyTuple>> {
        PyTuple::new(py, self.exposed()).map(Bound::unbind)
    }

    /// The methods that the referent carries out for a proxy, of all versions of Python.
    pub(crate) const fn exposed(self) -> &'static [&'static str] {
        match self {
            Self::List => &[
                "__add__",
                "__contains__",
                "__delitem__",
                "__getitem__",
                "__imul__",
                "__len__",
                "__mul__",
                "__reversed__",
                "__rmul__",
                "__setitem__",
                "append",
                "clear",
                "copy",
                "count",
                "extend",
                "index",
                "insert",
                "pop",
                "remove",
                "reverse",
                "sort",
            ],
            Self::Dict => &[
                "__contains__",
                "__delitem__",
                "__getitem__",
                "__ior__",
                "__iter__",
                "__len__",
                "__or__",
                "__reversed__",
                "__ror__",
                "__setitem__",
                "clear",
                "copy",
                "fromkeys",
                "get",
                "items",
                "keys",
                "pop",
                "popitem",
                "setdefault",
                "update",
                "values",
                // Stock has none of these.
                "increment",
                "compare_exchange",
            ],
            Self::Set => &[
                "__and__",
                "__class_getitem__",
                "__contains__",
                "__ge__",
                "__gt__",
                "__iand__",
                "__ior__",
                "__isub__",
                "__iter__",
                "__ixor__",
                "__le__",
                "__len__",
                "__lt__",
                "__or__",
                "__rand__",
                "__ror__",
                "__rsub__",
                "__rxor__",
                "__sub__",
                "__xor__",
                "add",
                "clear",
                "copy",
                "difference",
                "difference_update",
                "discard",
                "intersection",
                "intersection_update",
                "isdisjoint",
                "issubset",
                "issuperset",
                "pop",
                "remove",
                "symmetric_difference",
                "symmetric_difference_update",
                "union",
                "update",
            ],
            Self::Namespace => &["__delattr__", "__getattribute__", "__setattr__"],
            // The last two are not stock's.
            Self::Value => &["get", "set", "increment", "compare_exchange"],
            Self::Array => &["__getitem__", "__len__", "__setitem__"],
            Self::Lock | Self::RLock | Self::Semaphore | Self::BoundedSemaphore => {
                &["acquire", "locked", "release"]
            }
            Self::Event => &["clear", "is_set", "set", "wait"],
            Self::Condition => &[
                "acquire",
                "locked",
                "notify",
                "notify_all",
                "release",
                "wait",
            ],
            Self::Barrier => &["__getattribute__", "abort", "reset", "wait"],
            Self::Queue | Self::JoinableQueue => &[
                "empty",
                "full",
                "get",
                "get_nowait",
                "join",
                "put",
                "put_nowait",
                "qsize",
                "shutdown",
                "task_done",
            ],
            // Each object has its own.
            Self::Hosted => &[],
        }
    }
}

/// The number of the kind of a referent; of one that has moved to another process, that of the kind
/// it had before, by which tokens name it from beginning to end.
pub(crate) fn number(handle: &Handle) -> u8 {
    let former = || {
        let referent = handle.referent().ok()?;
        Hosted::new(&referent).former_kind().ok()?
    };
    match handle.kind() {
        referent::HOSTED => former().unwrap_or(referent::HOSTED),
        kind => kind,
    }
}
