"""See whether a service's machine has what an update needs, before anything is changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import needs as looks
from ..slots import SlotError, Slots
from ..units import UnitError
from . import CallFailed


def needs(
    service: dict[str, Any],
    stops: bool,
    host: str,
    parts: Sequence[str] = (),
    maintenance: str = "",
    certificates: Sequence[dict[str, Any]] = (),
    check_mode: bool = False,  # noqa: ARG001  # it changes nothing
) -> dict[str, Any]:
    """See the module `host_needs`."""
    try:
        slots = Slots(service)
        found = looks.of_update(slots, parts, maintenance if stops else None, host, certificates)
    except (SlotError, UnitError, OSError) as error:
        raise CallFailed(f"Whether the machine has what a run needs is not known: {error}") from error
    obstacles = [each._asdict() for each in found]
    return {"changed": False, "obstacles": obstacles, "evidence": {"obstacles": obstacles}}
