"""Action plugin: read what a service is doing."""

from __future__ import annotations

from typing import Any

from pyrunbook.kubernetes.target import other
from pyrunbook.platforms.host import HostPlatform
from pyrunbook.plugins.step_action import StepAction
from pyrunbook.service import COLORS


class ActionModule(StepAction):
    """The helper `service_state`: the result has `state`, and the `facts` that steps use.

    With `needs` it also has `obstacles`: what an update would be refused for on the machine of a service on platform
    `host`, its certificates included. `pyrunbook doctor` shows them.
    """

    ARGUMENTS = {"needs": {"type": "bool", "default": False}}
    CHANGES = False

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Read it."""
        # A rollback must also start when nothing of the service is left.
        for_rollback = bool(self.variable("preflight_recovery")) or "__rollback_outcome" in task_vars
        result = self.platform.state(for_rollback=for_rollback)
        state = result["state"]
        # The color that served when the run began stays the active one.
        active = self.variable("service_active_color") or state["active"]
        facts = {
            "service_state": state,
            "service_active_color": active,
            "service_preview_color": other(active) if active in COLORS else "none",
        }
        result = {**result, "facts": facts}
        if arguments["needs"] and active in COLORS and isinstance(self.platform, HostPlatform):
            parts = self.variable("backup_parts", service_state=state, service_active_color=active) or []
            stops = self.variable("update_strategy") == "controlled_stop"
            found = self.platform.obstacles(parts, stops, self.variable("service_certificates") or [])
            result["obstacles"] = found["obstacles"]
        return result
