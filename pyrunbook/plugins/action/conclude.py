"""Action plugin: say how a run ended for a service; anything but success fails the play here, at its very end."""

from __future__ import annotations

from typing import Any

from pyrunbook.journal import Outcome, next_step
from pyrunbook.plugins.step_action import StepAction


class ActionModule(StepAction):
    """Gives `conclusion` to the journal callback, which records it."""

    ARGUMENTS = {
        "outcome": {"type": "str", "required": True, "choices": [str(outcome) for outcome in Outcome]},
        "cause": {"type": "str", "default": ""},
        "detail": {"type": "str", "default": ""},
    }
    CHANGES = False

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Record the outcome."""
        outcome = Outcome(arguments["outcome"])
        return {
            "changed": False,
            "detail": arguments["detail"],
            "conclusion": {"outcome": str(outcome), "cause": arguments["cause"]},
            "evidence": {"outcome": str(outcome)},
            "next_step": "" if self.run_id == "manual" else next_step(outcome, self.run_id),
        }
