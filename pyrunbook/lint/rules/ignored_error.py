"""A failure that is ignored without a word about why that is right."""

from __future__ import annotations

from collections.abc import Iterator

from pyrunbook.lint.context import Context
from pyrunbook.lint.rule import Finding, Rule
from pyrunbook.lint.subject import Subject


def check(subject: Subject, _context: Context) -> Iterator[Finding]:
    """`ignore_errors` without a comment on its line, above it, or above its task."""
    for place in subject.ignored_errors:
        yield Finding(place.at, "ignore_errors without a comment that says why a failure is right here")


RULE = Rule("ignored-error", "warning", "A task ignores its failure and nobody says why.", check)
