"""A process that ends with its parent, however that ends (Linux): half a run never goes on by itself."""

from __future__ import annotations

import os
import sys
from typing import Any

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9


def _prctl() -> Any:
    """Linux's prctl; elsewhere a function that does nothing."""
    if not sys.platform.startswith("linux"):
        return lambda *_: 0
    import ctypes

    return ctypes.CDLL(None, use_errno=True).prctl


_PRCTL = _prctl()  # found before a fork, after which little is safe to call


def die_with(parent: int) -> None:
    """End this process with its parent; at once when that is gone already."""
    _PRCTL(_PR_SET_PDEATHSIG, _SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
