"""Action plugin: read what a service is doing on Kubernetes. Gives `state`, the `service_state` of CONTRIBUTING.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyrunbook.plugins.kubernetes_action import KubernetesAction

if TYPE_CHECKING:
    from pyrunbook.kubernetes.client import Cluster
    from pyrunbook.kubernetes.target import Target


class ActionModule(KubernetesAction):
    """Changes nothing. An active color that is unknown is an error."""

    ARGUMENTS = {"for_rollback": {"type": "bool", "default": False}}
    CHANGES = False

    def operate(self, cluster: Cluster, target: Target, arguments: dict[str, Any]) -> dict[str, Any]:
        """Read the Service, the Deployments, pods and EndpointSlices."""
        from pyrunbook.kubernetes import state

        found = state.read(cluster, target, for_rollback=arguments["for_rollback"])
        active = found["colors"].get(found["active"])
        return {
            "changed": False,
            "detail": f"{found['active']} serves {active['release']} with {active['ready']} ready pods"
            if active
            else "no color serves",
            "evidence": found,
            "state": found,
        }
