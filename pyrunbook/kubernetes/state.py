"""What is there now: the active color, and of each color its Deployment, release and endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyrunbook.kubernetes.client import Cluster
from pyrunbook.kubernetes.errors import ClusterError
from pyrunbook.kubernetes.kinds import Manifest
from pyrunbook.kubernetes.target import COLORS, ServiceNames
from pyrunbook.kubernetes.writers import written_by

VERSION_LABEL = "app.kubernetes.io/version"


def read_service(cluster: Cluster, name: str) -> Manifest:
    """The Service of that name.

    Raises:
        ClusterError: there is none.
    """
    service = cluster.get("Service", name)
    if service is None:
        raise ClusterError(
            f"there is no Service {name} in namespace {cluster.namespace}",
            next_step="correct service_kubernetes_name or service_namespace in the inventory, or create the Service",
        )
    return service


def selector_of(service: Manifest) -> dict[str, str]:
    """The whole selector of a Service, empty when it has none."""
    return dict(service.get("spec", {}).get("selector") or {})


def color_of(target: ServiceNames, selector: Mapping[str, str], service: str) -> str:
    """The color that a selector chooses.

    Raises:
        ClusterError: it chooses none, or one that is not ours: an unknown state is not acted on.
    """
    color = selector.get(target.color_label)
    shown = ", ".join(f"{k}={v}" for k, v in sorted(selector.items())) or "empty"
    if color is None:
        raise ClusterError(
            f"the selector of Service {service} has no key {target.color_label!r} (it is: {shown})",
            means="it does not say which color is active, so nothing may be changed",
            next_step="correct service_color_label in the inventory, or the selector of the Service",
        )
    if color not in target.deployments:
        raise ClusterError(
            f"the selector of Service {service} chooses {target.color_label}={color}, neither blue nor green",
            means="the active color is unknown, so nothing may be changed",
            next_step="correct the selector of the Service, or service_color_label in the inventory",
        )
    return color


def read(cluster: Cluster, target: ServiceNames, *, for_rollback: bool = False) -> dict[str, Any]:
    """The live state of a service, as `service_state` of CONTRIBUTING.md.

    Args:
        for_rollback: give `none` as the active color where the Service is missing or selects neither color. A
            rollback needs no more than its plan, and puts that right.

    Returns:
        `active`, `colors` (of each: `exists`, `running`, `replicas` wanted, `ready`, `release` or `None`,
        `endpoints` as `address:port` of its ready pods), and `kubernetes`: `namespace`, `service`, `selector`,
        `written_by` (who wrote the Service last besides us, see `writers`), `preview_selector` and of each color
        `deployment`, `pods` (all that are left, terminating ones too), `images`.

    Raises:
        ClusterError: there is no such Service, or its selector says no color.
    """
    by = ""
    try:
        live = read_service(cluster, target.service)
        by = written_by(live)
        selector = selector_of(live)
        active = color_of(target, selector, target.service)
    except ClusterError:
        if not for_rollback:
            raise
        selector, active = {}, "none"
    preview = cluster.get("Service", target.preview_service) if target.preview_service else None
    slices = cluster.list_all("EndpointSlice")
    colors: dict[str, Any] = {}
    details: dict[str, Any] = {}
    for color in COLORS:
        deployment = cluster.get("Deployment", target.deployments[color])
        pods = pods_of(cluster, target.scope(selector, color))
        spec = (deployment or {}).get("spec", {})
        replicas = int(spec.get("replicas", 1)) if deployment else 0
        ready = int((deployment or {}).get("status", {}).get("readyReplicas") or 0)
        colors[color] = {
            "exists": deployment is not None,
            "running": bool(pods) or replicas > 0,
            "replicas": replicas,
            "ready": ready,
            "release": release_of(deployment),
            "endpoints": _endpoints(slices, pods),
        }
        details[color] = {
            "deployment": target.deployments[color],
            "pods": sorted(pod["metadata"]["name"] for pod in pods),
            "images": [c.get("image", "") for c in _containers(deployment)],
        }
    return {
        "active": active,
        "colors": colors,
        "kubernetes": {
            "namespace": cluster.namespace,
            "service": target.service,
            "selector": selector,
            "written_by": by,
            "preview_service": target.preview_service,
            "preview_selector": selector_of(preview) if preview else None,
            "colors": details,
        },
    }


def release_of(deployment: Manifest | None) -> str | None:
    """The release that a Deployment runs: its version label, else the tag of its first image."""
    if deployment is None:
        return None
    template = deployment.get("spec", {}).get("template", {})
    for labels in (template.get("metadata", {}).get("labels"), deployment.get("metadata", {}).get("labels")):
        if labels and labels.get(VERSION_LABEL):
            return str(labels[VERSION_LABEL])
    for container in _containers(deployment):
        name = str(container.get("image", "")).split("@")[0].rsplit("/", 1)[-1]
        return name.split(":", 1)[1] if ":" in name else None
    return None


def _containers(deployment: Manifest | None) -> list[Manifest]:
    spec = (deployment or {}).get("spec", {}).get("template", {}).get("spec", {})
    return list(spec.get("containers") or [])


def slice_endpoints(slices: list[Manifest]) -> list[dict[str, Any]]:
    """The endpoints of EndpointSlices, each as `pod` (or ""), `addresses`, `ready`, `ports`.

    A condition that is missing counts as true, as the API defines it.
    """
    found = []
    for piece in slices:
        ports = [p.get("port") for p in piece.get("ports") or []]
        for endpoint in piece.get("endpoints") or []:
            reference = endpoint.get("targetRef") or {}
            ready = (endpoint.get("conditions") or {}).get("ready")
            found.append(
                {
                    "pod": reference.get("name", "") if reference.get("kind", "Pod") == "Pod" else "",
                    "addresses": list(endpoint.get("addresses") or []),
                    "ready": ready is None or bool(ready),
                    "ports": ports,
                }
            )
    return found


def belongs(endpoint: dict[str, Any], names: set[str], addresses: set[str]) -> bool:
    """Whether an endpoint is one of these pods: by its reference, by its address where it has none."""
    return endpoint["pod"] in names if endpoint["pod"] else bool(addresses & set(endpoint["addresses"]))


def addresses_of(pods: list[Manifest]) -> set[str]:
    """The IP addresses of pods, of both families."""
    found = set()
    for status in (pod.get("status") or {} for pod in pods):
        found |= {status.get("podIP"), *(entry.get("ip") for entry in status.get("podIPs") or [])}
    return {str(ip) for ip in found if ip}


def pods_of(cluster: Cluster, labels: Mapping[str, str]) -> list[Manifest]:
    """The pods with these labels, terminating ones too, but not those whose containers have ended for good.

    An evicted or preempted pod stays in the list with phase `Failed`. Its ReplicaSet does not count it, and does not
    delete it when scaled to zero, so whoever waits for it to go waits for ever.
    """
    found = cluster.list_all("Pod", labels)
    return [pod for pod in found if (pod.get("status") or {}).get("phase") not in ("Failed", "Succeeded")]


def _endpoints(slices: list[Manifest], pods: list[Manifest]) -> list[str]:
    """`address:port` of the ready endpoints of any Service whose pods these are."""
    names, addresses = {pod["metadata"]["name"] for pod in pods}, addresses_of(pods)
    return sorted(
        {
            f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
            for endpoint in slice_endpoints(slices)
            if endpoint["ready"] and belongs(endpoint, names, addresses)
            for address in endpoint["addresses"]
            for port in endpoint["ports"]
        }
    )
