"""What only a real API's schemas, defaults and merge keys can tell."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cluster_api import Api, accompaniment, deployment

from pyrunbook.kubernetes import plan, put_back
from pyrunbook.kubernetes.apply import apply, prepare, read_manifests
from pyrunbook.kubernetes.export import export
from pyrunbook.kubernetes.rollout import wait_for_rollout
from pyrunbook.kubernetes.switch import switch

pytestmark = pytest.mark.real_api(reason="the stand-in has few defaults and merges lists by name only")


def rich(color: str, release: str, **container: Any) -> list[dict[str, Any]]:
    """A color with many fields that the API completes: probes, volumes, a strategy, ports, an Ingress, a NodePort."""
    labels = {"app": "agent-factory", "version": color}
    name = f"agent-factory-{color}"
    main = deployment(
        color,
        release,
        replicas=2,  # the autoscaler's minimum
        **{
            "ports": [
                {"name": "http", "containerPort": 8000},
                {"name": "dns", "containerPort": 5353, "protocol": "UDP"},
                {"name": "dns-tcp", "containerPort": 5353},
            ],
            "resources": {"requests": {"cpu": "0.1", "memory": "64Mi"}, "limits": {"memory": "0.5Gi"}},
            "volumeMounts": [{"name": "config", "mountPath": "/etc/agent"}],
            **container,
        },
    )
    pod = main["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "config", "configMap": {"name": name}}]
    pod["securityContext"] = {}
    main["spec"]["strategy"] = {"rollingUpdate": {"maxUnavailable": 0}}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"{name}-direct", "labels": labels},
        "spec": {"type": "NodePort", "selector": labels, "ports": [{"port": 80, "targetPort": "http"}]},
    }
    backend = {"service": {"name": f"{name}-direct", "port": {"number": 80}}}
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "labels": labels},
        "spec": {"rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]},
    }
    return [*accompaniment(color, autoscaler=True), service, main, ingress]


def deploy(api: Api, *objects: dict[str, Any]) -> dict[str, Any]:
    sources = read_manifests([api.write(*objects)])
    return apply(api.cluster(), prepare(api.cluster(), api.target, "green", sources, minimum_replicas=2))


def test_a_rich_service_comes_back_as_it_was_and_a_second_time_nothing_changes(api: Api) -> None:
    """Defaults, normalized quantities, node ports and null fields must not look like changes."""
    target = api.two_colors(replicas=1, wait=False)
    # The rich manifests on top of the plain ones, as an operator would.
    cluster = api.cluster()
    for obj in rich("blue", "1.0.4"):
        cluster.apply(obj, force=True)
    wait_for_rollout(cluster, "agent-factory-blue", timeout=120)
    before = export(cluster, target)
    section = json.loads(json.dumps(plan.capture(cluster, target)))
    assert not put_back.restore(cluster, section)["changed"]
    deploy(api, *rich("green", "1.1.0"))
    assert not deploy(api, *rich("green", "1.1.0"))["changed"]
    wait_for_rollout(cluster, "agent-factory-green", timeout=120)
    switch(cluster, target, "green")
    for obj in reversed(before["blue"]):
        cluster.delete(obj["kind"], obj["metadata"]["name"])
    put_back.restore(cluster, section)
    put_back.restore_preview(cluster, section)
    assert export(cluster, target) == before
    assert not put_back.restore(cluster, section)["changed"]


def test_ports_are_merged_by_number_and_protocol_and_left_out_ones_go(api: Api) -> None:
    api.two_colors(replicas=1, wait=False)
    deploy(api, *rich("green", "1.1.0"))
    deploy(api, *rich("green", "1.1.0", ports=[{"name": "web", "containerPort": 8000}]))
    live = api.cluster().get("Deployment", "agent-factory-green")
    assert live is not None
    ports = live["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert ports == [{"name": "web", "containerPort": 8000, "protocol": "TCP"}]
