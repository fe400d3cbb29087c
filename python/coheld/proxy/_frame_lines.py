"""Lines: blocks of shared memory through which this process has requests answered.

A block has room for one request or reply, and nothing in it says whose that is. So all clients of
one process take turns, and so do processes, by a lock on the file of the block; only clients that
know nothing of that lock can still get in between.
"""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import fcntl
import os
import threading
import time
import weakref

from ._blocks import attach
from ._errors import DataDecodeError, DataTooBigError, EmptyData, ProxyError
from ._frames import PREFIX_LEN, REQUESTS, Frame, ProxyOpCode, pack, snapshot, store

#: Where the files of blocks are.
_FOLDER = "/dev/shm"
#: Seconds between two looks for a reply: at first, soon, and after a second.
_SHORTEST, _SHORT, _LONG = 0.00005, 0.0005, 0.002
_GROWTH = 1.5
#: Seconds after which bytes that are no frame will not become one any more.
_PATIENCE = 0.5
#: Seconds after which the request of somebody else will not be answered any more.
_ABANDONED = 60

#: The operation codes of frames that a reply will overwrite.
_UNANSWERED = (*REQUESTS, ProxyOpCode.RESPONSE_PENDING)

#: By the names of their blocks.
_lines = weakref.WeakValueDictionary()
_lines_lock = threading.Lock()


def line_to(name):
    """Return the line through a block, which is the same for all of this process."""
    with _lines_lock:
        line = _lines.get(name)
        if line is None or not line.leads_to(name):
            line = _lines[name] = Line(name)
        return line


class Line:
    """A block, and the turns that are taken at it."""

    def __init__(self, name):
        self.block = attach(name)
        self._mutex = threading.Lock()
        try:
            self._file = os.open(os.path.join(_FOLDER, name), os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            # Without a file there are turns only within this process.
            self._file = None

    def __del__(self):
        block = getattr(self, "block", None)
        if block is not None:
            block.close()
        if getattr(self, "_file", None) is not None:
            os.close(self._file)

    def leads_to(self, name):
        """Whether the block is still the one of that name."""
        if self._file is None:
            return True
        try:
            return os.path.samestat(os.fstat(self._file), os.stat(os.path.join(_FOLDER, name)))
        except OSError:
            return False

    def exchange(self, frame, timeout=None):
        """Have a request answered; return the payload of the reply."""
        packed = pack(frame, len(self.block.buf), plain=True)
        clock = Clock(timeout)
        self._begin_turn(clock)
        try:
            self._wait_for_others(clock)
            store(self.block, packed, is_request=True)
            try:
                return self._reply(clock)
            except BaseException:
                self._withdraw(packed)
                raise
        finally:
            self._end_turn()

    # ---- Turns ---------------------------------------------------------------------------------

    def _begin_turn(self, clock):
        if not self._mutex.acquire(timeout=-1 if clock.timeout is None else clock.left()):
            clock.raise_timeout()
        try:
            while self._file is not None and not self._try_file(clock.timeout is None):
                clock.pause()
        except BaseException:
            self._mutex.release()
            raise

    def _try_file(self, waits):
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True

    def _end_turn(self):
        try:
            if self._file is not None:
                # Not by closing it: a child that was forked meanwhile has it, too.
                fcntl.flock(self._file, fcntl.LOCK_UN)
        finally:
            self._mutex.release()

    # ---- One exchange --------------------------------------------------------------------------

    def _frame(self):
        """The frame that stands in the block; None if there is none, False if it is none."""
        try:
            content = snapshot(self.block.buf, len(self.block.buf))
            return Frame.parse(content[PREFIX_LEN:])
        except EmptyData:
            return None
        except (DataDecodeError, DataTooBigError):
            return False

    def _wait_for_others(self, clock):
        """Wait until nobody is about to write a reply into the block.

        The client that it is for has died, or lost patience, or knows nothing of turns. If we did
        not wait we would take it for the reply to us.
        """
        begin = time.monotonic()
        while True:
            frame = self._frame()
            if frame is None:
                return
            waited = time.monotonic() - begin
            if frame is False:
                if waited >= _PATIENCE:
                    return
            elif frame.opcode not in _UNANSWERED:
                return
            elif clock.timeout is None and waited >= _ABANDONED:
                raise ProxyError(
                    f"the shared memory {self.block.name!r} has held the request of another "
                    f"client for {_ABANDONED} seconds: its server does not answer any more"
                )
            clock.pause()

    def _reply(self, clock):
        clock.hurry()
        while True:
            frame = self._frame()
            if frame and frame.opcode == ProxyOpCode.EXECUTION_RESULT:
                return frame.payload
            clock.pause()

    def _withdraw(self, packed):
        """Take back a request that the server has not seen, so that it will not do it later."""
        buffer = self.block.buf
        if buffer is not None and buffer[: len(packed)] == packed:
            buffer[:PREFIX_LEN] = bytes(PREFIX_LEN)

    def _after_fork(self):
        """In a forked child: take turns with the parent, instead of holding its own."""
        self._mutex = threading.Lock()
        if self._file is not None:
            inherited = self._file
            try:
                self._file = os.open(f"/proc/self/fd/{inherited}", os.O_RDWR | os.O_CLOEXEC)
            except OSError:
                self._file = None
            os.close(inherited)


class Clock:
    """The time that an exchange may take, and the pauses in it."""

    def __init__(self, timeout):
        self.timeout = timeout
        self._begin = time.monotonic()
        self._pause = _SHORTEST

    def left(self):
        """Seconds that are left; only if there is a limit."""
        return max(self._begin + self.timeout - time.monotonic(), 0)

    def hurry(self):
        """Begin with short pauses again."""
        self._pause = _SHORTEST

    def pause(self):
        """Sleep for a moment; a `TimeoutError` if there is no time left."""
        if self.timeout is not None and self.left() == 0:
            self.raise_timeout()
        time.sleep(self._pause)
        most = _SHORT if time.monotonic() - self._begin < 1 else _LONG
        self._pause = min(self._pause * _GROWTH, most)

    def raise_timeout(self):
        """Raise what Duck does."""
        raise TimeoutError(f"Request timed out: Got no response in {self.timeout: .2f} seconds.")


def _forget():
    global _lines_lock
    _lines_lock = threading.Lock()
    for line in tuple(_lines.values()):
        line._after_fork()


os.register_at_fork(after_in_child=_forget)
