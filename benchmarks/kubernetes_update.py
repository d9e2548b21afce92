"""5: a whole update on Kubernetes beside the same work by bare kubectl commands, waits for pods included."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from cluster_api import accompaniment, deployment
from front import Front

from benchmarks import ROOT, own_cluster
from benchmarks.figures import Figure, NotMeasured, ratio
from benchmarks.own_cluster import Machine
from benchmarks.own_sandbox import must
from pyrunbook.kubernetes import state

PART = 5
NAME = "an update on Kubernetes"
BOUND = 2.0
PODS = 3
PAIRS = 3


def measure() -> list[Figure]:
    """Update by turns with `pyrunbook run` and with kubectl, `PAIRS` times each; colors swap every time."""
    ours: list[float] = []
    theirs: list[float] = []
    with own_cluster.running() as machine:
        machine.kubectl("version")  # without kubectl there is nothing to measure
        machine.api.two_colors(replicas=PODS)
        with Front(machine.api) as front:
            for number in range(2 * PAIRS + 2):
                by_us = number % 2 == 0
                old = state.read(machine.api.cluster(), machine.api.target)["active"]
                new = {"blue": "green", "green": "blue"}[old]
                release = f"5.{number}.0"
                objects = [*accompaniment(new), deployment(new, release, replicas=PODS)]
                manifests = machine.api.write(*objects)
                seconds = (_ours if by_us else _kubectl)(machine, front, manifests, new, old)
                _check(machine, new, old, release)
                if number > 1:  # the first of each warmed the caches
                    (ours if by_us else theirs).append(seconds)
        note = (
            "pyrunbook {} s; kubectl (apply, rollout status, patch service, scale, wait, delete) {} s. No delays of "
            "policy in either.\nOurs also backs up, plans, locks, validates and verifies. {}"
        ).format(" ".join(f"{s:.2f}" for s in ours), " ".join(f"{s:.2f}" for s in theirs), machine.what)
    return [ratio(PART, f"update with {PODS} pods a color / bare kubectl", ours, theirs, BOUND, note)]


def _ours(machine: Machine, front: Front, manifests: Path, new: str, old: str) -> float:
    machine.settings(
        service_url=f"{front.url}/service",
        service_colors={
            color: {"url": f"{front.url}/{color}", "deployment": f"agent-factory-{color}"} for color in (new, old)
        },
        service_checks=[
            {"name": "health", "path": "/health", "requests": 20},
            {"name": "version", "path": "/version", "json": {"version": "{{ validate_release }}"}},
        ],
        deploy_green_manifests=str(manifests),
        deploy_green_stable_seconds=0,
        drain_delay=0,
        update_window="always",
    )
    update = ("run", "maintenance/production_update", "--window", "--yes", "-i", str(machine.inventory))
    return _timed(machine, [sys.executable, "-m", "pyrunbook", *update])


def _kubectl(machine: Machine, _front: Front, manifests: Path, new: str, old: str) -> float:
    selector = json.dumps({"spec": {"selector": {"app": "agent-factory", "version": new}}})
    return sum(
        _timed(machine, machine.kubectl(*command))
        for command in (
            # The stand-in has no schemas to validate by; it is quicker without, too.
            ("apply", "--server-side", "--force-conflicts", "--validate=false", "-f", str(manifests)),
            ("rollout", "status", f"deployment/agent-factory-{new}", "--timeout=120s"),
            ("patch", "service", "agent-factory", "--type=merge", "-p", selector),
            ("scale", f"deployment/agent-factory-{old}", "--replicas=0"),
            ("wait", "--for=delete", "pod", "-l", f"app=agent-factory,version={old}", "--timeout=120s"),
            ("delete", "deployment,configmap,poddisruptionbudget", f"agent-factory-{old}"),
        )
    )


def _timed(machine: Machine, argv: list[str]) -> float:
    began = time.monotonic()
    done = subprocess.run(argv, env=machine.env, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    seconds = time.monotonic() - began
    must(done, 0, " ".join(argv[:8]))
    return seconds


def _check(machine: Machine, new: str, old: str, release: str) -> None:
    """See that the update has happened.

    Raises:
        NotMeasured: it has not.
    """
    found = state.read(machine.api.cluster(), machine.api.target)
    color = found["colors"][new]
    if (found["active"], color["release"], color["ready"]) != (new, release, PODS) or found["colors"][old]["exists"]:
        raise NotMeasured(f"after the update to {release} in {new}, the cluster has {found}")
