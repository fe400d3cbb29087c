import array
from collections.abc import Callable, Iterable, Mapping
from multiprocessing.context import BaseContext, Process
from multiprocessing.context import ProcessError as ProcessError
from multiprocessing.managers import (
    Namespace as Namespace,
)
from multiprocessing.managers import (
    RemoteError as RemoteError,
)
from types import TracebackType
from typing import Any, ClassVar, Literal, NoReturn

from typing_extensions import Never, Self

from ._coheld import (
    AcquirerProxy as AcquirerProxy,
)
from ._coheld import (
    ArrayProxy as ArrayProxy,
)
from ._coheld import (
    BarrierProxy as BarrierProxy,
)
from ._coheld import (
    BaseProxy as BaseProxy,
)
from ._coheld import (
    ConditionProxy as ConditionProxy,
)
from ._coheld import (
    DictProxy as DictProxy,
)
from ._coheld import (
    EventProxy as EventProxy,
)
from ._coheld import (
    JoinableQueueProxy as JoinableQueueProxy,
)
from ._coheld import (
    ListProxy as ListProxy,
)
from ._coheld import (
    NamespaceProxy as NamespaceProxy,
)
from ._coheld import (
    QueueProxy as QueueProxy,
)
from ._coheld import (
    RebuildProxy as RebuildProxy,
)
from ._coheld import (
    SetProxy as SetProxy,
)
from ._coheld import (
    Token as Token,
)
from ._coheld import (
    ValueProxy as ValueProxy,
)
from .errors import CoheldError

__all__ = ["BaseManager", "SyncManager", "BaseProxy", "Token"]

_Address = str | bytes | tuple[str, int]

# These two are missing in the stubs of the standard library.
class State:
    INITIAL: ClassVar[int]
    STARTED: ClassVar[int]
    SHUTDOWN: ClassVar[int]
    value: int

class Value:
    value: Any
    def __init__(self, typecode: Any, value: Any, lock: bool = True) -> None: ...
    def get(self) -> Any: ...
    def set(self, value: Any) -> None: ...

class ReferentGone(CoheldError, RemoteError): ...

listener_client: dict[str, tuple[Any, Any]]

def Array(typecode: str, sequence: Iterable[Any], lock: bool = True) -> array.array[Any]: ...

class Server:
    address: _Address
    def __init__(
        self,
        registry: dict[str, Any],
        address: _Address | None,
        authkey: bytes,
        serializer: str,
        capacity: int | None = None,
        owner_died: Literal["warn", "error"] = "warn",
    ) -> None: ...
    def serve_forever(self) -> NoReturn: ...
    def serve_for(self, parent: Any) -> None: ...

class BaseManager:
    _registry: ClassVar[dict[str, tuple[Any, Any, Any, Any]]]
    _process: Process | None
    shutdown: Callable[[], None]
    def __init__(
        self,
        address: _Address | None = None,
        authkey: bytes | None = None,
        serializer: str = "pickle",
        ctx: BaseContext | Any = None,
        *,
        shutdown_timeout: float = 1.0,
        capacity: int | None = None,
        owner_died: Literal["warn", "error"] = "warn",
    ) -> None: ...
    def get_server(self) -> Server: ...
    def connect(self) -> None: ...
    def start(
        self, initializer: Callable[..., object] | None = None, initargs: Iterable[Any] = ()
    ) -> None: ...
    def join(self, timeout: float | None = None) -> None: ...
    def _debug_info(self) -> str: ...
    def _number_of_objects(self) -> int: ...
    def _statistics(self) -> dict[str, int]: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None: ...
    @property
    def address(self) -> _Address | None: ...
    @classmethod
    def register(
        cls,
        typeid: str,
        callable: Callable[..., Any] | None = None,
        proxytype: Callable[..., Any] | None = None,
        exposed: Iterable[str] | None = None,
        method_to_typeid: Mapping[str, str] | None = None,
        create_method: bool = True,
    ) -> None: ...

class SyncManager(BaseManager):
    def list(self, sequence: Iterable[Any] = (), /) -> ListProxy[Any]: ...
    def dict(self, *args: Any, **kwds: Any) -> DictProxy[Any, Any]: ...
    def set(self, iterable: Iterable[Any] = (), /) -> SetProxy[Any]: ...
    def Namespace(self, /, *args: Any, **kwds: Any) -> NamespaceProxy: ...
    def Value(self, typecode: Any, value: Any, lock: bool = True) -> ValueProxy[Any]: ...
    def Array(self, typecode: str, sequence: Iterable[Any], lock: bool = True) -> ArrayProxy: ...
    # These three take no arguments.
    def Lock(self, *args: Never, **kwds: Never) -> AcquirerProxy: ...
    def RLock(self, *args: Never, **kwds: Never) -> AcquirerProxy: ...
    def Semaphore(self, value: int = 1) -> AcquirerProxy: ...
    def BoundedSemaphore(self, value: int = 1) -> AcquirerProxy: ...
    def Event(self, *args: Never, **kwds: Never) -> EventProxy: ...
    def Condition(self, lock: AcquirerProxy | None = None) -> ConditionProxy: ...
    def Barrier(
        self,
        parties: int,
        action: Callable[[], object] | None = None,
        timeout: float | None = None,
    ) -> BarrierProxy: ...
    def Queue(self, maxsize: int = 0) -> QueueProxy[Any]: ...
    def JoinableQueue(self, maxsize: int = 0) -> JoinableQueueProxy[Any]: ...
