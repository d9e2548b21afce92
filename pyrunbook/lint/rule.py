"""A rule: one question to a runbook or a page. `pyrunbook.lint.rules` has them; a module there imports this one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pyrunbook import places
from pyrunbook.catalog.settings import Level
from pyrunbook.lint.context import Context
from pyrunbook.lint.subject import Subject
from pyrunbook.project.problem import Spot

__all__ = ["Context", "Edit", "Finding", "Rule", "Subject", "page_of", "rule"]


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


def rule(level: Level, summary: str) -> Callable[[Check], Rule]:
    """Make a rule of the function `check` of a module, whose name is the rule's."""
    return lambda check: Rule(check.__module__.rpartition(".")[2].replace("_", "-"), level, summary, check)


def page_of(rule_id: str) -> Path:
    """The page that explains a rule."""
    return places.shipped() / "docs/lint" / f"{rule_id}.md"
