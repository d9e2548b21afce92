"""The workload of a certificate is told: its pods are replaced, once for each move, or it says why not."""

from __future__ import annotations

import pytest
from cluster_api import Api, deployment
from secrets_under_test import (
    SECRET,
    issue,
    pair_in,
    rotate,
    staged,
)

from pyrunbook.kubernetes.errors import ClusterError
from pyrunbook.kubernetes.restart import ANNOTATION
from pyrunbook.kubernetes.rollout import wait_for_rollout
from pyrunbook.kubernetes.tls_secret import SecretPair
from pyrunbook.pki.issuers.local_ca import LocalAuthority


def started_for(api: Api, name: str = "agent-factory-blue") -> str:
    found = api.cluster().get("Deployment", name)
    assert found is not None
    return str((found["spec"]["template"]["metadata"].get("annotations") or {}).get(ANNOTATION, ""))


def test_the_workload_is_restarted_once_for_each_move(api: Api, pair: SecretPair, issuer: LocalAuthority) -> None:
    api.two_colors(replicas=2)
    rotate(pair, "run1", issue(issuer))
    new = issue(issuer)
    staged(pair, "run2", new)
    pair.activate("run2")
    pods = {p["metadata"]["name"] for p in api.cluster().list_all("Pod", {"version": "blue"})}
    beats: list[int] = []
    done = pair.reload(["agent-factory-blue", "agent-factory-green"], timeout=60, heartbeat=lambda: beats.append(1))
    assert done["changed"] and done["absent"] == ["agent-factory-green"] and beats
    assert started_for(api) == f"{SECRET} {new.serial} by run run2"
    after = {p["metadata"]["name"] for p in api.cluster().list_all("Pod", {"version": "blue"})}
    assert len(after) == 2 and not pods & after
    again = pair.reload(["agent-factory-blue"], timeout=60)
    assert not again["changed"] and again["deployments"]["agent-factory-blue"]["ready"] == 2
    pair.put_back("run2")
    assert pair.reload(["agent-factory-blue"], timeout=60)["changed"], "the way back is a move of its own"
    assert not after & {p["metadata"]["name"] for p in api.cluster().list_all("Pod", {"version": "blue"})}
    assert pair.reload([], timeout=1) | {"seconds": 0} == {
        "changed": False,
        "deployments": {},
        "absent": [],
        "seconds": 0,
    }


def test_a_workload_that_cannot_be_restarted_says_why(api: Api, pair: SecretPair, issuer: LocalAuthority) -> None:
    rotate(pair, "run1", issue(issuer))
    with pytest.raises(ClusterError, match="no Deployment agent-factory-blue or agent-factory-green"):
        pair.reload(["agent-factory-blue", "agent-factory-green"], timeout=5)
    api.two_colors(replicas=1)
    api.cluster().merge_patch("Deployment", "agent-factory-blue", {"spec": {"paused": True}})
    with pytest.raises(ClusterError, match="is paused") as raised:
        pair.reload(["agent-factory-blue"], timeout=5)
    assert "rollout resume deployment agent-factory-blue" in raised.value.next_step
    assert started_for(api) == ""


def test_pods_that_do_not_start_again_fail_the_reload_with_the_reason(kubelet_api: Api, issuer: LocalAuthority) -> None:
    pair = pair_in(kubelet_api.cluster())
    rotate(pair, "run1", issue(issuer))
    kubelet_api.create(deployment("blue", "1.0.4", replicas=1, envFrom=[{"configMapRef": {"name": "settings"}}]))
    kubelet_api.create({"kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {}})
    wait_for_rollout(kubelet_api.cluster(), "agent-factory-blue", timeout=60)
    kubelet_api.cluster().delete("ConfigMap", "settings")
    with pytest.raises(ClusterError, match="CreateContainerConfigError"):
        pair.reload(["agent-factory-blue"], timeout=30)
