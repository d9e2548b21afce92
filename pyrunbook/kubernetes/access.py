"""Which permissions pyrunbook needs in a service's namespace, and whether the user has them."""

from __future__ import annotations

from dataclasses import dataclass

from pyrunbook.kubernetes.client import Cluster
from pyrunbook.kubernetes.errors import ROLE_FILE, Forbidden
from pyrunbook.kubernetes.kinds import MANAGED, RESOURCES


@dataclass(frozen=True, order=True)
class Permission:
    """One verb on one resource.

    Args:
        group: API group, empty for the core group.
        resource: plural, with its subresource where it has one.
        verb: of RBAC.
    """

    group: str
    resource: str
    verb: str

    def __str__(self) -> str:
        """`patch deployments.apps`."""
        name, _, subresource = self.resource.partition("/")
        full = f"{name}.{self.group}" if self.group else name
        return f"{self.verb} {full}{f'/{subresource}' if subresource else ''}"


def _permissions(kind: str, *verbs: str, subresource: str = "") -> set[Permission]:
    info = RESOURCES[kind]._api_info
    resource = info.plural + (f"/{subresource}" if subresource else "")
    return {Permission(info.resource.group, resource, verb) for verb in verbs}


NEEDED: frozenset[Permission] = frozenset(
    set().union(
        *(_permissions(kind, "get", "list", "create", "update", "patch", "delete") for kind in MANAGED),
        _permissions("Lease", "get", "create", "update"),
        _permissions("Pod", "list"),
        _permissions("Pod", "get", subresource="log"),
        _permissions("ReplicaSet", "list"),
        _permissions("EndpointSlice", "list"),
        _permissions("Event", "list"),
    )
)
"""What the shipped Role grants, no more and no less (a test compares them)."""


def missing(cluster: Cluster) -> list[Permission]:
    """The needed permissions that the user lacks, by asking the API about each (SelfSubjectAccessReview)."""
    return sorted(p for p in NEEDED if not _allowed(cluster, p))


def require(cluster: Cluster) -> int:
    """See that the user has all that is needed.

    Returns:
        how many permissions were checked.

    Raises:
        Forbidden: names every verb that is missing.
    """
    lacking = missing(cluster)
    if lacking:
        raise Forbidden(
            f"missing permissions in namespace {cluster.namespace}: {', '.join(map(str, lacking))}",
            means="the run would stop half-way, so it does not start",
            next_step=f"kubectl -n {cluster.namespace} apply -f {ROLE_FILE}, and bind the Role to this user",
        )
    return len(NEEDED)


def _allowed(cluster: Cluster, permission: Permission) -> bool:
    resource, _, subresource = permission.resource.partition("/")
    answer = cluster.create(
        {
            "kind": "SelfSubjectAccessReview",
            "spec": {
                "resourceAttributes": {
                    "namespace": cluster.namespace,
                    "verb": permission.verb,
                    "group": permission.group,
                    "resource": resource,
                    **({"subresource": subresource} if subresource else {}),
                }
            },
        }
    )
    return bool(answer.get("status", {}).get("allowed"))
