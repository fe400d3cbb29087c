"""`FrameService`: looks for requests in blocks of shared memory, on behalf of a server.

Clients of Duck's protocol tell nobody that they have written a request, so somebody has to look.
It is done by one thread, for the blocks that were added, and by none while there are none.
"""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import atexit
import os
import threading
import time
import weakref

from ._errors import DataDecodeError, DataTooBigError, EmptyData, ProxyError
from ._frame_answers import is_main_thread, refuse
from ._frames import REQUESTS, Frame, ProxyOpCode, snapshot

#: Seconds between two rounds just after a request, and when there was none for long.
_SHORTEST, _LONGEST = 0.00005, 0.005
#: What a pause is multiplied by with each round without a request.
_GROWTH = 1.3
#: Rounds may take this part of the time at most, however many blocks there are.
_SHARE = 0.1
#: Seconds after which bytes that are no frame will not become one any more.
_PATIENCE = 0.5

#: How frames begin that are no requests: an array of two, and the operation code.
_REPLIES = frozenset({b"\x92\xff", b"\x92\xfe"})
_REPLY_CODES = (ProxyOpCode.EXECUTION_RESULT, ProxyOpCode.RESPONSE_PENDING)

_services = weakref.WeakSet()


class FrameService:
    """Has a server answer the requests in blocks: ``server.handle_request_frame(block, frame)``."""

    def __init__(self, server):
        self._server = server
        self._reset()
        _services.add(self)

    def _reset(self):
        self._lock = threading.Lock()
        self._wake = threading.Event()
        #: By their names.
        self._watched = {}
        self._is_started = False
        #: What has been told to look for requests, if anything: only that goes on doing so.
        self._run = None
        self._thread = None

    def add(self, block):
        """Look for requests in a block from now on."""
        with self._lock:
            known = self._watched.get(block.name)
            if known is not None and known.block is block:
                return
            self._watched = {**self._watched, block.name: Watched(block)}
            if self._is_started:
                self._begin()
        self._wake.set()

    def remove(self, block):
        """Look no more into a block, which may be closed afterwards."""
        with self._lock:
            watched = self._watched.get(block.name)
            if watched is None or watched.block is not block:
                return
            self._watched = {
                name: other for name, other in self._watched.items() if other is not watched
            }
        watched.leave()
        self._wake.set()

    def start(self):
        """Look for requests on a thread, which there is while there are blocks."""
        with self._lock:
            if self._is_started or self._run is not None:
                raise ProxyError("the service has been started already")
            self._is_started = True
            if self._watched:
                self._begin()

    def serve_here(self):
        """Look for requests on this thread until `stop`."""
        with self._lock:
            if self._is_started or self._run is not None:
                raise ProxyError("the service has been started already")
            run = self._run = object()
        try:
            self._serve(run, ends_with_blocks=False)
        finally:
            with self._lock:
                if self._run is run:
                    self._run = None

    def stop(self):
        """Look no more into any block. Requests that are being answered go on."""
        with self._lock:
            self._is_started = False
            self._run = None
            thread, self._thread = self._thread, None
        self._wake.set()
        if thread is not None and thread is not threading.current_thread():
            # Soon, unless the server answers on that thread.
            thread.join(1)

    def _begin(self):
        """Have a thread, with the lock held."""
        if self._run is not None:
            return
        run = object()
        thread = threading.Thread(
            target=self._serve, args=(run, True), name="coheld-frame-service", daemon=True
        )
        self._run, self._thread = run, thread
        try:
            thread.start()
        except RuntimeError:
            self._run = self._thread = None
            raise

    def _serve(self, run, ends_with_blocks):
        pause = _SHORTEST
        while True:
            # First this, then a look at what is set before the event is.
            self._wake.clear()
            watched = self._watched
            if self._run is not run:
                return
            if not watched:
                if ends_with_blocks and self._end(run):
                    return
                self._wake.wait(_LONGEST if ends_with_blocks else 1)
                continue
            began = time.monotonic()
            if self._look(watched, run):
                pause = _SHORTEST
            else:
                pause = min(pause * _GROWTH, _LONGEST)
                pause = max(pause, (time.monotonic() - began) / _SHARE)
            self._wake.wait(pause)

    def _end(self, run):
        """End the thread if there are still no blocks."""
        with self._lock:
            if self._run is run and not self._watched:
                self._run = self._thread = None
                return True
            return False

    def _look(self, watched, run):
        """Look into all blocks once. Whether there was a request in any."""
        found = False
        for one in watched.values():
            try:
                frame = one.request()
                if frame is None:
                    continue
                found = True
                if isinstance(frame, Frame):
                    self._server.handle_request_frame(one.block, frame)
                else:
                    refuse(one.block, self._server._bufsize, frame)
            except BaseException as error:
                if not isinstance(error, Exception) and is_main_thread():
                    raise
                # A block that is too small or closed: nobody can be told through it. The others
                # have nothing to do with it.
                if one.is_closed():
                    self.remove(one.block)
            if self._run is not run:
                break
        return found


class Watched:
    """A block, and what is known of its content."""

    def __init__(self, block):
        self.block = block
        self._lock = threading.Lock()
        self._is_left = False
        #: Bytes that are no request, since when, and the error that they are worth; None: none.
        self._strange = b""
        self._since = 0.0
        self._error = None

    def leave(self):
        """Do not touch the block any more."""
        with self._lock:
            self._is_left = True

    def is_closed(self):
        """Whether there is no memory behind the block."""
        try:
            return self.block.buf is None or len(self.block.buf) == 0
        except Exception:
            return True

    def request(self):
        """The request that stands in the block; or an exception, if what stands there is wrong."""
        with self._lock:
            if self._is_left:
                return None
            buffer = self.block.buf
            if bytes(buffer[4:6]) in _REPLIES:
                return None
            try:
                content = snapshot(buffer, len(buffer))
            except (EmptyData, DataTooBigError, DataDecodeError):
                return None
        if content == self._strange:
            return self._verdict()
        try:
            frame = Frame.parse(content[4:])
            if frame.opcode in REQUESTS:
                return frame
            error = None
            if frame.opcode not in _REPLY_CODES:
                error = ProxyError(f"operation code {frame.opcode!r} is none of a request")
        except DataDecodeError as failure:
            # It may be half of a request.
            error = failure
        self._strange, self._error = content, error
        self._since = time.monotonic()
        return None

    def _verdict(self):
        if self._error is None or time.monotonic() - self._since < _PATIENCE:
            return None
        # It will be overwritten; the same again would be another one.
        self._strange = b""
        return self._error


@atexit.register
def _stop_all():
    for service in tuple(_services):
        service.stop()


def _forget():
    """In a forked child: the blocks are served by the process that has them."""
    for service in tuple(_services):
        service._reset()


os.register_at_fork(after_in_child=_forget)
