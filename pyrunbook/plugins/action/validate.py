"""Action plugin: check a color or the service; passes only when every check and every hook passed."""

from __future__ import annotations

from typing import Any

from pyrunbook.plugins.step_action import StepAction
from pyrunbook.plugins.verified import verified
from pyrunbook.rollout import verification


class ActionModule(StepAction):
    """The step `validate`. The result has `url` when the checks were performed: `rollback` asks what was verified."""

    CHANGES = False

    def act(self, inputs: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Perform them over new connections."""
        work = verification.read(inputs["validate_checks"], inputs["validate_hooks"])
        if self.check_mode:
            count = len(inputs["validate_checks"])
            return {"changed": False, "detail": f"{count} checks and {len(work) - count} hooks, not performed"}
        return verified(self, inputs["validate_url"], work, inputs["validate_release"])
