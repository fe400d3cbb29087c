//! The proxy classes, one file each.

mod acquirer;
mod any_state;
mod argument;
mod array;
mod atomic;
mod barrier;
mod base;
mod condition;
mod describe;
mod dict;
mod dict_iterator;
mod dict_operations;
mod event;
mod kind;
mod list;
mod list_iterator;
mod list_operations;
mod namespace;
mod queue;
mod route;
mod sequence;
mod set;
mod set_operations;
mod state;
mod timeout;
mod value;

use coheld::Handle;
use pyo3::prelude::*;

pub(crate) use self::{
    acquirer::{AcquirerProxy, warn as warn_of_owner},
    any_state::{AnyState, any_state_of},
    array::ArrayProxy,
    barrier::BarrierProxy,
    base::{BaseProxy, value},
    condition::ConditionProxy,
    dict::DictProxy,
    dict_iterator::DictIterator,
    event::EventProxy,
    kind::{Kind, number as kind_number},
    list::ListProxy,
    list_iterator::ListIterator,
    namespace::NamespaceProxy,
    queue::{JoinableQueueProxy, QueueProxy},
    route::{call, has_moved, native_state},
    set::SetProxy,
    state::{ProxyState, state_of_base},
    value::{ValueProxy, auxiliary as auxiliary_of_value, copy as copy_of_value},
};
pub(crate) use self::{
    array::copy as copy_of_array,
    barrier::attribute as attribute_of_barrier,
    describe::{describe, unserializable},
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
    let base = PyClassInitializer::from(BaseProxy::initialised(AnyState::Segment(state)));
    Ok(match kind {
        Kind::List => Bound::new(py, base.add_subclass(ListProxy))?.into_any(),
        Kind::Dict => Bound::new(py, base.add_subclass(DictProxy))?.into_any(),
        Kind::Set => Bound::new(py, base.add_subclass(SetProxy))?.into_any(),
        Kind::Namespace => Bound::new(py, base.add_subclass(NamespaceProxy))?.into_any(),
        Kind::Value => Bound::new(py, base.add_subclass(ValueProxy))?.into_any(),
        Kind::Array => Bound::new(py, base.add_subclass(ArrayProxy))?.into_any(),
        Kind::Lock | Kind::RLock | Kind::Semaphore | Kind::BoundedSemaphore => {
            Bound::new(py, base.add_subclass(AcquirerProxy))?.into_any()
        }
        Kind::Event => Bound::new(py, base.add_subclass(EventProxy))?.into_any(),
        Kind::Condition => {
            let base = base.add_subclass(AcquirerProxy);
            Bound::new(py, base.add_subclass(ConditionProxy))?.into_any()
        }
        Kind::Barrier => Bound::new(py, base.add_subclass(BarrierProxy::default()))?.into_any(),
        Kind::Queue => Bound::new(py, base.add_subclass(QueueProxy))?.into_any(),
        Kind::JoinableQueue => {
            let base = base.add_subclass(QueueProxy);
            Bound::new(py, base.add_subclass(JoinableQueueProxy))?.into_any()
        }
        Kind::Hosted => Bound::new(py, base)?.into_any(),
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
        "AcquirerProxy",
        "ConditionProxy",
        "EventProxy",
        "BarrierProxy",
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
    // As the standard library calls the classes that it makes for these types.
    for (name, shown) in [
        ("QueueProxy", "AutoProxy[Queue]"),
        ("JoinableQueueProxy", "AutoProxy[JoinableQueue]"),
    ] {
        let class = module.getattr(name)?;
        class.setattr("__module__", "coheld.managers")?;
        class.setattr("__name__", shown)?;
        class.setattr("__qualname__", shown)?;
    }
    namespace::show_getattr(&module.getattr("NamespaceProxy")?.cast_into()?)
}
