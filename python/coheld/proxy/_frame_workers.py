"""Threads that carry out requests, each one at a time."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import os
import queue
import threading

#: Seconds after which a thread that has nothing to do ends.
_IDLE_SECONDS = 10


class Workers:
    """As many threads as there is work at once; they are kept for a while when there is less."""

    def __init__(self):
        self._jobs = queue.SimpleQueue()
        self._lock = threading.Lock()
        #: Threads in all, those that wait for a job, and jobs that wait for a thread.
        self._threads = self._idle = self._waiting = 0

    def run(self, function, *args):
        """Have a function called soon, whatever the other calls are doing. It must not raise."""
        with self._lock:
            if self._waiting >= self._idle:
                self._add_thread()
            self._waiting += 1
        self._jobs.put((function, args))

    def _add_thread(self):
        thread = threading.Thread(target=self._work, name="coheld-frames", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # No more threads are to be had. One of those that there are will come to it.
            if self._threads == 0:
                raise
        else:
            self._threads += 1
            self._idle += 1

    def _work(self):
        while True:
            try:
                function, args = self._jobs.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    if self._waiting >= self._idle:
                        # A job is on its way to this thread.
                        continue
                    self._idle -= 1
                    self._threads -= 1
                    return
            with self._lock:
                self._waiting -= 1
                self._idle -= 1
            try:
                function(*args)
            finally:
                # Nothing of the request is kept until the next one.
                function = args = None
                with self._lock:
                    self._idle += 1


workers = Workers()


def _forget():
    """In a forked child: threads stay with the process that has them."""
    workers.__init__()


os.register_at_fork(after_in_child=_forget)
