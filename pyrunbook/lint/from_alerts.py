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
    document = project.read(file)
    subject = Subject("alerts", file, file.name, Spot(file, 1, 1))
    subject.files[file] = None
    subject.problems += document.problems
    for root in document.roots:
        for group in _members(document.get(document.get(root, "spec") or root, "groups")):
            for rule in _members(document.get(group, "rules")):
                subject.alerts += _alert(document, rule)
    return subject


def is_alert_rules(file: Path, project: Project) -> bool:
    """Whether a YAML file looks like alerting rules."""
    text = "\n".join(project.lines(file))
    return "groups:" in text and "alert:" in text and bool(from_alerts(file, project).alerts)


def _members(node: yaml.Node | None) -> list[yaml.Node]:
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _alert(document: Document, rule: yaml.Node) -> list[Alert]:
    entries = document.entries(rule)
    if "alert" not in entries:
        return []
    key, name = entries["alert"]
    annotations = document.get(rule, "annotations")
    url = document.get(annotations, "runbook_url") or document.get(annotations, "runbook")
    written = document.written(url).strip() if url else ""
    return [Alert(document.written(name), written, document.spot(key), document.spot(url or key))]
