"""Execute the Kubernetes section of a rollback plan: from the section alone, as often as needed."""

from __future__ import annotations

import copy
import time
from typing import Any

from pyrunbook.kubernetes.client import Cluster, tries
from pyrunbook.kubernetes.errors import ClusterError, Conflict, Missing
from pyrunbook.kubernetes.export import autoscales, color_objects, plain
from pyrunbook.kubernetes.kinds import MANAGED, Manifest
from pyrunbook.kubernetes.plan import check_section, target_of
from pyrunbook.kubernetes.remove import remove, wait_until_gone
from pyrunbook.kubernetes.rollout import REFUSED_SECONDS, wait_for_rollout
from pyrunbook.kubernetes.switch import ready_pods, wait_for_endpoints
from pyrunbook.kubernetes.target import other

_TRIES = 8
_DEGRADED_TIMEOUT = 30.0
"""Seconds to wait for the rest of the pods when some are ready."""
_CLUSTER_SET = ("clusterIP", "clusterIPs", "healthCheckNodePort")


def restore(
    cluster: Cluster,
    section: dict[str, Any],
    *,
    timeout: float = 300.0,
    check: bool = False,
) -> dict[str, Any]:
    """Have the traffic served again by the color that served when the plan was recorded.

    Recreates what is missing of it, sets replicas and autoscalers as they were, waits until its pods are ready, and
    only then puts the Service back; then waits until the endpoints have followed.

    Args:
        cluster: where; must be the namespace of the plan.
        section: see `plan.capture`.
        timeout: seconds, for each wait.
        check: only say what would change.

    Returns:
        `changed`, `done` (a line for each thing that was put back), `active`, `endpoints`, `seconds`.

    Raises:
        BadInput: the section is not one, or of another namespace.
        ClusterError: the color cannot run any more.
        TimedOut: with what was seen last.
    """
    check_section(section, cluster.namespace)
    started = time.monotonic()
    active = section["active"]
    objects = section["objects"][active]
    done = _put_back_all(cluster, objects, check=check, timeout=timeout)
    running = [o["metadata"]["name"] for o in objects if o["kind"] == "Deployment" and o["spec"].get("replicas", 1)]
    service = section["service"]
    if not check:
        for name in running:
            try:
                done += _ready(cluster, name, service["selector"], timeout)
            except ClusterError as error:
                if "exceeded quota" not in error.seen:
                    raise
                done += _make_room(cluster, section)
                # The controller tries again by itself, at growing intervals.
                done += _ready(cluster, name, service["selector"], timeout, refused_seconds=timeout)
    done += _put_back_all(cluster, [service["object"]], check=check, timeout=timeout)
    endpoints = 0
    if running and not check:
        endpoints = wait_for_endpoints(
            cluster,
            service["name"],
            service["selector"],
            what=f"traffic back on {active}",
            timeout=timeout,
        )
    seconds = round(time.monotonic() - started, 3)
    return {"changed": bool(done), "done": done, "active": active, "endpoints": endpoints, "seconds": seconds}


def restore_preview(
    cluster: Cluster,
    section: dict[str, Any],
    *,
    timeout: float = 120.0,
    check: bool = False,
) -> dict[str, Any]:
    """Bring the other color, and the preview Service, back to what they were; `restore` comes first.

    Args:
        section: see `plan.capture`.
        timeout: seconds.
        check: only say what would change.

    Returns:
        `changed`, `done`, `seconds`.

    Raises:
        Refused: the Service still chooses that color.
        TimedOut: names what is left of it.
    """
    check_section(section, cluster.namespace)
    started = time.monotonic()
    color = other(section["active"])
    objects = section["objects"][color]
    keep: dict[str, set[str]] = {}
    for obj in objects:
        keep.setdefault(obj["kind"], set()).add(obj["metadata"]["name"])
    # What served before may have been scaled to zero on purpose; otherwise one ready pod of each Deployment is enough.
    served = [o for o in section["objects"][section["active"]] if o["kind"] == "Deployment"]
    removed = remove(
        cluster, target_of(section), color, timeout=timeout, keep=keep, check=check,
        deployed={o["metadata"]["name"]: {"ready": min(1, int(o["spec"].get("replicas", 1)))} for o in served},
    )  # fmt: skip
    done = [f"{name} removed" for name in removed["removed"]]
    preview = [section["preview"]["object"]] if section.get("preview") else []
    done += _put_back_all(cluster, [*objects, *preview], check=check, timeout=timeout)
    return {"changed": bool(done), "done": done, "seconds": round(time.monotonic() - started, 3)}


def _make_room(cluster: Cluster, section: dict[str, Any]) -> list[str]:
    """Scale the other color to zero: the quota has no room for both, and this one is the one that worked."""
    color = other(section["active"])
    objects = color_objects(cluster, target_of(section), color, section["service"]["selector"])
    names = [o["metadata"]["name"] for o in objects if o["kind"] == "Deployment"]
    for name in names:
        cluster.merge_patch("Deployment", name, {"spec": {"replicas": 0}})
    return [f"Deployment/{name} scaled to zero, because the quota has no room for both colors" for name in names]


def _ready(
    cluster: Cluster,
    deployment: str,
    selector: dict[str, str],
    timeout: float,
    *,
    refused_seconds: float = REFUSED_SECONDS,
) -> list[str]:
    """Wait until the Deployment is ready; while a part of its pods is, no longer than the rest may reasonably take.

    Traffic is better off on some ready pods of the color that worked than on the color that is being rolled back.
    """
    some = ready_pods(cluster.list_all("Pod", selector))
    try:
        wait_for_rollout(
            cluster,
            deployment,
            timeout=min(timeout, _DEGRADED_TIMEOUT) if some else timeout,
            refused_seconds=refused_seconds,
        )
    except ClusterError as error:
        some = ready_pods(cluster.list_all("Pod", selector))
        if not some:
            raise
        return [f"Deployment/{deployment} is not complete, {len(some)} pods are ready: {error.seen.splitlines()[0]}"]
    return []


def _put_back_all(cluster: Cluster, objects: list[Manifest], *, check: bool, timeout: float) -> list[str]:
    order = list(MANAGED)
    done = []
    scaled = {
        o["spec"]["scaleTargetRef"]["name"]
        for o in objects
        if o["kind"] == "HorizontalPodAutoscaler" and autoscales(o, o["spec"]["scaleTargetRef"].get("name", ""))
    }
    for obj in sorted(objects, key=lambda o: order.index(o["kind"])):
        cluster.heartbeat()
        word = _put_back(
            cluster,
            obj,
            autoscaled=obj["kind"] == "Deployment" and obj["metadata"]["name"] in scaled,
            check=check,
            timeout=timeout,
        )
        if word:
            done.append(f"{obj['kind']}/{obj['metadata']['name']} {word}")
    return done


def _put_back(cluster: Cluster, planned: Manifest, *, autoscaled: bool, check: bool, timeout: float) -> str:
    """Make the live object equal to the planned one; says `created`, `replaced`, or nothing."""
    kind, name = planned["kind"], planned["metadata"]["name"]
    for _ in tries(_TRIES):
        live = cluster.get(kind, name)
        if live is not None and live["metadata"].get("deletionTimestamp") and not check:
            wait_until_gone(cluster, kind, name, timeout=timeout)
            live = None
        if live is None:
            try:
                if not check:
                    cluster.apply(planned, force=True)
            except Conflict:
                continue
            return "created"
        wanted = copy.deepcopy(planned)
        if autoscaled and live["spec"].get("replicas", 1) > 0:
            wanted["spec"]["replicas"] = live["spec"].get("replicas", 1)
        if plain(live) == wanted:
            return ""
        if not check:
            try:
                cluster.replace(_onto(live, wanted))
            except (Conflict, Missing):  # changed, or deleted, since it was read
                continue
        return "replaced"
    raise ClusterError(
        f"{kind} {name} changed {_TRIES} times while it was put back",
        means="something else keeps writing it",
        next_step="find out what does (kubectl get -o yaml --show-managed-fields), then: pyrunbook rollback",
    )


def _onto(live: Manifest, wanted: Manifest) -> Manifest:
    """The wanted object with what the cluster has set on the live one, to replace it."""
    result = copy.deepcopy(wanted)
    metadata = live["metadata"]
    for key in ("uid", "resourceVersion", "ownerReferences", "finalizers"):
        if key in metadata:
            result["metadata"][key] = metadata[key]
    revision = (metadata.get("annotations") or {}).get("deployment.kubernetes.io/revision")
    if revision:
        result["metadata"].setdefault("annotations", {})["deployment.kubernetes.io/revision"] = revision
    if wanted["kind"] == "Service":
        for key in _CLUSTER_SET:
            if key in live["spec"]:
                result["spec"].setdefault(key, live["spec"][key])
    return result
