"""Action plugin: wait until a color answers a check several times in a row."""

from __future__ import annotations

from typing import Any

from pyrunbook.errors import FailedAndPutBack
from pyrunbook.plugins.step_action import StepAction
from pyrunbook.rollout.checks import HttpCheck, until


class ActionModule(StepAction):
    """Waits on state, not on time; the timeout names what it waited for and what it saw last."""

    ARGUMENTS = {
        "url": {"type": "str", "required": True},
        "check": {"type": "dict", "required": True},
        "seconds": {"type": "float", "required": True},
        "consecutive": {"type": "int", "default": 1},
        "interval": {"type": "float", "default": 0.2},
    }
    CHANGES = False

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Poll until the check passed often enough."""
        check = HttpCheck.parse(arguments["check"])
        if self.check_mode:
            return {"changed": False, "detail": f"would wait until {check.asked} succeeds"}
        result, tries = until(
            check,
            arguments["url"],
            seconds=arguments["seconds"],
            consecutive=arguments["consecutive"],
            interval=arguments["interval"],
        )
        if not result.passed:
            raise FailedAndPutBack(
                f"{arguments['url']} is not ready after {arguments['seconds']:g} s and {tries} checks: {result.detail}",
            )
        return {
            "changed": False,
            "detail": f"ready after {tries} check{'' if tries == 1 else 's'}",
            "evidence": result.evidence,
        }
