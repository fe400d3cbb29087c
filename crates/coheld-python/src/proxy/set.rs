//! `SetProxy`.

use coheld_store::{Set, StoreError};
use pyo3::{
    IntoPyObjectExt,
    exceptions::PyKeyError,
    prelude::*,
    pyclass::CompareOp,
    types::{PyGenericAlias, PySet, PyTuple, PyType},
};

use super::{
    BaseProxy, Kind,
    argument::{Argument, Keywords, Rest, is_simple, positional},
    route::{IntoAnswer, is_of_any_class, route, simple},
    sequence::tuple,
    set_operations::{add_all, named, named_in_place, on_copy, operator_in_place, take},
    state::state_of,
};
use crate::{
    codec,
    copy::{self, read, write},
    errors::OrRaise,
    key,
};

/// A proxy of a shared set.
///
/// Has all methods of set. Operators give plain sets, those in place the proxy. `==` compares by
/// identity, like that of every proxy; `<=`, `<`, `>=` and `>` compare the elements.
#[pyclass(extends = BaseProxy, frozen, subclass)]
pub(crate) struct SetProxy;

#[pymethods]
impl SetProxy {
    #[classattr]
    fn _exposed_(py: Python<'_>) -> PyResult<Py<PyTuple>> {
        Kind::Set.exposed_tuple(py)
    }

    #[new]
    #[pyo3(signature = (*_args, **_kwds))]
    fn new(_args: Rest<'_, '_>, _kwds: Option<Keywords<'_, '_>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(BaseProxy::default()).add_subclass(Self)
    }

    #[classmethod]
    fn __class_getitem__<'py>(
        class: &Bound<'py, PyType>,
        item: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyGenericAlias>> {
        PyGenericAlias::new(class.py(), class.as_any(), item)
    }

    fn __len__(slf: &Bound<'_, Self>) -> PyResult<usize> {
        let py = slf.py();
        let name = pyo3::intern!(py, "__len__");
        let none = || Ok(PyTuple::empty(py));
        route(slf.as_super(), name, none, None, |state| {
            let length = Set::new(&state.referent(py)?).len().or_raise(py)?;
            Ok(usize::try_from(length)?)
        })
    }

    fn __contains__<'py>(slf: &Bound<'py, Self>, element: &Bound<'py, PyAny>) -> PyResult<bool> {
        let py = slf.py();
        let name = pyo3::intern!(py, "__contains__");
        let arguments = || tuple(py, [element]);
        route(slf.as_super(), name, arguments, None, |state| {
            let Some(encoded) = key::encode(element)? else {
                return copy::contains(py, state, element);
            };
            let key = encoded.key(py, state.hasher())?;
            Set::new(&state.referent(py)?).contains(&key).or_raise(py)
        })
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "__iter__");
        let none = || Ok(PyTuple::empty(py));
        route(slf.as_super(), name, none, None, |state| {
            let snapshot = Set::new(&state.referent(py)?).snapshot().or_raise(py)?;
            Ok(codec::list(py, state.attachment(), &snapshot)?
                .try_iter()?
                .into_any())
        })
    }

    // Defining an order takes the identity hash away unless it is asked for.
    fn __hash__(slf: &Bound<'_, Self>) -> isize {
        slf.as_ptr().addr().rotate_right(4).cast_signed()
    }

    fn __richcmp__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
        operator: CompareOp,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let same = slf.is(other);
        match operator {
            CompareOp::Eq if same => true.into_bound_py_any(py),
            CompareOp::Ne if same => false.into_bound_py_any(py),
            CompareOp::Eq | CompareOp::Ne => Ok(py.NotImplemented().into_bound(py)),
            CompareOp::Le => on_copy(slf, pyo3::intern!(py, "__le__"), other),
            CompareOp::Lt => on_copy(slf, pyo3::intern!(py, "__lt__"), other),
            CompareOp::Ge => on_copy(slf, pyo3::intern!(py, "__ge__"), other),
            CompareOp::Gt => on_copy(slf, pyo3::intern!(py, "__gt__"), other),
        }
    }

    fn __or__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        on_copy(slf, pyo3::intern!(slf.py(), "__or__"), other)
    }

    fn __ror__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        on_copy(slf, pyo3::intern!(slf.py(), "__ror__"), other)
    }

    fn __and__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        on_copy(slf, pyo3::intern!(slf.py(), "__and__"), other)
    }

    fn __rand__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        on_copy(slf, pyo3::intern!(slf.py(), "__rand__"), other)
    }

    fn __sub__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        on_copy(slf, pyo3::intern!(slf.py(), "__sub__"), other)
    }

    fn __rsub__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        on_copy(slf, pyo3::intern!(slf.py(), "__rsub__"), other)
    }

    fn __xor__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        on_copy(slf, pyo3::intern!(slf.py(), "__xor__"), other)
    }

    fn __rxor__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        on_copy(slf, pyo3::intern!(slf.py(), "__rxor__"), other)
    }

    fn __ior__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let names = (pyo3::intern!(py, "__ior__"), pyo3::intern!(py, "update"));
        operator_in_place(slf, "|=", names, other)
    }

    fn __iand__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let names = (
            pyo3::intern!(py, "__iand__"),
            pyo3::intern!(py, "intersection_update"),
        );
        operator_in_place(slf, "&=", names, other)
    }

    fn __isub__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let names = (
            pyo3::intern!(py, "__isub__"),
            pyo3::intern!(py, "difference_update"),
        );
        operator_in_place(slf, "-=", names, other)
    }

    fn __ixor__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let names = (
            pyo3::intern!(py, "__ixor__"),
            pyo3::intern!(py, "symmetric_difference_update"),
        );
        operator_in_place(slf, "^=", names, other)
    }

    /// Add an element to the set. Has no effect if the element is already there.
    #[pyo3(signature = (object=Argument::Missing, /, *args, **kwds),
           text_signature = "($self, object, /)")]
    fn add<'py>(
        slf: &Bound<'py, Self>,
        object: Argument<'py>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "add");
        let arguments = || positional(&[&object], args);
        route(slf.as_super(), name, arguments, kwds, |state| {
            if let (Argument::Given(element), true) = (&object, is_simple(args, kwds))
                && let Some(encoded) = key::encode(element)?
            {
                let key = encoded.key(py, state.hasher())?;
                let added = Set::new(&state.referent(py)?).add(&key).or_raise(py);
                return added.map(drop).answer(py);
            }
            write(py, state, name, &arguments()?, kwds)
        })
    }

    /// Remove all elements from the set.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, /)")]
    fn clear<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "clear");
        simple(slf.as_super(), name, args, kwds, write, |state| {
            Set::new(&state.referent(py)?)
                .clear()
                .or_raise(py)
                .answer(py)
        })
    }

    /// Return a plain set with the elements.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, /)")]
    fn copy<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "copy");
        route(
            slf.as_super(),
            name,
            || Ok(args.clone()),
            kwds,
            |state| read(py, state, name, args, kwds),
        )
    }

    /// Remove an element from the set if it is there.
    #[pyo3(signature = (object=Argument::Missing, /, *args, **kwds),
           text_signature = "($self, object, /)")]
    fn discard<'py>(
        slf: &Bound<'py, Self>,
        object: Argument<'py>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "discard");
        let arguments = || positional(&[&object], args);
        route(slf.as_super(), name, arguments, kwds, |state| {
            if let (Argument::Given(element), true) = (&object, is_simple(args, kwds))
                && take(py, state, element)?.is_some()
            {
                return Ok(()).answer(py);
            }
            write(py, state, name, &arguments()?, kwds)
        })
    }

    /// Remove an element from the set; it must be there.
    ///
    /// If the element is not in the set, raise a KeyError.
    #[pyo3(signature = (object=Argument::Missing, /, *args, **kwds),
           text_signature = "($self, object, /)")]
    fn remove<'py>(
        slf: &Bound<'py, Self>,
        object: Argument<'py>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "remove");
        let arguments = || positional(&[&object], args);
        route(slf.as_super(), name, arguments, kwds, |state| {
            if let (Argument::Given(element), true) = (&object, is_simple(args, kwds))
                && let Some(found) = take(py, state, element)?
            {
                let missing = || PyKeyError::new_err((element.clone().unbind(),));
                return if found { Ok(()) } else { Err(missing()) }.answer(py);
            }
            write(py, state, name, &arguments()?, kwds)
        })
    }

    /// Remove and return an arbitrary element.
    ///
    /// Raises KeyError if the set is empty.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, /)")]
    fn pop<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name = pyo3::intern!(py, "pop");
        simple(
            slf.as_super(),
            name,
            args,
            kwds,
            write,
            |state| match Set::new(&state.referent(py)?).pop_any() {
                Ok(Some(element)) => codec::output(py, state.attachment(), element),
                Ok(None) | Err(StoreError::Empty) => PySet::empty(py)?.call_method0(name),
                Err(error) => Err(error).or_raise(py),
            },
        )
    }

    /// Add all elements of the others. They arrive as one change.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, /, *others)")]
    fn update<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if kwds.is_none_or(PyDictMethods::is_empty) && !is_of_any_class(slf.as_super())? {
            return add_all(slf.as_super(), args);
        }
        named_in_place(slf, pyo3::intern!(slf.py(), "update"), args, kwds)
    }

    /// Return a plain set with the elements that are not in the others.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, /, *others)")]
    fn difference<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        named(slf, pyo3::intern!(slf.py(), "difference"), args, kwds)
    }

    /// Return a plain set with the elements common to the set and all others.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, /, *others)")]
    fn intersection<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        named(slf, pyo3::intern!(slf.py(), "intersection"), args, kwds)
    }

    /// Return True if the two have no elements in common.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, other, /)")]
    fn isdisjoint<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        named(slf, pyo3::intern!(slf.py(), "isdisjoint"), args, kwds)
    }

    /// Return whether the other contains this set.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, other, /)")]
    fn issubset<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        named(slf, pyo3::intern!(slf.py(), "issubset"), args, kwds)
    }

    /// Return whether this set contains the other.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, other, /)")]
    fn issuperset<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        named(slf, pyo3::intern!(slf.py(), "issuperset"), args, kwds)
    }

    /// Return a plain set with the elements in either, but not in both.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, other, /)")]
    fn symmetric_difference<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        named(
            slf,
            pyo3::intern!(slf.py(), "symmetric_difference"),
            args,
            kwds,
        )
    }

    /// Return a plain set with the elements of the set and all others.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, /, *others)")]
    fn union<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        named(slf, pyo3::intern!(slf.py(), "union"), args, kwds)
    }

    /// Remove all elements of the others. They go as one change.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, /, *others)")]
    fn difference_update<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        named_in_place(
            slf,
            pyo3::intern!(slf.py(), "difference_update"),
            args,
            kwds,
        )
    }

    /// Keep only the elements found in the set and all others.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, /, *others)")]
    fn intersection_update<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        named_in_place(
            slf,
            pyo3::intern!(slf.py(), "intersection_update"),
            args,
            kwds,
        )
    }

    /// Keep only the elements found in either, but not in both.
    #[pyo3(signature = (*args, **kwds), text_signature = "($self, other, /)")]
    fn symmetric_difference_update<'py>(
        slf: &Bound<'py, Self>,
        args: Rest<'_, 'py>,
        kwds: Option<Keywords<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        named_in_place(
            slf,
            pyo3::intern!(slf.py(), "symmetric_difference_update"),
            args,
            kwds,
        )
    }

    /// Return a proxy of the lock that belongs to this object, an RLock: the same for everybody.
    ///
    /// Hold it for what takes several steps. It keeps nobody from working on the object without it.
    fn get_lock<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        state_of(slf)?.get_lock(slf.py())
    }
}
