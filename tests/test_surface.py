"""What all proxies have in common: texts, identity, copying, calls by name, their classes."""

from __future__ import annotations

import collections.abc
import copy
import pickle
import re
import weakref

import marks
import pytest
import subject
from subject import managers

MAKERS = {
    "list": lambda manager: manager.list([1, 2]),
    "dict": lambda manager: manager.dict(a=1),
    "set": lambda manager: manager.set({1}),
    "Namespace": lambda manager: manager.Namespace(x=1),
    "Value": lambda manager: manager.Value("i", 7),
    "Array": lambda manager: manager.Array("i", [1, 2]),
}
TEXTS = {
    "list": "[1, 2]",
    "dict": "{'a': 1}",
    "set": "{1}",
    "Namespace": "Namespace(x=1)",
    "Value": "Value('i', 7)",
    "Array": "array('i', [1, 2])",
}
VALUES = {"list": [1, 2], "dict": {"a": 1}, "set": {1}}


@pytest.fixture(
    params=[
        pytest.param(name, marks=marks.stock_since(3, 14) if name == "set" else ())
        for name in MAKERS
    ]
)
def typeid(request):
    return request.param


@pytest.fixture
def proxy(typeid, manager):
    return MAKERS[typeid](manager)


# Texts.


def test_repr_names_class_typeid_and_address(typeid, proxy):
    name = typeid[0].upper() + typeid[1:] + "Proxy"
    assert repr(proxy) == f"<{name} object, typeid {typeid!r} at {id(proxy):#x}>"


def test_str_is_the_repr_of_the_referent(typeid, proxy):
    assert str(proxy) == TEXTS[typeid]
    assert f"{proxy}" == TEXTS[typeid]


def test_str_never_raises(typeid, manager):
    proxy = MAKERS[typeid](manager)
    manager.shutdown()
    subject.wait_until(lambda: not manager._process.is_alive())
    if subject.IS_STOCK:
        assert str(proxy) == repr(proxy)[:-1] + "; '__str__()' failed>"
    else:
        # The referent is in memory that this process still has, so it may well answer.
        assert str(proxy) in (TEXTS[typeid], repr(proxy)[:-1] + "; '__str__()' failed>")


# Identity.


def test_equality_is_identity(typeid, proxy):
    other = copy.copy(proxy)
    assert proxy == proxy
    assert not proxy == other
    assert proxy != other
    if typeid in VALUES:
        assert not proxy == VALUES[typeid]
    if typeid != "set" or not subject.IS_STOCK:
        assert len({proxy, other}) == 2


def test_copy_is_another_proxy_of_the_same_referent(proxy):
    other = copy.copy(proxy)
    assert other is not proxy
    assert type(other) is type(proxy)
    assert other._id == proxy._id
    assert str(other) == str(proxy)


def test_deepcopy_is_a_copy_of_the_value(typeid, proxy):
    value = copy.deepcopy(proxy)
    assert not isinstance(value, managers.BaseProxy)
    assert str(value) == TEXTS[typeid]


def test_getvalue_is_a_copy_of_the_value(typeid, proxy):
    assert str(proxy._getvalue()) == TEXTS[typeid]
    if typeid in VALUES:
        assert proxy._getvalue() == VALUES[typeid]
        assert type(proxy._getvalue()) is type(VALUES[typeid])


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_within_one_process(proxy, protocol):
    other = pickle.loads(pickle.dumps(proxy, protocol))
    assert type(other) is type(proxy)
    assert other._id == proxy._id
    assert str(other) == str(proxy)


def test_weak_references_die_with_the_proxy(manager):
    proxy = manager.list()
    reference = weakref.ref(proxy)
    assert reference() is proxy
    del proxy
    assert reference() is None


def test_attributes_of_ones_own(typeid, proxy):
    """Proxies are ordinary objects: programs hang their own attributes on them."""
    proxy._note = "mine"
    assert proxy._note == "mine"
    del proxy._note
    with pytest.raises(AttributeError):
        proxy._note


# Calls by name.


def test_callmethod_takes_args_and_kwds(manager):
    shared = manager.list([3, 1, 2])
    assert shared._callmethod("sort", (), {"reverse": True}) is None
    assert shared._callmethod("__getitem__", (0,)) == 3
    assert shared._callmethod("index", args=(1,)) == 2
    assert shared._callmethod("__repr__") == "[3, 2, 1]"
    assert shared._callmethod("__str__") == "[3, 2, 1]"
    assert shared._callmethod("#GETVALUE") == [3, 2, 1]


def test_callmethod_of_each_type(manager):
    assert manager.dict(a=1)._callmethod("get", ("a",)) == 1
    assert manager.Value("i", 7)._callmethod("get") == 7
    assert manager.Array("i", [1, 2])._callmethod("__getitem__", (1,)) == 2
    assert manager.Namespace(x=1)._callmethod("__getattribute__", ("x",)) == 1


@pytest.mark.parametrize("name", ["__class__", "__sizeof__", "nonsense", "_private", ""])
def test_methods_that_are_not_exposed(proxy, name):
    with pytest.raises(managers.RemoteError) as caught:
        proxy._callmethod(name)
    text = str(caught.value)
    assert f"method {name!r} of <class '" in text
    assert "object is not in exposed=" in text
    assert f"KeyError: {name!r}" in text
    assert text.startswith("\n" + "-" * 75 + "\nTraceback (most recent call last):\n")
    assert text.endswith("\n" + "-" * 75)
    assert isinstance(caught.value.args[0], str)


def test_methods_that_exist_but_are_not_exposed(manager):
    array = manager.Array("i", [1])
    with pytest.raises(managers.RemoteError, match="method 'append' of <class 'array.array'>"):
        array._callmethod("append", (2,))
    assert list(array) == [1]


def test_errors_of_the_referent_keep_type_and_text(manager):
    with pytest.raises(IndexError) as caught:
        manager.list()._callmethod("pop")
    assert caught.value.args == ("pop from empty list",)
    with pytest.raises(KeyError) as caught:
        manager.dict()["absent"]
    assert caught.value.args == ("absent",)


# Classes.


def test_proxies_are_base_proxies(typeid, proxy):
    name = typeid[0].upper() + typeid[1:] + "Proxy"
    assert isinstance(proxy, getattr(managers, name))
    assert isinstance(proxy, managers.BaseProxy)


def test_exposed_names_are_methods(typeid, proxy):
    exposed = type(proxy)._exposed_
    assert isinstance(exposed, tuple)
    for name in exposed:
        if typeid != "Namespace" and (typeid, name) != ("set", "__class_getitem__"):
            assert hasattr(proxy, name), name


def test_hasattr_follows_what_is_exposed(manager):
    assert hasattr(manager.list(), "append")
    assert not hasattr(manager.list(), "nonsense")
    assert not hasattr(manager.list(), "__iter__") or not subject.IS_STOCK
    assert not hasattr(manager.Array("i", [1]), "append")
    with pytest.raises(AttributeError, match="'ListProxy' object has no attribute 'nonsense'"):
        manager.list().nonsense


@pytest.mark.parametrize(
    "attribute",
    ["_token", "_id", "_manager", "_authkey", "_serializer"]
    + ["_address_to_local", "_mutex", "_tls", "_idset"],
)
def test_attributes_other_programs_read(proxy, attribute):
    assert hasattr(proxy, attribute)


def test_token(typeid, proxy, manager):
    token = proxy._token
    assert token.typeid == typeid
    assert token.address == manager.address
    assert token.id == proxy._id
    assert isinstance(token.id, str) and re.fullmatch(r"[0-9a-f]+", token.id)
    assert repr(token) == (
        f"Token(typeid={token.typeid!r}, address={token.address!r}, id={token.id!r})"
    )
    again = pickle.loads(pickle.dumps(token))
    assert (again.typeid, again.address, again.id) == (token.typeid, token.address, token.id)


def test_rebuilt_from_a_token(manager):
    shared = manager.list([1, 2])
    other = managers.ListProxy(shared._token, "pickle", authkey=shared._authkey)
    assert other._id == shared._id
    other.append(3)
    assert shared[:] == [1, 2, 3]
    third = managers.RebuildProxy(managers.ListProxy, shared._token, "pickle", {})
    assert third[:] == [1, 2, 3]


class LoudList(managers.ListProxy):
    """A user's own proxy class, as the documentation describes it."""

    def shout(self):
        return str(self).upper()

    def append(self, item):
        return self._callmethod("append", (f"{item}!",))


class CountedList(managers.ListProxy):
    """A proxy whose calls all go through an overridden _callmethod."""

    calls = 0

    def _callmethod(self, name, args=(), kwds={}):
        type(self).calls += 1
        return managers.BaseProxy._callmethod(self, name, args, kwds)

    def first(self):
        return self._callmethod("__getitem__", (0,))


class OwnManager(managers.SyncManager):
    pass


OwnManager.register("list", list, LoudList)
OwnManager.register("counted", list, CountedList)


def test_subclass_of_a_proxy():
    with OwnManager() as manager:
        shared = manager.list(["a"])
        assert type(shared) is LoudList
        shared.append("b")
        assert shared[:] == ["a", "b!"]
        assert shared.shout() == "['A', 'B!']"
        assert type(copy.copy(shared)) is LoudList
        assert type(pickle.loads(pickle.dumps(shared))) is LoudList
        assert repr(shared).startswith("<LoudList object, typeid 'list' at 0x")


def test_subclass_that_overrides_callmethod():
    with OwnManager() as manager:
        shared = manager.counted([5])
        before = CountedList.calls
        assert shared.first() == 5
        assert CountedList.calls == before + 1
        assert repr(shared).startswith("<CountedList object, typeid 'counted' at 0x")


def test_generic_aliases():
    assert managers.ValueProxy[int].__args__ == (int,)
    assert managers.ValueProxy[int].__origin__ is managers.ValueProxy


@marks.stock_since(3, 13)
def test_generic_aliases_of_containers():
    assert managers.ListProxy[int].__args__ == (int,)
    nested = managers.DictProxy[str, managers.ValueProxy[float]]
    assert nested.__args__ == (str, managers.ValueProxy[float])
    assert nested.__origin__ is managers.DictProxy


@marks.stock_since(3, 14)
def test_abstract_base_classes(manager):
    assert isinstance(manager.list(), collections.abc.MutableSequence)
    assert isinstance(manager.dict(), collections.abc.MutableMapping)
    assert issubclass(managers.ListProxy, collections.abc.MutableSequence)
    assert issubclass(managers.DictProxy, collections.abc.MutableMapping)


@marks.coheld_only
def test_a_set_proxy_is_a_set(manager):
    """Stock 3.14 registers it as a MutableMapping (cpython issue 142740)."""
    assert isinstance(manager.set(), collections.abc.MutableSet)
    assert not isinstance(manager.set(), collections.abc.MutableMapping)


def test_names_of_the_module():
    for name in ("BaseManager", "SyncManager", "BaseProxy", "Token"):
        assert name in managers.__all__
    for name in (
        "RemoteError",
        "RebuildProxy",
        "Namespace",
        "Value",
        "Array",
        "NamespaceProxy",
        "ValueProxy",
        "ListProxy",
        "DictProxy",
        "ArrayProxy",
        "ProcessError",
        "State",
    ):
        assert hasattr(managers, name), name
    assert issubclass(managers.RemoteError, Exception)


LIST_METHODS = """__add__ __contains__ __delitem__ __getitem__ __iadd__ __imul__ __len__ __mul__
    __reversed__ __rmul__ __setitem__ append count extend index insert pop remove reverse sort"""
DICT_METHODS = """__contains__ __delitem__ __getitem__ __iter__ __len__ __setitem__ clear copy get
    items keys pop popitem setdefault update values"""
SET_METHODS = """__and__ __contains__ __iand__ __ior__ __isub__ __iter__ __ixor__ __len__ __or__
    __rand__ __ror__ __rsub__ __rxor__ __sub__ __xor__ __ge__ __gt__ __le__ __lt__ add clear copy
    difference difference_update discard intersection intersection_update isdisjoint issubset
    issuperset pop remove symmetric_difference symmetric_difference_update union update"""


@pytest.mark.parametrize(
    "typeid, names",
    [
        pytest.param("list", LIST_METHODS, id="list"),
        pytest.param("dict", DICT_METHODS, id="dict"),
        pytest.param("list", "clear copy", marks=marks.stock_since(3, 14), id="newer list"),
        pytest.param(
            "dict",
            "__or__ __ior__ __ror__ __reversed__ fromkeys",
            marks=marks.stock_since(3, 14),
            id="newer dict",
        ),
        pytest.param("set", SET_METHODS, marks=marks.stock_since(3, 14), id="set"),
        pytest.param("Namespace", "__getattr__ __setattr__ __delattr__", id="Namespace"),
        pytest.param("Value", "get set value", id="Value"),
        pytest.param("Array", "__len__ __getitem__ __setitem__", id="Array"),
    ],
)
def test_dir_shows_the_methods(manager, typeid, names):
    assert set(names.split()) <= set(dir(type(MAKERS[typeid](manager))))
