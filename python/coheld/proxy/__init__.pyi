from collections.abc import Callable, Iterable
from enum import IntEnum
from multiprocessing.context import BaseContext
from multiprocessing.shared_memory import SharedMemory
from types import TracebackType
from typing import Any, Literal, TypeVar

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
