"""Fills a subject from a file with Prometheus alerting rules, as Prometheus reads it or as a PrometheusRule has it."""

from __future__ import annotations

from pathlib import Path

import yaml

from pyrunbook.lint.context import Project
from pyrunbook.lint.subject import Alert, Subject
from pyrunbook.project.document import Document
from pyrunbook.project.problem import Spot


def from_alerts(file: Path, project: Project) -> Subject:
    """The alerts of a file; what is broken in it is listed."""
    loose = project.read(file)
    subject = Subject("alerts", file, file.name, Spot(file, 1, 1))
    subject.files[file] = None
    subject.problems += loose.problems
    for root in loose.roots:
        entries = loose.entries(root)
        spec = loose.entries(entries["spec"][1]) if "spec" in entries else entries
        for group in _members(spec.get("groups")):
            for rule in _members(loose.entries(group).get("rules")):
                subject.alerts += _alert(loose, rule)
    return subject


def is_alert_rules(file: Path, project: Project) -> bool:
    """Whether a YAML file looks like alerting rules."""
    text = "\n".join(project.lines(file))
    return "groups:" in text and "alert:" in text and bool(from_alerts(file, project).alerts)


def _members(found: tuple[yaml.Node, yaml.Node] | None) -> list[yaml.Node]:
    return list(found[1].value) if found and isinstance(found[1], yaml.SequenceNode) else []


def _alert(loose: Document, rule: yaml.Node) -> list[Alert]:
    entries = loose.entries(rule)
    if "alert" not in entries:
        return []
    annotations = loose.entries(entries["annotations"][1]) if "annotations" in entries else {}
    url = annotations.get("runbook_url") or annotations.get("runbook")
    key, name = entries["alert"]
    at = loose.spot(key)
    where = url[1].start_mark if url else key.start_mark
    url_at = Spot(loose.file, where.line + 1, where.column + 1)
    return [Alert(loose.written(name), loose.written(url[1]).strip() if url else "", at, url_at)]
