"""What the processes of the tests of `coheld doctor` and `coheld top` run."""

from __future__ import annotations

import os
import time


def acquire_and_stay(lock, ready):
    lock.acquire()
    ready.set()
    time.sleep(3600)


def acquire(lock, ready):
    ready.set()
    lock.acquire()


def stay(ready):
    ready.set()
    time.sleep(3600)


def change_for_ever(numbers, texts, queue, ready):
    """Everything that a program does to memory, as fast as it goes."""
    ready.set()
    turn = 0
    while True:
        turn += 1
        numbers.insert(0, "a text of some length" * (turn % 5))
        if turn % 100 == 0:
            numbers[:] = []
        texts[turn % 50] = {"turn": turn}
        if turn % 7 == 0:
            texts.pop(turn % 50, None)
        queue.put("an item that is too long for a word")
        queue.get()


def pretend_to_be_a_member(pipe, image_path, slot):
    """Have an image mapped, as the process of one of its members, and stay."""
    import mmap

    with open(image_path, "r+b") as file:
        memory = mmap.mmap(file.fileno(), 0)
    with open("/proc/self/stat") as file:
        start_time = int(file.read().rpartition(")")[2].split()[19])
    pipe.send((os.getpid(), start_time, os.stat("/proc/self/ns/pid").st_ino))
    time.sleep(3600)
    memory.close()
