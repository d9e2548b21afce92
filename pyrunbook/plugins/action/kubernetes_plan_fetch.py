"""Action plugin: read a rollback plan that the cluster keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyrunbook.plugins.kubernetes_action import KubernetesAction

if TYPE_CHECKING:
    from pyrunbook.kubernetes.client import Cluster
    from pyrunbook.kubernetes.target import Target


class ActionModule(KubernetesAction):
    """Gives its `text`: empty when the cluster has no plan of that id, no plan's text when it is damaged."""

    ARGUMENTS = {"id": {"type": "str", "required": True}}
    CHANGES = False

    def operate(self, cluster: Cluster, target: Target, arguments: dict[str, Any]) -> dict[str, Any]:
        """Fetch and check its sum."""
        from pyrunbook.kubernetes import plan
        from pyrunbook.kubernetes.client import PATIENCE_TO_PUT_BACK

        text = plan.kept(cluster.at_least(PATIENCE_TO_PUT_BACK), target.service, arguments["id"])
        if text.startswith("damaged: "):
            return {"changed": False, "text": text, "detail": text, "warnings": [text]}
        word = "kept in the cluster" if text else "not kept in the cluster"
        return {"changed": False, "text": text, "detail": f"plan {arguments['id']} is {word}"}
