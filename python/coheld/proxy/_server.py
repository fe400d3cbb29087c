"""`ProxyServer`: has objects of this process that other processes use through proxies."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import os
import queue
import secrets
import threading

from . import _blocks
from ._description import describe
from ._duck import Proxy
from ._errors import ProxyError
from ._exposure import Exposure
from ._frame_server import FrameServing
from ._frame_service import FrameService
from ._home import new_domain
from ._process import ServerProcess
from ._proxy import is_proxy, link_of, make_proxy


class ProxyServer(FrameServing):
    """Has objects whose attributes, methods and operators other processes use through proxies.

    *bufsize* is the size in bytes of the shared memory through which clients talk that speak
    Duck's frames. Others have no such limit. With *process*, the objects live in a process of
    their own: `create_proxy` moves a copy there. *context* is what starts that process.
    """

    _DATA_SIZE_PREFIX_LEN = 4

    def __init__(self, bufsize=4096, *, process=False, context=None):
        if not isinstance(bufsize, int) or isinstance(bufsize, bool):
            raise TypeError(f"bufsize is a number of bytes, not {type(bufsize).__name__}")
        if bufsize <= 0:
            raise ValueError("'size' must be a positive number different from zero")
        #: By the ids of the targets: the target, its proxy, and its shared memory, if it has one.
        self.proxy_objects = {}
        self.creator_process = os.getpid()
        self.server_thread = None
        self._bufsize = bufsize
        self._running = False
        self._threaded = False
        self._wrap_unserializable_objects = True
        self._proxy_chaining_max_level = 7
        self._lock = threading.RLock()
        self._domain = None
        self._inline = None
        self._process = None
        self._frames = None
        #: Those that this server has made, and removes.
        self._own_blocks = []
        self._has_process = bool(process)
        self._context = context

    @property
    def running(self):
        """Whether the server runs, in this process."""
        return self._running and self.creator_process == os.getpid()

    # Its life.

    def run(self, threaded=True):
        """Begin to answer calls.

        If *threaded*, at once and on threads of its own, one for each thread that calls. Else it
        answers them one after another on the calling thread, and returns after `stop`.
        """
        with self._lock:
            if self.running:
                raise AssertionError("Proxy server already running.")
            self.creator_process = os.getpid()
            if self._has_process:
                self._process = ServerProcess(self._bufsize, self._context)
                self._running = True
                return
            self._threaded = bool(threaded)
            self._inline = None if threaded else Inline()
            self._domain = new_domain()
            self._frames = FrameService(self)
            self._frames.start()
            if self._inline is not None:
                self._domain.run = self._inline.run
            self._running = True
        if self._inline is not None:
            try:
                self._inline.serve()
            finally:
                self.stop()

    def stop(self):
        """Let go of all objects. Who uses one of their proxies gets a `ProxyError`."""
        with self._lock:
            if not self._running or self.creator_process != os.getpid():
                return
            self._running = False
            if self._has_process:
                self._process.stop()
                self._process = None
                return
            for target, *_ in self.proxy_objects.values():
                self._domain.record_of(target).close()
            self.proxy_objects.clear()
            self._frames.stop()
            own_blocks, self._own_blocks = self._own_blocks, []
            domain, self._domain = self._domain, None
        if self._inline is not None:
            self._inline.stop()
        domain.stop()
        for block in own_blocks:
            _blocks.remove(block)

    close = shutdown = stop

    def __enter__(self):
        if not self.running:
            self.run()
        return self

    def __exit__(self, exc_type, exc_value, traceback):
        self.stop()

    # Its objects.

    def create_proxy(self, target_object, shared_memory=None, *, exposed=None, readonly=False):
        """Return a proxy of an object of this process.

        *exposed* names what may be used of it; by default that is everything whose name does not
        begin with an underscore, and all special methods. *readonly* forbids to set or delete
        anything. What the object gives away that does not pickle, gets proxies of its own.
        """
        if target_object is None:
            raise AssertionError("Target object must not be None.")
        with self._lock:
            self._check_running()
            if self._has_process:
                Exposure(exposed, readonly)
                most = self._proxy_chaining_max_level
                return self._process.create(target_object, exposed, readonly, most)
            if id(target_object) in self.proxy_objects:
                raise ProxyError(
                    "The provided object already exists as a proxy. Please provide a different "
                    "object or remove the existing proxy first."
                )
            return self._register(target_object, shared_memory, Exposure(exposed, readonly))

    def remove(self, target):
        """Let go of an object, which is given itself or as one of its proxies."""
        with self._lock:
            self._check_running()
            if self._has_process:
                self._process.remove(target)
                return
            key = self._key_of(target)
            if key not in self.proxy_objects:
                raise ProxyError(f"{target!r} has no proxy of this server")
            found, _, block, *_ = self.proxy_objects.pop(key)
            self._domain.record_of(found).close()
            if block is not None and not any(e[2] is block for e in self.proxy_objects.values()):
                self._frames.remove(block)

    def _key_of(self, target):
        if not is_proxy(target):
            return id(target)
        record = self._domain.own(link_of(target).reference)
        return None if record is None else id(record.target)

    def _check_running(self):
        if not self.running:
            raise ProxyError(
                "The provided proxy_server is not running. Make sure `run` is called on the "
                "proxy_server for running the server."
            )

    def _register(self, target, block, exposure):
        record = self._domain.record_of(target, exposure)
        record.expose(exposure)
        record.server = self
        reference = self._domain.reference(record)
        description = describe(target, exposure)
        proxy = make_proxy(Proxy, reference, description, 0, self._proxy_chaining_max_level)
        self.proxy_objects[id(target)] = [target, proxy, block]
        if block is not None:
            self._frames.add(block)
        return proxy

    def _proxy_for(self, idx, target, block):
        """The proxy of an object that is told as Duck's class of proxies is told it."""
        with self._lock:
            entry = self.proxy_objects.get(idx)
            if entry is None or entry[1] is None:
                return self.create_proxy(target, block)
            return entry[1]

    # What clients use that speak in frames.

    def _block_name(self, target, is_wanted):
        """The name of the block of an object, which is made if it is wanted."""
        with self._lock:
            entry = self.proxy_objects.get(id(target))
            if entry is None:
                raise ProxyError(f"the server does not have {target!r} any more")
            if entry[2] is None and is_wanted:
                name = f"coheld-frames-{os.getpid()}-{secrets.token_hex(6)}"
                entry[2] = _blocks.make(name, self._bufsize)
                self._own_blocks.append(entry[2])
                self._frames.add(entry[2])
            return entry[2] and entry[2].name

    def _register_target(self, target, block, giver):
        """Have an object that another one has given away be found by its id."""
        with self._lock:
            if id(target) not in self.proxy_objects:
                exposure = self._domain.record_of(self.proxy_objects[giver][0]).exposure
                record = self._domain.record_of(target, exposure.derived())
                # The record, which nobody else may refer to, says what may be used.
                self.proxy_objects[id(target)] = [target, None, block, record]
            return id(target)

    def _check_exposed(self, entry, name, operation):
        """Raise what a client gets that must not use a name."""
        record = self._domain.record_of(entry[0])
        if not record.exposure.allows(name, operation):
            raise record.exposure.refusal(entry[0], name, operation)

    def handle_request_frame(self, shared_memory, frame):
        """Answer a request that stands in a block, where the calls of this server run."""
        if self._inline is None:
            super().handle_request_frame(shared_memory, frame)
        else:
            self._inline.run(self.handle_frame, (shared_memory, frame), {})


class Inline:
    """Calls that are run one after another, by the thread that has called ``run``."""

    def __init__(self):
        self._calls = queue.SimpleQueue()
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._is_open = True

    def run(self, function, args, kwargs):
        """Have a call run, and wait for it."""
        if threading.get_ident() == self._thread:
            return function(*args, **kwargs)
        call = Call(function, args, kwargs)
        with self._lock:
            if not self._is_open:
                raise ProxyError("the server has been stopped")
            self._calls.put(call)
        return call.result()

    def serve(self):
        """Run calls until `stop`; whoever has called before that gets an answer."""
        while True:
            call = self._calls.get()
            if call is None:
                return
            call.run()

    def stop(self):
        """Have nothing run any more."""
        with self._lock:
            if self._is_open:
                self._is_open = False
                self._calls.put(None)


class Call:
    """A call that one thread hands to another."""

    def __init__(self, function, args, kwargs):
        self._work = (function, args, kwargs)
        self._done = threading.Lock()
        self._done.acquire()
        self._value = self._error = None

    def run(self):
        function, args, kwargs = self._work
        try:
            self._value = function(*args, **kwargs)
        except BaseException as error:
            self._error = error
        self._done.release()

    def result(self):
        self._done.acquire()
        if self._error is not None:
            raise self._error
        return self._value
