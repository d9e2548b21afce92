"""Whether a color still serves as it did when it was deployed: checked before the other color is removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyrunbook.kubernetes.client import Cluster
from pyrunbook.kubernetes.errors import NoLongerServes, TimedOut
from pyrunbook.kubernetes.export import autoscales
from pyrunbook.kubernetes.kinds import Manifest
from pyrunbook.kubernetes.state import pods_of, read_service, selector_of
from pyrunbook.kubernetes.switch import ready_pods
from pyrunbook.kubernetes.target import ServiceNames
from pyrunbook.kubernetes.waiting import wait_until

PATIENCE = 10.0
"""Seconds for pods that are being replaced, while others are ready."""


def images_of(deployment: Manifest) -> list[str]:
    """The images of a Deployment's containers, those that run first among them."""
    spec = deployment["spec"]["template"]["spec"]
    return [str(c.get("image", "")) for c in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]]


def require_serving(
    cluster: Cluster,
    target: ServiceNames,
    color: str,
    deployed: Mapping[str, Any] | None = None,
) -> None:
    """See that the traffic goes to a color whose Deployments run what was deployed, with as many ready pods.

    Args:
        deployed: name of each Deployment to `{"ready": pods, "images": […]}`, as `wait_for_rollout` saw it. Without,
            one ready pod of the color's Deployment is enough. Where an autoscaler decides, its minimum is.

    Raises:
        NoLongerServes: says what is not so.
    """
    chosen = selector_of(read_service(cluster, target.service)).get(target.color_label)
    if chosen != color:
        raise _lost(cluster, f"Service {target.service} chooses {chosen or 'no color'}, not {color}")
    wanted = deployed if deployed is not None else {target.deployments[color]: {"ready": 1}}

    def look() -> tuple[bool | None, str]:
        short = [words for name, known in wanted.items() if (words := _missing(cluster, name, known))]
        return (None if short else True), "; ".join(short)

    try:
        wait_until(cluster, look, what=f"{color} to serve as it was verified", timeout=PATIENCE)
    except TimedOut as error:
        raise _lost(cluster, str(error.evidence["seen_last"])) from None


def _missing(cluster: Cluster, name: str, known: Mapping[str, Any]) -> str:
    """What a Deployment lacks for the moment; empty when it lacks nothing.

    Raises:
        NoLongerServes: waiting does not help.
    """
    live = cluster.get("Deployment", name)
    if live is None:
        raise _lost(cluster, f"Deployment {name} is gone")
    images = images_of(live)
    if known.get("images") and images != known["images"]:
        raise _lost(cluster, f"Deployment {name} runs {', '.join(images)}; verified was {', '.join(known['images'])}")
    ready = len(ready_pods(pods_of(cluster, live["spec"]["selector"].get("matchLabels") or {})))
    if ready >= int(known["ready"]):
        return ""
    scalers = [s for s in cluster.list_all("HorizontalPodAutoscaler") if autoscales(s, name)]
    needed = min([int(known["ready"]), *(int(s["spec"].get("minReplicas") or 1) for s in scalers)])
    if ready >= needed:
        return ""
    seen = f"{ready} of {needed} pods of Deployment {name} are ready"
    replicas = int(live["spec"].get("replicas", 1))
    if ready == 0 or (replicas < needed and not scalers):
        raise _lost(cluster, f"{seen}, and it is scaled to {replicas}" if replicas < needed else seen)
    return seen


def _lost(cluster: Cluster, seen: str) -> NoLongerServes:
    return NoLongerServes(
        f"What was verified does not serve any more: {seen}.",
        means="What served before it is not taken away.",
        next_step=f"kubectl -n {cluster.namespace} get deployments,pods; find out who changed it",
        evidence={"no_longer_serves": seen},
    )
