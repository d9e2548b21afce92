"""The kinds of objects that pyrunbook reads and writes, as lightkube resources.

They are lightkube's generic (dict) resources on purpose: what is read is exactly what the server said, so that an
exported object is whole also when the cluster is newer than the library's typed models.
"""

from __future__ import annotations

from typing import Any

from lightkube.generic_resource import GenericGlobalResource, GenericNamespacedResource, create_api_info

Manifest = dict[str, Any]
"""A Kubernetes object as JSON has it."""


def _namespaced(group: str, version: str, kind: str, plural: str) -> type[GenericNamespacedResource]:
    return type(kind, (GenericNamespacedResource,), {"_api_info": create_api_info(group, version, kind, plural)})


MANAGED: dict[str, type[GenericNamespacedResource]] = {
    "ConfigMap": _namespaced("", "v1", "ConfigMap", "configmaps"),
    "Service": _namespaced("", "v1", "Service", "services"),
    "Deployment": _namespaced("apps", "v1", "Deployment", "deployments"),
    "HorizontalPodAutoscaler": _namespaced("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    "PodDisruptionBudget": _namespaced("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    "Ingress": _namespaced("networking.k8s.io", "v1", "Ingress", "ingresses"),
}
"""The kinds that a release may consist of: applied, exported, removed and restored; in the order of applying.

Anything else in a manifest is refused: what the rollback plan cannot restore is not changed. Secrets are left out
because a plan or a backup must not hold one."""

RESOURCES: dict[str, type[Any]] = {
    **MANAGED,
    "Secret": _namespaced("", "v1", "Secret", "secrets"),
    "Pod": _namespaced("", "v1", "Pod", "pods"),
    "Event": _namespaced("", "v1", "Event", "events"),
    "ReplicaSet": _namespaced("apps", "v1", "ReplicaSet", "replicasets"),
    "EndpointSlice": _namespaced("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"),
    "Lease": _namespaced("coordination.k8s.io", "v1", "Lease", "leases"),
    "SelfSubjectAccessReview": type(
        "SelfSubjectAccessReview",
        (GenericGlobalResource,),
        {
            "_api_info": create_api_info(
                "authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews"
            )
        },
    ),
}


def api_version(kind: str) -> str:
    """`apps/v1` for `Deployment`."""
    version: str = RESOURCES[kind]._api_info.resource.api_version
    return version


def resource_name(kind: str) -> str:
    """The name that RBAC and kubectl use: `deployments.apps`, `pods`."""
    info = RESOURCES[kind]._api_info
    return f"{info.plural}.{info.resource.group}" if info.resource.group else str(info.plural)
