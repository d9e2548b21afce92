"""Have the traffic served as a rollback plan says, or bring the other color back to what it was."""

from __future__ import annotations

from typing import Any

from ..archive import ArchiveError
from ..slots import SlotError, Slots
from ..units import UnitError
from ..upstream import UpstreamConflict
from . import CallFailed


def put_back(
    service: dict[str, Any], plan: dict[str, Any], preview: bool = False, check_mode: bool = False
) -> dict[str, Any]:
    """See the module `host_put_back`."""
    try:
        slots = Slots(service, check_mode)
        with slots.exclusively():
            done = slots.put_back_preview(plan) if preview else slots.put_back(plan)
    except (SlotError, UnitError, UpstreamConflict, ArchiveError, OSError) as error:
        raise CallFailed(str(error)) from error
    told = [*done, slots.remark] if slots.remark else done
    # The traffic may have been sent back just now, before this began.
    color = plan["preview"]["color"] if preview else plan["active"]
    return {"changed": bool(done), "detail": "; ".join(told) or f"{color} is as it was", "evidence": {"done": told}}
