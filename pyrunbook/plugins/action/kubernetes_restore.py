"""Action plugin: execute the Kubernetes section of a rollback plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyrunbook.plugins.kubernetes_action import KubernetesAction

if TYPE_CHECKING:
    from pyrunbook.kubernetes.client import Cluster
    from pyrunbook.kubernetes.target import Target


class ActionModule(KubernetesAction):
    """Has the color that served take the traffic again; with `preview` brings the other color back instead."""

    ARGUMENTS = {
        "section": {"type": "dict", "required": True},
        "preview": {"type": "bool", "default": False},
        "timeout": {"type": "float", "default": 300.0},
    }
    CHANGES = False

    def operate(self, cluster: Cluster, target: Target, arguments: dict[str, Any]) -> dict[str, Any]:
        """Put back."""
        from pyrunbook.kubernetes import put_back
        from pyrunbook.kubernetes.client import PATIENCE_TO_PUT_BACK
        from pyrunbook.kubernetes.target import other

        cluster = cluster.at_least(PATIENCE_TO_PUT_BACK)
        restore = put_back.restore_preview if arguments["preview"] else put_back.restore
        result = restore(
            cluster,
            arguments["section"],
            timeout=arguments["timeout"],
            check=self.check_mode,
            heartbeat=self.heartbeat(cluster, target),
        )
        active = arguments["section"]["active"]
        color = other(active) if arguments["preview"] else active
        return {
            "changed": result["changed"],
            "detail": "; ".join(result["done"]) or f"{color} is as it was",
            "evidence": result,
        }
