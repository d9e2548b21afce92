"""5: a whole update on Kubernetes beside the same by kubectl, waits for pods included.

Two scripts are compared with. The plain one is what a user would type instead: back up, drain, apply, wait, switch,
clean up. The guarded one is what a careful operator would type to get what a run gives: take a lock, keep the manifests
and a plan, have the API check the new ones, apply, wait, look at the preview, switch, look at the endpoints and the
service, drain, delete, free the lock.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import yaml
from cluster_api import accompaniment, deployment
from front import Front

from benchmarks import own_cluster, updates
from benchmarks.figures import Figure, NotMeasured, ratio
from benchmarks.own_cluster import Machine
from benchmarks.programs import Start, start
from benchmarks.updates import OURS, SCRIPT, Checkout
from pyrunbook.kubernetes import state

PART = 5
NAME = "an update on Kubernetes"
PODS = 3
GUARDED = "the guarded script"
# The stand-in has no schemas to validate by; kubectl is quicker without, too.
APPLY = ("apply", "--server-side", "--force-conflicts", "--validate=false")
KEPT = "service,deployment,configmap,horizontalpodautoscaler,poddisruptionbudget"


def measure(against: Checkout | None = None, pairs: int = updates.PAIRS) -> list[Figure]:
    """Update with both strategies, by turns with `pyrunbook run`, the scripts and the other checkout."""
    figures = []
    with own_cluster.running() as machine:
        machine.kubectl("version")  # without kubectl there is nothing to measure
        machine.api.two_colors(replicas=PODS)
        with Front(machine.api) as front:
            updating = _Updating(machine, front)
            for strategy in updates.STRATEGIES:
                ways: dict[str, Callable[[], Start]] = {
                    one.name: partial(updating.ours, one, strategy) for one in (OURS, against) if one
                }
                ways[SCRIPT] = partial(updating.script, strategy)
                if strategy == "zero_downtime":
                    ways[GUARDED] = updating.guarded
                taken = updates.by_turns(ways, pairs)
                guarded = taken.pop(GUARDED, None)
                note = f"the script: {STEPS[strategy]}; {PODS} pods a color; {machine.what}"
                figures += updates.judge(PART, strategy, taken, "the first connection to the API", note)
                if guarded:
                    figures.append(_guarded(taken[OURS.name], guarded))
    return figures


STEPS = {
    "zero_downtime": "kubectl get, apply, rollout status, patch, scale, wait, delete",
    "controlled_stop": "kubectl get, scale, wait, apply, rollout status, patch, delete",
}


def _guarded(ours: list[Start], theirs: list[Start]) -> Figure:
    note = "lock, backup, plan, dry run, apply, rollout status, curl, patch, endpoints, curl, drain, delete, unlock"
    walls, others = [one.wall for one in ours], [one.wall for one in theirs]
    return ratio(PART, f"zero_downtime: update / {GUARDED}", walls, others, updates.RATIO_BOUND, note)


class _Updating:
    """Updates of the service in a namespace: each to a release of its own, from the color that serves to the other."""

    def __init__(self, machine: Machine, front: Front) -> None:
        self._machine, self._front = machine, front
        self._number = 0

    def ours(self, checkout: Checkout, strategy: str) -> Start:
        """With `pyrunbook run`."""
        manifests, new, old, release = self._next()
        machine, front = self._machine, self._front
        service = machine.service(
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
        machine.write_inventory({"agent-factory": service})
        took = start(
            checkout.argv(machine.inventory, strategy),
            checkout.environment(machine.env, machine.directory),
            cwd=checkout.root,
            seen=_connections(machine.api.kubeconfig),
        )
        return self._check(took, new, old, release)

    def script(self, strategy: str) -> Start:
        """With the plain script."""
        manifests, new, old, release = self._next()
        machine = self._machine
        drain = _drain(machine, old)
        deploy = [
            machine.kubectl(*APPLY, "-f", str(manifests)),
            machine.kubectl("rollout", "status", f"deployment/agent-factory-{new}", "--timeout=120s"),
            machine.kubectl("patch", "service", "agent-factory", "--type=merge", "-p", _selector(new)),
        ]
        commands = [*deploy, *drain] if strategy == "zero_downtime" else [*drain, *deploy]
        took = _all(machine, machine.kubectl("get", KEPT, "-o", "yaml"), *commands, _delete(machine, old))
        return self._check(took, new, old, release)

    def guarded(self) -> Start:
        """With the guarded script."""
        manifests, new, old, release = self._next()
        return self._check(_kubectl(self._machine, self._front, manifests, new, old), new, old, release)

    def _next(self) -> tuple[Path, str, str, str]:
        """Manifests of the next release, the color that it goes to, the one that serves, and its version."""
        self._number += 1
        machine, release = self._machine, f"5.{self._number}.0"
        old = state.read(machine.api.cluster(), machine.api.target)["active"]
        new = {"blue": "green", "green": "blue"}[old]
        return machine.api.write(*accompaniment(new), deployment(new, release, replicas=PODS)), new, old, release

    def _check(self, took: Start, new: str, old: str, release: str) -> Start:
        """See that the update has happened.

        Raises:
            NotMeasured: it has not.
        """
        found = state.read(self._machine.api.cluster(), self._machine.api.target)
        color = found["colors"][new]
        as_wanted = (found["active"], color["release"], color["ready"]) == (new, release, PODS)
        if not as_wanted or found["colors"][old]["exists"]:
            raise NotMeasured(f"after the update to {release} in {new}, the cluster has {found}")
        return took


def _connections(kubeconfig: Path) -> Callable[[], bool]:
    """Asked later, says whether somebody has connected to the API since; never `True` where there is no /proc."""
    known = yaml.safe_load(kubeconfig.read_text())
    port = int(known["clusters"][0]["cluster"]["server"].rstrip("/").rpartition(":")[2])
    before = _clients(port)
    return lambda: bool(_clients(port) - before)


def _clients(port: int) -> set[str]:
    """The local addresses of this machine's connections to a port."""
    found = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text().splitlines()[1:] if table.exists() else []:
            _, local, remote, *_ = line.split()
            if int(remote.rpartition(":")[2], 16) == port:
                found.add(local)
    return found


def _kubectl(machine: Machine, front: Front, manifests: Path, new: str, old: str) -> Start:
    """The same work by hand, with a guard at each step."""
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
    colors = ("-l", "app=agent-factory")
    return _all(
        machine,
        machine.kubectl("create", "--validate=false", "-f", str(lock)),
        machine.kubectl("get", KEPT, "-o", "yaml"),  # the backup
        machine.kubectl("create", "--validate=false", "-f", str(note)),
        machine.kubectl(*APPLY, "--dry-run=server", "-f", str(manifests)),
        machine.kubectl(*APPLY, "-f", str(manifests)),
        machine.kubectl("rollout", "status", f"deployment/agent-factory-{new}", "--timeout=120s"),
        _curl(f"{front.url}/{new}"),
        machine.kubectl("patch", "service", "agent-factory", "--type=merge", "-p", _selector(new)),
        machine.kubectl("get", "endpointslices", "-o", "yaml"),
        machine.kubectl("get", "pods", *colors, "-o", "wide"),
        _curl(f"{front.url}/service"),
        *_drain(machine, old),
        _delete(machine, old),
        machine.kubectl("delete", "configmap/plan-by-hand", "lease/by-hand"),
    )


def _drain(machine: Machine, old: str) -> list[list[str]]:
    return [
        machine.kubectl("scale", f"deployment/agent-factory-{old}", "--replicas=0"),
        machine.kubectl("wait", "--for=delete", "pod", "-l", f"app=agent-factory,version={old}", "--timeout=120s"),
    ]


def _delete(machine: Machine, old: str) -> list[str]:
    return machine.kubectl("delete", "deployment,configmap,poddisruptionbudget", f"agent-factory-{old}")


def _selector(color: str) -> str:
    return json.dumps({"spec": {"selector": {"app": "agent-factory", "version": color}}})


def _curl(url: str) -> list[str]:
    """As many requests as our checks send, by one process."""
    pages = [*[f"{url}/health"] * 20, f"{url}/version"]
    return ["curl", "--fail", "--silent", *[word for page in pages for word in ("--output", "/dev/null", page)]]


def _all(machine: Machine, *commands: list[str]) -> Start:
    took = [start(command, machine.env) for command in commands]
    return Start(sum(one.wall for one in took), sum(one.processor for one in took))
