"""Moving the traffic."""

from __future__ import annotations

import pytest
from cluster_api import Api, service

from pyrunbook.kubernetes import state, switch
from pyrunbook.kubernetes.errors import ClusterError, TimedOut


def selector(api: Api, name: str = "agent-factory") -> dict[str, str]:
    return state.selector_of(state.read_service(api.cluster(), name))


def test_the_whole_selector_moves_and_only_ready_pods_of_the_new_color_are_left(api: Api) -> None:
    target = api.two_colors(preview_release="1.1.0", replicas=2)
    live = api.cluster().get("Service", "agent-factory")
    result = switch.switch(api.cluster(), target, "green")
    assert result["changed"] and result["endpoints"] == 1
    assert selector(api) == {"app": "agent-factory", "version": "green"}
    assert selector(api, "agent-factory-preview") == {"app": "agent-factory", "version": "blue"}
    found = state.read(api.cluster(), target)
    slices = api.cluster().list_all("EndpointSlice", {"kubernetes.io/service-name": "agent-factory"})
    pods = {e["pod"] for e in state.slice_endpoints(slices)}
    assert pods == set(found["kubernetes"]["colors"]["green"]["pods"])
    after = api.cluster().get("Service", "agent-factory")
    assert live and after and live["spec"]["clusterIP"] == after["spec"]["clusterIP"]
    assert not switch.switch(api.cluster(), target, "green")["changed"]


def test_a_key_of_the_old_selector_does_not_stay_behind(api: Api) -> None:
    api.create(service("agent-factory", {"app": "agent-factory", "version": "blue", "track": "stable"}))
    wanted = {"app": "agent-factory", "version": "green"}
    before = selector(api)
    assert switch.replace_selector(api.cluster(), "agent-factory", wanted, expected=before)
    assert selector(api) == wanted


def test_without_a_ready_pod_the_traffic_stays(api: Api) -> None:
    target = api.two_colors(replicas=1)
    with pytest.raises(ClusterError, match="no ready pod of green"):
        switch.switch(api.cluster(), target, "green")
    assert selector(api)["version"] == "blue"
    assert switch.switch(api.cluster(), target, "green", check=True)["changed"]
    assert selector(api)["version"] == "blue"


def test_what_somebody_else_has_switched_is_not_overwritten(api: Api) -> None:
    api.create(service("agent-factory", {"app": "agent-factory", "version": "blue"}))
    expected = {"app": "agent-factory", "version": "green"}
    with pytest.raises(ClusterError, match="the selector of Service agent-factory is"):
        switch.replace_selector(api.cluster(), "agent-factory", {"version": "x"}, expected=expected)
    assert selector(api)["version"] == "blue"


@pytest.mark.parametrize("fault", [409, 500, "reset", "lost"])
def test_a_conflict_or_a_lost_answer_is_read_again_and_retried(standin_api: Api, fault: int | str) -> None:
    target = standin_api.two_colors(preview_release="1.1.0", replicas=1)
    standin_api.faults.fail(fault, verb="update", resource="services", times=2)
    assert switch.switch(standin_api.cluster(), target, "green")["changed"]
    assert selector(standin_api)["version"] == "green"


def test_a_real_change_in_between_is_a_conflict_that_keeps_the_other_change(standin_api: Api) -> None:
    target = standin_api.two_colors(preview_release="1.1.0", replicas=1)
    cluster = standin_api.cluster()
    original = cluster.replace
    calls = 0

    def replace(obj: dict[str, object]) -> dict[str, object]:
        nonlocal calls
        calls += 1
        if calls == 1:
            patch = {"metadata": {"annotations": {"somebody": "else"}}}
            standin_api.cluster().merge_patch("Service", "agent-factory", patch)
        return original(obj)

    cluster.replace = replace  # type: ignore[method-assign]
    switch.switch(cluster, target, "green")
    live = standin_api.cluster().get("Service", "agent-factory")
    assert live and live["metadata"]["annotations"]["somebody"] == "else"
    assert calls >= 2 and selector(standin_api)["version"] == "green"


def test_endpoints_that_do_not_follow_are_named(standin_api: Api) -> None:
    target = standin_api.two_colors(preview_release="1.1.0", replicas=1)
    standin_api.faults.controllers.pace.endpoints = 60
    with pytest.raises(TimedOut, match=r"traffic on green.*0 of 1 ready pods.*1 endpoints of other pods"):
        switch.switch(standin_api.cluster(), target, "green", timeout=0.5)


def test_an_endpoint_of_another_pod_is_not_accepted(api: Api) -> None:
    target = api.two_colors(preview_release="1.1.0", replicas=1)
    api.create(
        {
            "kind": "EndpointSlice",
            "metadata": {"name": "left-over", "labels": {"kubernetes.io/service-name": "agent-factory"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.9.9.9"], "conditions": {"ready": True}}],
            "ports": [{"name": "http", "port": 8000, "protocol": "TCP"}],
        }
    )
    with pytest.raises(TimedOut, match=r"1 of 1 ready pods.*1 endpoints of other pods"):
        switch.switch(api.cluster(), target, "green", timeout=1)


def test_a_merge_of_the_selector_would_have_left_no_endpoints(standin_api: Api) -> None:
    """The trap that replacing avoids; it is also a test of the stand-in."""
    standin_api.two_colors(preview_release="1.1.0", replicas=1)
    cluster = standin_api.cluster()
    cluster.merge_patch("Service", "agent-factory", {"spec": {"selector": {"track": "stable"}}})
    with pytest.raises(TimedOut):
        switch.wait_for_endpoints(cluster, "agent-factory", selector(standin_api), what="x", timeout=0.5)


def test_a_pod_in_two_slices_counts_once(standin_api: Api) -> None:
    """A dual-stack Service has a slice for each family; a pod may stand in two slices while its endpoint moves."""
    standin_api.two_colors(replicas=2)
    standin_api.faults.controllers.pace.endpoints = 60  # the slices stay as they are made here
    pods = standin_api.cluster().list_all("Pod", {"version": "blue"})
    own = standin_api.cluster().list_all("EndpointSlice", {"kubernetes.io/service-name": "agent-factory"})[0]
    first = next(e for e in own["endpoints"] if e["targetRef"]["name"] == pods[0]["metadata"]["name"])
    standin_api.cluster().replace({**own, "endpoints": [first]})
    second_family = {
        "kind": "EndpointSlice",
        "metadata": {"name": "agent-factory-six", "labels": own["metadata"]["labels"]},
        "addressType": "IPv6",
        "endpoints": [{**first, "addresses": ["fd00::1"]}],
        "ports": own["ports"],
    }
    standin_api.cluster().create(second_family)
    with pytest.raises(TimedOut, match="1 of 2 ready pods"):
        switch.wait_for_endpoints(
            standin_api.cluster(), "agent-factory", selector(standin_api), what="traffic", timeout=0.3
        )


def test_an_endpoint_without_reference_is_known_by_either_address() -> None:
    pod = {
        "metadata": {"name": "a"},
        "status": {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]},
    }
    assert state.addresses_of([pod]) == {"10.0.0.1", "fd00::1"}


def test_a_switch_that_is_taken_back_is_said_at_once(api: Api) -> None:
    """As a GitOps controller does; the endpoints would never follow."""
    target = api.two_colors(preview_release="1.1.0", replicas=1)

    def gitops() -> None:
        api.cluster().merge_patch("Service", "agent-factory", {"spec": {"selector": {"version": "blue"}}})

    with pytest.raises(ClusterError, match=r"chooses app=agent-factory,version=blue by now") as raised:
        switch.switch(api.cluster().keeping(gitops), target, "green", timeout=30)
    assert not isinstance(raised.value, TimedOut)
