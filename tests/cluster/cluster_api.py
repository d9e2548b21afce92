"""A namespace on a Kubernetes API, and manifests of a blue/green service for it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from lightkube import Client
from standin import StandIn, User
from standin.store import BY_KIND

from pyrunbook.kubernetes.client import Cluster, connect
from pyrunbook.kubernetes.rollout import wait_for_rollout
from pyrunbook.kubernetes.switch import wait_for_endpoints
from pyrunbook.kubernetes.target import COLORS, ServiceNames

IMAGE = "registry.k8s.io/pause"


def deployment(
    color: str,
    release: str,
    *,
    name: str = "agent-factory",
    replicas: int = 3,
    image: str = "",
    **container: Any,
) -> dict[str, Any]:
    """A Deployment of a color; `container` overrides fields of its container."""
    labels = {"app": name, "version": color}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"{name}-{color}", "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": {**labels, "app.kubernetes.io/version": release}},
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [
                        {
                            "name": "app",
                            "image": image or f"{IMAGE}:3.10",
                            "ports": [{"name": "http", "containerPort": 8000}],
                            "env": [{"name": "RELEASE", "value": release}],
                            **container,
                        }
                    ],
                },
            },
        },
    }


def accompaniment(color: str, *, name: str = "agent-factory", autoscaler: bool = False) -> list[dict[str, Any]]:
    """What stands beside the Deployment of a color."""
    labels = {"app": name, "version": color}
    metadata = {"name": f"{name}-{color}", "labels": labels}
    found: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": dict(metadata), "data": {"mode": f"of {color}"}},
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": dict(metadata),
            "spec": {"minAvailable": 1, "selector": {"matchLabels": labels}},
        },
    ]
    if autoscaler:
        found.append(
            {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "metadata": dict(metadata),
                "spec": {
                    "minReplicas": 2,
                    "maxReplicas": 6,
                    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"{name}-{color}"},
                    "metrics": [
                        {
                            "type": "Resource",
                            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
                        }
                    ],
                },
            }
        )
    return found


def service(name: str, selector: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": selector, "ports": [{"name": "http", "port": 80, "targetPort": 8000}]},
    }


@dataclass
class Api:
    """A namespace on an API.

    `standin` is `None` on a real API.
    """

    kubeconfig: Path
    namespace: str
    standin: StandIn | None
    directory: Path
    target: ServiceNames = field(
        default_factory=lambda: ServiceNames(
            "agent-factory", "version", {c: f"agent-factory-{c}" for c in COLORS}, "agent-factory-preview"
        )
    )

    def cluster(self, patience: float = 20.0) -> Cluster:
        return connect(str(self.kubeconfig), None, self.namespace, patience=patience)

    def create(self, *objects: dict[str, Any]) -> None:
        for obj in objects:
            self.cluster().create(obj)

    def two_colors(
        self,
        *,
        active: str = "blue",
        replicas: int = 3,
        release: str = "1.0.4",
        preview_release: str | None = None,
        autoscaler: bool = False,
        wait: bool = True,
    ) -> ServiceNames:
        """A service whose `active` color serves; the other one exists only with `preview_release`."""
        cluster, name = self.cluster(), self.target.service
        preview = "green" if active == "blue" else "blue"
        self.create(
            service(name, {"app": name, "version": active}),
            service(f"{name}-preview", {"app": name, "version": preview}),
            *accompaniment(active, autoscaler=autoscaler),
            deployment(active, release, replicas=replicas),
        )
        if preview_release:
            self.create(*accompaniment(preview), deployment(preview, preview_release, replicas=1))
        if wait:
            for color in [active, *([preview] if preview_release else [])]:
                wait_for_rollout(cluster, self.target.deployments[color], timeout=120)
            wait_for_endpoints(cluster, name, {"app": name, "version": active}, what="the fixture", timeout=60)
        return self.target

    def write(self, *objects: dict[str, Any], name: str = "release.yaml") -> Path:
        """A manifest file with the objects, in a directory of its own."""
        directory = self.directory / f"manifests-{uuid.uuid4().hex[:6]}"
        directory.mkdir()
        (directory / name).write_text(yaml.safe_dump_all(objects))
        return directory

    def as_manager(self, manager: str) -> Cluster:
        """The connection of somebody else, as the API tells writers apart: by their field manager."""
        cluster = self.cluster()
        return replace(cluster, client=Client(config=cluster.config, field_manager=manager))

    def quota(self, pods: int) -> None:
        """Allow no more pods than this in the namespace (stand-in)."""
        quota = {"metadata": {"name": "pods", "namespace": self.namespace}, "spec": {"hard": {"pods": str(pods)}}}
        with self.faults.store.lock:
            self.faults.store.create(BY_KIND["ResourceQuota"], quota, "test")

    def user(self, rules: list[dict[str, Any]]) -> Path:
        """The kubeconfig of a user who may do only this (stand-in)."""
        assert self.standin is not None
        token = uuid.uuid4().hex
        self.standin.users[token] = User(f"user-{token[:6]}", rules)
        return self.standin.kubeconfig(self.directory / f"kubeconfig-{token[:6]}", token=token)

    @property
    def faults(self) -> StandIn:
        """The stand-in, to put faults on."""
        assert self.standin is not None
        return self.standin
