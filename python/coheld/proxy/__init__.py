"""Transparent proxies: objects of one process, used by others as if they were their own.

A drop-in for ``duck.utils.multiprocessing.proxy``.
"""

from ._duck import Proxy
from ._errors import LimitedProxyChaining, ProxyError, ProxyObjectNotFound
from ._proxy import close, is_proxy, link_of
from ._server import ProxyServer
from ._share import share
