"""Action plugin: capture the Kubernetes section of a rollback plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyrunbook.plugins.kubernetes_action import KubernetesAction

if TYPE_CHECKING:
    from pyrunbook.kubernetes.client import Cluster
    from pyrunbook.kubernetes.target import Target


class ActionModule(KubernetesAction):
    """Gives `section`: all that is needed to put back what is there now."""

    CHANGES = False

    def operate(self, cluster: Cluster, target: Target, arguments: dict[str, Any]) -> dict[str, Any]:
        """Read; nothing is written."""
        from pyrunbook.kubernetes import plan

        section = plan.capture(cluster, target)
        counts = {color: len(objects) for color, objects in section["objects"].items()}
        return {
            "changed": False,
            "section": section,
            "detail": f"{counts['blue']} objects of blue, {counts['green']} of green",
            "evidence": {"objects": counts, "replicas": section["replicas"], "active": section["active"]},
        }
