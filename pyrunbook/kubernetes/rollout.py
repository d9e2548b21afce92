"""Wait for a Deployment's rollout, and say early and precisely why it will not finish."""

from __future__ import annotations

import time
from typing import Any

from pyrunbook.errors import PyrunbookError
from pyrunbook.kubernetes.client import Cluster
from pyrunbook.kubernetes.errors import ClusterError, TimedOut, Unreachable
from pyrunbook.kubernetes.kinds import Manifest
from pyrunbook.kubernetes.serving import images_of
from pyrunbook.kubernetes.state import pods_of
from pyrunbook.kubernetes.switch import ready_pods
from pyrunbook.kubernetes.waiting import wait_until

FATAL_REASONS = frozenset(
    {
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "InvalidImageName",
        "OOMKilled",
        "RunContainerError",
    }
)
"""Reasons for which a container waits that do not pass by waiting."""
REFUSED_SECONDS = 3.0
"""A refusal may pass: a webhook restarts, the pods that fill the quota are on their way out."""
_EVENTS, _LOG_LINES, _LINE_LENGTH = 5, 10, 300
_REPORT_PATIENCE = 2.0
"""Seconds for each request of a diagnosis. A rollback waits behind it, and a log comes from a node that may be down."""


def wait_for_rollout(
    cluster: Cluster,
    deployment: str,
    *,
    timeout: float,
    stable_seconds: float = 0.0,
    refused_seconds: float = REFUSED_SECONDS,
) -> dict[str, Any]:
    """Wait until the Deployment runs its newest template alone, and stays so.

    Args:
        timeout: seconds.
        stable_seconds: how long all its pods must stay ready without a restart.
        refused_seconds: how long pods may be refused (by a quota, a webhook) before that is taken as final.

    Returns:
        `replicas`, `ready`, `pods` (names), `images`, `looks` (how often it was read), `seconds`.

    Raises:
        ClusterError: a pod cannot start, or the controller gave up; with reason, events and last log lines.
        TimedOut: with what was seen last.
    """
    started = time.monotonic()
    looks = 0
    stable: dict[str, Any] = {"since": None, "key": None}
    refused_since: list[float] = []

    def look() -> tuple[dict[str, Any] | None, str]:
        nonlocal looks
        looks += 1
        live = cluster.get("Deployment", deployment)
        if live is None:
            raise ClusterError(f"Deployment {deployment} is not in namespace {cluster.namespace} any more")
        pods = _pods(cluster, live)
        seen = _progress(live, pods)
        refused_since[:] = refused_since or [time.monotonic()] if _refused(live) else []
        refused = bool(refused_since) and time.monotonic() - refused_since[0] >= refused_seconds
        _fail_fast(cluster, live, _newest(cluster, live, pods), seen, refused=refused)
        if not _complete(live, pods):
            stable["since"] = None
            return None, seen
        key = sorted((p["metadata"]["name"], _restarts(p)) for p in pods)
        if stable["since"] is None or stable["key"] != key:
            stable.update(since=time.monotonic(), key=key)
        steady = time.monotonic() - stable["since"]
        if steady < stable_seconds:
            return None, f"{seen}, stable for {steady:.1f} of {stable_seconds:g} s"
        count = len(pods)
        pod_names = [name for name, _ in key]
        return {"replicas": count, "ready": count, "pods": pod_names, "images": images_of(live)}, seen

    try:
        result = wait_until(
            cluster,
            look,
            what=f"the rollout of Deployment {deployment}",
            timeout=timeout,
            next_step=f"kubectl -n {cluster.namespace} describe deployment {deployment}",
        )
    except TimedOut as error:
        live = cluster.get("Deployment", deployment)
        unready = [p for p in _pods(cluster, live) if not ready_pods([p])] if live else []
        report = _report(cluster, deployment, unready[:1])
        raise TimedOut(
            _with_report(error.seen, report),
            next_step=error.next_step,
            evidence={**error.evidence, **report},
        ) from None
    return {**result, "looks": looks, "seconds": round(time.monotonic() - started, 3)}


def _pods(cluster: Cluster, live: Manifest) -> list[Manifest]:
    """All pods of a Deployment, those of older templates and terminating ones too."""
    return pods_of(cluster, live["spec"]["selector"].get("matchLabels") or {})


def _outdated(live: Manifest) -> bool:
    """Whether the controller has not seen the newest template yet, so that the status tells of an older one."""
    return int((live.get("status") or {}).get("observedGeneration") or 0) < int(live["metadata"].get("generation") or 0)


def _complete(live: Manifest, pods: list[Manifest]) -> bool:
    """Whether the controller has seen the newest template, and every pod there is runs it and is ready."""
    wanted = int(live["spec"].get("replicas", 1))
    status = live.get("status") or {}
    counts = [
        int(status.get(key) or 0) for key in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    ]
    return (
        not _outdated(live)
        and all(count == wanted for count in counts)
        and len(pods) == wanted
        and len(ready_pods(pods)) == wanted
    )


def _progress(live: Manifest, pods: list[Manifest]) -> str:
    status = live.get("status") or {}
    wanted = int(live["spec"].get("replicas", 1))
    if _outdated(live):
        return f"the controller has not seen generation {live['metadata'].get('generation')} yet, {len(pods)} pods"
    leaving = sum(bool(p["metadata"].get("deletionTimestamp")) for p in pods)
    waiting = sorted({w["reason"] for p in pods for w in _waiting(p) if w["reason"]})
    return (
        f"{int(status.get('updatedReplicas') or 0)} of {wanted} updated, "
        f"{int(status.get('availableReplicas') or 0)} available, {len(ready_pods(pods))} of {len(pods)} pods ready"
        + (f", {leaving} terminating" if leaving else "")
        + (f", waiting: {', '.join(waiting)}" if waiting else "")
        + (f", refused: {refusal.get('message', '')}" if (refusal := _refused(live)) else "")
        + (", paused (spec.paused)" if live["spec"].get("paused") else "")
    )


def _newest(cluster: Cluster, live: Manifest, pods: list[Manifest]) -> list[Manifest]:
    """The pods of the newest template: an older one's that fail are being replaced, which is no reason to give up."""
    if _outdated(live):
        return []
    staying = [p for p in pods if not p["metadata"].get("deletionTimestamp")]
    if not any(_fatal(p) for p in staying):
        return staying
    revision = (live["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision")
    for replica_set in cluster.list_all("ReplicaSet"):
        metadata = replica_set["metadata"]
        owned = any(o.get("uid") == live["metadata"]["uid"] for o in metadata.get("ownerReferences") or [])
        if owned and (metadata.get("annotations") or {}).get("deployment.kubernetes.io/revision") == revision:
            return [
                p
                for p in staying
                if any(o.get("uid") == metadata["uid"] for o in p["metadata"].get("ownerReferences") or [])
            ]
    return staying


def _waiting(pod: Manifest) -> list[dict[str, str]]:
    """The containers of a pod that wait: `container`, `reason`, `message`.

    One that waits because it was ended for its memory (its last state says so) waits with reason `OOMKilled`.
    """
    status = pod.get("status") or {}
    found = []
    for each in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        waiting = (each.get("state") or {}).get("waiting")
        if not waiting:
            continue
        name, reason, message = each.get("name", ""), waiting.get("reason") or "", waiting.get("message") or ""
        ended = (each.get("lastState") or {}).get("terminated") or {}
        if reason == "CrashLoopBackOff" and ended.get("reason") == "OOMKilled":
            reason = "OOMKilled"
            message = f"container {name} took more memory than its limit of {_memory_limit(pod, name)}"
        elif reason == "CrashLoopBackOff" and "exitCode" in ended:
            message = f"{message} (exit code {ended['exitCode']})".lstrip()
        found.append({"container": name, "reason": reason, "message": message})
    return found


def _memory_limit(pod: Manifest, container: str) -> str:
    spec = pod.get("spec") or {}
    for each in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        if each.get("name") == container:
            return str(((each.get("resources") or {}).get("limits") or {}).get("memory") or "its node")
    return "its node"


def _fatal(pod: Manifest) -> dict[str, str] | None:
    return next((w for w in _waiting(pod) if w["reason"] in FATAL_REASONS), None)


def _restarts(pod: Manifest) -> int:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return sum(int(s.get("restartCount") or 0) for s in statuses)


def _refused(live: Manifest) -> Manifest | None:
    """The condition that says that the pods of the newest template are refused."""
    conditions = [] if _outdated(live) else (live.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c.get("type") == "ReplicaFailure" and c.get("status") == "True"), None)


def _fail_fast(cluster: Cluster, live: Manifest, pods: list[Manifest], seen: str, *, refused: bool) -> None:
    """Raise when the rollout will not finish by waiting; `refused`: its pods have been refused for long enough."""
    name = live["metadata"]["name"]
    for pod in pods:
        fatal = _fatal(pod)
        if fatal:
            pod_name, reason = pod["metadata"]["name"], fatal["reason"]
            raise _failure(
                cluster,
                f"pod {pod_name} of Deployment {name} cannot start: {reason}: {fatal['message'] or 'no message'}",
                reason,
                _report(cluster, name, [pod]),
                seen,
            )
    if _outdated(live):
        return
    for condition in (live.get("status") or {}).get("conditions") or []:
        stuck = condition.get("type") == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded"
        if stuck or (refused and condition == _refused(live)):
            reason = "ProgressDeadlineExceeded" if stuck else f"ReplicaFailure ({condition.get('reason', '')})"
            unready = [p for p in pods if not ready_pods([p])]
            raise _failure(
                cluster,
                f"Deployment {name} does not get on: {reason}: {condition.get('message', '')}",
                "ProgressDeadlineExceeded" if stuck else "ReplicaFailure",
                _report(cluster, name, unready[:1]),
                seen,
            )


def _failure(cluster: Cluster, words: str, reason: str, report: dict[str, Any], seen: str) -> ClusterError:
    return ClusterError(
        _with_report(words, report),
        means=f"the release cannot run as it is; seen last: {seen}",
        next_step=f"kubectl -n {cluster.namespace} get events --sort-by=.lastTimestamp",
        evidence={"reason": reason, "seen_last": seen, **report},
    )


def _report(cluster: Cluster, deployment: str, pods: list[Manifest]) -> dict[str, Any]:
    """Recent events of the Deployment and the pods, and the last log lines of the pods: `events`, `log`.

    What cannot be read is said in place of it; it must not hide the failure that is being reported.
    """
    names = {deployment, *(p["metadata"]["name"] for p in pods)}
    cluster = cluster.within(_REPORT_PATIENCE)
    try:
        events = [
            f"{e.get('type', '')} {e.get('reason', '')}: {e.get('message', '')}"[:_LINE_LENGTH]
            for e in sorted(cluster.list_all("Event"), key=_when)
            if (e.get("involvedObject") or {}).get("name") in names
        ][-_EVENTS:]
    except PyrunbookError as error:
        events = [f"events cannot be read: {error.seen}"]
    return {"events": events, "log": _log(cluster, pods)[-_LOG_LINES:]}


def _log(cluster: Cluster, pods: list[Manifest]) -> list[str]:
    found: list[str] = []
    for pod in pods:
        for container in pod.get("spec", {}).get("containers") or []:
            name = container["name"]
            try:
                lines = cluster.pod_log(pod["metadata"]["name"], name, _LOG_LINES)
            except Unreachable as error:
                return [*found, f"{name}: {error.seen}"[:_LINE_LENGTH]]  # nor would the other containers' come
            except PyrunbookError:
                continue  # a container that never started has no log
            found += [f"{name}: {line}"[:_LINE_LENGTH] for line in lines]
    return found


def _when(event: Manifest) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or "")


def _with_report(words: str, report: dict[str, Any]) -> str:
    lines = [words]
    lines += [f"event: {e}" for e in report["events"]]
    lines += [f"log: {line}" for line in report["log"]]
    return "\n".join(lines)
