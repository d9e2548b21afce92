"""Action plugin: let a color finish its requests, then stop it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyrunbook.plugins.step_action import StepAction


class ActionModule(StepAction):
    """The step `drain`."""

    def act(self, inputs: dict[str, Any], task_vars: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Drain it."""
        return self.platform.drain(
            inputs["drain_color"],
            delay=inputs["drain_delay"],
            timeout=inputs["drain_timeout"],
            stops_traffic=inputs["drain_stops_traffic"],
            gauge=(inputs["drain_metrics_path"], inputs["drain_metric"]),
        )
