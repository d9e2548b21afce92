"""Move the traffic: replace the whole selector of the Service, then see that the endpoints have followed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pyrunbook.kubernetes.client import Cluster, tries
from pyrunbook.kubernetes.errors import ClusterError, Conflict, Missing
from pyrunbook.kubernetes.kinds import Manifest
from pyrunbook.kubernetes.state import (
    addresses_of,
    belongs,
    color_of,
    pods_of,
    read_service,
    selector_of,
    slice_endpoints,
)
from pyrunbook.kubernetes.target import ServiceNames, other
from pyrunbook.kubernetes.waiting import wait_until
from pyrunbook.kubernetes.writers import written_by

_TRIES = 8


def replace_selector(cluster: Cluster, name: str, wanted: Mapping[str, str], *, expected: Mapping[str, str]) -> bool:
    """Replace the whole selector of a Service.

    Args:
        wanted: the selector that it shall have; no other key stays.
        expected: the selector that it must have now.

    Returns:
        whether it had to be changed.

    Raises:
        ClusterError: the Service is missing, or its selector is neither the wanted nor the expected one.
    """
    for attempt in tries(_TRIES):
        live = read_service(cluster, name)
        selector = selector_of(live)
        if selector == dict(wanted):
            return attempt > 0  # after a conflict it was our own write, whose answer was lost
        if selector != dict(expected):
            raise ClusterError(
                f"the selector of Service {name} is {selector}, expected {dict(expected)}; last written"
                f"{written_by(live) or ' by an unknown manager'}",
                means="something else has switched the Service since this run read it",
                next_step="find out what writes it (GitOps, an operator, a colleague), then run again",
                evidence={"selector": selector, "expected": dict(expected), "wanted": dict(wanted)},
            )
        live["spec"] = {**live["spec"], "selector": dict(wanted)}
        with suppress(Conflict, Missing):  # read again: it has changed, or was deleted and created anew
            cluster.replace(live)
            return True
    raise ClusterError(
        f"Service {name} changed {_TRIES} times while its selector was replaced",
        means="something else keeps writing it",
        next_step="find out what does (kubectl get service -o yaml --show-managed-fields), then run again",
    )


def switch(
    cluster: Cluster,
    target: ServiceNames,
    color: str,
    *,
    timeout: float = 60.0,
    check: bool = False,
) -> dict[str, Any]:
    """Send the traffic to a color, and wait until only its ready pods get it.

    The color must have a ready pod before anything is changed. The preview Service, where there is one, is set to
    the color that does not serve any more.

    Args:
        timeout: seconds for the endpoints to follow.
        check: only say whether it would change.

    Returns:
        `changed`, `previous_selector`, `selector`, `endpoints` (how many ready pods get the traffic), `seconds`.

    Raises:
        ClusterError: no ready pod of the color, or the Service was switched by something else.
        TimedOut: the endpoints did not follow.
    """
    before = selector_of(read_service(cluster, target.service))
    live_color = color_of(target, before, target.service)
    wanted = target.scope(before, color)
    ready = ready_pods(cluster.list_all("Pod", wanted))
    if not ready and not check:
        raise ClusterError(
            f"no ready pod of {color} in namespace {cluster.namespace}, so the traffic stays on {live_color}",
            next_step=f"kubectl -n {cluster.namespace} get pods -l {_query(wanted)}",
        )
    result: dict[str, Any] = {"previous_selector": before, "selector": wanted, "endpoints": 0, "seconds": 0.0}
    if check:
        return {**result, "changed": before != wanted}
    started = time.monotonic()
    changed = replace_selector(cluster, target.service, wanted, expected=before)
    count = wait_for_endpoints(cluster, target.service, wanted, what=f"traffic on {color}", timeout=timeout)
    result |= {"endpoints": count, "seconds": round(time.monotonic() - started, 3)}
    changed |= point_preview(cluster, target, other(color))
    return {**result, "changed": changed}


def point_preview(cluster: Cluster, target: ServiceNames, color: str) -> bool:
    """Let the preview Service choose a color; returns whether it had to be changed.

    Raises:
        ClusterError: the preview Service of the inventory does not exist.
    """
    if not target.preview_service:
        return False
    selector = selector_of(read_service(cluster, target.preview_service))
    return replace_selector(cluster, target.preview_service, target.scope(selector, color), expected=selector)


def wait_for_endpoints(
    cluster: Cluster,
    service: str,
    selector: Mapping[str, str],
    *,
    what: str,
    timeout: float,
) -> int:
    """Wait until the EndpointSlices of a Service hold all ready pods of the selector and no others.

    Returns:
        how many pods that is; at least one.

    Raises:
        TimedOut: with what the slices held last.
    """

    def look() -> tuple[int | None, str]:
        pods = pods_of(cluster, selector)
        live = read_service(cluster, service)
        chosen = selector_of(live)
        if chosen != dict(selector):
            raise ClusterError(
                f"Service {service} chooses {_query(chosen) or 'nothing'} by now, not {_query(selector)}: it was "
                f"written{written_by(live) or ' by something else'}",
                means="something else has switched the Service since this run did",
                next_step="find out what writes it (GitOps, an operator, a colleague), then run again",
                evidence={"selector": chosen, "wanted": dict(selector)},
            )
        slices = cluster.list_all("EndpointSlice", {"kubernetes.io/service-name": service})
        endpoints = slice_endpoints(slices)
        names, addresses = {p["metadata"]["name"] for p in pods}, addresses_of(pods)
        foreign = [e for e in endpoints if not belongs(e, names, addresses)]
        # A pod may be in several slices: one for each address family, and two while an endpoint moves.
        serving = {
            e["pod"] or min(addresses & set(e["addresses"]))
            for e in endpoints
            if e["ready"] and belongs(e, names, addresses)
        }
        expected = len(ready_pods(pods))
        seen = f"{len(serving)} of {expected} ready pods in the EndpointSlices, {len(foreign)} endpoints of other pods"
        settled = not foreign and serving and len(serving) >= expected
        return (len(serving) if settled else None), seen

    return wait_until(
        cluster,
        look,
        what=f"{what}: only ready pods of {_query(selector)} behind Service {service}",
        timeout=timeout,
        next_step=f"kubectl -n {cluster.namespace} get endpointslices -l kubernetes.io/service-name={service} -o yaml",
    )


def ready_pods(pods: list[Manifest]) -> list[Manifest]:
    """Those that are ready and not on their way out."""
    return [
        pod
        for pod in pods
        if not pod["metadata"].get("deletionTimestamp")
        and any(
            c.get("type") == "Ready" and c.get("status") == "True"
            for c in pod.get("status", {}).get("conditions") or []
        )
    ]


def _query(selector: Mapping[str, str]) -> str:
    return ",".join(f"{k}={v}" for k, v in sorted(selector.items()))
