"""4: what a Kubernetes task costs beyond the time that the API takes to answer."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks import ROOT, own_cluster
from benchmarks.figures import Figure, NotMeasured, median, missing
from benchmarks.own_cluster import Machine
from benchmarks.programs import Start, start
from pyrunbook.kubernetes import lease

PART = 4
NAME = "a Kubernetes task"
BOUND = 40.0
TASKS = 60
KUBECTL_TASKS = 12
REPETITIONS = 5
ASKS = 30

OURS: dict[str, Any] = {"pyrunbook.core.unlock": {}}
"""Shows the lock: one GET."""
DEBUG: dict[str, Any] = {"ansible.builtin.debug": {"msg": "agent-factory"}}


def measure() -> list[Figure]:
    """Play 60 of the cheapest tasks, 60 debug tasks, and none, by turns; ask the API by itself; do it with kubectl."""
    with own_cluster.running() as machine:
        service = machine.service(
            service_kubernetes_name="agent-factory",
            service_url="http://127.0.0.1/",
            service_colors={
                color: {"url": "http://127.0.0.1/", "deployment": f"agent-factory-{color}"}
                for color in ("blue", "green")
            },
        )
        machine.write_inventory({"agent-factory": service})
        lease.acquire(machine.api.cluster(), "agent-factory", "00000000")
        name = lease.show(machine.api.cluster(), "agent-factory").name
        plays = {
            "none": _play(machine, "none", {}, 0),
            "debug": _play(machine, "debug", DEBUG, TASKS),
            "ours": _play(machine, "ours", OURS, TASKS),
        }
        try:
            ask = machine.kubectl("get", "lease", name, "-o", "json")
            plays["kubectl"] = _play(machine, "kubectl", {"ansible.builtin.command": {"argv": ask}}, KUBECTL_TASKS)
            without = ""
        except NotMeasured as error:
            ask, without = [], str(error)
        starts: dict[str, list[Start]] = {play: [] for play in plays}
        for _ in range(REPETITIONS + 1):
            for play, argv in plays.items():
                starts[play].append(start(argv, machine.env))
        starts = {play: all_of_it[1:] for play, all_of_it in starts.items()}  # the first one warmed the caches
        api = _ask_the_api(machine, name)
        alone = [start(ask, machine.env).wall for _ in range(ASKS)] if ask else []
        found = judge(starts, api, machine.what)
        if without:
            return [*found, missing(PART, "a kubectl process instead", None, "ms", without)]
        return [*found, *_compare(starts, alone)]


def _play(machine: Machine, name: str, task: dict[str, Any], times: int) -> list[str]:
    """Write a playbook with a step of so many tasks, and give the argv that plays it."""
    role = machine.directory / "roles" / name
    for part in ("tasks", "meta"):
        (role / part).mkdir(parents=True)
    shutil.copy(ROOT / "roles" / "unlock" / "meta" / "argument_specs.yml", role / "meta")
    tasks = [{"name": f"{name} {number}", **task} for number in range(times)]
    (role / "tasks" / "main.yml").write_text(yaml.safe_dump(tasks, sort_keys=False))
    play = {
        "name": f"Measure {name}",
        "hosts": "services",
        "gather_facts": False,
        # With this the journal is written and the client is built before the forks, as for a runbook.
        "vars": {"runbook_id": f"maintenance/measure_{name}"},
        "tasks": [{"name": name, "ansible.builtin.import_role": {"name": name, "rolespec_validate": False}}],
    }
    path = machine.directory / f"{name}.yml"
    path.write_text(yaml.safe_dump([play], sort_keys=False))
    return [str(Path(sys.executable).parent / "ansible-playbook"), str(path), "-i", str(machine.inventory)]


def _ask_the_api(machine: Machine, name: str) -> list[tuple[float, float]]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bare_client", str(machine.api.kubeconfig), machine.api.namespace, name,
         str(ASKS)],
        cwd=ROOT, env=machine.env, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    if done.returncode:
        raise NotMeasured(f"the API did not answer the bare client: {done.stderr.strip()[-500:]}")
    return [(first, second) for first, second in json.loads(done.stdout)]


def each(play: Sequence[float], empty: Sequence[float], tasks: int) -> list[float]:
    """Milliseconds of one task, of each repetition: what the play took beyond one without tasks that came before it."""
    return [(one - other) * 1000 / tasks for one, other in zip(play, empty, strict=True)]


def cheapest(play: Sequence[float], empty: Sequence[float], tasks: int) -> float:
    """Milliseconds of one task, from the fastest plays: the nearest to an idle core that the machine has been."""
    return (min(play) - min(empty)) * 1000 / tasks


def judge(starts: dict[str, list[Start]], api: Sequence[tuple[float, float]], what: str) -> list[Figure]:
    """The figures.

    Args:
        starts: of the plays `none`, `debug` and `ours`, each repetition.
        api: seconds of the API alone, over a new and over a standing connection.
        what: the API, in words.
    """
    walls = {play: [one.wall for one in all_of_it] for play, all_of_it in starts.items()}
    cores = {play: [one.processor for one in all_of_it] for play, all_of_it in starts.items()}
    fresh, standing = ([pair[place] * 1000 for pair in api] for place in (0, 1))
    answer = min(standing)
    whole = each(walls["ours"], walls["none"], TASKS)
    note = (
        f"{TASKS} tasks unlock (one GET each) in a play, less a play without tasks, less the API's own "
        f"{answer:.1f} ms for that\nGET on a standing connection; what a task does to connect counts as ours. {what}"
    )
    beyond = cheapest(walls["ours"], walls["none"], TASKS) - answer
    debug = cheapest(walls["debug"], walls["none"], TASKS)
    processor = cheapest(cores["ours"], cores["none"], TASKS)
    return [
        Figure(
            PART, "one Kubernetes task beyond the API", beyond, "ms", "of the fastest", BOUND,
            tuple(one - answer for one in whole), note,
        ),
        Figure(
            PART, "its processor time", processor, "ms", "of the fastest", None,
            tuple(each(cores["ours"], cores["none"], TASKS)),
        ),
        Figure(
            PART, "one debug task", debug, "ms", "of the fastest", None,
            tuple(each(walls["debug"], walls["none"], TASKS)),
        ),
        median(PART, "the API's answer, standing connection", standing, "ms"),
        median(PART, "the API's answer, new TLS connection", fresh, "ms"),
    ]  # fmt: skip


def _compare(starts: dict[str, list[Start]], alone: list[float]) -> list[Figure]:
    walls = {play: [one.wall for one in all_of_it] for play, all_of_it in starts.items()}
    ours = cheapest(walls["ours"], walls["none"], TASKS)
    theirs = cheapest(walls["kubectl"], walls["none"], KUBECTL_TASKS)
    samples = tuple(each(walls["kubectl"], walls["none"], KUBECTL_TASKS))
    note = f"one task of ours, the API included, is {ours:.1f} ms: {ours / theirs:.2f} of that"
    return [
        Figure(PART, "a task that runs kubectl instead", theirs, "ms", "of the fastest", None, samples, note),
        median(PART, "a kubectl process by itself", [one * 1000 for one in alone], "ms"),
    ]
