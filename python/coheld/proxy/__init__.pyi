import sys
from collections.abc import Callable, Iterable
from enum import IntEnum
from multiprocessing.context import BaseContext
from multiprocessing.shared_memory import SharedMemory
from threading import Thread
from types import TracebackType
from typing import Any, TypeVar

if sys.version_info >= (3, 11):
    from typing import Self
else:
    from typing_extensions import Self

__all__ = [
    "DataDecodeError",
    "DataEncodeError",
    "DataTooBigError",
    "EmptyData",
    "Frame",
    "LimitedProxyChaining",
    "Proxy",
    "ProxyError",
    "ProxyObjectNotFound",
    "ProxyOpCode",
    "ProxyServer",
    "close",
    "get_callable_name",
    "is_method_of",
    "is_proxy",
    "share",
]

_T = TypeVar("_T")

class ProxyError(Exception):
    remote_traceback: str

class ProxyObjectNotFound(ProxyError): ...

class LimitedProxyChaining(ProxyError):
    max_level: int
    def __init__(self, max_level: int, target_obj: object = None) -> None: ...

class DataDecodeError(ProxyError): ...
class DataEncodeError(ProxyError): ...
class DataTooBigError(ProxyError): ...
class EmptyData(ProxyError): ...

class ProxyOpCode(IntEnum):
    GET = 0
    SET = 1
    EXECUTE = 2
    EXECUTION_RESULT = -1
    RESPONSE_PENDING = -2

class Frame:
    opcode: int
    payload: Any
    def __init__(self, opcode: int, payload: Any) -> None: ...
    @classmethod
    def parse(cls, data: bytes) -> Self: ...

class _BaseTransparent:
    def __getattr__(self, name: str) -> Any: ...

class Proxy(_BaseTransparent):
    def __new__(
        cls,
        proxy_server: Any,
        idx: int = ...,
        target_obj: Any = None,
        shared_memory: SharedMemory | None = None,
    ) -> Self: ...
    def close(self) -> None: ...
    @property
    def idx(self) -> int: ...
    @property
    def target_obj_str(self) -> str: ...
    @property
    def shared_memory_name(self) -> str | None: ...
    def get_shared_memory(self) -> SharedMemory: ...
    def get_response(self, frame: Frame, timeout: float | None = None) -> Any: ...
    def read_frame(self, shared_memory: SharedMemory, timeout: float | None = 0.5) -> Frame: ...
    def write_frame(self, shared_memory: SharedMemory, frame: Frame) -> int: ...

class ProxyServer:
    proxy_objects: dict[int, list[Any]]
    creator_process: int
    server_thread: Thread | None
    def __init__(
        self, bufsize: int = 4096, *, process: bool = False, context: BaseContext | None = None
    ) -> None: ...
    @property
    def running(self) -> bool: ...
    def run(self, threaded: bool = True) -> None: ...
    def stop(self) -> None: ...
    def close(self) -> None: ...
    def shutdown(self) -> None: ...
    def create_proxy(
        self,
        target_object: _T,
        shared_memory: SharedMemory | None = None,
        *,
        exposed: Iterable[str] | None = None,
        readonly: bool = False,
    ) -> Any: ...
    def remove(self, target: Any) -> None: ...
    def handle_frame(self, shared_memory: SharedMemory, frame: Frame) -> None: ...
    def handle_request_frame(self, shared_memory: SharedMemory, frame: Frame) -> None: ...
    def read_frame(self, shared_memory: SharedMemory, timeout: float | None = 0.5) -> Frame: ...
    def write_frame(self, shared_memory: SharedMemory, frame: Frame) -> int: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

def close(proxy: object) -> None: ...
def is_proxy(thing: object) -> bool: ...
def get_callable_name(fn: Callable[..., Any]) -> str: ...
def is_method_of(callable_obj: Any, obj: object) -> bool: ...
def share(target: Any, *, exposed: Iterable[str] | None = None, readonly: bool = False) -> Any: ...
