"""Action plugin: see that the user of the kubeconfig may do all that the run needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyrunbook.plugins.kubernetes_action import KubernetesAction

if TYPE_CHECKING:
    from pyrunbook.kubernetes.client import Cluster
    from pyrunbook.kubernetes.target import Target


class ActionModule(KubernetesAction):
    """Fails with every missing verb, and the Role that grants them."""

    ARGUMENTS = {"secrets": {"type": "list", "elements": "str", "default": []}}
    CHANGES = False

    def operate(self, cluster: Cluster, target: Target, arguments: dict[str, Any]) -> dict[str, Any]:
        """Ask the API about each permission."""
        from pyrunbook.kubernetes import access

        count = access.require(cluster, arguments["secrets"])
        return {
            "changed": False,
            "detail": f"{count} permissions in namespace {cluster.namespace}",
            "evidence": {"permissions": count, "namespace": cluster.namespace},
        }
