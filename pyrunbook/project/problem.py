"""Places in files, and what is wrong there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pyrunbook.errors import BadInput


class Spot(NamedTuple):
    """A place in a file; line and column count from 1."""

    file: Path
    line: int
    column: int


@dataclass(frozen=True)
class Problem:
    """Something wrong in a file; `line` and `column` count from 1, `where` is the dotted path inside the file.

    With `elsewhere` the file itself may be right: it names a role or a file that is kept outside of the project.
    """

    file: Path
    line: int
    column: int
    where: str
    message: str
    elsewhere: bool = False

    def __str__(self) -> str:
        """`file:line:column: where: message`, as editors and CI read it."""
        where = f"{self.where}: " if self.where else ""
        return f"{_shown(self.file)}:{self.line}:{self.column}: {where}{self.message}"


class InvalidFile(BadInput):
    """Files of a project are wrong. Carries all problems, not only the first."""

    def __init__(self, problems: list[Problem], *, next_step: str = "") -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems), next_step=next_step)


def _shown(file: Path) -> str:
    try:
        return str(file.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(file)
