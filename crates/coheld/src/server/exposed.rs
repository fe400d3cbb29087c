//! The names of the methods that clients may call, as the standard library's proxies know them.

use crate::Kind;

/// The methods of an object, as its proxies are told. Those of newer versions of Python are among
/// them for all.
pub(super) fn exposed(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::List => LIST,
        Kind::Dict => DICT,
        Kind::Set => SET,
        Kind::Namespace => &["__getattribute__", "__setattr__", "__delattr__"],
        Kind::Value => &["get", "set", "increment", "compare_exchange"],
        Kind::Array => &["__len__", "__getitem__", "__setitem__"],
        Kind::Lock | Kind::RLock | Kind::Semaphore | Kind::BoundedSemaphore => {
            &["acquire", "release", "locked"]
        }
        Kind::Event => &["is_set", "set", "clear", "wait"],
        Kind::Condition => &[
            "acquire",
            "release",
            "locked",
            "wait",
            "notify",
            "notify_all",
        ],
        Kind::Barrier => &["__getattribute__", "wait", "abort", "reset"],
        Kind::Queue | Kind::JoinableQueue => QUEUE,
        Kind::Hosted => &[],
    }
}

const LIST: &[&str] = &[
    "__add__",
    "__contains__",
    "__delitem__",
    "__getitem__",
    "__len__",
    "__mul__",
    "__reversed__",
    "__rmul__",
    "__setitem__",
    "append",
    "count",
    "extend",
    "index",
    "insert",
    "pop",
    "remove",
    "reverse",
    "sort",
    "__imul__",
    "clear",
    "copy",
];

const DICT: &[&str] = &[
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
    "increment",
    "compare_exchange",
];

const SET: &[&str] = &[
    "__and__",
    "__contains__",
    "__iand__",
    "__ior__",
    "__isub__",
    "__iter__",
    "__ixor__",
    "__len__",
    "__or__",
    "__rand__",
    "__ror__",
    "__rsub__",
    "__rxor__",
    "__sub__",
    "__xor__",
    "__ge__",
    "__gt__",
    "__le__",
    "__lt__",
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
];

const QUEUE: &[&str] = &[
    "empty",
    "full",
    "get",
    "get_nowait",
    "join",
    "put",
    "put_nowait",
    "qsize",
    "task_done",
    "shutdown",
];

/// The name of the class that the standard library has in its server for such an object.
pub(super) fn class_name(kind: Kind) -> &'static str {
    match kind {
        Kind::List => "list",
        Kind::Dict => "dict",
        Kind::Set => "set",
        Kind::Namespace => "multiprocessing.managers.Namespace",
        Kind::Value => "multiprocessing.managers.Value",
        Kind::Array => "array.array",
        Kind::Lock => "_thread.lock",
        Kind::RLock => "_thread.RLock",
        Kind::Semaphore => "threading.Semaphore",
        Kind::BoundedSemaphore => "threading.BoundedSemaphore",
        Kind::Event => "threading.Event",
        Kind::Condition => "threading.Condition",
        Kind::Barrier => "threading.Barrier",
        Kind::Queue | Kind::JoinableQueue => "queue.Queue",
        Kind::Hosted => "object",
    }
}
