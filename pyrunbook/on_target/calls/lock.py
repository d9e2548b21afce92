"""Take, free, show or break the lock file of a service."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from .. import lock_file
from . import CallFailed


def lock(
    path: str,
    state: str,
    holder: str = "",
    operator: str = "",
    machine: str = "",
    runbook: str = "",
    predecessors: Sequence[str] = (),
    check_mode: bool = False,
) -> dict[str, Any]:
    """See the module `host_lock`."""
    try:
        if state == "shown":
            held = lock_file.read(path)
            detail = lock_file.describe(held) if held else "the lock is free"
            return {"changed": False, "holder": held, "detail": detail}
        if state == "held":
            who = {"holder": holder, "operator": operator, "machine": machine, "runbook": runbook}
            return _take(path, who, predecessors, check_mode)
        changed = lock_file.release(path, holder, check_mode)
    except lock_file.LockHeld as error:
        msg = f"The lock of this service is {error} ({path})."
        raise CallFailed(msg, lock_holder=error.holder, refused=True) from error
    except OSError as error:
        from .. import permissions

        found = permissions.not_writable(os.path.dirname(path), path + ".guard")
        msg = f"The lock {path} cannot be used: {found[0].seen if found else error}"
        if found:
            msg += f"\nNothing was changed.\nNext: {found[0].next_step}"
        raise CallFailed(msg, refused=True) from error
    word = "broken" if state == "broken" else "freed"
    return {"changed": changed, "detail": f"lock {word}" if changed else "the lock is free"}


def _take(path: str, who: dict[str, str], predecessors: Sequence[str], check_mode: bool) -> dict[str, Any]:
    directory = os.path.dirname(path)
    if not check_mode:
        os.makedirs(directory, mode=0o755, exist_ok=True)
    elif not os.path.isdir(directory):
        return {"changed": True, "detail": "the lock would be taken"}
    left = (lock_file.read(path) or {}).get("holder")
    changed = lock_file.acquire(path, who, check_mode, predecessors)
    after = f", left behind by run {left}, which has ended" if left and left != who["holder"] else ""
    return {"changed": changed, "detail": "the lock would be taken" if check_mode else f"lock held{after}"}
