"""Scale a color to zero and wait until no pod of it is left.

A Deployment with zero replicas is Available=True, so its conditions say nothing about a drain; its pods do.

A HorizontalPodAutoscaler with `minReplicas` of at least 1 pauses by itself while its target has zero replicas
(condition ScalingDisabled), and goes on when the target is scaled up again. One with `minReplicas: 0` may scale up
from zero, so it is removed; it is in the rollback plan, and a rollback creates it again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from pyrunbook.errors import Refused
from pyrunbook.kubernetes.client import Cluster
from pyrunbook.kubernetes.errors import ClusterError
from pyrunbook.kubernetes.export import color_objects
from pyrunbook.kubernetes.serving import require_serving
from pyrunbook.kubernetes.state import pods_of, read_service, selector_of
from pyrunbook.kubernetes.target import ServiceNames, other
from pyrunbook.kubernetes.waiting import wait_until
from pyrunbook.kubernetes.writers import written_by

_SCALE_TRIES = 5


def drain(
    cluster: Cluster,
    target: ServiceNames,
    color: str,
    *,
    timeout: float = 120.0,
    delay: float = 0.0,
    stops_traffic: bool = False,
    deployed: Mapping[str, Any] | None = None,
    check: bool = False,
) -> dict[str, Any]:
    """Drain a color. One that does not exist, or has zero replicas and no pods, is drained already.

    Args:
        timeout: seconds until no pod may be left, counted after the delay.
        delay: seconds between the switch of the traffic and the scaling down, in which proxies learn the new
            endpoints and requests under way finish (Argo Rollouts: `scaleDownDelaySeconds`).
        stops_traffic: the color may be the one that serves; draining it stops the service.
        deployed: what the other color must still run before this one is scaled down, see `serving.require_serving`.
        check: only say whether it would change.

    Returns:
        `changed`, `replicas_before`, `pods_before`, `autoscalers_removed` (names), `seconds`.

    Raises:
        Refused: the Service chooses the color, and `stops_traffic` is not said.
        NoLongerServes: the other color does not serve as it was verified.
        ClusterError: something keeps scaling it up again.
        TimedOut: names the pods that are left.
    """
    selector = selector_of(read_service(cluster, target.service))
    if not stops_traffic and not check:
        _refuse_serving(target, color, selector)
    labels = target.scope(selector, color)
    objects = color_objects(cluster, target, color, selector)
    running = {o["metadata"]["name"]: int(o["spec"].get("replicas", 1)) for o in objects if o["kind"] == "Deployment"}
    scalers = [
        o["metadata"]["name"]
        for o in objects
        if o["kind"] == "HorizontalPodAutoscaler" and o["spec"].get("minReplicas") == 0
    ]
    replicas = sum(running.values())
    pods = pods_of(cluster, labels)
    result: dict[str, Any] = {
        "changed": bool(replicas or pods or scalers),
        "replicas_before": replicas,
        "pods_before": len(pods),
        "autoscalers_removed": scalers,
        "seconds": 0.0,
    }
    if check or not result["changed"]:
        return result
    started = time.monotonic()
    if replicas:
        _sleep(cluster, delay)

    def refuse_outage() -> None:
        if not stops_traffic:
            _refuse_serving(target, color, selector_of(read_service(cluster, target.service)))
            require_serving(cluster, target, other(color), deployed)

    refuse_outage()
    for name in scalers:
        cluster.delete("HorizontalPodAutoscaler", name)
    scalings = dict.fromkeys(running, 0)

    def look() -> tuple[bool | None, str]:
        # Looked at again before each scaling: a GitOps controller may have sent the traffic back during the delay.
        if not stops_traffic:
            _refuse_serving(target, color, selector_of(read_service(cluster, target.service)))
        scaled = ""
        for name in running:
            now = cluster.get("Deployment", name)
            if now and int(now["spec"].get("replicas", 1)) > 0:
                if scalings[name] == _SCALE_TRIES:
                    raise ClusterError(
                        f"Deployment {name} was scaled up again {_SCALE_TRIES} times while it was drained, last"
                        f"{written_by(now) or ' by an autoscaler or a patch of its scale'}",
                        means="an autoscaler or GitOps keeps its replicas",
                        next_step=f"kubectl -n {cluster.namespace} get hpa; pause what scales it, then run again",
                    )
                scalings[name] += 1
                refuse_outage()
                cluster.merge_patch("Deployment", name, {"spec": {"replicas": 0}})
                scaled = name
        if scaled:  # read once more: shows whether something scales it up again
            return None, f"{scaled} was scaled to zero just now"
        left = sorted(p["metadata"]["name"] for p in pods_of(cluster, labels))
        return (None if left else True), f"{len(left)} pods left: {', '.join(left[:5])}"

    wait_until(
        cluster,
        look,
        what=f"the drain of {color} (no pod left)",
        timeout=timeout,
        next_step=f"kubectl -n {cluster.namespace} describe pods, and look for finalizers and grace periods",
    )
    return {**result, "seconds": round(time.monotonic() - started, 3)}


def _refuse_serving(target: ServiceNames, color: str, selector: Mapping[str, str]) -> None:
    if selector.get(target.color_label) == color:
        raise Refused(
            f"Service {target.service} chooses {color}, so it is not drained",
            means="draining it would stop the service",
            next_step="find out what chose it (GitOps, a colleague) and switch the Service first; "
            "or, to stop the service on purpose, set update_strategy: controlled_stop",
        )


def _sleep(cluster: Cluster, seconds: float) -> None:
    """Let the delay pass, with a heartbeat every second."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        cluster.heartbeat()
        time.sleep(min(left, 1.0))
