"""Applying a release's manifests to the preview color."""

from __future__ import annotations

from typing import Any

import pytest
from cluster_api import Api, accompaniment, deployment, service

from pyrunbook.errors import BadInput
from pyrunbook.kubernetes.apply import apply, prepare, read_manifests, release_and_replicas
from pyrunbook.kubernetes.errors import Conflict, Rejected


def run(api: Api, *objects: dict[str, Any], minimum: int = 1, **kwargs: Any) -> dict[str, Any]:
    sources = read_manifests([api.write(*objects)])
    prepared = prepare(api.cluster(), api.target, "green", sources, minimum_replicas=minimum)
    return apply(api.cluster(), prepared, **kwargs)


def release(replicas: int = 1, version: str = "1.1.0", **kwargs: Any) -> list[dict[str, Any]]:
    return [*accompaniment("green"), deployment("green", version, replicas=replicas, **kwargs)]


def test_a_release_is_applied_with_the_live_replica_count_and_once(api: Api) -> None:
    api.two_colors(replicas=3)
    result = run(api, *release(replicas=1), minimum=3)
    assert result["applied"] == {
        "ConfigMap/agent-factory-green": "created",
        "Deployment/agent-factory-green": "created",
        "PodDisruptionBudget/agent-factory-green": "created",
    }
    live = api.cluster().get("Deployment", "agent-factory-green")
    assert live and live["spec"]["replicas"] == 3
    managers = {(m["manager"], m["operation"]) for m in live["metadata"]["managedFields"]}
    assert ("pyrunbook", "Apply") in managers
    again = run(api, *release(replicas=1), minimum=3)
    assert not again["changed"] and set(again["applied"].values()) == {"unchanged"}


def test_more_replicas_than_the_active_color_are_kept(api: Api) -> None:
    api.two_colors(replicas=1)
    run(api, *release(replicas=2), minimum=1)
    live = api.cluster().get("Deployment", "agent-factory-green")
    assert live and live["spec"]["replicas"] == 2


def test_what_a_newer_release_leaves_out_is_removed(api: Api) -> None:
    api.two_colors(replicas=1)
    env = [{"name": "RELEASE", "value": "1.1.0"}, {"name": "OLD", "value": "yes"}]
    run(api, *release(env=env))
    assert run(api, *release(version="1.2.0"))["applied"]["Deployment/agent-factory-green"] == "configured"
    live = api.cluster().get("Deployment", "agent-factory-green")
    assert live is not None
    assert [e["name"] for e in live["spec"]["template"]["spec"]["containers"][0]["env"]] == ["RELEASE"]


def test_check_applies_nothing_and_says_what_would_change(api: Api) -> None:
    api.two_colors(replicas=1)
    result = run(api, *release(), check=True)
    assert result["changed"] and result["applied"]["Deployment/agent-factory-green"] == "created"
    assert api.cluster().get("Deployment", "agent-factory-green") is None


def test_every_object_gets_the_labels_by_which_it_is_found_again(api: Api) -> None:
    api.two_colors(replicas=1)
    objects = release()
    for obj in objects:
        obj["metadata"].pop("labels")
    run(api, *objects)
    live = api.cluster().get("ConfigMap", "agent-factory-green")
    assert live and live["metadata"]["labels"] == {"app": "agent-factory", "version": "green"}


def test_one_bad_manifest_and_none_is_applied(api: Api) -> None:
    api.two_colors(replicas=1)
    bad = deployment("green", "1.1.0")
    bad["spec"]["template"]["spec"]["containers"] = []
    with pytest.raises(Rejected, match=r"release\.yaml:\d+: rejected by the API"):
        run(api, *accompaniment("green"), bad)
    assert api.cluster().get("ConfigMap", "agent-factory-green") is None


def _changed(obj: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {**obj, "metadata": {**obj["metadata"], **metadata}}


@pytest.mark.parametrize(
    ("objects", "words"),
    [
        ([deployment("blue", "1.1.0")], "Deployment agent-factory-blue is blue, but this deploys green"),
        (
            [service("agent-factory", {"app": "agent-factory", "version": "green"})],
            "Service agent-factory gets selector",
        ),
        ([{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}], "kind Secret is not applied"),
        ([{"apiVersion": "v1", "metadata": {"name": "s"}}], "kind is missing"),
        ([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}], "metadata.name is missing"),
        ([_changed(accompaniment("green")[0], namespace="elsewhere")], "is for namespace elsewhere"),
        ([_changed(accompaniment("green")[0], labels={"version": "blue"})], "labelled version=blue"),
        ([accompaniment("green")[0], accompaniment("green")[0]], "is in .*already"),
        ([{**accompaniment("green", autoscaler=True)[2], "apiVersion": "autoscaling/v1"}], "must be of autoscaling/v2"),
        ([{**accompaniment("blue", autoscaler=True)[2], "metadata": {"name": "x"}}], "scales agent-factory-blue"),
    ],
)
def test_what_is_not_of_this_color_is_refused_with_file_and_line(
    api: Api, objects: list[dict[str, Any]], words: str
) -> None:
    api.two_colors(replicas=1, wait=False)
    with pytest.raises(BadInput, match=rf"release\.yaml:\d+: .*{words}"):
        run(api, deployment("green", "1.1.0"), *objects)
    assert api.cluster().get("Deployment", "agent-factory-green") is None
    live = api.cluster().get("Service", "agent-factory")
    assert live and live["spec"]["selector"]["version"] == "blue"


def test_a_deployment_whose_pods_the_service_would_not_find_is_refused(api: Api) -> None:
    api.two_colors(replicas=1, wait=False)
    obj = deployment("green", "1.1.0")
    obj["spec"]["template"]["metadata"]["labels"] = {"version": "green"}
    with pytest.raises(BadInput, match="lack the labels app=agent-factory"):
        run(api, obj)


def test_the_active_color_is_not_applied_to(api: Api) -> None:
    api.two_colors(replicas=1, wait=False)
    sources = read_manifests([api.write(deployment("blue", "1.1.0"))])
    with pytest.raises(BadInput, match="blue serves"):
        prepare(api.cluster(), api.target, "blue", sources, minimum_replicas=1)


def test_the_release_must_be_said_and_be_the_expected_one(api: Api) -> None:
    api.two_colors(replicas=1, wait=False)
    sources = read_manifests([api.write(deployment("green", "1.1.0"))])
    prepared = prepare(api.cluster(), api.target, "green", sources, minimum_replicas=4)
    assert release_and_replicas(prepared, api.target, "green") == ("1.1.0", 4)
    with pytest.raises(BadInput, match=r"is release 1\.1\.0, expected 2\.0\.0"):
        prepare(api.cluster(), api.target, "green", sources, minimum_replicas=1, release="2.0.0")


def test_a_field_of_another_manager_is_a_conflict_until_it_is_forced(api: Api) -> None:
    api.two_colors(replicas=1)
    run(api, *release())
    changed = {"data": {"mode": "by hand"}}
    from pyrunbook.kubernetes import client

    foreign = api.cluster()
    foreign.client.patch(
        client.RESOURCES["ConfigMap"],
        "agent-factory-green",
        changed,
        namespace=api.namespace,
        patch_type=client.PatchType.MERGE,
        field_manager="kubectl-edit",
    )
    with pytest.raises(Conflict, match=r"data.mode: conflict with \"kubectl-edit\"") as raised:
        run(api, *release())
    assert "deploy_green_force_conflicts" in raised.value.next_step
    assert run(api, *release(), force_conflicts=True)["changed"]
    live = api.cluster().get("ConfigMap", "agent-factory-green")
    assert live and live["data"]["mode"] == "of green"


def test_the_replica_count_and_our_own_writes_are_no_conflict(api: Api) -> None:
    api.two_colors(replicas=1)
    run(api, *release())
    api.cluster().merge_patch("Deployment", "agent-factory-green", {"spec": {"replicas": 0}})
    assert run(api, *release(replicas=2))["changed"]
    live = api.cluster().get("Deployment", "agent-factory-green")
    assert live and live["spec"]["replicas"] == 2


@pytest.mark.parametrize("fault", [500, 409, "reset", "lost"])
def test_faults_do_not_stop_it(standin_api: Api, fault: int | str) -> None:
    standin_api.two_colors(replicas=1)
    standin_api.faults.fail(fault, verb="patch", times=3)
    assert run(standin_api, *release())["changed"]


def environment(api: Api) -> dict[str, str]:
    live = api.cluster().get("Deployment", "agent-factory-green")
    assert live is not None
    return {e["name"]: e["value"] for e in live["spec"]["template"]["spec"]["containers"][0]["env"]}


OLD = [{"name": "RELEASE", "value": "1.0.9"}, {"name": "OLD", "value": "yes"}]


@pytest.mark.parametrize("manager", ["kubectl-client-side-apply", "kubectl-create", "pyrunbook"])
def test_what_whole_manifests_had_set_before_does_not_stay(api: Api, manager: str) -> None:
    """An apply removes what it leaves out only where it alone owned it by an earlier apply, so it takes ownership over.

    `kubectl apply --server-side` does so with the fields of `kubectl apply`; a rollback writes as `pyrunbook`.
    """
    api.two_colors(replicas=1)
    for obj in release(version="1.0.9", env=OLD):
        api.as_manager(manager).create(obj)
    assert environment(api) == {"RELEASE": "1.0.9", "OLD": "yes"}
    assert run(api, *release(env=[{"name": "RELEASE", "value": "1.1.0"}]))["changed"]
    assert environment(api) == {"RELEASE": "1.1.0"}
    assert not run(api, *release(env=[{"name": "RELEASE", "value": "1.1.0"}]))["changed"]


def test_what_was_edited_by_hand_is_no_manifest(api: Api) -> None:
    api.two_colors(replicas=1)
    run(api, *release())
    changed = deployment("green", "1.1.0", env=OLD)
    api.as_manager("kubectl-edit").merge_patch("Deployment", "agent-factory-green", {"spec": changed["spec"]})
    with pytest.raises(Conflict, match="kubectl-edit"):
        run(api, *release())
    assert environment(api)["OLD"] == "yes"


def test_a_shared_service_that_we_have_created_keeps_its_selector(api: Api) -> None:
    """A rollback creates a deleted Service by an apply; the next apply must not leave the selector out."""
    api.two_colors(replicas=1)
    shared = service("agent-factory", {"app": "agent-factory", "version": "blue"})
    api.cluster().delete("Service", "agent-factory")
    api.cluster().apply(shared)
    del shared["spec"]["selector"]
    run(api, *release(), shared)
    live = api.cluster().get("Service", "agent-factory")
    assert live and live["spec"]["selector"] == {"app": "agent-factory", "version": "blue"}


def test_a_deployment_that_is_on_its_way_out_is_waited_for(standin_api: Api) -> None:
    """What is applied to an object that is being deleted goes with it."""
    standin_api.two_colors(replicas=1, preview_release="1.0.9")
    standin_api.faults.controllers.pace.termination = 0.5
    standin_api.cluster().delete("Deployment", "agent-factory-green", propagation="Foreground")
    run(standin_api, *release())
    live = standin_api.cluster().get("Deployment", "agent-factory-green")
    assert live and "deletionTimestamp" not in live["metadata"]
    assert environment(standin_api)["RELEASE"] == "1.1.0"


def test_a_manifest_written_by_kubectl_get_is_taken(api: Api) -> None:
    """It has managedFields, which an apply may not have, and a resourceVersion, which would be a condition."""
    api.two_colors(replicas=1, preview_release="1.0.9")
    live = api.cluster().get("Deployment", "agent-factory-green")
    assert live is not None
    live["metadata"] |= {"resourceVersion": "1", "uid": "00000000-0000-0000-0000-000000000000"}
    live["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/version"] = "1.1.0"
    assert run(api, live)["applied"]["Deployment/agent-factory-green"] == "configured"
