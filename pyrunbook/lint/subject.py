"""What rules look at, whether it was read from a runbook of the catalog, from a Markdown page or from alert rules.

Everything knows where it stands. Lines and columns count from 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Literal, NamedTuple

from pyrunbook.markdown.section_names import SectionName
from pyrunbook.project.problem import Problem, Spot
from pyrunbook.windows.schedule import Schedule


class Line(NamedTuple):
    """Words of one line of a file, or words about that place."""

    at: Spot
    words: str


class Purpose(StrEnum):
    """What a text is for."""

    INSTRUCTION = "instruction"
    """It says what to do: a step, a solution, a way back."""
    STATEMENT = "statement"
    """It says how things are."""


@dataclass(frozen=True)
class Passage:
    """Words for readers.

    Attributes:
        lines: as written; markup is left in, code is blanked.
        language: `en` or `fr`; empty where nobody says.
    """

    lines: tuple[Line, ...]
    purpose: Purpose
    language: str = ""


@dataclass(frozen=True)
class Command:
    """Shell text to be typed in.

    Attributes:
        text: templates and blanks such as `<id>` masked, see `pyrunbook.lint.masks`.
        source: the same as written.
        starts: where each of its lines begins.
        flow: commands of the same flow are typed into the same shell, in their order: they share variables.
        exact: whether the columns of its lines are those of the file; not where YAML folds lines.
        diagnostic: it stands where a reader only looks: symptoms, diagnosis, verification.
        sure: whether somebody says that it is shell; a fence without a language does not.
    """

    text: str
    source: str
    starts: tuple[Spot, ...]
    flow: str = ""
    exact: bool = True
    diagnostic: bool = False
    sure: bool = True

    @property
    def at(self) -> Spot:
        """Where it begins."""
        return self.starts[0]

    def spot(self, row: int, column: int) -> Spot:
        """The place of a character; both count from 0."""
        start = self.starts[min(row, len(self.starts) - 1)]
        return start._replace(column=start.column + column) if self.exact else start


@dataclass(frozen=True)
class ManualAction:
    """Something to do within a step: commands, and whether their result is described."""

    at: Spot
    commands: tuple[Command, ...]
    expected: bool


@dataclass(frozen=True)
class WrittenStep:
    """A step as a page, or a role's notes, describe it.

    Attributes:
        expected: whether it says how to see that it succeeded.
        actions: what is done by hand, in order.
        undo: whether it says how to undo it, on the same platform.
        platform: on which its actions are done; empty where there is only one.
    """

    title: str
    at: Spot
    expected: bool
    actions: tuple[ManualAction, ...] = ()
    undo: bool = False
    platform: str = ""

    @property
    def commands(self) -> Iterator[Command]:
        """All of its commands."""
        return (command for action in self.actions for command in action.commands)


@dataclass(frozen=True)
class Block:
    """A fenced block of code of a page; `at` is its opening fence."""

    language: str
    text: str
    at: Spot
    fence: str


@dataclass(frozen=True)
class Link:
    """A link, as written."""

    target: str
    at: Spot


@dataclass(frozen=True)
class Mention:
    """The name of something that has to exist elsewhere."""

    kind: Literal["role", "runbook", "playbook", "contact", "alert"]
    name: str
    at: Spot


@dataclass(frozen=True)
class Reach:
    """How somebody is reached: a telephone number, an address, a channel."""

    who: str
    value: str
    at: Spot


@dataclass(frozen=True)
class RunSchedule:
    """When a runbook may run; `service` is named where the inventory says it."""

    schedule: Callable[[], Schedule]
    at: Spot
    service: str = ""


@dataclass(frozen=True)
class Alert:
    """An alerting rule."""

    name: str
    runbook_url: str
    at: Spot
    url_at: Spot


@dataclass
class Subject:
    """What is linted as one.

    Attributes:
        kind: a runbook of the catalog, any other playbook, a role that none applies, a Markdown page, a file with alert
            rules, or an inventory, of which only problems are known.
        file: the playbook, the page, the rules.
        name: id of the runbook; the title of a page.
        at: where it begins: what is missing is missing there.
        form: how a page is built: by a procedure's sections or by an alert's; empty for a page that is no runbook.
        titled: whether a page calls itself a runbook.
        sections: those that are there, with their places.
        before: of a runbook: the commands of the roles that it applies, in order; they are typed in before its own.
        roles: the directories of these roles, each with the sections of the play in which it is applied.
        raw: the lines of a page outside of its code, markup left in.
        open_code: code among words that has no end: where it begins, and its first words.
        noted: what was noticed while it was read, by the id of the rule that says so.
        incident: whether it begins with symptoms.
        files: all that it was read from, in order; the keys of a dict.
        problems: what is wrong with these files.
        metadata: whether it has any, where its kind needs some.
        anchors: of a page: what a link can point to.
    """

    kind: Literal["runbook", "playbook", "role", "page", "alerts", "inventory"]
    file: Path
    name: str
    at: Spot
    form: Literal["procedure", "alert", ""] = ""
    titled: bool = False
    incident: bool = False
    files: dict[Path, None] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    sections: dict[SectionName, Spot] = field(default_factory=dict)
    texts: list[Passage] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    open_code: list[Line] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    before: list[Command] = field(default_factory=list)
    roles: dict[Path, set[str]] = field(default_factory=dict)
    steps: list[WrittenStep] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    mentions: list[Mention] = field(default_factory=list)
    contacts: list[Reach] = field(default_factory=list)
    windows: list[RunSchedule] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    noted: dict[str, list[Line]] = field(default_factory=dict)
    updated: tuple[date, Spot] | None = None
    anchors: frozenset[str] = frozenset()
    metadata: bool = True

    def note(self, rule: str, at: Spot, message: str) -> None:
        """Note what a rule without a module of its own is to say."""
        self.noted.setdefault(rule, []).append(Line(at, message))

    @property
    def is_runbook(self) -> bool:
        """Whether it claims to be one, so that it has to be whole."""
        return self.kind in ("runbook", "role") or (self.kind == "page" and self.form != "")
