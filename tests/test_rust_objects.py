"""Objects of a Rust program, used from Python: the program `bank` of the Rust examples."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import time
from multiprocessing import managers as stock
from pathlib import Path

import coheld
import pytest
import rust_server
from coheld.managers import BaseProxy, IteratorProxy, RemoteError, SyncManager

SPAWN = multiprocessing.get_context("spawn")


class Auditor:
    """An object of Python that the Rust program calls."""

    def __init__(self):
        self.seen = []

    def remark(self, owner, balance, strict):
        if balance < 0:
            raise ValueError(f"{owner} is in debt")
        self.seen.append(owner)
        return f"{owner}: {balance}{'!' if strict else ''}"

    def all_seen(self):
        return self.seen


class PiggyBank:
    """An account of Python."""

    def __init__(self):
        self.amounts = []

    def balance(self):
        return sum(self.amounts)

    def deposit(self, amount):
        self.amounts.append(amount)
        return self.balance()

    def withdraw(self, amount):
        if amount > self.balance():
            raise LookupError("broken already")
        return self.deposit(-amount)

    def history(self):
        yield from self.amounts


class Manager(SyncManager):
    pass


Manager.register("Auditor", Auditor)
Manager.register("PiggyBank", PiggyBank, method_to_typeid={"history": "Iterator"})


class BoardManager(SyncManager):
    """A client of a server without Python."""


class StockManager(stock.SyncManager):
    """The same with nothing but the standard library."""


for client in (BoardManager, StockManager):
    client.register("board")


class Program:
    """The program `bank`, which is killed in the end if it is still there."""

    def __init__(self, board, key):
        program = Path(rust_server.binary()).parent / "examples" / "bank"
        assert program.exists(), f"{program} is not there; cargo build -p coheld --examples"
        self.process = subprocess.Popen(
            [program, board._token.text],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "COHELD_AUTHKEY": bytes(key).hex()},
        )
        end = time.monotonic() + 20
        while "bank" not in board:
            assert self.process.poll() is None, "the bank has ended"
            assert time.monotonic() < end, "the bank has not opened"
            time.sleep(0.01)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()


@pytest.fixture
def manager():
    with Manager() as manager:
        yield manager


@pytest.fixture
def board(manager):
    return manager.dict()


@pytest.fixture
def program(manager, board):
    program = Program(board, manager._authkey)
    yield program
    program.close()


@pytest.fixture
def bank(program, board):
    return board["bank"]


def test_the_proxy_has_the_methods_of_the_object(bank):
    assert type(bank).__name__ == "AutoProxy[Bank]"
    assert bank._exposed_ == ("open", "transfer", "accounts", "statement", "audit")
    account = bank.open("Ann")
    assert isinstance(account, BaseProxy)
    assert account._exposed_ == ("balance", "deposit", "withdraw", "history")
    assert account.deposit(7) == 7
    assert account.deposit(amount=3) == 10
    assert account.balance() == 10
    assert bank.open(owner="Ann")._id == account._id
    assert bank.open("Ann").balance() == 10


def test_a_token_alone_is_enough(bank):
    bank.open("Ann").deposit(7)
    same = coheld.managers.AutoProxy(bank._token, "pickle")
    assert same.open("Ann").balance() == 7


def test_proxies_are_taken_and_returned(bank):
    ann, bob = bank.open("Ann"), bank.open("Bob")
    ann.deposit(7)
    assert bank.transfer(ann, bob, 5) is None
    assert bank.transfer(to=ann, amount=1, **{"from": bob}) is None
    accounts = bank.accounts()
    assert {owner: account.balance() for owner, account in accounts.items()} == {"Ann": 3, "Bob": 4}
    assert accounts["Bob"]._id == bob._id


def test_errors_are_exceptions(bank):
    account = bank.open("Ann")
    account.deposit(2)
    with pytest.raises(coheld.MethodError, match="^Overdrawn: 3 more would be needed$") as caught:
        account.withdraw(5)
    assert isinstance(caught.value, RuntimeError)
    assert "Account.withdraw() in process" in str(caught.value.__cause__)
    with pytest.raises(coheld.MethodError, match="^Overdrawn: 5 more"):
        bank.transfer(account, bank.open("Bob"), 7)
    for call, text in [
        (lambda: account.deposit(), r"Account.deposit\(\) missing a required argument: 'amount'"),
        (lambda: account.deposit(1, 2), r"takes 1 argument, but 2 were given"),
        (lambda: account.deposit(sum=1), r"got an unexpected keyword argument 'sum'"),
        (
            lambda: account.deposit("much"),
            r"takes as 'amount' a value of the type `i64`, and got str: invalid type: "
            r'string "much", expected i64',
        ),
        (lambda: account.deposit(1 << 70), r"takes as 'amount' a value of the type `i64`"),
        (lambda: account.deposit(Auditor()), r"`i64`, and got object"),
        (lambda: bank.transfer(account, bank, 1), r"takes as 'to' a value of .*without a method"),
    ]:
        with pytest.raises(TypeError, match=text):
            call()
    assert account.balance() == 2


def test_what_is_not_exposed_is_not_there(bank):
    with pytest.raises(AttributeError):
        bank.new()
    with pytest.raises(AttributeError, match="'Bank' object exposes no method 'new': it has open"):
        bank._callmethod("new")
    with pytest.raises(TypeError, match="a Bank of a Rust program cannot be copied"):
        bank._getvalue()
    assert str(bank).startswith("<Bank object of process ")


def test_a_panic_is_an_exception_and_the_object_goes_on(bank):
    account = bank.open("Ann")
    account.deposit(1)
    with pytest.raises(RemoteError, match="Account.deposit.. panicked: no bank has as much"):
        account.deposit((1 << 63) - 1)
    assert account.deposit(1) == 2


def test_items_of_an_iterator(bank):
    account = bank.open("Ann")
    for amount in range(5):
        account.deposit(amount)
    history = account.history()
    assert isinstance(history, IteratorProxy)
    assert next(history) == 0
    assert list(history) == [1, 2, 3, 4]
    assert list(history) == []
    history = account.history()
    history.close()
    assert list(history) == []


def test_the_program_calls_objects_of_python(manager, bank):
    auditor = manager.Auditor()
    bank.open("Ann").deposit(3)
    bank.open("Bob")
    assert bank.audit(auditor) == ["Ann: 3", "Bob: 0"]
    assert bank.audit(auditor, strict=True) == ["Ann: 3!", "Bob: 0!"]
    assert bank.audit(auditor, None) == ["Ann: 3", "Bob: 0"]
    assert auditor.all_seen() == ["Ann", "Bob"] * 3
    bank.open("Ann").deposit(-4)
    with pytest.raises(ValueError, match="^Ann is in debt$"):
        bank.audit(auditor)


def test_an_object_of_python_with_the_same_methods_will_do(manager, bank):
    piggy, account = manager.PiggyBank(), bank.open("Ann")
    piggy.deposit(5)
    bank.transfer(piggy, account, 3)
    assert (piggy.balance(), account.balance()) == (2, 3)
    bank.transfer(account, to=piggy, amount=1)
    assert bank.statement(account) == [3, -1]
    assert bank.statement(piggy) == [5, -3, 1]
    with pytest.raises(coheld.MethodError, match="^builtins.LookupError: broken already$"):
        bank.transfer(piggy, account, 9)
    with pytest.raises(TypeError, match="takes as 'account'.*Auditor without a method 'balance'"):
        bank.statement(manager.Auditor())


def deposit_many(account, times):
    for _ in range(times):
        account.deposit(1)
    return account.balance() >= times


def test_other_processes_use_the_same_object(bank, processes):
    account = bank.open("Ann")
    for _ in range(2):
        assert processes.run(SPAWN, deposit_many, account, 200)
    assert account.balance() == 400
    assert len(list(account.history())) == 400


def test_proxies_are_kept_by_shared_objects(manager, board, bank):
    board["ann"] = bank.open("Ann")
    board["all"] = [bank.open("Bob"), {"ann": board["ann"]}]
    board["ann"].deposit(4)
    assert board["all"][1]["ann"].balance() == 4
    assert board["all"][0].deposit(1) == 1
    assert board.copy()["ann"].balance() == 4


def test_a_program_that_is_killed_is_gone(program, bank):
    account = bank.open("Ann")
    history = account.history()
    program.process.kill()
    program.process.wait()
    with pytest.raises(coheld.ManagerGone, match="before it answered 'deposit'"):
        account.deposit(1)
    with pytest.raises(coheld.ManagerGone):
        next(history)


def test_a_program_that_ends_is_gone(program, bank):
    account = bank.open("Ann")
    program.process.stdin.close()
    assert program.process.wait(20) == 0
    with pytest.raises(coheld.ManagerGone):
        account.deposit(1)


def test_clients_of_a_server_without_python(tmp_path, monkeypatch):
    server = rust_server.RustServer(tmp_path, "board=dict")
    monkeypatch.setattr(multiprocessing.current_process(), "authkey", server.key)
    manager = BoardManager(server.address, authkey=server.key)
    manager.connect()
    program = Program(manager.board(), server.key)
    client = StockManager(server.address, authkey=server.key)
    client.connect()
    try:
        bank = client.board().get("bank")
        assert isinstance(bank, stock.BaseProxy)
        account = bank.open("Ann")
        assert account.deposit(amount=3) == 3
        with pytest.raises(Exception, match="^Overdrawn: 2 more would be needed$"):
            account.withdraw(5)
        with pytest.raises(TypeError, match="missing a required argument: 'amount'"):
            account.deposit()
        assert bank.accounts()["Ann"].balance() == 3
        assert list(account.history()) == [3]
        bank.transfer(account, bank.open("Bob"), 1)
        assert manager.board()["bank"].open("Bob").balance() == 1
    finally:
        program.close()
        server.close()
