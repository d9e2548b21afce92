"""Adds what the inventory says to a runbook: who is called and how, and the windows of its services."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import yaml

from pyrunbook.catalog.contacts import CHANNELS, CONTACTS
from pyrunbook.catalog.inventory import Service
from pyrunbook.catalog.metadata import Metadata
from pyrunbook.errors import BadInput
from pyrunbook.lint.context import Project
from pyrunbook.lint.subject import Reach, Spot, Subject, WindowFacts
from pyrunbook.windows.duration import parse_duration


def add_inventory(subject: Subject, metadata: Metadata, project: Project, at: Spot) -> None:
    """The contacts and windows that hold for a runbook; `at` is where its metadata speaks of its window."""
    declared = metadata.window
    facts = WindowFacts(
        declared.spec, declared.required, declared.exclusions, declared.cutoff, metadata.estimate, metadata.reserve, at
    )
    if declared.spec is not None:
        subject.windows.append(facts)
    for service in project.services:
        if service.name not in project.reaches:
            project.reaches[service.name] = _reaches(service, project)
        subject.contacts += project.reaches[service.name]
        said = {key: service.variables.get(f"update_{key}") for key in ("window", "window_exclusions", "window_cutoff")}
        if declared.required and any(said.values()) and "{{" not in str(said):
            origin = next(service.origins[f"update_{key}"] for key, value in said.items() if value)
            subject.windows.append(
                WindowFacts(
                    str(said["window"]) if said["window"] else declared.spec,
                    True,
                    (*declared.exclusions, *(str(item) for item in said["window_exclusions"] or ())),
                    _cutoff(said["window_cutoff"]) or declared.cutoff,
                    metadata.estimate,
                    metadata.reserve,
                    Spot(origin.file, origin.line, origin.column),
                    service.name,
                )
            )


def _cutoff(raw: Any) -> timedelta | None:
    try:
        return parse_duration(str(raw)) if raw else None
    except BadInput:
        return None  # the rule about windows reads the others all the same


def names_of(service: Service) -> set[str]:
    """The levels and channels that escalation and contacts can name."""
    contacts, channels = service.variables.get(CONTACTS), service.variables.get(CHANNELS)
    levels = {str(c.get("level")) for c in contacts if isinstance(c, Mapping)} if isinstance(contacts, list) else set()
    return levels | ({str(name) for name in channels} if isinstance(channels, Mapping) else set())


def _reaches(service: Service, project: Project) -> list[Reach]:
    found: list[Reach] = []
    for variable in (CONTACTS, CHANNELS):
        origin = service.origins.get(variable)
        if origin is None:
            continue
        loose = project.read(origin.file)
        for root in loose.roots:
            for key, value in _pairs(root):
                if str(key.value) != variable or key.start_mark.line + 1 != origin.line:
                    continue
                for who, node in _entries(value):
                    at = Spot(origin.file, node.start_mark.line + 1, node.start_mark.column + 1)
                    found.append(Reach(who, loose.written(node), at))
    return found


def _pairs(node: yaml.Node) -> list[tuple[yaml.Node, yaml.Node]]:
    """All entries of all mappings below a node."""
    found: list[tuple[yaml.Node, yaml.Node]] = []
    waiting, seen = [node], set()
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        if isinstance(current, yaml.MappingNode):
            found += current.value
            waiting += [value for _, value in current.value]
        elif isinstance(current, yaml.SequenceNode):
            waiting += current.value
    return found


def _entries(node: yaml.Node) -> list[tuple[str, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):  # runbook_channels: kind to address
        return [(str(key.value), value) for key, value in node.value]
    found = []
    for item in node.value if isinstance(node, yaml.SequenceNode) else []:
        entries = {str(key.value): value for key, value in item.value} if isinstance(item, yaml.MappingNode) else {}
        if "reach" in entries:
            level = entries.get("level")
            found.append((str(level.value) if level is not None else "", entries["reach"]))
    return found
