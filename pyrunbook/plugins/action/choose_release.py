"""Action plugin: choose the release to deploy on platform host."""

from __future__ import annotations

from typing import Any

from pyrunbook.errors import BadInput
from pyrunbook.plugins.step_action import StepAction


class ActionModule(StepAction):
    """The release that was asked for, or the candidate; it must be on the machine.

    One that serves already may be meant (a changed configuration, the rest of a fleet that is updated again), so it is
    told and not refused.
    """

    ARGUMENTS = {
        "wanted": {"type": "str", "default": ""},
        "candidate": {"type": "str", "default": ""},
        "available": {"type": "list", "elements": "str", "required": True},
        "directory": {"type": "str", "required": True},
        "serving": {"type": "str", "default": ""},
    }
    CHANGES = False

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Choose it."""
        there = ", ".join(arguments["available"]) or "none"
        chosen = arguments["wanted"] or arguments["candidate"]
        if not chosen:
            raise BadInput(
                f"No release was named, and {arguments['directory']}/candidate names none (there is: {there}).",
                means="Nothing was changed.",
                next_step="-e release=VERSION",
            )
        if chosen not in arguments["available"]:
            raise BadInput(
                f"There is no release {chosen} in {arguments['directory']} (there is: {there}).",
                means="Nothing was changed.",
                next_step="put it there, or name another one: -e release=VERSION",
            )
        again = chosen == arguments["serving"]
        detail = f"{chosen} serves already and is deployed once more" if again else ""
        return {"changed": False, "release": chosen, "detail": detail}
