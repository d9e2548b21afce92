"""Who owns the fields of an object, so far as a server-side apply goes by it.

A server-side apply removes a field that it leaves out only where the applier alone owned it by an earlier apply. What
`kubectl apply` or `kubectl create` had set, or we ourselves by an update (a rollback replaces whole objects), would
stay in the object for ever, beside the release. So before the first apply such ownership becomes that of our applies,
as `kubectl apply --server-side` does with what `kubectl apply` had set.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from pyrunbook.kubernetes.client import FIELD_MANAGER, Cluster, tries
from pyrunbook.kubernetes.errors import ClusterError, Conflict
from pyrunbook.kubernetes.kinds import Manifest, api_version

ADOPTED = frozenset({FIELD_MANAGER, "kubectl-client-side-apply", "kubectl-create"})
"""The managers whose updates come from whole manifests, as an apply does; not what was edited, patched or scaled."""
_TRIES = 5


def adopt(cluster: Cluster, kind: str, name: str, live: Manifest) -> bool:
    """Make our applies the owner of the fields that whole manifests have set.

    Returns:
        whether there was anything to take over.

    Raises:
        ClusterError: something keeps writing the object.
    """
    for attempt in tries(_TRIES):
        found = cluster.get(kind, name) if attempt else live
        entries = adopted(kind, (found or {}).get("metadata", {}).get("managedFields") or [])
        if found is None or entries is None:
            return attempt > 0
        operations = [
            {"op": "replace", "path": "/metadata/managedFields", "value": entries},
            # The condition: the API refuses a patch whose outcome has an older version than the object.
            {"op": "replace", "path": "/metadata/resourceVersion", "value": found["metadata"]["resourceVersion"]},
        ]
        with suppress(Conflict):
            cluster.json_patch(kind, name, operations)
            return True
    raise ClusterError(
        f"{kind} {name} changed {_TRIES} times while its fields were taken over",
        means="something else keeps writing it",
        next_step=f"kubectl -n {cluster.namespace} get {kind.lower()} {name} -o yaml --show-managed-fields",
    )


def adopted(kind: str, entries: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """The `managedFields` with what is adopted as part of our apply; `None` when there is nothing to adopt."""
    version = api_version(kind)
    taken = [
        e
        for e in entries
        if e.get("manager") in ADOPTED
        and e.get("operation") == "Update"
        and e.get("apiVersion") == version
        and not e.get("subresource")
    ]
    if not taken:
        return None
    ours = [
        e
        for e in entries
        if (e.get("manager"), e.get("operation"), e.get("apiVersion")) == (FIELD_MANAGER, "Apply", version)
    ]
    fields: dict[str, Any] = {}
    for entry in [*ours, *taken]:
        fields = _union(fields, entry.get("fieldsV1") or {})
    merged = {
        **taken[0],
        "manager": FIELD_MANAGER,
        "operation": "Apply",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    return [e for e in entries if e not in taken and e not in ours] + [merged]


def _union(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Both sets of fields; a set is a mapping of path elements to sets."""
    return {key: _union(first.get(key) or {}, second.get(key) or {}) for key in [*first, *second]}
