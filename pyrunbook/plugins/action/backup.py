"""Action plugin: back up the service and prove the backup by a restore."""

from __future__ import annotations

from typing import Any

from pyrunbook.plugins.step_action import StepAction


class ActionModule(StepAction):
    """The step `backup`; its result is the fact `service_backup`: `path`, `sha256`, `files` and `bytes`."""

    CHANGES = False

    def act(self, inputs: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Back it up."""
        done = self.platform.back_up(inputs["backup_parts"], inputs["backup_id"])
        return {**done, **done.get("backup", {})}
