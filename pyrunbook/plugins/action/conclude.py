"""Action plugin: free the lock and record how a run ended; any failure ends the play here, as its last step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyrunbook.journal import Outcome, next_step
from pyrunbook.plugins.step_action import StepAction


class ActionModule(StepAction):
    """The step `conclude`: gives `conclusion` to the journal callback, which records it."""

    ROLE_INPUTS = True
    CHANGES = False

    def act(self, inputs: dict[str, Any], task_vars: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Free the lock, except where something was left that nobody may build on, and record the outcome."""
        outcome, cause = Outcome(inputs["conclude_outcome"]), inputs["conclude_cause"]
        if inputs["conclude_locked"] and outcome != Outcome.ROLLBACK_FAILED:
            yield self.platform.unlock()
        # The place of the notifications: they come after the lock is free, and never fail a run.
        then = "" if self.run_id == "manual" else next_step(outcome, self.run_id)
        result = {
            "changed": False,
            "detail": inputs["conclude_detail"],
            "conclusion": {"outcome": str(outcome), "cause": cause, "detail": inputs["conclude_detail"]},
            "evidence": {"outcome": str(outcome)},
            "next_step": then,
        }
        if outcome not in inputs["conclude_good"]:
            first = cause.strip().split("\n")[0]  # the step that failed has told the rest
            result |= {"failed": True, "msg": f"{outcome}: {first}" + (f"\nNext: {then}" if then else "")}
        yield result
