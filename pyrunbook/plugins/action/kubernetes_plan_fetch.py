"""Action plugin: read a rollback plan that the cluster keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyrunbook.plugins.kubernetes_action import KubernetesAction

if TYPE_CHECKING:
    from pyrunbook.kubernetes.client import Cluster
    from pyrunbook.kubernetes.target import Target


class ActionModule(KubernetesAction):
    """Gives its `text`, empty when the cluster has no plan of that id; a damaged one is an error."""

    ARGUMENTS = {"id": {"type": "str", "required": True}}
    CHANGES = False

    def operate(self, cluster: Cluster, target: Target, arguments: dict[str, Any]) -> dict[str, Any]:
        """Fetch and check its sum."""
        from pyrunbook.kubernetes import plan

        known = plan.stored(cluster, target.service)
        wanted = arguments["id"]
        if wanted != "latest" and wanted not in [entry["id"] for entry in known]:
            return {"changed": False, "text": "", "plans": known, "detail": f"the cluster keeps no plan {wanted}"}
        text = plan.fetch(cluster, target.service, wanted)
        return {"changed": False, "text": text, "plans": known, "detail": f"plan {wanted} from the cluster"}
