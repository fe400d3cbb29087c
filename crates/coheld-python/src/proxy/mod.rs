//! The proxy classes, one file each.

mod argument;
mod array;
mod base;
mod dict;
mod dict_iterator;
mod kind;
mod list;
mod list_iterator;
mod list_operations;
mod namespace;
mod sequence;
mod set;
mod set_operations;
mod state;
mod value;

use coheld::Handle;
use pyo3::prelude::*;

pub(crate) use self::{
    array::ArrayProxy,
    base::BaseProxy,
    dict::DictProxy,
    dict_iterator::DictIterator,
    kind::Kind,
    list::ListProxy,
    list_iterator::ListIterator,
    namespace::NamespaceProxy,
    set::SetProxy,
    state::{ProxyState, state_of_base},
    value::{ValueProxy, auxiliary as auxiliary_of_value, copy as copy_of_value},
};
pub(crate) use self::{
    array::copy as copy_of_array,
    namespace::{copy as copy_of_namespace, method as namespace_method},
};

/// A proxy of the built-in class for a handle.
pub(crate) fn from_handle(py: Python<'_>, handle: Handle) -> PyResult<Bound<'_, PyAny>> {
    let state = ProxyState::new(py, handle)?;
    from_state(py, state)
}

/// A proxy of the built-in class that stands for the kind of its referent.
pub(crate) fn from_state(py: Python<'_>, state: ProxyState) -> PyResult<Bound<'_, PyAny>> {
    let kind = state.kind();
    let base = PyClassInitializer::from(BaseProxy::initialised(state));
    Ok(match kind {
        Kind::List => Bound::new(py, base.add_subclass(ListProxy))?.into_any(),
        Kind::Dict => Bound::new(py, base.add_subclass(DictProxy))?.into_any(),
        Kind::Set => Bound::new(py, base.add_subclass(SetProxy))?.into_any(),
        Kind::Namespace => Bound::new(py, base.add_subclass(NamespaceProxy))?.into_any(),
        Kind::Value => Bound::new(py, base.add_subclass(ValueProxy))?.into_any(),
        Kind::Array => Bound::new(py, base.add_subclass(ArrayProxy))?.into_any(),
    })
}

/// Gives the classes the module that programs import them from, and a plain name: the name they are
/// defined with begins with a module, and would show so in every message of Python about them.
pub(crate) fn name_module(module: &Bound<'_, PyModule>) -> PyResult<()> {
    for name in [
        "Token",
        "BaseProxy",
        "ListProxy",
        "DictProxy",
        "SetProxy",
        "NamespaceProxy",
        "ValueProxy",
        "ArrayProxy",
        "list_iterator",
        "dict_keyiterator",
    ] {
        let home = if name.contains('_') {
            "coheld._coheld"
        } else {
            "coheld.managers"
        };
        let class = module.getattr(name)?;
        class.setattr("__module__", home)?;
        class.setattr("__name__", name)?;
    }
    namespace::show_getattr(&module.getattr("NamespaceProxy")?.cast_into()?)
}
