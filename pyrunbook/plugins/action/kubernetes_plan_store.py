"""Action plugin: keep a rollback plan in the cluster, where another operator's machine finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyrunbook.plugins.kubernetes_action import KubernetesAction

if TYPE_CHECKING:
    from pyrunbook.kubernetes.client import Cluster
    from pyrunbook.kubernetes.target import Target


class ActionModule(KubernetesAction):
    """Writes it once; deletes the plans of the service that are older than the newest `keep`."""

    ARGUMENTS = {
        "id": {"type": "str", "required": True},
        "text": {"type": "str", "required": True},
        "keep": {"type": "int", "default": 10},
    }
    CHANGES = False

    def operate(self, cluster: Cluster, target: Target, arguments: dict[str, Any]) -> dict[str, Any]:
        """Store and prune."""
        from pyrunbook.kubernetes import plan

        name = plan.config_map_name(target.service, arguments["id"])
        if self.check_mode:
            return {"changed": cluster.get("ConfigMap", name) is None, "detail": f"would keep the plan in {name}"}
        written = plan.store(cluster, target.service, arguments["id"], arguments["text"])
        pruned = plan.prune(cluster, target.service, arguments["keep"]) if written else []
        return {
            "changed": written,
            "detail": f"kept in ConfigMap {name}",
            "evidence": {"config_map": name, "bytes": len(arguments["text"]), "pruned": pruned},
        }
