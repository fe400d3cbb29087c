"""Marks for tests that the stock manager cannot pass, or not on every version of Python."""

from __future__ import annotations

import sys

import pytest
from subject import IS_STOCK

coheld_only = pytest.mark.skipif(IS_STOCK, reason="the stock manager cannot do this")


def stock_since(*version: int):
    """Skips a test on stock managers that are too old for it; Coheld has it on every version."""
    return pytest.mark.skipif(
        IS_STOCK and sys.version_info < version,
        reason=f"the stock manager has this since {'.'.join(map(str, version))}",
    )
