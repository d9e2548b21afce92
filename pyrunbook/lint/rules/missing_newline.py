"""A file whose last line does not end: what is appended to it later stands in the same line."""

from __future__ import annotations

from collections.abc import Iterator

from pyrunbook.lint.rule import Context, Edit, Finding, Subject, rule
from pyrunbook.project.problem import Spot


@rule("note", "The last line of a file does not end.")
def check(subject: Subject, context: Context) -> Iterator[Finding]:
    """Each file that the subject was read from."""
    for file in subject.files:
        lines = context.project.lines(file)
        if lines[-1]:
            at = Spot(file, len(lines), len(lines[-1]) + 1)
            yield Finding(at, "the last line does not end", Edit(at, "", "\n", "ended the last line"))
