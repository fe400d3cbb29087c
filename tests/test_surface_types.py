"""The methods of each proxy type, with the results that Python's own proxies give."""

from __future__ import annotations

import array
import math

import marks
import pytest
from subject import managers

needs_stock_3_14 = marks.stock_since(3, 14)


# list


def test_list_from_nothing_an_iterable_and_a_proxy(manager):
    assert manager.list()[:] == []
    assert manager.list("abc")[:] == ["a", "b", "c"]
    assert manager.list(range(3))[:] == [0, 1, 2]
    assert manager.list(manager.list([1, 2]))[:] == [1, 2]


def test_list_items_slices_and_deletion(manager):
    shared = manager.list(range(10))
    assert shared[-1] == 9 and shared[2:5] == [2, 3, 4] and shared[::-3] == [9, 6, 3, 0]
    shared[0] = "zero"
    shared[1:3] = ["one", "two", "and a half"]
    shared[-4::2] = [60, 80]
    del shared[4], shared[5:7]
    assert shared[:] == ["zero", "one", "two", "and a half", 4, 7, 80, 9]
    assert type(shared[1:2]) is list


def test_list_methods(manager):
    shared = manager.list([3, 1, 2])
    shared.append(1)
    shared.extend((5, 4))
    shared.insert(1, 9)
    assert shared[:] == [3, 9, 1, 2, 1, 5, 4]
    assert (shared.count(1), shared.index(1), shared.index(1, 3), len(shared)) == (2, 2, 4, 7)
    assert (shared.pop(), shared.pop(0), shared.pop(-2)) == (4, 3, 1)
    shared.remove(2)
    shared.reverse()
    assert shared[:] == [5, 1, 9]
    shared.sort()
    assert shared[:] == [1, 5, 9]
    shared.sort(key=str, reverse=True)
    assert shared[:] == [9, 5, 1]
    assert 5 in shared and 6 not in shared
    assert list(reversed(shared)) == [1, 5, 9]
    assert list(shared) == [9, 5, 1]


def test_list_operators(manager):
    shared = manager.list([1])
    same = shared
    assert shared + [2] == [1, 2] and type(shared + [2]) is list
    assert shared * 2 == [1, 1] and 2 * shared == [1, 1]
    shared += [2]
    shared *= 2
    assert shared is same and shared[:] == [1, 2, 1, 2]
    assert bool(shared) and not manager.list()


def test_list_with_proxies_as_arguments(manager):
    shared, other = manager.list([1]), manager.list([2, 3])
    shared.extend(other)
    assert shared[:] == [1, 2, 3]
    shared[:1] = other
    assert shared[:] == [2, 3, 2, 3]
    assert list(other) == [2, 3]


@marks.coheld_only
def test_list_plus_a_proxy(manager):
    """Stock: can only concatenate list (not "ListProxy") to list."""
    assert manager.list([1]) + manager.list([2]) == [1, 2]


@needs_stock_3_14
def test_list_clear_and_copy(manager):
    shared = manager.list([1, 2])
    copied = shared.copy()
    assert copied == [1, 2] and type(copied) is list
    shared.clear()
    assert len(shared) == 0


# dict


def test_dict_from_everything_dict_takes(manager):
    assert manager.dict().copy() == {}
    assert manager.dict({"a": 1}, b=2).copy() == {"a": 1, "b": 2}
    assert manager.dict([("a", 1), ("b", 2)]).copy() == {"a": 1, "b": 2}
    assert manager.dict(zip("ab", (1, 2))).copy() == {"a": 1, "b": 2}


@marks.coheld_only
def test_dict_from_a_proxy_of_the_same_manager(manager):
    """Stock deadlocks on some versions: the constructor runs under the server's only lock."""
    assert manager.dict(manager.dict(a=1)).copy() == {"a": 1}
    assert manager.list(manager.dict(a=1))[:] == ["a"]


def test_dict_items(manager):
    shared = manager.dict(a=1)
    shared["b"] = [2]
    shared[("t", 1)] = None
    assert shared["b"] == [2] and shared[("t", 1)] is None
    assert "a" in shared and "z" not in shared and len(shared) == 3
    del shared["a"]
    with pytest.raises(KeyError) as caught:
        del shared["a"]
    assert caught.value.args == ("a",)


def test_dict_methods(manager):
    shared = manager.dict(a=1, b=2)
    assert shared.get("a") == 1 and shared.get("z") is None and shared.get("z", 5) == 5
    assert shared.setdefault("a", 9) == 1 and shared.setdefault("c", 3) == 3
    assert shared.setdefault("d") is None
    assert shared.pop("d", "gone") is None and shared.pop("d", "gone") == "gone"
    with pytest.raises(KeyError):
        shared.pop("d")
    assert shared.popitem() == ("c", 3)
    shared.update({"b": 20}, e=5)
    shared.update([("f", 6)])
    assert shared.copy() == {"a": 1, "b": 20, "e": 5, "f": 6}
    shared.clear()
    with pytest.raises(KeyError) as caught:
        shared.popitem()
    assert caught.value.args == ("popitem(): dictionary is empty",)


def test_dict_views_are_lists(manager):
    shared = manager.dict(a=1, b=2)
    assert shared.keys() == ["a", "b"]
    assert shared.values() == [1, 2]
    assert shared.items() == [("a", 1), ("b", 2)]


def test_dict_iteration_and_conversion(manager):
    shared = manager.dict(a=1, b=2)
    assert list(shared) == ["a", "b"]
    assert dict(shared) == {"a": 1, "b": 2}
    assert {**shared} == {"a": 1, "b": 2}
    assert sorted(shared) == ["a", "b"]
    iterator = iter(shared)
    assert next(iterator) == "a" and next(iterator) == "b"
    with pytest.raises(StopIteration):
        next(iterator)


def test_dict_changed_during_iteration(manager):
    shared = manager.dict(a=1, b=2)
    with pytest.raises(RuntimeError, match="dictionary changed size during iteration"):
        for key in shared:
            shared[key + key] = 0


def test_dict_keeps_the_order_of_insertion(manager):
    shared = manager.dict()
    for number in (5, 3, 9, 1):
        shared[number] = number
    del shared[3]
    shared[5] = "again"
    shared[3] = 3
    assert shared.keys() == [5, 9, 1, 3]


def test_equal_keys_meet(manager):
    shared = manager.dict({1: "int"})
    assert shared[1.0] == shared[True] == shared[1] == "int"
    shared[True] = "bool"
    assert shared.items() == [(1, "bool")] and type(shared.keys()[0]) is int
    shared[(1, 2.0)] = "tuple"
    assert shared[(True, 2)] == "tuple"
    shared[2**70] = "big"
    assert shared[float(2**70)] == "big"
    shared[0.0] = "zero"
    assert shared[-0.0] == shared[False] == "zero"


@needs_stock_3_14
def test_dict_operators_and_newer_methods(manager):
    shared = manager.dict(a=1)
    same = shared
    assert shared | {"b": 2} == {"a": 1, "b": 2}
    assert {"b": 2} | shared == {"b": 2, "a": 1}
    shared |= {"b": 2}
    assert shared is same and shared.copy() == {"a": 1, "b": 2}
    assert list(reversed(shared)) == ["b", "a"]
    assert shared.fromkeys(["x", "y"], 0) == {"x": 0, "y": 0}


# set


@needs_stock_3_14
def test_set_methods(manager):
    shared = manager.set([1, 2])
    shared.add(3)
    shared.discard(9)
    shared.remove(1)
    with pytest.raises(KeyError) as caught:
        shared.remove(1)
    assert caught.value.args == (1,)
    assert shared.copy() == {2, 3} and type(shared.copy()) is set
    shared.update([4], (5,))
    shared.difference_update([2])
    shared.intersection_update([3, 4, 9])
    shared.symmetric_difference_update([4, 6])
    assert shared.copy() == {3, 6}
    assert shared.union([1]) == {1, 3, 6} and shared.intersection([3]) == {3}
    assert shared.difference([3]) == {6} and shared.symmetric_difference([3]) == {6}
    assert shared.isdisjoint([1]) and shared.issubset([3, 6, 7]) and shared.issuperset([3])
    assert shared.pop() in (3, 6) and len(shared) == 1
    shared.clear()
    with pytest.raises(KeyError) as caught:
        shared.pop()
    assert caught.value.args == ("pop from an empty set",)


@needs_stock_3_14
def test_set_operators(manager):
    shared = manager.set({1, 2})
    same = shared
    assert shared | {3} == {1, 2, 3} and {3} | shared == {1, 2, 3}
    assert shared & {2} == {2} and {2} & shared == {2}
    assert shared - {2} == {1} and {2, 5} - shared == {5}
    assert shared ^ {2, 3} == {1, 3} and {2, 3} ^ shared == {1, 3}
    assert shared <= {1, 2} and shared < {1, 2, 3} and shared >= {1} and not shared > {1, 2}
    shared |= {3}
    shared &= {2, 3}
    shared -= {3}
    shared ^= {2, 7}
    assert shared is same and shared.copy() == {7}
    assert 7 in shared and 8 not in shared and list(shared) == [7]


# Namespace


def test_namespace(manager):
    shared = manager.Namespace(x=1)
    shared.y = [2]
    assert shared.x == 1 and shared.y == [2]
    assert str(shared) == "Namespace(x=1, y=[2])"
    del shared.x
    with pytest.raises(AttributeError, match="'Namespace' object has no attribute 'x'"):
        shared.x
    with pytest.raises(AttributeError):
        del shared.x
    assert not hasattr(shared, "x") and getattr(shared, "x", 5) == 5


def test_private_names_of_a_namespace_stay_with_the_proxy(manager):
    shared = manager.Namespace(_hidden=1, shown=2)
    assert str(shared) == "Namespace(shown=2)"
    with pytest.raises(AttributeError, match="'NamespaceProxy' object has no attribute '_hidden'"):
        shared._hidden
    shared._mine = 3
    assert shared._mine == 3 and str(shared) == "Namespace(shown=2)"


def test_value_of_a_namespace(manager):
    value = manager.Namespace(x=1, y=2)._getvalue()
    assert isinstance(value, managers.Namespace)
    assert str(value) == "Namespace(x=1, y=2)"


# Value


def test_value(manager):
    shared = manager.Value("i", 7)
    assert shared.value == shared.get() == 7
    shared.value = 8
    assert shared.get() == 8
    shared.set(9)
    assert shared.value == 9
    shared.value += 1
    assert shared.value == 10 and str(shared) == "Value('i', 10)"


@pytest.mark.parametrize("content", ["text", None, [1], 2.5, 10**40, b"\x00", math.inf])
def test_a_value_takes_anything(manager, content):
    shared = manager.Value("i", content)
    assert shared.value == content and type(shared.value) is type(content)
    assert str(shared) == f"Value('i', {content!r})"


def test_value_ignores_lock(manager):
    assert manager.Value("i", 1, lock=False).value == 1
    assert manager.Value(typecode="d", value=2.0).value == 2.0


# Array

CONTENTS = {code: [0, 1, 5] for code in "bBhHiIlLqQ"}
CONTENTS.update(f=[0.5, -2.0, 1.0], d=[0.1, -2.0, math.inf], u=["a", "\u00e4", "\u4e2d"])
if "w" in array.typecodes:
    # Since Python 3.13; "u" goes in Python 3.16.
    CONTENTS["w"] = ["a", "\u4e2d", "\U0001f600"]
if "u" not in array.typecodes:
    del CONTENTS["u"]


@pytest.mark.filterwarnings("ignore:The 'u' type code is deprecated")
@pytest.mark.parametrize("typecode", CONTENTS)
def test_array(manager, typecode):
    contents = CONTENTS[typecode]
    local = array.array(typecode, contents)
    shared = manager.Array(typecode, contents)
    assert len(shared) == 3 and list(shared) == list(local) and str(shared) == str(local)
    assert shared[1:] == local[1:] and type(shared[1:]) is array.array
    shared[0] = local[0] = contents[2]
    shared[1:] = local[1:] = array.array(typecode, contents[:2])
    assert shared[:] == local and shared[-1] == local[-1]
    assert contents[2] in shared
    value = shared._getvalue()
    assert type(value) is array.array and value == local and value.typecode == typecode


def test_errors_of_an_array(manager):
    shared = manager.Array("b", [1, 2])
    for value in (128, -129):
        with pytest.raises(OverflowError):
            shared[0] = value
    with pytest.raises(TypeError):
        shared[0] = "a"
    with pytest.raises(TypeError):
        shared[0:1] = [1]
    with pytest.raises(IndexError, match="array index out of range"):
        shared[2]
    with pytest.raises(IndexError, match="array assignment index out of range"):
        shared[2] = 1
    assert list(shared) == [1, 2]
