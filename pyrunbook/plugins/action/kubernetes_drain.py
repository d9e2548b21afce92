"""Action plugin: scale a color to zero and wait until no pod of it is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyrunbook.plugins.kubernetes_action import KubernetesAction

if TYPE_CHECKING:
    from pyrunbook.kubernetes.client import Cluster
    from pyrunbook.kubernetes.target import Target


class ActionModule(KubernetesAction):
    """The color that serves is drained only with `stops_traffic`."""

    ARGUMENTS = {
        "color": {"type": "str", "required": True},
        "timeout": {"type": "float", "default": 120.0},
        "delay": {"type": "float", "default": 0.0},
        "stops_traffic": {"type": "bool", "default": False},
        "deployed": {"type": "dict", "default": {}},
    }

    def operate(self, cluster: Cluster, target: Target, arguments: dict[str, Any]) -> dict[str, Any]:
        """Drain."""
        from pyrunbook.kubernetes.drain import drain

        result = drain(
            cluster,
            target,
            arguments["color"],
            timeout=arguments["timeout"],
            delay=arguments["delay"],
            stops_traffic=arguments["stops_traffic"],
            deployed=arguments["deployed"] or None,
            check=self.check_mode,
            heartbeat=self.heartbeat(cluster, target),
        )
        word = "would end" if self.check_mode else "ended"
        return {
            "changed": result["changed"],
            "detail": f"{result['pods_before']} pods {word}" if result["changed"] else "no pod was left",
            "evidence": result,
        }
