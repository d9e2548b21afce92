"""Waiting for a rollout, and giving up early with the reason."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from cluster_api import Api, deployment

from pyrunbook.errors import Refused
from pyrunbook.kubernetes import rollout
from pyrunbook.kubernetes.errors import ClusterError, TimedOut
from pyrunbook.kubernetes.rollout import wait_for_rollout
from pyrunbook.plugins.known_errors import known_errors

ROLE = Path(__file__).parents[2] / "roles" / "deploy_green"


def test_it_waits_until_every_pod_is_new_and_ready(api: Api) -> None:
    api.create(deployment("green", "1.0.4", replicas=2))
    assert wait_for_rollout(api.cluster(), "agent-factory-green", timeout=60)["ready"] == 2
    old = {p["metadata"]["name"] for p in api.cluster().list_all("Pod")}
    obj = deployment("green", "1.1.0", replicas=3)
    live = api.cluster().get("Deployment", "agent-factory-green")
    assert live is not None
    api.cluster().replace({**live, "kind": "Deployment", "spec": {**live["spec"], **obj["spec"]}})
    result = wait_for_rollout(api.cluster(), "agent-factory-green", timeout=60)
    assert result["ready"] == 3 and not old & set(result["pods"])


@pytest.mark.parametrize(
    ("container", "reason"),
    [
        ({"image": "registry.invalid/agent-factory:1.1.0"}, "ErrImagePull|ImagePullBackOff"),
        ({"image": "Not:An:Image"}, "InvalidImageName"),
        ({"envFrom": [{"configMapRef": {"name": "not-there"}}]}, "CreateContainerConfigError"),
        ({"command": ["/does-not-exist"]}, "CrashLoopBackOff|RunContainerError|CreateContainerError"),
    ],
)
def test_a_pod_that_cannot_start_ends_the_wait_with_reason_and_events(
    kubelet_api: Api, container: dict[str, Any], reason: str
) -> None:
    kubelet_api.create(deployment("green", "1.1.0", replicas=1, **container))
    start = time.monotonic()
    with pytest.raises(ClusterError, match=reason) as raised:
        wait_for_rollout(kubelet_api.cluster(), "agent-factory-green", timeout=120)
    assert not isinstance(raised.value, TimedOut) and time.monotonic() - start < 60
    assert raised.value.evidence["events"], "the events are part of the diagnosis"
    assert "event: Warning" in str(raised.value)


def test_the_last_log_lines_of_a_crash_are_shown(standin_api: Api) -> None:
    standin_api.create(deployment("green", "1.1.0", replicas=1, command=["/does-not-exist"]))
    with pytest.raises(ClusterError, match="log: app: cannot open database"):
        wait_for_rollout(standin_api.cluster(), "agent-factory-green", timeout=60)


def test_a_container_that_takes_too_much_memory_is_no_crash(standin_api: Api) -> None:
    """A kubelet lets both wait in CrashLoopBackOff; only the last state tells them apart."""
    hungry = {"command": ["/takes-more-memory-than-it-may"], "resources": {"limits": {"memory": "64Mi"}}}
    standin_api.create(deployment("green", "1.1.0", replicas=1, **hungry))
    with pytest.raises(ClusterError) as raised:
        wait_for_rollout(standin_api.cluster(), "agent-factory-green", timeout=60)
    words = str(raised.value)
    assert "cannot start: OOMKilled: container app took more memory than its limit of 64Mi" in words
    assert "CrashLoopBackOff" not in words and raised.value.evidence["reason"] == "OOMKilled"
    told = known_errors(ROLE / "meta" / "step.yml", words, "web", {"service_platform": "kubernetes"})
    assert [entry["error"] for entry in told] == ["OOMKilled"]


def test_pods_that_never_get_ready_are_named_when_the_time_is_over(kubelet_api: Api) -> None:
    probe = {"tcpSocket": {"port": 1}, "periodSeconds": 1}
    kubelet_api.create(deployment("green", "1.1.0", replicas=1, readinessProbe=probe))
    with pytest.raises(TimedOut, match=r"rollout of Deployment agent-factory-green; seen last: .*0 of 1 pods ready"):
        wait_for_rollout(kubelet_api.cluster(), "agent-factory-green", timeout=2)


def test_a_progress_deadline_ends_the_wait(kubelet_api: Api) -> None:
    obj = deployment("green", "1.1.0", replicas=1, readinessProbe={"tcpSocket": {"port": 1}, "periodSeconds": 1})
    obj["spec"]["progressDeadlineSeconds"] = 1
    kubelet_api.create(obj)
    with pytest.raises(ClusterError, match="ProgressDeadlineExceeded"):
        wait_for_rollout(kubelet_api.cluster(), "agent-factory-green", timeout=60)


def test_a_quota_ends_the_wait(standin_api: Api) -> None:
    standin_api.quota(2)
    standin_api.create(deployment("green", "1.1.0", replicas=3))
    with pytest.raises(ClusterError, match=r"ReplicaFailure.*exceeded quota"):
        wait_for_rollout(standin_api.cluster(), "agent-factory-green", timeout=60, refused_seconds=0.3)


def test_a_refusal_that_passes_is_no_failure(standin_api: Api) -> None:
    """A webhook that restarts, or pods that are on their way out of the quota."""
    standin_api.quota(2)
    standin_api.create(deployment("green", "1.1.0", replicas=3))
    seen: list[bool] = []

    def beat() -> None:
        live = standin_api.cluster().get("Deployment", "agent-factory-green") or {}
        conditions = live.get("status", {}).get("conditions") or []
        if any(c["type"] == "ReplicaFailure" for c in conditions):
            seen.append(True)
        if len(seen) == 2:  # one look has found it refused
            with standin_api.faults.store.lock:
                standin_api.faults.store.records.pop(("resourcequotas", standin_api.namespace, "pods"), None)

    assert wait_for_rollout(standin_api.cluster().keeping(beat), "agent-factory-green", timeout=60)["ready"] == 3
    assert seen


def test_an_evicted_pod_does_not_hold_up_a_rollout(standin_api: Api) -> None:
    """It stays in the list with phase Failed; its ReplicaSet puts another one in its place."""
    standin_api.create(deployment("green", "1.1.0", replicas=2))
    first = wait_for_rollout(standin_api.cluster(), "agent-factory-green", timeout=60)["pods"]
    standin_api.faults.controllers.evict(standin_api.namespace, first[0])
    second = wait_for_rollout(standin_api.cluster(), "agent-factory-green", timeout=5)["pods"]
    assert len(second) == 2 and first[0] not in second
    assert len(standin_api.cluster().list_all("Pod")) == 3


def test_a_log_that_cannot_be_had_does_not_hold_up_the_rollback(
    standin_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API answers 500 for the log of a pod whose node does not answer."""
    monkeypatch.setattr(rollout, "_REPORT_PATIENCE", 0.5)
    standin_api.create(deployment("green", "1.1.0", replicas=1, command=["/does-not-exist"]))
    standin_api.faults.fail(500, resource="pods/log", times=1000)
    start = time.monotonic()
    with pytest.raises(ClusterError, match=r"CrashLoopBackOff(.|\n)*log: app: the API .* did not do it within 0.5 s"):
        wait_for_rollout(standin_api.cluster(), "agent-factory-green", timeout=60)
    assert time.monotonic() - start < 3


def test_old_pods_that_fail_are_no_reason_to_give_up_on_new_ones(kubelet_api: Api) -> None:
    kubelet_api.create(deployment("green", "1.0.9", replicas=1, image="registry.invalid/agent-factory:1.0.9"))
    with pytest.raises(ClusterError):
        wait_for_rollout(kubelet_api.cluster(), "agent-factory-green", timeout=60)
    if kubelet_api.standin:
        kubelet_api.standin.controllers.pace.ready = 0.6
    live = kubelet_api.cluster().get("Deployment", "agent-factory-green")
    assert live is not None
    spec = {**live["spec"], **deployment("green", "1.1.0", replicas=1)["spec"]}
    kubelet_api.cluster().replace({**live, "kind": "Deployment", "spec": spec})
    assert wait_for_rollout(kubelet_api.cluster(), "agent-factory-green", timeout=60)["ready"] == 1


def test_stable_seconds_are_waited_for(api: Api) -> None:
    api.create(deployment("green", "1.1.0", replicas=1))
    wait_for_rollout(api.cluster(), "agent-factory-green", timeout=60)
    start = time.monotonic()
    wait_for_rollout(api.cluster(), "agent-factory-green", timeout=60, stable_seconds=0.7)
    assert time.monotonic() - start >= 0.7


def test_a_lost_lock_ends_the_wait(api: Api) -> None:
    def beat() -> None:
        raise Refused("run x has lost the lock")

    api.create(deployment("green", "1.1.0", replicas=1))
    with pytest.raises(Refused, match="lost the lock"):
        wait_for_rollout(api.cluster().keeping(beat), "agent-factory-green", timeout=60)


def test_a_deployment_that_vanishes_is_said(api: Api) -> None:
    with pytest.raises(ClusterError, match="is not in namespace"):
        wait_for_rollout(api.cluster(), "agent-factory-green", timeout=5)
