"""``coheld.install()``: Coheld in the place of ``multiprocessing.managers``, and out of it again.

Each test runs a program of its own, because what it changes is changed for a whole process.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap

import marks
import pytest
import subject

pytestmark = marks.coheld_only


@pytest.fixture
def run(tmp_path):
    """Runs a program that ends well and says nothing unless asked to."""

    def run(text, *arguments, **files):
        for name, content in {"program": text, **files}.items():
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(content))
        ended = subprocess.run(
            [sys.executable, "-X", "dev", "program.py", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=50,
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        return ended.stdout

    return run


START_METHODS = pytest.mark.parametrize("start_method", subject.START_METHODS)


def test_every_name_is_replaced_and_put_back(run):
    run("""
    import multiprocessing.managers as managers
    import coheld

    before = {name: getattr(managers, name) for name in dir(managers)}
    coheld.install()
    coheld.install()
    for name in ["BaseManager", "SyncManager", "BaseProxy", "ListProxy", "DictProxy", "ArrayProxy",
                 "ValueProxy", "NamespaceProxy", "AcquirerProxy", "EventProxy", "ConditionProxy",
                 "BarrierProxy", "Server"]:
        assert getattr(managers, name) is getattr(coheld.managers, name), name
        assert getattr(managers, name) is not before[name], name
    for name in ["Token", "dispatch", "listener_client", "RemoteError", "Namespace", "State"]:
        assert getattr(managers, name) is before[name], name
    coheld.uninstall()
    coheld.uninstall()
    assert {name: getattr(managers, name) for name in dir(managers)} == before
    assert type(managers) is type(coheld) and type(managers.BaseProxy) is type
    assert managers.ListProxy.__module__ == managers.AutoProxy.__module__ == managers.__name__
    with coheld.Manager() as manager:
        assert not isinstance(manager, managers.BaseManager)
    coheld.install()
    assert managers.SyncManager is coheld.managers.SyncManager
    """)


def test_ways_to_a_manager(run):
    run("""
    import multiprocessing
    import coheld

    coheld.install()
    for make in [multiprocessing.Manager, multiprocessing.get_context().Manager,
                 multiprocessing.get_context("fork").Manager]:
        with make() as manager:
            assert type(manager) is coheld.managers.SyncManager
            assert manager.list([1])[:] == [1]
    from multiprocessing.managers import *
    assert SyncManager is coheld.managers.SyncManager
    coheld.uninstall()
    with multiprocessing.Manager() as manager:
        assert type(manager).__module__ == "multiprocessing.managers"
    """)


def test_instances_of_classes_that_were_there_before(run):
    run("""
    import collections.abc
    import multiprocessing
    from multiprocessing.managers import *
    from multiprocessing.managers import DictProxy, ListProxy
    import coheld

    class Before(BaseProxy):
        pass

    coheld.install()

    class After(BaseProxy):
        pass

    class Abstract(BaseProxy, collections.abc.Sized):
        pass

    with multiprocessing.Manager() as manager:
        shared, mapping = manager.list(), manager.dict()
        assert isinstance(manager, BaseManager) and isinstance(manager, SyncManager)
        for proxy in (shared, mapping):
            assert isinstance(proxy, BaseProxy) and isinstance(proxy._token, Token)
            assert isinstance(proxy, (int, BaseProxy))
            for class_ in (Before, After, Abstract, SyncManager):
                assert not isinstance(proxy, class_)
        assert isinstance(shared, ListProxy) and not isinstance(mapping, ListProxy)
        assert issubclass(type(shared), ListProxy) and issubclass(type(shared), BaseProxy)
        assert not issubclass(type(shared), DictProxy) and not isinstance([], ListProxy)
        assert not issubclass(int, BaseProxy) and issubclass(Before, BaseProxy)
        try:
            Abstract(None, "pickle")
        except TypeError as error:
            assert "__len__" in str(error)
        else:
            raise AssertionError("an abstract class made an object")
        coheld.uninstall()
        assert not isinstance(shared, BaseProxy) and not isinstance(manager, BaseManager)
        assert not isinstance(shared, After) and not isinstance(shared, Abstract)
    """)


def test_modules_of_classes_that_are_made_by_calls(run):
    """Python takes the module from the caller, and that was the metaclass."""
    run("""
    import types
    from multiprocessing.managers import BaseProxy, MakeProxyType
    import coheld

    def check(time):
        content = {}
        made = type("Made", (BaseProxy,), content)
        assert made.__module__ == "__main__" and content == {}
        assert type("Other", (BaseProxy,), {"__module__": "other"}).__module__ == "other"
        assert type(BaseProxy)("Called", (BaseProxy,), {}).__module__ == "__main__"
        assert MakeProxyType(f"Auto{time}", ("get",)).__module__ == "multiprocessing.managers"
        assert types.new_class("New", (BaseProxy,)).__module__ == "types"

        class Stated(BaseProxy, metaclass=type(BaseProxy)):
            pass

        assert Stated.__module__ == "__main__" and Stated.__qualname__ == "check.<locals>.Stated"

    check(1)
    coheld.install()
    check(2)
    coheld.uninstall()
    check(3)
    """)


@START_METHODS
def test_managers_that_were_there_before_go_on(run, start_method):
    """The standard library's module uses its own names, also for pickling."""
    program = """
    import multiprocessing
    import multiprocessing.managers
    import pickle
    import sys
    from multiprocessing.managers import SyncManager
    import coheld

    def use(context, manager):
        shared, queue = manager.list([1]), manager.Queue()
        nested = manager.list([shared])
        queue.put(nested)
        assert queue.get()[0][:] == nested[0][:] == [1]
        with context.Pool(1) as pool:
            assert pool.apply(append, (shared, queue)) == [1, 2]
        assert queue.get() == "done"
        assert type(shared) is vars(multiprocessing.managers)["ListProxy"]
        assert type(queue).__name__ == "AutoProxy[Queue]"

    def append(shared, queue):
        shared.append(2)
        queue.put("done")
        return shared[:]

    def main():
        context = multiprocessing.get_context(sys.argv[1])
        with SyncManager(ctx=context) as before:
            pickled = pickle.dumps(SyncManager)
            coheld.install()
            assert pickle.loads(pickled) is coheld.managers.SyncManager
            for class_ in (SyncManager, coheld.managers.SyncManager):
                assert pickle.loads(pickle.dumps(class_)) is class_
            use(context, before)
            with SyncManager(ctx=context) as after:
                use(context, after)
                with multiprocessing.Manager() as ours:
                    use_ours(ours)
                coheld.uninstall()
                use(context, after)
            use(context, before)
            assert pickle.dumps(SyncManager) == pickled

    def use_ours(manager):
        assert type(manager) is coheld.managers.SyncManager
        assert manager.list([manager.list([1])])[0][:] == [1]

    if __name__ == "__main__":
        main()
    """
    run(program, start_method)


@START_METHODS
def test_children_and_their_children(run, start_method):
    program = """
    import multiprocessing
    import sys
    import coheld
    import names

    def look(depth, connection):
        if depth > 0:
            context = multiprocessing.get_context(sys.argv[1])
            process = context.Process(target=look, args=(depth - 1, connection))
            process.start()
            process.join()
        connection.send([depth, names.SyncManager.__module__, __name__])

    if __name__ == "__main__":
        coheld.install()
        del sys.modules["names"]
        import names

        reader, writer = multiprocessing.Pipe()
        look(2, writer)
        print([reader.recv()[:2] for _ in range(3)])
    """
    names = "from multiprocessing.managers import SyncManager\n"
    shown = [[depth, "coheld.managers"] for depth in range(3)]
    assert run(program, start_method, names=names) == f"{shown}\n"


def test_modules_that_fork_servers_import(run):
    program = """
    import multiprocessing
    import sys
    import coheld

    def look():
        import preloaded
        return preloaded.NAMES

    if __name__ == "__main__":
        context = multiprocessing.get_context("forkserver")
        preload = ["preloaded"]
        context.set_forkserver_preload(preload)
        coheld.install()
        with context.Pool(1) as pool:
            print(pool.apply(look))
        assert preload == ["preloaded"]
        from multiprocessing import forkserver
        coheld.uninstall()
        assert forkserver._forkserver._preload_modules == ["preloaded"]
    """
    preloaded = """
    from multiprocessing.managers import SyncManager
    NAMES = [SyncManager.__module__]
    """
    assert run(program, preloaded=preloaded) == "['coheld.managers']\n"


@START_METHODS
def test_children_after_uninstall(run, start_method):
    program = """
    import multiprocessing
    import multiprocessing.managers
    import sys
    import coheld

    def look():
        return multiprocessing.managers.SyncManager.__module__

    if __name__ == "__main__":
        coheld.install()
        coheld.uninstall()
        with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
            print(pool.apply(look))
    """
    assert run(program, start_method) == "multiprocessing.managers\n"


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_coheld_where_only_this_program_finds_it(run, start_method):
    """Children look for it where their parent did, also before they have their parent's path."""
    import coheld

    program = """
    import sys
    site, start_method = sys.argv[1:]
    sys.path[:] = [path for path in sys.path if "site-packages" not in path]
    if __name__ == "__main__":
        sys.path.append(site)
        import coheld
        coheld.install()
    import multiprocessing
    import multiprocessing.managers

    def look():
        import coheld
        return multiprocessing.managers.SyncManager is coheld.managers.SyncManager

    if __name__ == "__main__":
        with multiprocessing.get_context(start_method).Pool(1) as pool:
            print(pool.apply(look))
    """
    site = coheld.__path__[0].rpartition("/")[0]
    assert run(program, site, start_method) == "True\n"


def test_names_set_by_others(run):
    """Programs may replace names of the module, as they may without Coheld."""
    run("""
    import multiprocessing.managers as managers
    from unittest import mock
    import coheld

    coheld.install()
    ours = managers.SyncManager
    with mock.patch.object(managers, "SyncManager", "patched"):
        assert managers.SyncManager == "patched"
    assert managers.SyncManager is ours
    managers.SyncManager = "set"
    assert managers.SyncManager == "set"
    managers.SyncManager = ours
    coheld.uninstall()
    assert managers.SyncManager.__module__ == "multiprocessing.managers"
    """)


def test_wrapped_by_others(run):
    """Who wraps the same function of multiprocessing as Coheld can go on doing so."""
    run("""
    from multiprocessing import spawn
    import coheld

    original = spawn.get_preparation_data
    coheld.install()
    ours = spawn.get_preparation_data
    spawn.get_preparation_data = lambda name: ours(name)
    assert "coheld" in spawn.get_preparation_data("x")
    coheld.uninstall()
    assert "coheld" not in spawn.get_preparation_data("x")
    spawn.get_preparation_data = original
    coheld.install()
    assert "coheld" in spawn.get_preparation_data("x")
    coheld.uninstall()
    assert spawn.get_preparation_data is original
    """)


def test_a_class_that_cannot_change(run):
    """An installation that fails half-way leaves nothing behind, and can be tried again."""
    run("""
    import multiprocessing.managers as managers
    from multiprocessing import spawn
    import coheld
    from coheld import _coheld, _install

    def state():
        names = {name: getattr(managers, name) for name in dir(managers)}
        classes = [thing for thing in names.values() if isinstance(thing, type)]
        return (names, type(managers), spawn.get_preparation_data,
                [(type(thing), thing.__module__) for thing in classes])

    before = state()
    change, calls = _coheld.set_metaclass, []

    def refuse(class_, metaclass):
        calls.append(class_)
        if len(calls) == stop:
            raise TypeError("refused")
        return change(class_, metaclass)

    _coheld.set_metaclass = refuse
    for stop in (1, 2, 7):
        calls.clear()
        try:
            coheld.install()
        except TypeError as error:
            assert str(error) == "refused"
        else:
            raise AssertionError
        assert state() == before
        assert not _install._Recognising.twins
        coheld.uninstall()
        assert state() == before
    _coheld.set_metaclass = change
    coheld.install()
    assert managers.SyncManager is coheld.managers.SyncManager
    coheld.uninstall()
    assert state() == before
    """)


def test_threads(run):
    run("""
    import multiprocessing.managers as managers
    import threading
    import coheld

    before = managers.SyncManager
    for function, expected in [(coheld.install, None), (coheld.uninstall, before)] * 20:
        barrier = threading.Barrier(8)

        def change():
            barrier.wait()
            function()

        threads = [threading.Thread(target=change) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert managers.SyncManager is (expected or coheld.managers.SyncManager)
    """)


def test_collector_and_references(run):
    """Classes that change their metaclass keep their books."""
    run("""
    import gc
    import sys
    import multiprocessing.managers as managers
    import coheld
    import coheld._install
    import coheld._stock

    def count():
        gc.collect()
        return sys.getrefcount(type), sys.getrefcount(coheld._install._Recognising)

    coheld.install()
    coheld.uninstall()
    before = count()
    for _ in range(100):
        coheld.install()
        class Derived(coheld._stock.BaseProxy):
            pass
        assert type(Derived) is coheld._install._Recognising
        del Derived
        gc.collect()
        coheld.uninstall()
    after = count()
    assert all(abs(one - other) < 50 for one, other in zip(before, after)), (before, after)
    """)


def test_nonsense_metaclasses_are_refused():
    from coheld import _coheld

    class Other(type):
        pass

    class Plain:
        pass

    for class_, metaclass in [(int, Other), (Plain, int), (Plain, object)]:
        with pytest.raises(TypeError):
            _coheld.set_metaclass(class_, metaclass)
    assert _coheld.set_metaclass(Plain, Other) is type
    assert type(Plain) is Other
    assert _coheld.set_metaclass(Plain, type) is Other
    assert type(Plain()) is Plain and type(Plain) is type
