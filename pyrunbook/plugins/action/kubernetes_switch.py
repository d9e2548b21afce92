"""Action plugin: send the traffic of a service to a color."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyrunbook.plugins.kubernetes_action import KubernetesAction

if TYPE_CHECKING:
    from pyrunbook.kubernetes.client import Cluster
    from pyrunbook.kubernetes.target import Target


class ActionModule(KubernetesAction):
    """Replaces the whole selector, then waits until the EndpointSlices hold only ready pods of the color."""

    ARGUMENTS = {
        "color": {"type": "str", "required": True},
        "timeout": {"type": "float", "default": 60.0},
    }

    def operate(self, cluster: Cluster, target: Target, arguments: dict[str, Any]) -> dict[str, Any]:
        """Switch."""
        from pyrunbook.kubernetes.switch import switch

        result = switch(
            cluster,
            target,
            arguments["color"],
            timeout=arguments["timeout"],
            check=self.check_mode,
            heartbeat=self.heartbeat(cluster, target),
        )
        diff = {"before": _text(result["previous_selector"]), "after": _text(result["selector"])}
        return {
            "changed": result["changed"],
            "detail": f"{result['endpoints']} endpoints, all of {arguments['color']}",
            "evidence": result,
            "diff": {**diff, "before_header": f"selector of Service {target.service}"} if result["changed"] else {},
        }


def _text(selector: dict[str, str]) -> str:
    return "".join(f"{key}: {value}\n" for key, value in sorted(selector.items()))
