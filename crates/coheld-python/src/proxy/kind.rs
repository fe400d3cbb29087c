//! The kinds of native referents, as Python knows them.

use coheld_store::kinds::referent;
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    types::{PyTuple, PyType},
};

use super::{
    BaseProxy, array::ArrayProxy, dict::DictProxy, list::ListProxy, namespace::NamespaceProxy,
    set::SetProxy, value::ValueProxy,
};

/// A kind of native referent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    List,
    Dict,
    Set,
    Namespace,
    Value,
    Array,
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::List,
        Self::Dict,
        Self::Set,
        Self::Namespace,
        Self::Value,
        Self::Array,
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
        }
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
        }
    }

    /// The kind whose built-in proxy class is exactly the class of `proxy`.
    pub(crate) fn of_exact_class(proxy: &Bound<'_, PyAny>) -> Option<Self> {
        let class = proxy.get_type();
        Self::ALL
            .into_iter()
            .find(|kind| class.is(kind.class(proxy.py())))
    }

    /// Makes sure that the class of a proxy does not stand for another kind than the referent's.
    pub(crate) fn check_class(proxy: &Bound<'_, BaseProxy>, kind: Option<Self>) -> PyResult<()> {
        let py = proxy.py();
        for other in Self::ALL {
            if Some(other) != kind && proxy.is_instance(&other.class(py))? {
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
            Self::Value => &["get", "set"],
            Self::Array => &["__getitem__", "__len__", "__setitem__"],
        }
    }
}
