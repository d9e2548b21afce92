"""A small JSON document in a key of a ConfigMap; the pods mount it as a file."""

from __future__ import annotations

import json
from typing import Any

from pyrunbook.kubernetes.client import Cluster
from pyrunbook.kubernetes.errors import ClusterError, Conflict
from pyrunbook.on_target.calls.document import as_object, says

_TRIES = 8


def document(
    cluster: Cluster,
    config_map: str,
    key: str,
    content: dict[str, Any],
    *,
    unless: dict[str, Any],
    missing: dict[str, Any],
    check_mode: bool = False,
) -> dict[str, Any]:
    """Write the key, unless it says what is wanted already; the other keys stay.

    Args:
        config_map: its name; it must be there, because a pod that mounts none would never see it.
        unless: keys and values; a document that has them stays as it is.
        missing: what a key that is not there counts as.

    Returns:
        `changed`, `before` (`None` where it was no JSON object) and `now`.

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
        data = found.get("data") or {}
        before = as_object(data[key]) if key in data else missing
        if says(before, unless):
            return {"changed": False, "before": before, "now": before}
        if not check_mode:
            written = {**data, key: json.dumps(content, sort_keys=True)}
            try:
                # With its resourceVersion: what somebody else has put beside it meanwhile stays.
                cluster.replace({**found, "kind": "ConfigMap", "data": written})
            except Conflict:
                continue
        return {"changed": True, "before": before, "now": content}
    raise ClusterError(f"ConfigMap {config_map} changed at every attempt, so it was not written")
