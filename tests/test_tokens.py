"""Tokens as text: how programs meet in shared objects that have not started each other."""

import multiprocessing
import os
import subprocess
import sys

import coheld
import pytest
from coheld.managers import SyncManager, Token

MAKERS = {
    "list": lambda manager: manager.list([1]),
    "dict": lambda manager: manager.dict(a=1),
    "Namespace": lambda manager: manager.Namespace(a=1),
    "Value": lambda manager: manager.Value("i", 1),
    "Array": lambda manager: manager.Array("i", [1]),
    "Lock": lambda manager: manager.Lock(),
    "RLock": lambda manager: manager.RLock(),
    "Semaphore": lambda manager: manager.Semaphore(2),
    "BoundedSemaphore": lambda manager: manager.BoundedSemaphore(2),
    "Event": lambda manager: manager.Event(),
    "Condition": lambda manager: manager.Condition(),
    "Barrier": lambda manager: manager.Barrier(2),
    "Queue": lambda manager: manager.Queue(),
    "JoinableQueue": lambda manager: manager.JoinableQueue(),
}

#: Uses the dict whose token is the argument.
PROGRAM = """
import sys, coheld
shared = coheld.from_token(sys.argv[1])
shared["seen"] = type(shared).__name__
shared["inner"].append(7)
"""


class Adder:
    def add(self, one, two):
        return one + two


class AdderManager(SyncManager):
    pass


AdderManager.register("Adder", Adder)


@pytest.fixture
def manager():
    with coheld.Manager() as manager:
        yield manager


@pytest.mark.parametrize("typeid", MAKERS)
def test_a_proxy_from_a_token_is_one_of_the_same_object(manager, typeid):
    shared = MAKERS[typeid](manager)
    again = coheld.from_token(shared._token.text)
    assert type(again) is type(shared)
    assert again._id == shared._id
    assert again._token.text == shared._token.text


def test_the_key_is_given_or_in_the_environment(manager):
    shared = manager.dict(inner=manager.list())
    key = bytes(manager._authkey)
    environment = {k: v for k, v in os.environ.items() if k != "COHELD_AUTHKEY"}

    def run(**more):
        command = [sys.executable, "-c", PROGRAM, shared._token.text]
        return subprocess.run(
            command, env={**environment, **more}, stderr=subprocess.PIPE, text=True, timeout=60
        )

    assert run(COHELD_AUTHKEY=key.hex()).returncode == 0
    assert shared["seen"] == "DictProxy"
    assert list(shared["inner"]) == [7]
    assert "AuthenticationError" in run(COHELD_AUTHKEY=b"another".hex()).stderr
    assert "AuthenticationError" in run().stderr
    assert "not a key" in run(COHELD_AUTHKEY="x").stderr


def _through_the_key(text, key, answers):
    multiprocessing.current_process().authkey = b"no key of any manager"
    shared = coheld.from_token(text, key)
    shared.append(8)
    # A proxy made of it has the key as well.
    answers.put(coheld.from_token(text)[:])


def test_a_key_that_was_given_is_known_from_then_on(manager):
    shared = manager.list([7])
    answers = manager.Queue()
    context = multiprocessing.get_context("spawn")
    arguments = (shared._token.text, bytes(manager._authkey), answers)
    process = context.Process(target=_through_the_key, args=arguments)
    process.start()
    try:
        assert answers.get(timeout=60) == [7, 8]
    finally:
        process.join()


def test_hosted_objects_have_their_methods():
    with AdderManager() as manager:
        adder = manager.Adder()
        again = coheld.from_token(adder._token.text)
        assert again.add(1, 2) == 3
        assert not hasattr(again, "subtract")


@pytest.mark.parametrize("text", ["", "x", "coheld1", "coheld1 ab 1 10 1 unix:/x", "coheld2 a"])
def test_what_is_no_token_is_refused(text):
    with pytest.raises(ValueError, match="not a usable token"):
        coheld.from_token(text)
    with pytest.raises(TypeError):
        coheld.from_token(7)


def test_a_token_of_another_version_is_refused(manager):
    shared = manager.list()
    fields = shared._token.text.split(" ")
    fields[2] = "99"
    with pytest.raises(ValueError, match="another version"):
        Token.parse(" ".join(fields))


def test_what_is_gone_is_said_to_be():
    with coheld.Manager() as manager:
        shared = manager.list()
        text = shared._token.text
        assert coheld.from_token(text) is not None
        fields = text.split(" ")
        fields[4] = "7fff"
        with pytest.raises(coheld.ReferentGone):
            coheld.from_token(" ".join(fields))
        del shared
    fields = text.split(" ")
    fields[1] = "0" * 32
    with pytest.raises(FileNotFoundError):
        coheld.from_token(" ".join(fields))
