"""Action plugin: remove the objects of a color that does not serve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyrunbook.plugins.kubernetes_action import KubernetesAction

if TYPE_CHECKING:
    from pyrunbook.kubernetes.client import Cluster
    from pyrunbook.kubernetes.target import Target


class ActionModule(KubernetesAction):
    """Refuses while the Service chooses the color."""

    ARGUMENTS = {
        "color": {"type": "str", "required": True},
        "timeout": {"type": "float", "default": 120.0},
        "deployed": {"type": "dict", "default": {}},
    }

    def operate(self, cluster: Cluster, target: Target, arguments: dict[str, Any]) -> dict[str, Any]:
        """Delete and wait until all is gone."""
        from pyrunbook.kubernetes.remove import remove

        result = remove(
            cluster,
            target,
            arguments["color"],
            timeout=arguments["timeout"],
            deployed=arguments["deployed"] or None,
            check=self.check_mode,
            heartbeat=self.heartbeat(cluster, target),
        )
        word = "would be removed" if self.check_mode else "removed"
        return {
            "changed": result["changed"],
            "detail": f"{len(result['removed'])} objects {word}" if result["changed"] else "nothing was left",
            "evidence": result,
        }
