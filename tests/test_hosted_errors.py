"""What a call of an object in the manager process raises when it goes wrong."""

from __future__ import annotations

import multiprocessing
import re
import sys
import threading
import traceback

import hosted_types
import marks
import pytest
import subject
from subject import managers

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def hosting():
    """A started manager of the classes in `hosted_types`."""
    with hosted_types.Managers(ctx=FORK) as started:
        yield started


@pytest.fixture
def faulty(hosting):
    return hosting.Faulty()


def skeleton(problem) -> str:
    """The text of a remote error without the lines of code in its tracebacks."""
    return re.sub(r"^  .*\n", "", str(problem), flags=re.MULTILINE)


LINE = "-" * 75
TRACEBACK = "Traceback (most recent call last):\n"
DURING = "\nDuring handling of the above exception, another exception occurred:\n\n"


# Exceptions of the method.


def test_exceptions_are_what_they_were(faulty):
    with pytest.raises(ValueError) as caught:
        faulty.value_error()
    assert caught.type is ValueError and caught.value.args == ("a value", 5)
    with pytest.raises(hosted_types.OwnError) as caught:
        faulty.own_error()
    assert caught.value.args == ("mine", 7) and caught.value.number == 7
    with pytest.raises(AttributeError, match="^of the method's own$"):
        faulty.attribute_error()
    with pytest.raises(TypeError, match="missing 2 required positional arguments"):
        hosted_types_maths(faulty).add()


def hosted_types_maths(proxy):
    return proxy._manager.Maths()


@marks.coheld_only
def test_exceptions_have_the_remote_traceback(faulty):
    with pytest.raises(KeyError) as caught:
        faulty.chained_error()
    text = "".join(traceback.format_exception(caught.type, caught.value, caught.tb))
    assert "in chained_error" in text and "in value_error" in text
    assert "ValueError: ('a value', 5)" in text
    assert hosted_types.__file__ in text
    assert "The above exception was the direct cause" in text


@pytest.mark.skipif(
    subject.IS_STOCK and sys.version_info < (3, 13), reason="the stock manager does, before 3.13"
)
def test_no_cycle_is_left_behind(faulty):
    import gc
    import weakref

    gc.disable()
    try:
        try:
            faulty.own_error()
        except hosted_types.OwnError as problem:
            reference = weakref.ref(problem)
        assert reference() is None
    finally:
        gc.enable()


# RemoteError, printed as the standard library prints it.


def test_methods_that_are_not_exposed(faulty):
    assert not hasattr(faulty, "_missing")
    with pytest.raises(managers.RemoteError) as caught:
        faulty._callmethod("_missing")
    text = skeleton(caught.value)
    first, second = text.split(DURING)
    assert re.fullmatch(
        rf"\n{LINE}\n{re.escape(TRACEBACK)}AttributeError: method '_missing' of "
        r"<class 'hosted_types.Faulty'> object is not in exposed=\{('\w+'(, )?)+\}\n",
        first,
    )
    assert second == f"{TRACEBACK}KeyError: '_missing'\n{LINE}"
    assert set(re.findall(r"'(\w+)'", first.split("exposed=")[1])) == set(
        managers.public_methods(hosted_types.Faulty())
    )


@pytest.mark.parametrize("name", [5, ("add",)])
def test_names_that_are_no_text(hosting, name):
    """The error said that the object was of the class `object`."""
    for maths in (hosting.Foo2(), hosting.mylist([1])):
        with pytest.raises(managers.RemoteError) as caught:
            maths._callmethod(name, (1,))
        first, second = skeleton(caught.value).split(DURING)
        class_ = "list" if isinstance(maths, managers.ListProxy) else "hosted_types.Foo"
        assert first.startswith(
            f"\n{LINE}\n{TRACEBACK}AttributeError: method {name!r} of <class '{class_}'> object is "
            "not in exposed={"
        )
        assert second == f"{TRACEBACK}KeyError: {name!r}\n{LINE}"


def test_methods_that_do_not_exist(hosting):
    class Own(hosted_types.Managers):
        pass

    Own.register("Odd", hosted_types.Foo, exposed=("f", "missing"))
    with Own(ctx=FORK) as manager:
        odd = manager.Odd()
        assert odd.f() == "you called Foo.f()"
        with pytest.raises(managers.RemoteError) as caught:
            odd.missing()
    assert skeleton(caught.value) == (
        f"\n{LINE}\n{TRACEBACK}AttributeError: 'Foo' object has no attribute 'missing'\n"
        f"{DURING}{TRACEBACK}KeyError: 'missing'\n{LINE}"
    )


@pytest.mark.parametrize("method", ["unpicklable_error", "unpicklable_result", "unpicklable_item"])
def test_results_that_cannot_be_pickled(faulty, method):
    with pytest.raises(managers.RemoteError) as caught:
        getattr(faulty, method)()
    assert type(caught.value) is managers.RemoteError
    # What pickle says in the end differs between versions of Python.
    assert re.fullmatch(
        rf"\n{LINE}\nUnserializable message: {re.escape(TRACEBACK)}"
        r"(.*\n)*([\w.]+\.)?(Type|Attribute|Pickling)Error: .*(pickle|local object).*"
        rf"(\n.*)?\n\n{LINE}",
        skeleton(caught.value),
    )
    assert faulty.nothing() is None


def test_copies_of_what_cannot_be_copied(hosting):
    counter = hosting.Counter()
    with pytest.raises(managers.RemoteError, match="Unserializable message: Traceback"):
        counter._getvalue()
    foo = hosting.Foo1()
    assert type(foo._getvalue()) is hosted_types.Foo


def test_arguments_that_cannot_be_pickled(faulty):
    with pytest.raises((TypeError, AttributeError)) as caught:
        faulty.nothing(threading.Lock())
    assert not isinstance(caught.value, managers.RemoteError)
    assert faulty.nothing(1) is None


@pytest.mark.parametrize(
    "problem", [(ValueError, "v"), (hosted_types.OwnError, "o", 1), (OSError,)]
)
def test_errors_of_constructors(hosting, problem):
    with pytest.raises(managers.RemoteError) as caught:
        hosting.Faulty(*problem)
    assert type(caught.value) is managers.RemoteError
    text = skeleton(caught.value)
    name = problem[0].__name__
    assert re.fullmatch(rf"\n{LINE}\n{re.escape(TRACEBACK)}([\w.]+\.)?{name}(: .*)?\n{LINE}", text)
    assert "hosted_types.py" in str(caught.value)
    if not subject.IS_STOCK:
        cause = caught.value.__cause__
        assert type(cause) is problem[0] and cause.args == problem[1:]


def test_errors_of_constructors_that_cannot_be_pickled(hosting):
    with pytest.raises(managers.RemoteError, match="Unpicklable: stays there"):
        hosting.Faulty(hosted_types.Unpicklable, "stays there")
    with pytest.raises(managers.RemoteError, match="TypeError"):
        hosting.Maths(5)
    assert hosting.Maths().add(1, 1) == 2


def test_a_typeid_without_callable_needs_one_argument(hosting):
    class Own(hosted_types.Managers):
        pass

    Own.register("share", proxytype=managers.ListProxy)
    Own.register("share_any")
    with Own(ctx=FORK) as manager:
        with pytest.raises(
            managers.RemoteError,
            match="ValueError: Without callable, must have one non-keyword argument",
        ):
            manager.share()
        with pytest.raises(managers.RemoteError, match="ValueError: Without callable"):
            manager.share([1], a=1)
        assert manager.share([1])[:] == [1]
        assert manager.share_any(hosted_types.Foo()).f() == "you called Foo.f()"
        shared = manager.share_any([1])
        shared.append(2)
        assert shared.count(2) == 1 and shared.pop() == 2


def test_wrong_method_to_typeid():
    class Own(managers.SyncManager):
        pass

    class Mapping:
        def items(self):
            return [("f", "list")]

    Own.register("Odd", hosted_types.Foo, method_to_typeid=Mapping())
    with Own(ctx=FORK) as manager:
        with pytest.raises(managers.RemoteError, match="TypeError: Method_to_typeid"):
            manager.Odd()


def test_unknown_typeid_of_a_result():
    class Own(managers.SyncManager):
        pass

    Own.register("Odd", hosted_types.Foo, method_to_typeid={"f": "Unknown"})
    with Own(ctx=FORK) as manager:
        with pytest.raises(managers.RemoteError, match="KeyError: 'Unknown'"):
            manager.Odd().f()


# Tokens that name nothing.


def test_tokens_that_name_nothing(hosting):
    foo = hosting.Foo1()
    token = foo._token
    other = managers.Token(token.typeid, token.address, "deadbeef")
    with pytest.raises(managers.RemoteError):
        managers.BaseProxy(other, "pickle", authkey=bytes(hosting._authkey))
    assert foo.f() == "you called Foo.f()"


# Starting.


def fail_to_start():
    raise hosted_types.OwnError("not today", 1)


def test_a_failed_start(context):
    manager = hosted_types.Managers(ctx=context)
    with pytest.raises(EOFError) as caught:
        manager.start(fail_to_start)
    if not subject.IS_STOCK:
        assert type(caught.value.__cause__) is hosted_types.OwnError
        assert "not today" in str(caught.value)


def test_a_start_in_a_folder_that_does_not_exist(context, tmp_path):
    """The error told to check that a manager was started there."""
    address = str(tmp_path / "missing" / "address")
    with pytest.raises(EOFError) as caught:
        hosted_types.Managers(address, ctx=context).start()
    with pytest.raises(FileNotFoundError) as refused:
        hosted_types.Managers(address).get_server()
    if not subject.IS_STOCK:
        assert type(caught.value.__cause__) is FileNotFoundError
        for problem in (caught.value, refused.value):
            assert f"cannot listen at unix:{address}: the folder does not exist" in str(problem)


class Deep:
    """Calls itself by a proxy."""

    def hold(self, proxy):
        self.proxy = proxy

    def down(self, depth, found):
        if depth > 0:
            return self.proxy.down(depth - 1, found)
        if isinstance(found, Exception):
            raise found
        return found


@marks.coheld_only
@pytest.mark.parametrize("found", ["found", ValueError("found"), RecursionError("found")])
def test_too_many_calls_within_calls(found):
    """They share a stack. When the reply could not be made for the want of it, the error was a
    `RemoteError` of another form than any other."""

    class Own(managers.BaseManager):
        pass

    def problem(depth):
        try:
            return deep.down(depth, found)
        except Exception as error:
            return error

    Own.register("Deep", Deep)
    with Own(ctx=FORK) as manager:
        deep = manager.Deep()
        deep.hold(deep)
        least, most = 1, 1001
        while most - least > 1:
            middle = (least + most) // 2
            if repr(problem(middle)) == repr(found):
                least = middle
            else:
                most = middle
        assert least > 50
        for depth in range(least - 6, least + 10):
            seen = problem(depth)
            assert repr(seen) == repr(found) or type(seen) is RecursionError, (depth, seen)
        assert type(problem(1000)) is RecursionError
        assert repr(problem(5)) == repr(found)


def test_serializers():
    assert set(managers.listener_client) == {"pickle", "xmlrpclib"}
    with hosted_types.Managers(ctx=FORK, serializer="xmlrpclib") as manager:
        assert manager._serializer == "xmlrpclib"
        maths = manager.Maths()
        assert maths.add((1, 2), (3,)) == [1, 2, 3]
        with pytest.raises(managers.RemoteError):
            manager.Faulty(5)
