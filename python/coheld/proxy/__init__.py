"""Transparent proxies: objects of one process, used by others as if they were their own.

A drop-in for ``duck.utils.multiprocessing.proxy``.
"""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

from ._duck import Proxy
from ._errors import (
    DataDecodeError,
    DataEncodeError,
    DataTooBigError,
    EmptyData,
    LimitedProxyChaining,
    ProxyError,
    ProxyObjectNotFound,
)
from ._frames import Frame, ProxyOpCode
from ._helpers import get_callable_name, is_method_of
from ._proxy import close, is_proxy
from ._server import ProxyServer
from ._share import share

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
