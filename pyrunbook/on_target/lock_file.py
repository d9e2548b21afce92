"""The lock of a service on platform `host`: one file that says who holds it and since when."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

from . import durable


class LockHeld(Exception):
    """Somebody else holds the lock; `holder` says who."""

    def __init__(self, holder: dict[str, Any]) -> None:
        super().__init__(describe(holder))
        self.holder = holder


def describe(holder: dict[str, Any]) -> str:
    """One sentence for the operator: which run, who, where from, since when."""
    return "held by run {} of {} on {} since {}".format(
        holder.get("holder", "?"),
        holder.get("operator", "?"),
        holder.get("machine", "?"),
        holder.get("since", "?"),
    )


@contextlib.contextmanager
def _exclusively(path: str) -> Iterator[None]:
    """Keep other processes on this machine from reading and changing the lock in between."""
    with open(path + ".guard", "w", encoding="utf-8") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield


def read(path: str) -> dict[str, Any] | None:
    """The holder of the lock, `None` when it is free.

    A lock file that is no JSON is a lock all the same: its holder is unknown.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            holder = json.load(stream)
    except FileNotFoundError:
        return None
    except ValueError:
        return {"holder": "unknown", "operator": "unknown", "machine": "unknown", "since": "unknown"}
    return holder if isinstance(holder, dict) else {"holder": "unknown"}


def acquire(path: str, holder: dict[str, Any], check_mode: bool = False, predecessors: Sequence[str] = ()) -> bool:
    """Take the lock for `holder["holder"]`, a run's id. Whoever holds it already may take it again.

    What a run of `predecessors` has left locked is taken over: they have ended.

    Returns:
        Whether anything changed: `False` when this holder had it before.

    Raises:
        LockHeld: another run holds it.
    """
    with contextlib.nullcontext() if check_mode else _exclusively(path):
        current = read(path)
        if current is not None and current.get("holder") not in predecessors:
            if current.get("holder") != holder["holder"]:
                raise LockHeld(current)
            return False
        if not check_mode:
            stamped = dict(holder, since=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
            durable.write(path, json.dumps(stamped, sort_keys=True).encode(), 0o644)
    return True


def release(path: str, holder: str, check_mode: bool = False) -> bool:
    """Free the lock if `holder` holds it.

    Returns:
        Whether anything changed: `False` when it was free.

    Raises:
        LockHeld: another run holds it; it is left alone.
    """
    if not os.path.exists(path):
        return False
    with _exclusively(path):
        current = read(path)
        if current is None:
            return False
        if current.get("holder") != holder:
            raise LockHeld(current)
        if not check_mode:
            os.unlink(path)
            durable.sync_directory(os.path.dirname(os.path.abspath(path)))
        return True
