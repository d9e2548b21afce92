"""Remove the objects of a color that does not serve."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from pyrunbook.errors import Refused
from pyrunbook.kubernetes.client import Cluster
from pyrunbook.kubernetes.errors import ClusterError
from pyrunbook.kubernetes.export import color_objects
from pyrunbook.kubernetes.kinds import MANAGED, Manifest
from pyrunbook.kubernetes.serving import require_serving
from pyrunbook.kubernetes.state import pods_of, read_service, selector_of
from pyrunbook.kubernetes.target import ServiceNames, other
from pyrunbook.kubernetes.waiting import wait_until
from pyrunbook.kubernetes.writers import written_by


def remove(
    cluster: Cluster,
    target: ServiceNames,
    color: str,
    *,
    timeout: float = 120.0,
    keep: Mapping[str, set[str]] | None = None,
    deployed: Mapping[str, Any] | None = None,
    check: bool = False,
) -> dict[str, Any]:
    """Delete the objects of a color and wait until they and its pods are gone.

    Args:
        timeout: seconds.
        keep: kind to names of objects that stay (a rollback keeps what was there before).
        deployed: what the other color must still run before each deletion, see `serving.require_serving`.
        check: only say what would be deleted.

    Returns:
        `changed`, `removed` (`Kind/name`), `seconds`.

    Raises:
        Refused: the Service still chooses the color.
        NoLongerServes: the other color does not serve as it was verified.
        ClusterError: something has created an object again; says who.
        TimedOut: names what is left.
    """
    selector = selector_of(read_service(cluster, target.service)) if check else _refuse_active(cluster, target, color)

    def left() -> list[Manifest]:
        return [
            o
            for o in color_objects(cluster, target, color, selector)
            if o["metadata"]["name"] not in (keep or {}).get(o["kind"], set())
        ]

    found = left()
    result: dict[str, Any] = {"removed": list(map(_title, found)), "changed": bool(found), "seconds": 0.0}
    if check or not found:
        return result
    started = time.monotonic()
    # Autoscalers and Services first, the Deployment's configuration last: the reverse of applying.
    order = list(MANAGED)
    for obj in sorted(found, key=lambda o: -order.index(o["kind"])):
        _refuse_active(cluster, target, color)
        require_serving(cluster, target, other(color), deployed)
        cluster.delete(obj["kind"], obj["metadata"]["name"], propagation="Foreground")
    deleted = {obj["metadata"]["uid"] for obj in found}
    scope = target.scope(selector, color)
    pods_stay = target.deployments[color] in (keep or {}).get("Deployment", set())

    def look() -> tuple[bool | None, str]:
        there = left()
        for obj in there:
            if obj["metadata"]["uid"] not in deleted and not obj["metadata"].get("deletionTimestamp"):
                raise _created(cluster, obj, again=_title(obj) in result["removed"])
        names = list(map(_title, there))
        if not pods_stay:
            names += [f"Pod/{p['metadata']['name']}" for p in pods_of(cluster, scope)]
        return (None if names else True), f"left: {', '.join(names[:6])}"

    wait_until(
        cluster,
        look,
        what=f"the removal of {color}",
        timeout=timeout,
        next_step=f"kubectl -n {cluster.namespace} get all -l {target.color_label}={color}, and look for finalizers",
    )
    return {**result, "seconds": round(time.monotonic() - started, 3)}


def _title(obj: Manifest) -> str:
    return f"{obj['kind']}/{obj['metadata']['name']}"


def _created(cluster: Cluster, obj: Manifest, *, again: bool) -> ClusterError:
    """An object that is not one of those that were deleted: it has another uid."""
    kind, name = obj["kind"], obj["metadata"]["name"]
    what = "was deleted and is there again" if again else "came up while the color was removed"
    return ClusterError(
        f"{kind} {name} {what}: created{written_by(obj) or ' by something else'}",
        means="GitOps, an operator or a colleague keeps it; to delete it once more does not last",
        next_step=f"take it out of what creates it, then: kubectl -n {cluster.namespace} delete {kind.lower()} {name}",
        evidence={"created": _title(obj), "again": again, "by": written_by(obj).strip()},
    )


def wait_until_gone(cluster: Cluster, kind: str, name: str, *, timeout: float) -> None:
    """Wait for the end of a deletion under way, so that the object can be created anew.

    Raises:
        TimedOut: with the finalizers that hold it.
    """

    def look() -> tuple[bool | None, str]:
        metadata = (cluster.get(kind, name) or {}).get("metadata") or {}
        if not metadata.get("deletionTimestamp"):
            return True, "it is gone"
        return None, f"it is still being deleted (finalizers: {', '.join(metadata.get('finalizers') or []) or 'none'})"

    wait_until(cluster, look, what=f"the deletion of {kind} {name}", timeout=timeout)


def _refuse_active(cluster: Cluster, target: ServiceNames, color: str) -> dict[str, str]:
    """The Service's selector, if it does not choose the color."""
    selector = selector_of(read_service(cluster, target.service))
    if selector.get(target.color_label) in (color, None):
        raise Refused(
            f"Service {target.service} chooses {selector or 'no pods by label'}, so {color} is not removed",
            means=f"{color} may be what serves",
            next_step="switch the Service to the other color first",
        )
    return selector
