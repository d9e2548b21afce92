"""Draining a color and removing it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cluster_api import Api, accompaniment, deployment

from pyrunbook.errors import Refused
from pyrunbook.kubernetes.drain import drain
from pyrunbook.kubernetes.errors import ClusterError, NoLongerServes, TimedOut
from pyrunbook.kubernetes.export import color_objects
from pyrunbook.kubernetes.remove import remove
from pyrunbook.kubernetes.rollout import wait_for_rollout
from pyrunbook.kubernetes.serving import require_serving
from pyrunbook.plugins.known_errors import known_errors

CLEANUP = Path(__file__).parents[2] / "roles" / "cleanup"
SCOPE = {"app": "agent-factory", "version": "blue"}


def test_a_drain_ends_when_no_pod_is_left(api: Api) -> None:
    target = api.two_colors(active="green", preview_release="1.0.4", release="1.1.0", replicas=2)
    result = drain(api.cluster(), target, "blue")
    assert result["changed"] and result["replicas_before"] == 1
    assert api.cluster().list_all("Pod", SCOPE) == []
    live = api.cluster().get("Deployment", "agent-factory-blue")
    assert live is not None and live["spec"]["replicas"] == 0
    conditions = {c["type"]: c["status"] for c in live["status"]["conditions"]}
    assert conditions["Available"] == "True", "which is why the condition says nothing about a drain"
    assert not drain(api.cluster(), target, "blue")["changed"]


def test_a_color_that_is_not_there_is_drained(api: Api) -> None:
    target = api.two_colors(replicas=1)
    assert not drain(api.cluster(), target, "green")["changed"]


def test_what_serves_is_drained_only_on_purpose(api: Api) -> None:
    target = api.two_colors(replicas=1)
    with pytest.raises(Refused, match="chooses blue"):
        drain(api.cluster(), target, "blue")
    assert len(api.cluster().list_all("Pod", SCOPE)) == 1
    assert drain(api.cluster(), target, "blue", check=True)["changed"]
    assert len(api.cluster().list_all("Pod", SCOPE)) == 1
    drain(api.cluster(), target, "blue", stops_traffic=True)
    assert api.cluster().list_all("Pod", SCOPE) == []


def test_an_autoscaler_with_a_minimum_stays_and_does_not_scale_up_from_zero(api: Api) -> None:
    target = api.two_colors(replicas=2, autoscaler=True)
    result = drain(api.cluster(), target, "blue", stops_traffic=True)
    assert result["autoscalers_removed"] == []
    assert api.cluster().get("HorizontalPodAutoscaler", "agent-factory-blue") is not None
    assert api.cluster().list_all("Pod", SCOPE) == []


def test_an_autoscaler_that_may_start_from_zero_is_removed_first(standin_api: Api) -> None:
    target = standin_api.two_colors(replicas=2, autoscaler=True)
    patch = {"spec": {"minReplicas": 0}}
    standin_api.cluster().merge_patch("HorizontalPodAutoscaler", "agent-factory-blue", patch)
    result = drain(standin_api.cluster(), target, "blue", stops_traffic=True)
    assert result["autoscalers_removed"] == ["agent-factory-blue"]
    assert standin_api.cluster().list_all("Pod", SCOPE) == []


def test_something_that_keeps_the_replicas_is_named(standin_api: Api) -> None:
    target = standin_api.two_colors(replicas=1)
    gitops_cluster = standin_api.as_manager("argocd-controller")

    def gitops() -> None:
        gitops_cluster.merge_patch("Deployment", "agent-factory-blue", {"spec": {"replicas": 1}})

    with pytest.raises(ClusterError, match=r"scaled up again .* times while it was drained, last by argocd-controller"):
        drain(standin_api.cluster().keeping(gitops), target, "blue", stops_traffic=True, timeout=30)


def test_pods_that_do_not_end_are_named(standin_api: Api) -> None:
    target = standin_api.two_colors(replicas=1)
    standin_api.faults.controllers.pace.termination = 60
    with pytest.raises(TimedOut, match=r"drain of blue.*1 pods left: agent-factory-blue-"):
        drain(standin_api.cluster(), target, "blue", stops_traffic=True, timeout=0.5)


@pytest.mark.parametrize("fault", [500, 409, "reset", "lost"])
def test_faults_do_not_stop_a_drain_or_a_removal(standin_api: Api, fault: int | str) -> None:
    target = standin_api.two_colors(active="green", preview_release="1.0.4", replicas=1)
    standin_api.faults.fail(fault, verb="patch", times=2)
    standin_api.faults.fail(fault, verb="delete", times=3)
    standin_api.faults.fail(500, verb="list", times=3)
    drain(standin_api.cluster(), target, "blue")
    remove(standin_api.cluster(), target, "blue")
    assert standin_api.cluster().get("Deployment", "agent-factory-blue") is None


def test_a_removal_takes_the_color_and_nothing_else(api: Api) -> None:
    target = api.two_colors(active="green", preview_release="1.0.4", replicas=1)
    other = deployment("blue", "3.0", name="another-service", replicas=1)
    api.create(other)
    result = remove(api.cluster(), target, "blue")
    assert sorted(result["removed"]) == [
        "ConfigMap/agent-factory-blue",
        "Deployment/agent-factory-blue",
        "PodDisruptionBudget/agent-factory-blue",
    ]
    cluster = api.cluster()
    assert color_objects(cluster, target, "blue", SCOPE) == []
    assert cluster.list_all("Pod", SCOPE) == []
    assert cluster.get("Deployment", "another-service-blue") is not None
    assert cluster.get("Deployment", "agent-factory-green") is not None
    assert cluster.get("Service", "agent-factory") is not None
    assert not remove(cluster, target, "blue")["changed"]


def test_what_gitops_creates_again_is_told_as_that(api: Api) -> None:
    """It has another uid, and its fields another manager: no finalizer keeps it, and waiting does not help."""
    target = api.two_colors(active="green", preview_release="1.0.4", replicas=1)
    again = deployment("blue", "1.0.4", replicas=1)
    again["metadata"]["annotations"] = {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:x/agent-factory-blue"}
    argo = api.as_manager("argocd-controller")

    def sync() -> None:
        if api.cluster().get("Deployment", "agent-factory-blue") is None:
            argo.apply(again)

    started = time.monotonic()
    with pytest.raises(ClusterError) as raised:
        remove(api.cluster().keeping(sync), target, "blue", timeout=60)
    words = str(raised.value)
    assert (
        "Deployment agent-factory-blue was deleted and is there again: created by argocd-controller (Argo CD, shop)"
        in (words)
    )
    assert time.monotonic() - started < 30 and "finalizer" not in words
    told = known_errors(CLEANUP / "meta" / "step.yml", words, "web", {"service_platform": "kubernetes"})
    assert [entry["error"] for entry in told] == ["is there again"]


def test_what_serves_is_not_removed(api: Api) -> None:
    target = api.two_colors(replicas=1)
    with pytest.raises(Refused, match="blue is not removed"):
        remove(api.cluster(), target, "blue")
    assert api.cluster().get("Deployment", "agent-factory-blue") is not None


def test_check_only_names_what_would_go(api: Api) -> None:
    target = api.two_colors(replicas=1)
    assert "Deployment/agent-factory-blue" in remove(api.cluster(), target, "blue", check=True)["removed"]
    assert api.cluster().get("Deployment", "agent-factory-blue") is not None


def test_an_evicted_pod_does_not_hold_up_a_drain(standin_api: Api) -> None:
    """A ReplicaSet that is scaled to zero leaves pods of phase Failed where they are."""
    target = standin_api.two_colors(replicas=1, preview_release="1.1.0")
    pod = standin_api.cluster().list_all("Pod", SCOPE)[0]["metadata"]["name"]
    standin_api.faults.controllers.evict(standin_api.namespace, pod)
    wait_for_rollout(standin_api.cluster(), "agent-factory-blue", timeout=60)
    drain(standin_api.cluster(), target, "blue", stops_traffic=True, timeout=5)
    assert [p["metadata"]["name"] for p in standin_api.cluster().list_all("Pod", SCOPE)] == [pod]
    standin_api.cluster().merge_patch("Service", "agent-factory", {"spec": {"selector": {"version": "green"}}})
    remove(standin_api.cluster(), target, "blue", timeout=5)


def test_traffic_that_comes_back_during_the_delay_is_not_cut_off(api: Api) -> None:
    """As a GitOps controller does that does not know of the switch."""
    target = api.two_colors(active="green", preview_release="1.0.4", replicas=1)

    def gitops() -> None:
        api.cluster().merge_patch("Service", "agent-factory", {"spec": {"selector": {"version": "blue"}}})

    with pytest.raises(Refused, match="chooses blue"):
        drain(api.cluster().keeping(gitops), target, "blue", delay=0.1)
    live = api.cluster().get("Deployment", "agent-factory-blue")
    assert live and live["spec"]["replicas"] == 1


def verified(api: Api, replicas: int = 3) -> dict[str, Any]:
    """What a rollout saw of green, which serves beside a blue that may go."""
    target = api.two_colors(active="green", preview_release="1.0.4", release="1.1.0", replicas=replicas)
    return {"target": target, "deployed": {"agent-factory-green": _seen(api)}}


def _seen(api: Api) -> dict[str, Any]:
    return wait_for_rollout(api.cluster(), "agent-factory-green", timeout=60)


def _gone(api: Api) -> None:
    api.cluster().delete("Deployment", "agent-factory-green")


def _scaled(replicas: int) -> Callable[[Api], None]:
    def change(api: Api) -> None:
        api.cluster().merge_patch("Deployment", "agent-factory-green", {"spec": {"replicas": replicas}})
        deadline = time.monotonic() + 30
        while len(api.cluster().list_all("Pod", {**SCOPE, "version": "green"})) != replicas:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    return change


def _another_image(api: Api) -> None:
    live = api.cluster().get("Deployment", "agent-factory-green")
    assert live
    live["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.k8s.io/pause:3.9"
    api.cluster().replace(live)
    _seen(api)


@pytest.mark.parametrize("take_away", [drain, remove])
@pytest.mark.parametrize(
    ("meanwhile", "words"),
    [
        (_gone, "Deployment agent-factory-green is gone"),
        (_scaled(0), "0 of 3 pods"),
        (_scaled(1), "1 of 3 pods of Deployment agent-factory-green are ready, and it is scaled to 1"),
        (_another_image, "runs registry.k8s.io/pause:3.9; verified was registry.k8s.io/pause:3.10"),
    ],
)
def test_what_served_is_left_where_the_other_color_is_not_what_was_verified(
    api: Api, take_away: Callable[..., Any], meanwhile: Callable[[Api], None], words: str
) -> None:
    asked = verified(api)
    meanwhile(api)
    with pytest.raises(NoLongerServes, match=re.escape(words)) as error:
        take_away(api.cluster(), asked["target"], "blue", deployed=asked["deployed"])
    assert words in error.value.evidence["no_longer_serves"]
    blue = api.cluster().get("Deployment", "agent-factory-blue")
    assert blue and blue["spec"]["replicas"] == 1 and len(api.cluster().list_all("Pod", SCOPE)) == 1


def test_a_drain_sees_what_happens_during_its_delay(api: Api) -> None:
    asked = verified(api, replicas=2)
    with pytest.raises(NoLongerServes, match="is gone"):
        drain(api.cluster().keeping(lambda: _gone(api)), asked["target"], "blue", deployed=asked["deployed"], delay=0.1)
    assert len(api.cluster().list_all("Pod", SCOPE)) == 1


def test_an_autoscaler_may_have_taken_pods_back(api: Api) -> None:
    """What decides how many there are is its minimum; without an autoscaler somebody has taken one away."""
    asked = verified(api)
    scaler = next(o for o in accompaniment("green", autoscaler=True) if o["kind"] == "HorizontalPodAutoscaler")
    api.create(scaler)
    _scaled(2)(api)
    require_serving(api.cluster(), asked["target"], "green", asked["deployed"])
    api.cluster().delete("HorizontalPodAutoscaler", "agent-factory-green")
    with pytest.raises(NoLongerServes, match="2 of 3 pods"):
        require_serving(api.cluster(), asked["target"], "green", asked["deployed"])


def test_pods_that_are_being_replaced_are_waited_for(standin_api: Api) -> None:
    asked = verified(standin_api)
    standin_api.faults.controllers.pace.ready = 0.5
    pod = standin_api.cluster().list_all("Pod", {**SCOPE, "version": "green"})[0]["metadata"]["name"]
    standin_api.cluster().delete("Pod", pod)
    drain(standin_api.cluster(), asked["target"], "blue", deployed=asked["deployed"])
    assert standin_api.cluster().list_all("Pod", SCOPE) == []
