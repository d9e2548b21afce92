"""Action plugin: apply a release's manifests to the preview color."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyrunbook.plugins.kubernetes_action import KubernetesAction

if TYPE_CHECKING:
    from pyrunbook.kubernetes.client import Cluster
    from pyrunbook.kubernetes.target import Target


class ActionModule(KubernetesAction):
    """Everything is checked, and dry-run by the server, before the first write; `only_check` stops there.

    The preview Service, where there is one, is pointed at the color.
    """

    ARGUMENTS = {
        "color": {"type": "str", "required": True},
        "manifests": {"type": "list", "elements": "str", "required": True},
        "minimum_replicas": {"type": "int", "default": 1},
        "release": {"type": "str", "default": ""},
        "force_conflicts": {"type": "bool", "default": False},
        "only_check": {"type": "bool", "default": False},
        "serving": {"type": "str", "default": ""},
    }

    def operate(self, cluster: Cluster, target: Target, arguments: dict[str, Any]) -> dict[str, Any]:
        """Read, check, dry-run, apply."""
        from pyrunbook.kubernetes import apply
        from pyrunbook.kubernetes.switch import point_preview
        from pyrunbook.kubernetes.waiting import no_heartbeat

        only_check = self.check_mode or arguments["only_check"]
        prepared = apply.prepare(
            cluster,
            target,
            arguments["color"],
            apply.read_manifests([p for p in arguments["manifests"] if p]),
            minimum_replicas=arguments["minimum_replicas"],
            release=arguments["release"] or None,
        )
        release, replicas = apply.release_and_replicas(prepared, target, arguments["color"])
        result = apply.apply(
            cluster,
            prepared,
            force_conflicts=arguments["force_conflicts"],
            check=only_check,
            heartbeat=no_heartbeat if only_check else self.heartbeat(cluster, target),
        )
        if not only_check:
            result["changed"] |= point_preview(cluster, target, arguments["color"])
        would = "the API would take" if only_check else "applied"
        again = f" · {release} serves already and is deployed once more" if release == arguments["serving"] else ""
        return {
            **result,
            "changed": result["changed"] and not arguments["only_check"],
            "release": release,
            "replicas": replicas,
            "detail": f"{would} {len(prepared)} manifests of {release}, {replicas} replicas{again}",
            "evidence": {"release": release, "replicas": replicas, "applied": result["applied"]},
        }
