"""A manager in a process of its own, for tests of clients that reach it through connections."""

from __future__ import annotations

import multiprocessing

from coheld import managers
from conftest import die_with_parent

KEY = b"the key of the remote tests"


class AccountError(Exception):
    """An error of a program's own."""


class Account:
    """An object that has others."""

    def __init__(self, fail=None):
        if fail:
            raise ValueError(fail)
        self._balance, self._subs = 0, {}

    def deposit(self, amount):
        self._balance += amount

    def balance(self):
        return self._balance

    def fail(self, text):
        raise AccountError(text)

    def sub(self, name):
        return self._subs.setdefault(name, Account())


class Manager(managers.SyncManager):
    """What servers and clients register."""


Manager.register("Account", Account, method_to_typeid={"sub": "SubAccount"})
Manager.register("SubAccount", proxytype=managers.AutoProxy, create_method=False)


def use_sub_account(account):
    sub = account.sub("a")
    sub.deposit(5)
    return sub.balance()


def serve(address, pipe, machine, options):
    die_with_parent()
    if machine is not None:
        machine.enter()
    server = Manager(address=address, authkey=KEY, **options).get_server()
    pipe.send(server.address)

    def obey():
        while True:
            try:
                order = pipe.recv()
            except EOFError:
                return
            if order == "count":
                pipe.send(server.number_of_objects(None))

    import threading

    threading.Thread(target=obey, daemon=True).start()
    server.serve_forever()


class Server:
    """A server in a process of its own, which ends with this object; on a machine of its own."""

    def __init__(self, address=("127.0.0.1", 0), machine=None, **options) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(address, theirs, machine, options))
        self._process.start()
        theirs.close()
        if not self._pipe.poll(30):
            self.stop()
            raise TimeoutError("the server did not start")
        self.address = self._pipe.recv()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *exception) -> None:
        self.stop()

    def stop(self) -> None:
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        self._pipe.close()

    def _order(self, order):
        self._pipe.send(order)
        if not self._pipe.poll(20):
            raise TimeoutError(order)
        return self._pipe.recv()

    def count(self) -> int:
        """How many objects there are."""
        return self._order("count")
