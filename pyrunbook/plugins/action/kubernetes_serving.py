"""Action plugin: see that a color serves what was deployed to it; the rule of `pyrunbook.kubernetes.serving`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyrunbook.plugins.kubernetes_action import KubernetesAction

if TYPE_CHECKING:
    from pyrunbook.kubernetes.client import Cluster
    from pyrunbook.kubernetes.target import Target


class ActionModule(KubernetesAction):
    """Only looks. `deployed` is what `kubernetes_rollout` saw."""

    ARGUMENTS = {
        "color": {"type": "str", "required": True},
        "deployed": {"type": "dict", "default": {}},
    }
    CHANGES = False

    def operate(self, cluster: Cluster, target: Target, arguments: dict[str, Any]) -> dict[str, Any]:
        """Look."""
        from pyrunbook.kubernetes.serving import require_serving

        color, beat = arguments["color"], self.heartbeat(cluster, target)
        require_serving(cluster, target, color, arguments["deployed"] or None, heartbeat=beat)
        return {"changed": False}
