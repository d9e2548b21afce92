"""A playbook of which nobody says what it is for."""

from __future__ import annotations

from collections.abc import Iterator

from pyrunbook.lint.context import Context
from pyrunbook.lint.rule import Finding, Rule
from pyrunbook.lint.subject import Subject


def check(subject: Subject, _context: Context) -> Iterator[Finding]:
    """At the playbook's beginning."""
    if subject.kind in ("runbook", "playbook") and not subject.metadata:
        name = subject.file.with_suffix(".meta.yml").name
        yield Finding(subject.at, f"the playbook has no metadata: who owns it, what it needs, how to go back ({name})")


RULE = Rule("without-metadata", "warning", "A playbook has no metadata beside it.", check)
