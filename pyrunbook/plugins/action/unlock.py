"""Action plugin: show who holds the lock of a service, or break it."""

from __future__ import annotations

from typing import Any

from pyrunbook.plugins.step_action import StepAction


class ActionModule(StepAction):
    """The step `unlock`."""

    CHANGES = False

    def act(self, inputs: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Show it, or break it where a holder is named."""
        holder = inputs["unlock_holder"]
        return self.platform.break_lock(holder) if holder else self.platform.show_lock()
