"""Action plugin: remove the color that served before."""

from __future__ import annotations

from typing import Any

from pyrunbook.plugins.step_action import StepAction


class ActionModule(StepAction):
    """The step `cleanup`."""

    def act(self, inputs: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Remove it."""
        return self.platform.remove(inputs["cleanup_color"], timeout=inputs["cleanup_timeout"])
