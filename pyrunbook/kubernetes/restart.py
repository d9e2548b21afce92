"""Restart Deployments whose processes read something only when they start, and wait until the new pods serve."""

from __future__ import annotations

import time
from typing import Any

from pyrunbook.kubernetes.client import Cluster
from pyrunbook.kubernetes.errors import ClusterError, Missing
from pyrunbook.kubernetes.rollout import wait_for_rollout

ANNOTATION = "pyrunbook.io/restarted-for"
"""On the pod template: what its pods were started for. A change of it is what makes the controller replace them."""


def restart(cluster: Cluster, deployments: list[str], reason: str, *, timeout: float) -> dict[str, Any]:
    """Replace the pods of each Deployment as its own strategy says, one Deployment after the other.

    Args:
        deployments: their names. One that is not there is passed over: of a blue/green service one color often is not.
        reason: goes into the pod template; one that it holds already means that it was restarted for this before.
        timeout: seconds, for all together.

    Returns:
        `changed`, `deployments` (of each what `wait_for_rollout` saw), `absent` (names), `seconds`.

    Raises:
        ClusterError: none of them is there, one is paused, or a rollout cannot finish: says why.
        TimedOut: with what was seen last.
    """
    started = time.monotonic()
    live = {name: cluster.get("Deployment", name) for name in deployments}
    absent = [name for name, found in live.items() if found is None]
    if deployments and len(absent) == len(live):
        raise ClusterError(
            f"there is no Deployment {' or '.join(absent)} in namespace {cluster.namespace} to restart",
            next_step="correct `restart` of the certificate in the inventory",
        )
    paused = [name for name, found in live.items() if found and found["spec"].get("paused")]
    if paused:
        raise ClusterError(
            f"Deployment {', '.join(paused)} is paused, so its pods are not replaced",
            next_step=f"kubectl -n {cluster.namespace} rollout resume deployment {' '.join(paused)}",
        )
    result: dict[str, Any] = {"changed": False, "deployments": {}, "absent": absent}
    for name, found in live.items():
        if found is None:
            continue
        annotations = (found["spec"]["template"].get("metadata") or {}).get("annotations") or {}
        if annotations.get(ANNOTATION) != reason:
            patch = {"spec": {"template": {"metadata": {"annotations": {ANNOTATION: reason}}}}}
            try:
                cluster.merge_patch("Deployment", name, patch)
            except Missing:
                raise ClusterError(f"Deployment {name} was deleted while it was to be restarted") from None
            result["changed"] = True
        left = max(1.0, timeout - (time.monotonic() - started))
        result["deployments"][name] = wait_for_rollout(cluster, name, timeout=left)
    return {**result, "seconds": round(time.monotonic() - started, 3)}
