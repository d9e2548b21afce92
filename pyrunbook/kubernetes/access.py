"""Which permissions pyrunbook needs in a service's namespace, and whether the user has them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pyrunbook.kubernetes.client import Cluster
from pyrunbook.kubernetes.errors import CERTIFICATES_ROLE_FILE, ROLE_FILE, Forbidden
from pyrunbook.kubernetes.kinds import MANAGED, RESOURCES
from pyrunbook.kubernetes.pair_secrets import ledger_name


@dataclass(frozen=True, order=True)
class Permission:
    """One verb on one resource.

    Args:
        group: API group, empty for the core group.
        resource: plural, with its subresource where it has one.
        verb: of RBAC.
        name: the only object that it is about; empty: all of them.
    """

    group: str
    resource: str
    verb: str
    name: str = ""

    def __str__(self) -> str:
        """`patch deployments.apps`, `get secrets agent-factory-tls`."""
        name, _, subresource = self.resource.partition("/")
        full = f"{name}.{self.group}" if self.group else name
        named = f" {self.name}" if self.name else ""
        return f"{self.verb} {full}{f'/{subresource}' if subresource else ''}{named}"


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

_DOUBT = 5.0
"""Seconds for which a permission that is said to be missing is asked for again."""


def of_certificates(secrets: Iterable[str]) -> frozenset[Permission]:
    """What the shipped Role for certificates grants, for the Secrets of `service_certificates`.

    To create a Secret cannot be granted for one name. None is listed, and none is deleted.
    """
    names = [each for secret in secrets for each in (secret, ledger_name(secret))]
    named = {replace(p, name=name) for name in names for p in _permissions("Secret", "get", "update")}
    return frozenset(named | _permissions("Secret", "create")) if names else frozenset()


def missing(cluster: Cluster, needed: frozenset[Permission] = NEEDED) -> list[Permission]:
    """The needed permissions that the user lacks, by asking the API about each (SelfSubjectAccessReview).

    What is denied is asked again for some seconds: an API that was restarted has to read its roles first.
    """
    lacking = sorted(p for p in needed if not _allowed(cluster, p))
    end = time.monotonic() + min(cluster.patience, _DOUBT)
    while lacking and time.monotonic() < end:
        time.sleep(0.5)
        lacking = [p for p in lacking if not _allowed(cluster, p)]
    return lacking


def require(cluster: Cluster, secrets: Iterable[str] = ()) -> int:
    """See that the user has all that is needed.

    Args:
        secrets: those of the service's certificates, where they are to be rotated.

    Returns:
        how many permissions were checked.

    Raises:
        Forbidden: names every verb that is missing.
    """
    certificates = of_certificates(secrets)
    lacking = missing(cluster, NEEDED | certificates)
    if lacking:
        files = [ROLE_FILE] if set(lacking) & NEEDED else []
        files += [CERTIFICATES_ROLE_FILE] if set(lacking) & certificates else []
        raise Forbidden(
            f"missing permissions in namespace {cluster.namespace}: {', '.join(map(str, lacking))}",
            means="the run would stop half-way, so it does not start",
            next_step=f"kubectl -n {cluster.namespace} apply -f {' -f '.join(files)}, and bind the Role to this user",
        )
    return len(NEEDED | certificates)


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
                    **({"name": permission.name} if permission.name else {}),
                }
            },
        }
    )
    return bool(answer.get("status", {}).get("allowed"))
