"""Rollback plans: captured, kept in the cluster, and executed from the plan alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cluster_api import Api, accompaniment, deployment

from pyrunbook.errors import BadInput
from pyrunbook.kubernetes import plan, put_back, state
from pyrunbook.kubernetes.apply import apply, prepare, read_manifests
from pyrunbook.kubernetes.drain import drain
from pyrunbook.kubernetes.errors import ClusterError
from pyrunbook.kubernetes.export import export
from pyrunbook.kubernetes.remove import remove
from pyrunbook.kubernetes.rollout import wait_for_rollout
from pyrunbook.kubernetes.switch import switch
from pyrunbook.rollout.plan import unseal


def captured(api: Api) -> dict[str, Any]:
    """The section as it comes back from a file."""
    section: dict[str, Any] = json.loads(json.dumps(plan.capture(api.cluster(), api.target)))
    return section


def deploy(api: Api, version: str = "1.1.0") -> None:
    sources = read_manifests([api.write(*accompaniment("green"), deployment("green", version, replicas=1))])
    apply(api.cluster(), prepare(api.cluster(), api.target, "green", sources, minimum_replicas=2))
    wait_for_rollout(api.cluster(), "agent-factory-green", timeout=60)


def comparable(api: Api) -> dict[str, Any]:
    """What of the service must be as before."""
    found = state.read(api.cluster(), api.target)
    for color in found["colors"].values():
        color.pop("endpoints")
    return {"state": found["colors"], "active": found["active"], "manifests": export(api.cluster(), api.target)}


def test_the_section_has_the_promised_shape(api: Api) -> None:
    api.two_colors(replicas=2, autoscaler=True)
    section = captured(api)
    assert section["namespace"] == api.namespace and section["active"] == "blue"
    assert section["replicas"] == {"blue": 2, "green": 0} and section["objects"]["green"] == []
    assert section["service"]["selector"] == {"app": "agent-factory", "version": "blue"}
    assert section["preview"]["name"] == "agent-factory-preview"
    kinds = [o["kind"] for o in section["objects"]["blue"]]
    assert kinds == ["ConfigMap", "Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget"]
    for obj in section["objects"]["blue"]:
        assert "status" not in obj
        assert not {"uid", "resourceVersion", "managedFields", "generation"} & set(obj["metadata"])


STAGES = ["nothing", "deployed", "switched", "drained", "removed", "drained_first"]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("autoscaler", [False, True])
def test_from_every_stage_of_an_update_the_state_before_comes_back(api: Api, stage: str, autoscaler: bool) -> None:
    target = api.two_colors(replicas=2, autoscaler=autoscaler)
    before, section, cluster = comparable(api), captured(api), api.cluster()
    if stage == "drained_first":
        drain(cluster, target, "blue", stops_traffic=True)
    if stage != "nothing":
        deploy(api)
    if stage in ("switched", "drained", "removed"):
        switch(cluster, target, "green")
    if stage in ("drained", "removed"):
        drain(cluster, target, "blue")
    if stage == "removed":
        remove(cluster, target, "blue")
    result = put_back.restore(cluster, section)
    assert result["active"] == "blue" and result["endpoints"] == 2
    assert result["changed"] == (stage in ("switched", "drained", "removed", "drained_first"))
    put_back.restore_preview(cluster, section)
    assert comparable(api) == before
    assert not put_back.restore(cluster, section)["changed"]
    assert not put_back.restore_preview(cluster, section)["changed"]


def test_what_an_autoscaler_has_added_since_is_not_taken_away(api: Api) -> None:
    target = api.two_colors(replicas=2, autoscaler=True)
    section = captured(api)
    api.cluster().merge_patch("Deployment", "agent-factory-blue", {"spec": {"replicas": 4}})
    wait_for_rollout(api.cluster(), "agent-factory-blue", timeout=60)
    assert not put_back.restore(api.cluster(), section)["changed"]
    assert state.read(api.cluster(), target)["colors"]["blue"]["replicas"] == 4


def test_a_preview_that_was_there_comes_back_as_it_was(api: Api) -> None:
    api.two_colors(replicas=1, preview_release="1.0.3")
    before, section = comparable(api), captured(api)
    deploy(api)
    put_back.restore(api.cluster(), section)
    put_back.restore_preview(api.cluster(), section)
    wait_for_rollout(api.cluster(), "agent-factory-green", timeout=60)
    assert comparable(api) == before


def test_a_deleted_service_comes_back(api: Api) -> None:
    api.two_colors(replicas=1)
    section = captured(api)
    api.cluster().delete("Service", "agent-factory")
    put_back.restore(api.cluster(), section)
    assert state.read(api.cluster(), api.target)["active"] == "blue"


def test_a_deletion_under_way_is_waited_for(standin_api: Api) -> None:
    standin_api.two_colors(replicas=1)
    section = captured(standin_api)
    standin_api.faults.controllers.pace.termination = 0.6
    standin_api.cluster().delete("Deployment", "agent-factory-blue", propagation="Foreground")
    assert put_back.restore(standin_api.cluster(), section)["endpoints"] == 1


def test_check_changes_nothing(api: Api) -> None:
    target = api.two_colors(replicas=1)
    section = captured(api)
    deploy(api)
    switch(api.cluster(), target, "green")
    assert put_back.restore(api.cluster(), section, check=True)["done"] == ["Service/agent-factory replaced"]
    assert state.read(api.cluster(), target)["active"] == "green"


def test_some_ready_pods_of_the_old_color_are_better_than_none(
    kubelet_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(put_back, "_DEGRADED_TIMEOUT", 1.0)
    target = kubelet_api.two_colors(replicas=1)
    section = captured(kubelet_api)
    deploy(kubelet_api)
    switch(kubelet_api.cluster(), target, "green")
    blue = next(o for o in section["objects"]["blue"] if o["kind"] == "Deployment")
    blue["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.invalid/agent-factory:1.0.4"
    result = put_back.restore(kubelet_api.cluster(), section)
    assert any("is not complete, 1 pods are ready" in line for line in result["done"])
    assert state.read(kubelet_api.cluster(), target)["active"] == "blue"


def test_when_the_old_color_cannot_run_the_traffic_is_not_sent_to_it(kubelet_api: Api) -> None:
    target = kubelet_api.two_colors(replicas=1)
    section = captured(kubelet_api)
    deploy(kubelet_api)
    switch(kubelet_api.cluster(), target, "green")
    drain(kubelet_api.cluster(), target, "blue")
    blue = next(o for o in section["objects"]["blue"] if o["kind"] == "Deployment")
    blue["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.invalid/agent-factory:1.0.4"
    with pytest.raises(ClusterError, match="cannot start"):
        put_back.restore(kubelet_api.cluster(), section)
    assert state.read(kubelet_api.cluster(), target)["active"] == "green"


@pytest.mark.parametrize("fault", [500, 409, "reset", "lost"])
def test_faults_do_not_stop_a_rollback(standin_api: Api, fault: int | str) -> None:
    target = standin_api.two_colors(replicas=1)
    section = captured(standin_api)
    deploy(standin_api)
    switch(standin_api.cluster(), target, "green")
    remove(standin_api.cluster(), target, "blue")
    standin_api.faults.fail(fault, verb="update", times=2)
    standin_api.faults.fail(fault, verb="patch", times=2)
    standin_api.faults.fail(500, verb="get", times=2)
    put_back.restore(standin_api.cluster(), section)
    put_back.restore_preview(standin_api.cluster(), section)
    assert state.read(standin_api.cluster(), target)["active"] == "blue"


def test_a_section_of_another_namespace_or_without_its_parts_is_refused(api: Api) -> None:
    api.two_colors(replicas=1, wait=False)
    section = captured(api)
    with pytest.raises(BadInput, match="is of namespace elsewhere"):
        put_back.restore(api.cluster(), {**section, "namespace": "elsewhere"})
    with pytest.raises(BadInput, match="no sound Kubernetes section"):
        put_back.restore(api.cluster(), {k: v for k, v in section.items() if k != "objects"})


# --- plans in the cluster ---------------------------------------------------------------------------------------------


def test_a_plan_is_stored_once_found_again_and_listed(api: Api) -> None:
    cluster = api.cluster()
    assert plan.store(cluster, "agent-factory", "7f3a0001", '{"plan": 1}')
    assert not plan.store(cluster, "agent-factory", "7f3a0001", '{"plan": "another"}')
    assert plan.fetch(cluster, "agent-factory", "7f3a0001") == '{"plan": 1}'
    assert [entry["id"] for entry in plan.stored(cluster, "agent-factory")] == ["7f3a0001"]
    assert plan.stored(cluster, "another-service") == []
    assert plan.fetch(cluster, "agent-factory", "12345678") is None


def test_a_big_plan_is_packed_and_comes_back_whole(api: Api) -> None:
    text = json.dumps({"filler": ["line of a ConfigMap " * 20] * 2000})
    assert len(text) > plan.BIG
    plan.store(api.cluster(), "agent-factory", "7f3a0001", text)
    assert plan.fetch(api.cluster(), "agent-factory", "7f3a0001") == text


def test_a_damaged_plan_is_not_given_out(api: Api) -> None:
    cluster = api.cluster()
    plan.store(cluster, "agent-factory", "7f3a0001", "{}")
    name = plan.config_map_name("agent-factory", "7f3a0001")
    cluster.merge_patch("ConfigMap", name, {"metadata": {"annotations": {"pyrunbook/sha256": "0" * 64}}})
    with pytest.raises(ClusterError, match="sum differs"):
        plan.fetch(cluster, "agent-factory", "7f3a0001")
    text = plan.kept(cluster, "agent-factory", "7f3a0001")
    with pytest.raises(BadInput, match="is not a rollback plan"):
        unseal(text, "the cluster")
    assert plan.kept(cluster, "agent-factory", "7f3a0002") == ""


def test_a_stored_plan_cannot_be_altered(api: Api) -> None:
    cluster = api.cluster()
    plan.store(cluster, "agent-factory", "7f3a0001", "{}")
    name = plan.config_map_name("agent-factory", "7f3a0001")
    with pytest.raises(BadInput, match="immutable"):
        cluster.merge_patch("ConfigMap", name, {"data": {"plan.json": "[]"}})


def test_old_plans_are_pruned_and_the_newest_never(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = api.cluster()
    for number in range(3):
        plan.store(cluster, "agent-factory", f"0000000{number}", "{}")
        name = plan.config_map_name("agent-factory", f"0000000{number}")
        created = {"pyrunbook/created": f"2026-11-0{number + 1}T02:00:00+00:00"}
        cluster.merge_patch("ConfigMap", name, {"metadata": {"annotations": created}})
    assert plan.prune(cluster, "agent-factory", 2) == ["00000000"]
    assert plan.prune(cluster, "agent-factory", 0) == ["00000001"]
    assert [entry["id"] for entry in plan.stored(cluster, "agent-factory")] == ["00000002"]


def test_a_lost_answer_while_storing_is_no_failure(standin_api: Api) -> None:
    standin_api.faults.fail("lost", verb="create", resource="configmaps")
    assert plan.store(standin_api.cluster(), "agent-factory", "7f3a0001", "{}")
    assert plan.fetch(standin_api.cluster(), "agent-factory", "7f3a0001") == "{}"


def test_the_clock_of_the_api_decides_which_plan_is_the_newest(standin_api: Api) -> None:
    """A machine whose clock is behind must not see its own plan as the oldest, and prune it."""
    cluster = standin_api.cluster()
    plan.store(cluster, "agent-factory", "00000001", "{}")
    with standin_api.faults.store.lock:
        key = ("configmaps", standin_api.namespace, plan.config_map_name("agent-factory", "00000001"))
        standin_api.faults.store.records[key].obj["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    plan.store(cluster, "agent-factory", "00000002", "{}")
    behind = {"pyrunbook/created": "2001-01-01T00:00:00+00:00"}
    name = plan.config_map_name("agent-factory", "00000002")
    cluster.merge_patch("ConfigMap", name, {"metadata": {"annotations": behind}})
    assert [entry["id"] for entry in plan.stored(cluster, "agent-factory")] == ["00000002", "00000001"]
    assert plan.prune(cluster, "agent-factory", 1) == ["00000001"]


def test_a_finalizer_that_a_controller_has_set_since_stays(api: Api) -> None:
    """A load balancer's, say: taken away, the balancer would be left behind."""
    api.two_colors(replicas=1)
    section = captured(api)
    mark = {"metadata": {"finalizers": ["example.com/balancer"]}}
    api.cluster().merge_patch("Service", "agent-factory", {**mark, "spec": {"sessionAffinity": "ClientIP"}})
    assert put_back.restore(api.cluster(), section)["done"] == ["Service/agent-factory replaced"]
    live = api.cluster().get("Service", "agent-factory")
    assert live and live["metadata"]["finalizers"] == ["example.com/balancer"]
    assert live["spec"]["sessionAffinity"] == "None"
    assert not put_back.restore(api.cluster(), section)["changed"]
    api.cluster().merge_patch("Service", "agent-factory", {"metadata": {"finalizers": None}})


def test_a_quota_without_room_for_both_colors_does_not_stop_a_rollback(standin_api: Api) -> None:
    """After a controlled stop the new color's pods fill the quota that the old one needs."""
    target = standin_api.two_colors(replicas=2)
    section = captured(standin_api)
    drain(standin_api.cluster(), target, "blue", stops_traffic=True)
    deploy(standin_api)
    standin_api.quota(2)
    result = put_back.restore(standin_api.cluster(), section)
    assert any("the quota has no room" in line for line in result["done"])
    assert result["endpoints"] == 2 and state.read(standin_api.cluster(), target)["active"] == "blue"
    put_back.restore_preview(standin_api.cluster(), section)
    assert standin_api.cluster().get("Deployment", "agent-factory-green") is None
