"""A file that cannot be read, or metadata that the catalog refuses."""

from __future__ import annotations

from collections.abc import Iterator

from pyrunbook.lint.rule import Context, Finding, Subject, rule
from pyrunbook.project.problem import Spot


@rule("error", "A file cannot be read, or is not what pyrunbook reads.")
def check(subject: Subject, _context: Context) -> Iterator[Finding]:
    """Each problem at its place."""
    for problem in subject.problems:
        where = f"{problem.where}: " if problem.where else ""
        yield Finding(Spot(problem.file, problem.line, problem.column), f"{where}{problem.message}")
