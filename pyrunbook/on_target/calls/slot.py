"""Start a release in a slot, stop the slot, empty it, or see that it serves."""

from __future__ import annotations

from typing import Any

from ..slots import NoLongerServes, SlotError, Slots
from ..units import UnitError
from . import CallFailed


def slot(
    service: dict[str, Any],
    color: str,
    state: str,
    release: str | None = None,
    serves: str | None = None,
    stable_seconds: float = 0.0,
    check_mode: bool = False,
) -> dict[str, Any]:
    """See the module `host_slot`."""
    try:
        slots = Slots(service, check_mode)
        with slots.exclusively():
            changed, detail = _change(slots, color, state, release or "", serves or "", stable_seconds)
    except NoLongerServes as error:
        raise CallFailed(str(error), evidence={"no_longer_serves": str(error).partition("\n")[0]}) from error
    except (SlotError, UnitError, OSError) as error:
        raise CallFailed(str(error)) from error
    if check_mode and changed:
        detail = f"then {detail}"
    result = {"changed": changed, "detail": detail, "diff": {"before": "", "after": detail + "\n"} if changed else {}}
    if state == "started" and not check_mode:
        result["evidence"] = {"release": release}
    return result


def _change(slots: Slots, color: str, state: str, release: str, serves: str, stable_seconds: float) -> tuple[bool, str]:
    """Bring the slot into the state asked for: whether anything changed, and how it is now."""
    if state == "started":
        if slots.active() == color and slots.linked(color) not in (None, release):
            raise SlotError(f"the traffic goes to {color}, so it keeps {slots.linked(color)}")
        return slots.start(color, release, stable_seconds), f"{color} runs {release}"
    if state == "serving":
        slots.require_serving(color, release)
        return False, f"{color} serves {release}"
    # In check mode the traffic was not switched before.
    if slots.active() == color and not slots.check_mode:
        raise SlotError(f"the traffic goes to {color}, so it is not {state}")
    if serves and not slots.check_mode:
        slots.require_serving("green" if color == "blue" else "blue", serves)
    if state == "stopped":
        return slots.stop(color), f"{color} is stopped"
    return slots.remove(color), f"{color} is gone"
