"""The Kubernetes section of a rollback plan, and whole plans kept in the cluster.

A plan is kept as an immutable ConfigMap beside the service, so that another operator's machine can execute it.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pyrunbook.errors import BadInput
from pyrunbook.kubernetes.client import Cluster, tries
from pyrunbook.kubernetes.errors import ClusterError, Conflict
from pyrunbook.kubernetes.export import export
from pyrunbook.kubernetes.kinds import Manifest
from pyrunbook.kubernetes.state import color_of, selector_of
from pyrunbook.kubernetes.target import COLORS, ServiceNames

_SERVICE, _RUN, _KIND = "pyrunbook/service", "pyrunbook/run", "pyrunbook/kind"
_SUM, _CREATED = "pyrunbook/sha256", "pyrunbook/created"
_PLAIN, _PACKED = "plan.json", "plan.json.gz"
BIG = 256 * 1024
"""Bytes above which a plan is stored compressed. A ConfigMap holds 1 MiB."""
LIMIT = 1_000_000
_TRIES = 5


def capture(cluster: Cluster, target: ServiceNames) -> dict[str, Any]:
    """All that is needed to put back what is there now, as JSON-able data.

    Returns:
        `namespace`; `color_label`; `deployments` (color to name); `active`; `service` and `preview` (or `None`), each
        `{name, selector, object}`; `objects` (color to its manifests); `replicas` (color to the wanted number).

    Raises:
        ClusterError: there is no such Service, or its selector says no color.
    """
    manifests = export(cluster, target)
    service, *previews = manifests["service"]
    selector = selector_of(service)
    replicas = {}
    for color in COLORS:
        named = [
            o
            for o in manifests[color]
            if (o["kind"], o["metadata"]["name"]) == ("Deployment", target.deployments[color])
        ]
        replicas[color] = int(named[0]["spec"].get("replicas", 1)) if named else 0
    return {
        "namespace": cluster.namespace,
        "color_label": target.color_label,
        "deployments": dict(target.deployments),
        "active": color_of(target, selector, target.service),
        "service": {"name": target.service, "selector": selector, "object": service},
        "preview": (
            {"name": target.preview_service, "selector": selector_of(previews[0]), "object": previews[0]}
            if previews
            else None
        ),
        "objects": {color: manifests[color] for color in COLORS},
        "replicas": replicas,
    }


def check_section(section: dict[str, Any], namespace: str) -> None:
    """Refuse what `capture` cannot have written for this namespace.

    Raises:
        BadInput: a part is missing, or it is of another namespace.
    """
    try:
        sound = (
            section["active"] in COLORS
            and isinstance(section["service"]["object"], dict)
            and isinstance(section["service"]["selector"], dict)
            and all(isinstance(section["objects"][c], list) and section["deployments"][c] for c in COLORS)
            and isinstance(section["color_label"], str)
        )
    except (KeyError, TypeError):
        sound = False
    if not sound:
        raise BadInput("the rollback plan has no sound Kubernetes section", next_step="pyrunbook rollback plans")
    if section.get("namespace") != namespace:
        raise BadInput(
            f"the rollback plan is of namespace {section.get('namespace')}, the inventory says {namespace}",
            next_step="correct service_namespace in the inventory",
        )


def target_of(section: dict[str, Any]) -> ServiceNames:
    """The service that a section is about."""
    preview = section.get("preview")
    return ServiceNames(
        section["service"]["name"],
        section["color_label"],
        section["deployments"],
        preview["name"] if preview else None,
    )


def config_map_name(service: str, plan_id: str) -> str:
    """The ConfigMap of a plan."""
    return f"pyrunbook-plan-{service}-{plan_id}"


def store(cluster: Cluster, service: str, plan_id: str, text: str) -> bool:
    """Keep a plan in the cluster; the first one stored for a run stays.

    Args:
        text: the whole plan, as the local file has it.

    Returns:
        whether it was written by this call.

    Raises:
        BadInput: it is larger than a ConfigMap can be.
        ClusterError: the one that is there is damaged.
    """
    name = config_map_name(service, plan_id)
    content = text.encode()
    obj: Manifest = {
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "labels": {
                "app.kubernetes.io/managed-by": "pyrunbook",
                _KIND: "rollback-plan",
                _SERVICE: service,
                _RUN: plan_id,
            },
            "annotations": {
                _SUM: hashlib.sha256(content).hexdigest(),
                _CREATED: datetime.now(UTC).isoformat(timespec="microseconds"),
            },
        },
        "immutable": True,
    }
    if len(content) <= BIG:
        obj["data"] = {_PLAIN: text}
    else:
        packed = base64.b64encode(gzip.compress(content, mtime=0)).decode()
        if len(packed) > LIMIT:
            raise BadInput(
                f"the rollback plan of {service} takes {len(packed)} bytes packed, a ConfigMap holds {LIMIT}",
                next_step="keep large ConfigMaps of the colors smaller, or out of them",
            )
        obj["binaryData"] = {_PACKED: packed}
    for attempt in tries(_TRIES):
        if fetch(cluster, service, plan_id) is not None:
            return attempt > 0  # it was written by us after all, and the answer was lost
        with suppress(Conflict):
            cluster.create(obj)
            return True
    raise ClusterError(f"ConfigMap {name} could not be created in {_TRIES} tries, and is not there")


def fetch(cluster: Cluster, service: str, plan_id: str) -> str | None:
    """The text of a plan kept in the cluster; `None` when there is none.

    Raises:
        ClusterError: it is damaged.
    """
    found = cluster.get("ConfigMap", config_map_name(service, plan_id))
    if found is None:
        return None
    try:
        if _PACKED in (found.get("binaryData") or {}):
            content = gzip.decompress(base64.b64decode(found["binaryData"][_PACKED]))
        else:
            content = found["data"][_PLAIN].encode()
        damaged = hashlib.sha256(content).hexdigest() != found["metadata"]["annotations"][_SUM]
    except (KeyError, TypeError, OSError, EOFError, binascii.Error):
        damaged = True
    if damaged:
        raise ClusterError(
            f"ConfigMap {found['metadata']['name']} does not hold the plan that was stored (its sum differs)",
            means="it was changed or damaged, so it is not executed",
            next_step="use the plan on the machine of the operator who ran it",
        )
    return content.decode()


def kept(cluster: Cluster, service: str, plan_id: str) -> str:
    """What the cluster keeps of a plan, for a rollback that may have a sound copy elsewhere.

    Returns:
        the plan's text; empty when there is none; where it is damaged, words that no reader takes for a plan, so that
        it is neither executed nor taken for absent.
    """
    try:
        return fetch(cluster, service, plan_id) or ""
    except ClusterError as error:
        return f"damaged: {error.seen}"


def stored(cluster: Cluster, service: str) -> list[dict[str, str]]:
    """The plans of a service that the cluster keeps, newest first: `id`, `created`, `sha256`."""
    maps = cluster.list_all("ConfigMap", {_KIND: "rollback-plan", _SERVICE: service})
    return [
        {
            "id": m["metadata"]["labels"].get(_RUN, ""),
            "created": (m["metadata"].get("annotations") or {}).get(_CREATED, ""),
            "sha256": (m["metadata"].get("annotations") or {}).get(_SUM, ""),
        }
        for m in sorted(maps, key=_age, reverse=True)
    ]


def _age(config_map: Manifest) -> tuple[str, str]:
    """What orders plans: the API's clock, which is one; the writers' clocks only within its second."""
    metadata = config_map["metadata"]
    return str(metadata.get("creationTimestamp") or ""), (metadata.get("annotations") or {}).get(_CREATED, "")


def prune(cluster: Cluster, service: str, keep: int) -> list[str]:
    """Delete all plans of a service but the newest `keep` (at least one); returns the ids of those deleted."""
    old = [entry["id"] for entry in stored(cluster, service)[max(keep, 1) :]]
    return [plan_id for plan_id in old if cluster.delete("ConfigMap", config_map_name(service, plan_id))]
