"""5: a whole update on Kubernetes beside the same work by bare kubectl commands, waits for pods included.

The same work is what a careful operator would type to get what a run gives: take a lock, keep the manifests and a plan,
have the API check the new ones, apply, wait, look at the preview, switch, look at the endpoints and the service, drain,
delete, free the lock. The six commands of a bare switch, without any of those guards, are measured too, for comparison.
"""

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
# The stand-in has no schemas to validate by; kubectl is quicker without, too.
APPLY = ("apply", "--server-side", "--force-conflicts", "--validate=false")


def measure() -> list[Figure]:
    """Update by turns with `pyrunbook run` and with kubectl, `PAIRS` times each; colors swap every time."""
    ours: list[Start] = []
    theirs: list[Start] = []
    barest: list[Start] = []
    with own_cluster.running() as machine:
        machine.kubectl("version")  # without kubectl there is nothing to measure
        machine.api.two_colors(replicas=PODS)
        with Front(machine.api) as front:
            ways = ((_ours, ours), (_kubectl, theirs), (_bare_switch, barest))
            for number in range(len(ways) * (PAIRS + 1)):
                way, kept = ways[number % len(ways)]
                old = state.read(machine.api.cluster(), machine.api.target)["active"]
                new = {"blue": "green", "green": "blue"}[old]
                release = f"5.{number}.0"
                objects = [*accompaniment(new), deployment(new, release, replicas=PODS)]
                manifests = machine.api.write(*objects)
                took = way(machine, front, manifests, new, old)
                _check(machine, new, old, release)
                if number >= len(ways):  # the first of each warmed the caches
                    kept.append(took)
        return judge(ours, theirs, barest, machine.what)


def judge(ours: list[Start], theirs: list[Start], barest: list[Start], what: str) -> list[Figure]:
    """The figures: the ratio, and what does not depend on how long pods take.

    Args:
        ours: updates by `pyrunbook run`.
        theirs: updates by kubectl with the same guards and checks.
        barest: updates by the six commands of a switch without any.
        what: the API, in words.
    """
    mine, other = [one.wall for one in ours], [one.wall for one in theirs]
    note = (
        "pyrunbook {} s; kubectl, the same work by hand, {} s. No delays of policy in either.\n"
        "By hand: lock, backup, plan, dry run, apply, rollout status, curl, patch, endpoints, curl, scale, wait, "
        "delete, unlock.\n{}"
    ).format(" ".join(f"{s:.2f}" for s in mine), " ".join(f"{s:.2f}" for s in other), what)
    added = [one - two for one, two in zip(mine, other, strict=True)]
    return [
        ratio(PART, f"update with {PODS} pods a color / the same by kubectl", mine, other, BOUND, note),
        median(PART, "six bare commands, without guards and checks", [one.wall for one in barest], "s"),
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


def _kubectl(machine: Machine, front: Front, manifests: Path, new: str, old: str) -> Start:
    """The same work by hand."""
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "by-hand"},
        "spec": {"holderIdentity": "me", "leaseDurationSeconds": 60},
    }
    plan = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "plan-by-hand"}, "data": {"serves": old}}
    lock, note = manifests.parent / "by-hand-lock.json", manifests.parent / "by-hand-plan.json"
    lock.write_text(json.dumps(lease))
    note.write_text(json.dumps(plan))
    kept = "service,deployment,configmap,horizontalpodautoscaler,poddisruptionbudget"
    colors = ("-l", "app=agent-factory")
    return _all(
        machine,
        machine.kubectl("create", "--validate=false", "-f", str(lock)),
        machine.kubectl("get", kept, "-o", "yaml"),  # the backup
        machine.kubectl("create", "--validate=false", "-f", str(note)),
        machine.kubectl(*APPLY, "--dry-run=server", "-f", str(manifests)),
        machine.kubectl(*APPLY, "-f", str(manifests)),
        machine.kubectl("rollout", "status", f"deployment/agent-factory-{new}", "--timeout=120s"),
        _curl(f"{front.url}/{new}"),
        machine.kubectl("patch", "service", "agent-factory", "--type=merge", "-p", _selector(new)),
        machine.kubectl("get", "endpointslices", "-o", "yaml"),
        machine.kubectl("get", "pods", *colors, "-o", "wide"),
        _curl(f"{front.url}/service"),
        *_drained_and_deleted(machine, old),
        machine.kubectl("delete", "configmap/plan-by-hand", "lease/by-hand"),
    )


def _bare_switch(machine: Machine, _front: Front, manifests: Path, new: str, old: str) -> Start:
    """The least that moves the traffic and leaves one color."""
    return _all(
        machine,
        machine.kubectl(*APPLY, "-f", str(manifests)),
        machine.kubectl("rollout", "status", f"deployment/agent-factory-{new}", "--timeout=120s"),
        machine.kubectl("patch", "service", "agent-factory", "--type=merge", "-p", _selector(new)),
        *_drained_and_deleted(machine, old),
    )


def _drained_and_deleted(machine: Machine, old: str) -> list[list[str]]:
    return [
        machine.kubectl("scale", f"deployment/agent-factory-{old}", "--replicas=0"),
        machine.kubectl("wait", "--for=delete", "pod", "-l", f"app=agent-factory,version={old}", "--timeout=120s"),
        machine.kubectl("delete", "deployment,configmap,poddisruptionbudget", f"agent-factory-{old}"),
    ]


def _selector(color: str) -> str:
    return json.dumps({"spec": {"selector": {"app": "agent-factory", "version": color}}})


def _curl(url: str) -> list[str]:
    """As many requests as our checks send, by one process."""
    pages = [*[f"{url}/health"] * 20, f"{url}/version"]
    return ["curl", "--fail", "--silent", *[word for page in pages for word in ("--output", "/dev/null", page)]]


def _all(machine: Machine, *commands: list[str]) -> Start:
    took = [start(command, machine.env) for command in commands]
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
