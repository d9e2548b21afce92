"""Action plugin: send the traffic to a color."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyrunbook.plugins.step_action import StepAction


class ActionModule(StepAction):
    """The step `switch_service`."""

    def act(self, inputs: dict[str, Any], task_vars: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Switch."""
        timeout = inputs["switch_service_timeout"]
        return self.platform.switch(inputs["switch_service_color"], self.ready_check, timeout=timeout)
