"""Adds what the inventory says to a runbook: who is called and how, and the windows of its services."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import yaml

from pyrunbook.catalog.contacts import CHANNELS, CONTACTS
from pyrunbook.catalog.runbook import Runbook
from pyrunbook.lint.context import Project
from pyrunbook.lint.subject import Reach, RunSchedule, Subject
from pyrunbook.project.document import VAULTED
from pyrunbook.project.inventory import Service
from pyrunbook.project.problem import Spot


def add_inventory(subject: Subject, runbook: Runbook, project: Project, at: Spot) -> None:
    """The contacts and windows that hold for a runbook; `at` is where its metadata speaks of its window."""
    declared = runbook.metadata.window
    if declared.spec is not None:
        subject.windows.append(RunSchedule(partial(runbook.schedule, {}), at))
    for service in project.services:
        subject.contacts += _reaches(service)
        given = [name for name in declared.variables if service.variables.get(name)]
        if given and "{{" not in str([service.variables[name] for name in given]):
            origin = service.origins[given[0]]
            at = Spot(origin.file, origin.line, origin.column)
            subject.windows.append(RunSchedule(partial(runbook.schedule, service.variables), at, service.name))


def names_of(service: Service) -> set[str]:
    """The levels and channels that escalation and contacts can name."""
    contacts, channels = service.variables.get(CONTACTS), service.variables.get(CHANNELS)
    levels = {str(c.get("level")) for c in contacts if isinstance(c, Mapping)} if isinstance(contacts, list) else set()
    return levels | ({str(name) for name in channels} if isinstance(channels, Mapping) else set())


def _reaches(service: Service) -> list[Reach]:
    found: list[Reach] = []
    for variable in (CONTACTS, CHANNELS):
        origin = service.origins.get(variable)
        node = origin.node if origin else None
        if origin is None or node is None:
            continue
        for who, reach in _entries(node):
            at = Spot(origin.file, reach.start_mark.line + 1, reach.start_mark.column + 1)
            found.append(Reach(who, VAULTED if reach.tag == "!vault" else str(reach.value), at))
    return found


def _entries(node: yaml.Node) -> Iterator[tuple[str, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):  # runbook_channels: kind to address
        yield from ((str(key.value), value) for key, value in node.value)
    for item in node.value if isinstance(node, yaml.SequenceNode) else ():
        entries = {str(key.value): value for key, value in item.value} if isinstance(item, yaml.MappingNode) else {}
        if "reach" in entries:
            level = entries.get("level")
            yield str(level.value) if level is not None else "", entries["reach"]
