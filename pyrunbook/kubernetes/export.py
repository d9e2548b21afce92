"""The objects of a service as manifests that can be applied again, and their backup in one archive.

The objects of a color are found through what the cluster itself goes by: the Deployment that the inventory names,
what carries the labels by which the Service finds the color's pods, and the autoscalers and disruption budgets that
act on that Deployment.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pyrunbook.kubernetes.client import Cluster
from pyrunbook.kubernetes.errors import ClusterError
from pyrunbook.kubernetes.kinds import MANAGED, Manifest
from pyrunbook.kubernetes.state import read_service, selector_of
from pyrunbook.kubernetes.target import COLORS, ServiceNames
from pyrunbook.on_target import archive

_SERVER_METADATA = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generation",
    "managedFields",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
)
"""Finalizers too: a controller sets its own (of a load balancer, say, or the garbage collector while it deletes)."""
_SERVER_ANNOTATIONS = ("deployment.kubernetes.io/revision",)
_SERVER_SPEC = {"Service": ("clusterIP", "clusterIPs", "healthCheckNodePort")}


def plain(obj: Manifest) -> Manifest:
    """The object without what the cluster sets, so that it can be created or applied again.

    `clusterIP: None` (a headless Service) stays: it is a choice, not an address.
    """
    result = copy.deepcopy(dict(obj))
    result.pop("status", None)
    metadata = result["metadata"]
    for key in _SERVER_METADATA:
        metadata.pop(key, None)
    annotations = {k: v for k, v in (metadata.pop("annotations", None) or {}).items() if k not in _SERVER_ANNOTATIONS}
    if annotations:
        metadata["annotations"] = annotations
    spec = result.get("spec") or {}
    headless = spec.get("clusterIP") == "None"
    for key in _SERVER_SPEC.get(result["kind"], ()):
        spec.pop(key, None)
    if headless and result["kind"] == "Service":
        spec["clusterIP"] = "None"
    (spec.get("template") or {}).get("metadata", {}).pop("creationTimestamp", None)
    return result


def color_objects(cluster: Cluster, target: ServiceNames, color: str, selector: Mapping[str, str]) -> list[Manifest]:
    """The live objects of a color, as the API has them, in the order in which they are applied; terminating ones too.

    Args:
        selector: the Service's selector, of whichever color.
    """
    scope = target.scope(selector, color)
    deployment = target.deployments[color]
    shared = {target.service, target.preview_service}
    found: list[Manifest] = []
    for kind in MANAGED:
        for obj in cluster.list_all(kind):
            labels = obj["metadata"].get("labels") or {}
            name = obj["metadata"]["name"]
            carries = scope.items() <= labels.items()
            if kind == "Service":
                chosen = obj.get("spec", {}).get("selector") or {}
                ours = name not in shared and (carries or scope.items() <= chosen.items())
            elif kind == "Deployment":
                # One of the other color is never ours, whatever its labels say.
                others = {n for c, n in target.deployments.items() if c != color}
                ours = name == deployment or (carries and name not in others)
            elif kind == "HorizontalPodAutoscaler":
                ours = carries or autoscales(obj, deployment)
            elif kind == "PodDisruptionBudget":
                matched = obj.get("spec", {}).get("selector", {}).get("matchLabels") or {}
                ours = carries or (matched.get(target.color_label) == color and matched.items() <= scope.items())
            else:
                ours = carries
            if ours:
                found.append(obj)
    return found


def autoscales(autoscaler: Manifest, deployment: str) -> bool:
    """Whether a HorizontalPodAutoscaler acts on the Deployment."""
    reference = autoscaler.get("spec", {}).get("scaleTargetRef") or {}
    return reference.get("kind") == "Deployment" and reference.get("name") == deployment


def export(cluster: Cluster, target: ServiceNames) -> dict[str, list[Manifest]]:
    """All manifests of the service: `service` (its Services), `blue` and `green`."""
    service = read_service(cluster, target.service)
    services = [service]
    if target.preview_service and (preview := cluster.get("Service", target.preview_service)):
        services.append(preview)
    selector = selector_of(service)
    colors = {c: [plain(o) for o in color_objects(cluster, target, c, selector)] for c in COLORS}
    return {"service": [plain(s) for s in services], **colors}


def backup(cluster: Cluster, target: ServiceNames, destination: Path) -> dict[str, Any]:
    """Write the manifests of the service into one archive, which is proven by a restore (`archive.create`).

    Args:
        destination: path of the archive (`.tar.gz`); one that is there and sound is kept.

    Returns:
        `path`, `sha256`, `files`, `bytes`, `created` (`False` for a kept one).

    Raises:
        ClusterError: the archive does not give back what went in.
    """
    if destination.exists():
        try:
            return archive.create(str(destination.parent), [], str(destination))
        except archive.ArchiveError as error:
            raise ClusterError(f"the backup is damaged: {error}", next_step=f"remove {destination}") from error
    manifests = export(cluster, target)
    with tempfile.TemporaryDirectory(prefix="pyrunbook-export-") as scratch:
        root = Path(scratch)
        for group, objects in manifests.items():
            (root / "manifests" / group).mkdir(parents=True)
            for obj in objects:
                kind, name, text = obj["kind"], obj["metadata"]["name"], yaml.safe_dump(obj, sort_keys=True)
                if yaml.safe_load(text) != obj:
                    raise ClusterError(f"{kind} {name} does not come back from YAML as it went in; nothing was kept")
                (root / "manifests" / group / f"{kind.lower()}-{name}.yaml").write_text(text)
        try:
            return archive.create(str(root), ["manifests"], str(destination))
        except (archive.ArchiveError, OSError) as error:
            raise ClusterError(f"the backup could not be made: {error}") from error
