"""A rule: one question to a runbook or a page. Each stands in a module of its own under `pyrunbook.lint.rules`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pyrunbook.catalog.settings import Level
from pyrunbook.lint.context import Context
from pyrunbook.lint.subject import Subject
from pyrunbook.project.problem import Spot


class Edit(NamedTuple):
    """A change of one line that keeps its meaning: the characters from `column` on, `removed`, become `inserted`."""

    at: Spot
    removed: str
    inserted: str
    done: str
    """What it does, in a sentence."""


@dataclass(frozen=True)
class Finding:
    """What a rule complains about; `edit` where a correction is certain."""

    at: Spot
    message: str
    edit: Edit | None = None


Check = Callable[[Subject, Context], Iterator[Finding]]


@dataclass(frozen=True)
class Rule:
    """A rule.

    Attributes:
        id: the name of its module, with hyphens; its page is `docs/lint/<id>.md`.
        level: of its findings, where the settings of a project say nothing else.
        summary: one line: what is wrong.
        check: yields what it finds in a subject.
    """

    id: str
    level: Level
    summary: str
    check: Check


def page_of(rule_id: str) -> Path:
    """The page that explains a rule. A checkout has it at its top, a wheel inside the package."""
    package = Path(__file__).resolve().parents[1]
    candidates = [base / "docs" / "lint" / f"{rule_id}.md" for base in (package.parent, package / "content")]
    return next((path for path in candidates if path.is_file()), candidates[0])
