from collections.abc import Iterable
from contextlib import AbstractContextManager
from multiprocessing.context import BaseContext
from typing import Any, Literal

from . import aio as aio
from . import managers as managers
from . import proxy as proxy
from .errors import (
    CallTimeout as CallTimeout,
)
from .errors import (
    CoheldError as CoheldError,
)
from .errors import (
    CorruptedError as CorruptedError,
)
from .errors import (
    ManagerGone as ManagerGone,
)
from .errors import (
    MethodError as MethodError,
)
from .errors import (
    OutOfMemory as OutOfMemory,
)
from .errors import (
    OwnerDiedError as OwnerDiedError,
)
from .errors import (
    OwnerDiedWarning as OwnerDiedWarning,
)
from .errors import (
    ShutDown as ShutDown,
)
from .errors import (
    StartupError as StartupError,
)
from .managers import ReferentGone as ReferentGone
from .managers import SyncManager

__all__ = [
    "CallTimeout",
    "CoheldError",
    "CorruptedError",
    "Manager",
    "ManagerGone",
    "MethodError",
    "OutOfMemory",
    "OwnerDiedError",
    "OwnerDiedWarning",
    "ReferentGone",
    "ShutDown",
    "StartupError",
    "aio",
    "call_timeout",
    "from_token",
    "install",
    "managers",
    "proxy",
    "share",
    "uninstall",
]
__version__: str

def Manager(
    *,
    ctx: BaseContext | Any = None,
    capacity: int | None = None,
    owner_died: Literal["warn", "error"] = "warn",
    call_timeout: float | None = None,
) -> SyncManager: ...
def call_timeout(seconds: float | None) -> AbstractContextManager[None]: ...
def from_token(text: str, authkey: bytes | None = None) -> Any: ...
def install() -> None: ...
def share(target: Any, *, exposed: Iterable[str] | None = None, readonly: bool = False) -> Any: ...
def uninstall() -> None: ...
