"""The key of a ConfigMap that tells a service to sign nothing; its pods mount it as a file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pyrunbook.kubernetes.client import Cluster
from pyrunbook.kubernetes.errors import ClusterError, Conflict

_TRIES = 8


@dataclass(frozen=True)
class Switched:
    """What the key said, and what it says now.

    Attributes:
        changed: whether it was written.
        before: as it was; `on` is always there.
        now: as it is.
    """

    changed: bool
    before: dict[str, Any]
    now: dict[str, Any]


def switch(
    cluster: Cluster, config_map: str, key: str, *, on: bool, reason: str, by: str, check: bool = False
) -> Switched:
    """Write the key, where it does not say so already; the first reason stays.

    Args:
        cluster: where.
        config_map: its name; it must be there, because a pod that mounts none would never see it.
        key: of its data.
        on: whether nothing is to be signed.
        reason: why.
        by: who says so.
        check: write nothing.

    Raises:
        ClusterError: there is no such ConfigMap, or another client keeps changing it.
    """
    for _ in range(_TRIES):
        found = cluster.get("ConfigMap", config_map)
        if found is None:
            raise ClusterError(
                f"there is no ConfigMap {config_map} in namespace {cluster.namespace}",
                means="the service's pods mount it to learn of secure mode; without it they cannot",
                next_step=f"kubectl -n {cluster.namespace} create configmap {config_map}, and mount it",
            )
        before = _read(found, key)
        if before["on"] is on and not before.get("broken"):
            return Switched(False, before, before)
        now = {"on": on, "reason": reason, "by": by, "since": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        if check:
            return Switched(True, before, now)
        text = json.dumps(now, sort_keys=True)
        try:
            # With its resourceVersion: what somebody else has put beside it meanwhile stays.
            cluster.replace({**found, "kind": "ConfigMap", "data": {**(found.get("data") or {}), key: text}})
        except Conflict:
            continue
        return Switched(True, before, now)
    raise ClusterError(f"ConfigMap {config_map} changed at every attempt, so it was not written")


def _read(config_map: dict[str, Any], key: str) -> dict[str, Any]:
    """What the key says; a text that cannot be understood counts as on, as it does for the service."""
    text = (config_map.get("data") or {}).get(key)
    if text is None:
        return {"on": False}
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return found if isinstance(found, dict) and isinstance(found.get("on"), bool) else {"on": True, "broken": True}
