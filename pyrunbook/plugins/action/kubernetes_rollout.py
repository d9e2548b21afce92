"""Action plugin: wait until the Deployments of a color run their newest template, and say why when they cannot."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pyrunbook.plugins.kubernetes_action import KubernetesAction

if TYPE_CHECKING:
    from pyrunbook.kubernetes.client import Cluster
    from pyrunbook.kubernetes.target import Target


class ActionModule(KubernetesAction):
    """Only waits. The result's `deployed` is what runs then, for `kubernetes.serving`."""

    ARGUMENTS = {
        "color": {"type": "str", "required": True},
        "deployments": {"type": "list", "elements": "str", "default": []},
        "timeout": {"type": "float", "default": 300.0},
        "stable_seconds": {"type": "float", "default": 0.0},
        "deployed": {"type": "dict", "default": {}},
    }
    CHANGES = False

    def operate(self, cluster: Cluster, target: Target, arguments: dict[str, Any]) -> dict[str, Any]:
        """Wait for each; the timeout is that of all together."""
        from pyrunbook.kubernetes.rollout import wait_for_rollout

        names = arguments["deployments"] or [target.deployments[target.check_color(arguments["color"])]]
        if self.check_mode:
            return {"changed": False, "detail": f"would wait for {', '.join(names)}", "deployed": {}}
        heartbeat = self.heartbeat(cluster, target)
        end = time.monotonic() + arguments["timeout"]
        evidence = {
            name: wait_for_rollout(
                cluster,
                name,
                timeout=max(end - time.monotonic(), 1.0),
                stable_seconds=arguments["stable_seconds"],
                heartbeat=heartbeat,
            )
            for name in names
        }
        ready = sum(entry["ready"] for entry in evidence.values())
        looks = sum(entry["looks"] for entry in evidence.values())
        told = {"changed": False, "detail": f"{ready} pods ready after {looks} checks"}
        if arguments["deployed"]:  # by an earlier attempt, whose evidence stands
            return {**told, "deployed": arguments["deployed"]}
        return {**told, "deployed": evidence, "evidence": evidence}
