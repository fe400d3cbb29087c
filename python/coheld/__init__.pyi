from multiprocessing.context import BaseContext
from typing import Any

from . import managers as managers
from .errors import (
    CoheldError as CoheldError,
    CorruptedError as CorruptedError,
    ManagerGone as ManagerGone,
    OutOfMemory as OutOfMemory,
    OwnerDied as OwnerDied,
    StartupError as StartupError,
)
from .managers import ReferentGone as ReferentGone, SyncManager

__all__: list[str]
__version__: str

def Manager(*, ctx: BaseContext | Any = None, capacity: int | None = None) -> SyncManager: ...
