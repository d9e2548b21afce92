"""8: twenty services in two waves of ten, beside two services one after the other."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from cluster_api import Api, accompaniment, deployment, service
from front import Front

from benchmarks import machine as processors
from benchmarks import own_cluster
from benchmarks.figures import Figure, NotMeasured, median, ratio
from benchmarks.own_cluster import Machine
from benchmarks.programs import Start, start
from benchmarks.updates import OURS
from pyrunbook.kubernetes import state
from pyrunbook.kubernetes.target import COLORS, ServiceNames

PART = 8
NAME = "waves"
SERVICES = 20
WAVE = 10
BOUND = 1.3
PAIRS = 2


def measure() -> list[Figure]:
    """Update two services with `update_serial: 1`, then twenty with 10, `PAIRS` times."""
    one_by_one: list[Start] = []
    waves: list[Start] = []
    with own_cluster.running() as machine, ExitStack() as fronts:
        services = [_service(machine, number) for number in range(SERVICES)]
        urls = {api.target.service: fronts.enter_context(Front(api)).url for api in services}
        for number in range(PAIRS + 1):
            for place, (serial, some, kept) in enumerate(((1, services[:2], one_by_one), (WAVE, services, waves))):
                took = _update(machine, some, urls, serial, f"8.{number}.{place}")
                if number:  # the first of each warmed the caches
                    kept.append(took)
        return judge(one_by_one, waves, processors.describe()["cores"], machine.what)


def judge(one_by_one: list[Start], waves: list[Start], cores: int, what: str) -> list[Figure]:
    """The figures.

    Args:
        one_by_one: updates of two services, one after the other.
        waves: updates of all services, in two waves.
        cores: of the machine; where they cannot do the work in the time, the ratio has no bound. What one service
            waits for, all of a wave wait for together, and nothing is done meanwhile.
        what: the API, in words.
    """
    name = f"{SERVICES} services in waves of {WAVE} / two services one by one"
    walls, others = [one.wall for one in waves], [one.wall for one in one_by_one]
    work = min(one.processor for one in waves)
    waits = min(one.wall - one.processor for one in one_by_one)
    least = waits + work / cores
    possible = least <= BOUND * min(others)
    note = f"{' '.join(f'{s:.2f}' for s in walls)} s; {' '.join(f'{s:.2f}' for s in others)} s; {what}"
    if not possible:
        note += (
            f"\nno bound: {waits:.1f} s of waiting, and {work:.0f} s of processor time on {cores} processors, "
            f"are {least:.1f} s"
        )
    return [
        ratio(PART, name, walls, others, BOUND if possible else None, note),
        median(PART, f"processor time of the {SERVICES}", [one.processor for one in waves], "s"),
    ]


def _service(machine: Machine, number: int) -> Api:
    name = f"service-{number:02}"
    target = ServiceNames(name, "version", {color: f"{name}-{color}" for color in COLORS}, f"{name}-preview")
    api = replace(machine.api, target=target)
    preview, active = {"app": name, "version": "green"}, {"app": name, "version": "blue"}
    api.create(
        service(name, active),
        service(f"{name}-preview", preview),
        *accompaniment("blue", name=name),
        deployment("blue", "1.0.4", name=name, replicas=1),
    )
    return api


def _update(machine: Machine, services: list[Api], urls: dict[str, str], serial: int, release: str) -> Start:
    hosts = {}
    for api in services:
        name, url = api.target.service, urls[api.target.service]
        new = {"blue": "green", "green": "blue"}[state.read(api.cluster(), api.target)["active"]]
        manifests = api.write(*accompaniment(new, name=name), deployment(new, release, name=name, replicas=1))
        hosts[name] = machine.service(
            service_kubernetes_name=name,
            service_preview_name=f"{name}-preview",
            service_url=f"{url}/service",
            service_colors={color: {"url": f"{url}/{color}", "deployment": f"{name}-{color}"} for color in COLORS},
            service_checks=[{"name": "version", "path": "/version", "json": {"version": "{{ validate_release }}"}}],
            deploy_green_manifests=str(manifests),
            deploy_green_stable_seconds=0,
            drain_delay=0,
            update_window="always",
        )
    machine.write_inventory(hosts)
    argv = OURS.argv(machine.inventory, "zero_downtime", update_serial=serial)
    took = start(argv, OURS.environment(machine.env, machine.directory))
    for api in services:
        found = state.read(api.cluster(), api.target)
        if found["colors"][found["active"]]["release"] != release:
            raise NotMeasured(f"after the update to {release}, {api.target.service} is {found}")
    return took
