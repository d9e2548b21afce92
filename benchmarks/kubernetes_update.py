"""5: a whole update on Kubernetes beside the same work by bare kubectl commands, waits for pods included."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from cluster_api import accompaniment, deployment
from front import Front

from benchmarks import own_cluster
from benchmarks.command_line import Start, start
from benchmarks.figures import Figure, NotMeasured, median, ratio
from benchmarks.own_cluster import Machine
from pyrunbook.kubernetes import state

PART = 5
NAME = "an update on Kubernetes"
BOUND = 2.0
PODS = 3
PAIRS = 3


def measure() -> list[Figure]:
    """Update by turns with `pyrunbook run` and with kubectl, `PAIRS` times each; colors swap every time."""
    ours: list[Start] = []
    theirs: list[Start] = []
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
                took = (_ours if by_us else _kubectl)(machine, front, manifests, new, old)
                _check(machine, new, old, release)
                if number > 1:  # the first of each warmed the caches
                    (ours if by_us else theirs).append(took)
        return judge(ours, theirs, machine.what)


def judge(ours: list[Start], theirs: list[Start], what: str) -> list[Figure]:
    """The figures: the ratio, and what does not depend on how long pods take.

    Args:
        ours: updates by `pyrunbook run`.
        theirs: the updates by kubectl that came after each of them.
        what: the API, in words.
    """
    mine, other = [one.wall for one in ours], [one.wall for one in theirs]
    note = (
        "pyrunbook {} s; kubectl (apply, rollout status, patch service, scale, wait, delete) {} s.\n"
        "No delays of policy in either. Ours also backs up, plans, locks, validates and verifies.\n{}"
    ).format(" ".join(f"{s:.2f}" for s in mine), " ".join(f"{s:.2f}" for s in other), what)
    added = [one - two for one, two in zip(mine, other, strict=True)]
    return [
        ratio(PART, f"update with {PODS} pods a color / bare kubectl", mine, other, BOUND, note),
        median(PART, "what ours adds, however long pods take", added, "s"),
        median(PART, "processor time of ours", [one.processor for one in ours], "s"),
        median(PART, "processor time of kubectl", [one.processor for one in theirs], "s"),
    ]


def _ours(machine: Machine, front: Front, manifests: Path, new: str, old: str) -> Start:
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
    return start([sys.executable, "-m", "pyrunbook", *update], machine.env)


def _kubectl(machine: Machine, _front: Front, manifests: Path, new: str, old: str) -> Start:
    selector = json.dumps({"spec": {"selector": {"app": "agent-factory", "version": new}}})
    took = [
        start(machine.kubectl(*command), machine.env)
        for command in (
            # The stand-in has no schemas to validate by; it is quicker without, too.
            ("apply", "--server-side", "--force-conflicts", "--validate=false", "-f", str(manifests)),
            ("rollout", "status", f"deployment/agent-factory-{new}", "--timeout=120s"),
            ("patch", "service", "agent-factory", "--type=merge", "-p", selector),
            ("scale", f"deployment/agent-factory-{old}", "--replicas=0"),
            ("wait", "--for=delete", "pod", "-l", f"app=agent-factory,version={old}", "--timeout=120s"),
            ("delete", "deployment,configmap,poddisruptionbudget", f"agent-factory-{old}"),
        )
    ]
    return Start(sum(one.wall for one in took), sum(one.processor for one in took))


def _check(machine: Machine, new: str, old: str, release: str) -> None:
    """See that the update has happened.

    Raises:
        NotMeasured: it has not.
    """
    found = state.read(machine.api.cluster(), machine.api.target)
    color = found["colors"][new]
    if (found["active"], color["release"], color["ready"]) != (new, release, PODS) or found["colors"][old]["exists"]:
        raise NotMeasured(f"after the update to {release} in {new}, the cluster has {found}")
