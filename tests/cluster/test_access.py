"""The shipped Role is enough, and no more than enough."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster_api import Api, accompaniment, deployment

from pyrunbook.kubernetes import access, lease, plan, put_back, state
from pyrunbook.kubernetes.access import NEEDED, Permission
from pyrunbook.kubernetes.apply import apply, prepare, read_manifests
from pyrunbook.kubernetes.client import connect
from pyrunbook.kubernetes.drain import drain
from pyrunbook.kubernetes.errors import ClusterError, Forbidden
from pyrunbook.kubernetes.export import backup
from pyrunbook.kubernetes.remove import remove
from pyrunbook.kubernetes.rollout import wait_for_rollout
from pyrunbook.kubernetes.switch import switch

ROLE = Path(__file__).parents[2] / "docs/kubernetes/role.yaml"


def rules() -> list[dict[str, Any]]:
    documents = list(yaml.safe_load_all(ROLE.read_text()))
    found: list[dict[str, Any]] = next(d for d in documents if d["kind"] == "Role")["rules"]
    return found


def test_the_role_grants_what_is_needed_and_no_more() -> None:
    granted = {
        Permission(group, resource, verb)
        for rule in rules()
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert granted == NEEDED


def test_a_user_with_the_role_lacks_nothing(standin_api: Api) -> None:
    cluster = connect(str(standin_api.user(rules())), None, standin_api.namespace)
    assert access.missing(cluster) == []
    assert access.require(cluster) == len(NEEDED)


@pytest.mark.parametrize(
    "lacking", ["update services", "list pods", "get pods/log", "create leases.coordination.k8s.io"]
)
def test_a_missing_verb_is_named(standin_api: Api, lacking: str) -> None:
    verb, resource = lacking.split()
    plural = resource.split(".")[0]
    kept = [
        {"apiGroups": [p.group], "resources": [p.resource], "verbs": [p.verb]}
        for p in NEEDED
        if (p.verb, p.resource) != (verb, plural)
    ]
    cluster = connect(str(standin_api.user(kept)), None, standin_api.namespace, patience=0.5)
    with pytest.raises(Forbidden) as raised:
        access.require(cluster)
    assert f"missing permissions in namespace {standin_api.namespace}: {lacking}\n" in str(raised.value)


def test_what_a_restarted_api_denies_at_first_is_not_missing(standin_api: Api) -> None:
    cluster = connect(str(standin_api.user(rules())), None, standin_api.namespace)
    standin_api.faults.restart(blind=0.8)
    assert access.require(cluster) == len(NEEDED)


def test_a_role_that_is_known_later_than_the_question_is_not_missing(
    standin_api: Api,
) -> None:
    """The review itself is allowed by a ClusterRole, which a restarted API may have read before the Role."""
    user = standin_api.user([])
    known = next(u for u in reversed(standin_api.faults.users.values()))
    cluster = connect(str(user), None, standin_api.namespace)
    threading.Timer(0.8, lambda: known.rules.extend(rules())).start()
    assert access.require(cluster) == len(NEEDED)


def test_a_whole_update_and_rollback_work_with_the_role_and_use_all_of_it(standin_api: Api, tmp_path: Path) -> None:
    """Runs as a user with nothing but the Role; then compares what was asked for with what is granted."""
    target = standin_api.two_colors(replicas=1, autoscaler=True)
    cluster = connect(str(standin_api.user(rules())), None, standin_api.namespace)
    standin_api.faults.requests.clear()
    access.require(cluster)
    lease.acquire(cluster, "agent-factory", "7f3a0001")
    state.read(cluster, target)
    backup(cluster, target, tmp_path / "backup.tar.gz")
    section = plan.capture(cluster, target)
    plan.store(cluster, "agent-factory", "7f3a0001", "{}")
    good = [*accompaniment("green", autoscaler=True), deployment("green", "1.1.0", replicas=1)]
    bad = deployment("green", "1.1.0", replicas=1, command=["/does-not-exist"])
    sources = read_manifests([standin_api.write(*good[:-1], bad)])
    apply(cluster, prepare(cluster, target, "green", sources, minimum_replicas=1))
    with pytest.raises(ClusterError):
        wait_for_rollout(cluster, "agent-factory-green", timeout=30)
    apply(cluster, prepare(cluster, target, "green", read_manifests([standin_api.write(*good)]), minimum_replicas=1))
    wait_for_rollout(cluster, "agent-factory-green", timeout=30)
    switch(cluster, target, "green")
    drain(cluster, target, "blue")
    remove(cluster, target, "blue")
    put_back.restore(cluster, section)
    put_back.restore_preview(cluster, section)
    plan.fetch(cluster, "agent-factory", "7f3a0001")
    plan.prune(cluster, "agent-factory", 1)
    lease.renew(cluster, "agent-factory", "7f3a0001")
    lease.release(cluster, "agent-factory", "7f3a0001")
    asked = {
        Permission(r.group, r.resource, r.verb)
        for r in standin_api.faults.requests
        if r.user != "admin" and r.resource != "selfsubjectaccessreviews"
    }
    assert not [r for r in standin_api.faults.requests if r.code == 403]
    assert asked <= NEEDED
    # Of the kinds that a release may hold, the ones in this test; each takes the same path through the code.
    optional = {p for p in NEEDED if p.resource in ("ingresses",)} | {
        p for p in NEEDED if p.verb in ("create", "update", "patch", "delete", "get") and p.resource in _MANAGED_PLURALS
    }
    assert NEEDED - asked <= optional


_MANAGED_PLURALS = {
    "configmaps",
    "services",
    "deployments",
    "horizontalpodautoscalers",
    "poddisruptionbudgets",
    "ingresses",
}
