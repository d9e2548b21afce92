"""Read the active color, both slots and the releases of a service."""

from __future__ import annotations

from typing import Any

from ..slots import SlotError, Slots
from ..units import UnitError
from . import CallFailed


def state(service: dict[str, Any], check_mode: bool = False) -> dict[str, Any]:  # noqa: ARG001  # it changes nothing
    """See the module `host_state`."""
    try:
        found = Slots(service).state()
    except (SlotError, UnitError, OSError) as error:
        raise CallFailed(f"The state of the service is not known: {error}") from error
    active = found["active"]
    release = found["colors"].get(active, {}).get("release")
    detail = f"{active} serves {release}" if release else "no color serves"
    return {"changed": False, "detail": detail, "evidence": found, "state": found, "slots": service}
