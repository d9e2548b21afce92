"""Derives the steps of a runbook from its playbook. The playbook is read, never run, and no template is resolved.

A playbook of ours names its runbook (`runbook_id`) or has a guard, and its steps are the roles that it applies. A
**plain** one is any other: its steps are what stands in it, by the rule of the journal's callback
(`plugins.selection.step_of`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from pyrunbook.catalog.outline_tasks import is_keyword
from pyrunbook.project.document import NULL, Document, read, read_leniently
from pyrunbook.project.problem import InvalidFile, Problem
from pyrunbook.project.role_places import folder_of
from pyrunbook.project.tasks import IMPORTS, PARTS, Task, Written, plays_of, tasks_in
from pyrunbook.project.tasks import Play as WrittenPlay

GUARD = "preflight"
GUARDS = ("preflight", "rollback_plan", "conclude")
"""Roles without which no part of a runbook may be run; like everything that stands in `rescue`."""
STRATEGIES = ("zero_downtime", "controlled_stop")
"""The values of `update_strategy`; the first is the default."""


def slug(name: str) -> str:
    """The id of a step that has a name alone."""
    return re.sub(r"\W+", "_", re.sub(r"{{.*?}}", " ", name).lower()).strip("_") or "task"


class Phase(StrEnum):
    """Where in a play a step stands: `pre_tasks`; `tasks` and `block`; `rescue`; `always` and `post_tasks`."""

    PREREQUISITE = "prerequisite"
    PROCEDURE = "procedure"
    ROLLBACK = "rollback"
    CONCLUDE = "conclude"


@dataclass(frozen=True)
class Prompt:
    """A variable that a play asks for (`vars_prompt`); the answer to a private one is not shown."""

    name: str
    text: str
    private: bool


@dataclass(frozen=True)
class Play:
    """A play of the playbook.

    Attributes:
        serial: as written; `None` where all services are taken at once.
        variables: its `vars`, templates as written.
        refuses: whether a task before its first step fails whatever is so: nothing of it is automated yet.
    """

    name: str
    hosts: str
    serial: str | None
    line: int
    variables: dict[str, Any] = field(default_factory=dict)
    refuses: bool = False
    prompts: tuple[Prompt, ...] = ()


@dataclass(frozen=True)
class AppliedRole:
    """A task that applies a role: what a step is made of. In a plain playbook also a block or a task with a name.

    Attributes:
        id: the first tag that is not `always` or `never`; the role's name where there is none. The journal's callback
            names steps by the same rule.
        title: the task's name, templates such as `{{ service_preview_color }}` as written.
        role: as written; one of ours has the name of our collection before it. Empty where no role is applied.
        conditions: the `when` of the task and of the blocks around it.
        line: of the playbook, counting from 1.
        variables: what the play, the blocks and the task set for the role (`vars`), templates as written.
        tags: of the task and of what is around it.
    """

    id: str
    title: str
    role: str
    phase: Phase
    conditions: tuple[str, ...]
    line: int
    variables: dict[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """The name of its role's folder."""
        return folder_of(self.role)


@dataclass(frozen=True)
class Playbook:
    """What a playbook says."""

    plays: tuple[Play, ...]
    imports: tuple[AppliedRole, ...]

    @property
    def plain(self) -> bool:
        """Whether it is any playbook: one that does not guard and record itself."""
        ours = any("runbook_id" in play.variables for play in self.plays)
        # With `runbook_id` of its own the role preflight is the line that guards a plain playbook.
        return not ours and not any(i.folder in GUARDS and "runbook_id" not in i.variables for i in self.imports)

    def chosen(self, strategy: str) -> Iterator[AppliedRole]:
        """The imports that a run of this strategy reaches, without the conditions that the strategy decides."""
        for item in self.imports:
            verdicts = [_verdict(condition, strategy) for condition in item.conditions]
            if False not in verdicts:
                open_ones = (c for c, verdict in zip(item.conditions, verdicts, strict=True) if verdict is None)
                yield replace(item, conditions=tuple(open_ones))


_MOST_IMPORTS = 20
_SECTIONS = (
    ("pre_tasks", Phase.PREREQUISITE),
    ("roles", Phase.PROCEDURE),
    ("tasks", Phase.PROCEDURE),
    ("post_tasks", Phase.CONCLUDE),
)
_PARTS = {"rescue": Phase.ROLLBACK, "always": Phase.CONCLUDE}
_FAIL = ("fail", "ansible.builtin.fail")


def read_playbook(file: Path) -> Playbook:
    """Read a playbook.

    Raises:
        InvalidFile: with every place where it is no playbook, or where two steps of a phase have the same id.
    """
    document = read(file)
    if not isinstance(document.root, yaml.SequenceNode) or not document.root.value:
        raise InvalidFile([document.problem(document.root, "", "a playbook is a list of plays")])
    reader = _Reader(document)
    reader.read()
    found = Playbook(tuple(reader.plays), tuple(reader.imports))
    if found.plain and (found.plays or any(play.imports for play in plays_of(document))):
        return _plain(file)
    document.problems += [*_ambiguous(document, reader.imports), *_unguarded(document, reader.imports)]
    if document.problems:
        raise InvalidFile(document.problems)
    return found


def _plain(file: Path) -> Playbook:
    """A plain playbook, with those that it imports. What is wrong in it, Ansible says."""
    plays: list[Play] = []
    steps: list[AppliedRole] = []

    def add(file: Path, opened: tuple[Path, ...]) -> None:
        document = read_leniently(file)
        for play in plays_of(document):
            if play.imports:
                target = (file.parent / play.imports.split(" ")[0]).resolve()
                if target not in opened and target.is_file() and len(opened) < _MOST_IMPORTS:
                    add(target, (*opened, target))
                continue
            reader = _Reader(document, plain=True)
            reader.play(play)
            plays.extend(reader.plays)
            steps.extend(reader.imports)

    add(file, (file.resolve(),))
    return Playbook(tuple(plays), tuple(steps))


@dataclass(frozen=True)
class _Around:
    """What tasks inherit from the blocks and the play around them."""

    tags: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    variables: dict[str, Any] = field(default_factory=dict)


class _Reader:
    def __init__(self, document: Document, *, plain: bool = False) -> None:
        self._document = document
        self._plain = plain
        self.plays: list[Play] = []
        self.imports: list[AppliedRole] = []

    def read(self) -> None:
        found = {id(play.node): play for play in plays_of(self._document)}
        for index, node in enumerate(self._document.root.value):
            if id(node) in found:
                self.play(found[id(node)])
            else:
                self._document.complain(node, f"[{index}]", "a play needs hosts")

    def play(self, play: WrittenPlay) -> None:
        for key in (play.entries[name][0] for name in IMPORTS if name in play.entries):
            self._document.complain(key, play.where, "a runbook is one playbook; what is imported has no page")
        if "hosts" not in play.entries:
            return
        hosts = ",".join(self._document.texts(play.keyword("hosts")))
        serial = ",".join(self._document.texts(play.keyword("serial"))) or None
        around = self._within(_Around(), play)
        refuses = any(
            not task.conditions and any(name in task.entries for name in _FAIL)
            for task in tasks_in(self._document, play.keyword("pre_tasks"), "", "")
        )
        prompts = tuple(_prompts(self._value(play, "vars_prompt")))
        self.plays.append(Play(play.name or hosts, hosts, serial, play.spot().line, around.variables, refuses, prompts))
        for section, phase in _SECTIONS:
            self._tasks(play.keyword(section), section, phase, around, f"{play.where}.{section}")

    def _tasks(self, node: yaml.Node | None, section: str, phase: Phase, around: _Around, where: str) -> None:
        if node is not None and node.tag != NULL and not isinstance(node, yaml.SequenceNode):
            self._document.complain(node, where, "expected a list of tasks")
        for task in tasks_in(self._document, node, section, where):
            role = task.role()
            if not task.entries and role is None:
                self._document.complain(task.node, task.where, "expected a task")
                continue
            inside = self._within(around, task)
            if self._plain and (found := self._plain_step(task, phase, inside)) is not None:
                self.imports.append(found)
            elif "block" in task.entries:
                for part in PARTS:
                    self._tasks(task.keyword(part), part, _PARTS.get(part, phase), inside, f"{task.where}.{part}")
            elif role is not None:
                step = next((tag for tag in inside.tags if tag not in ("always", "never")), folder_of(role[0]))
                title, line = task.name or folder_of(role[0]), task.spot().line
                variables, tags = inside.variables, inside.tags
                self.imports.append(AppliedRole(step, title, role[0], phase, inside.conditions, line, variables, tags))

    def _plain_step(self, task: Task, phase: Phase, inside: _Around) -> AppliedRole | None:
        """The block or the task as a step; `None` where it is a role, or what is in it are the steps."""
        splits = "rescue" in task.entries or "always" in task.entries
        if task.role() is not None or ("block" in task.entries and (splits or not task.name)):
            return None
        does = next((key for key in task.entries if not is_keyword(key)), "")
        if does.rpartition(".")[2] == "meta":
            return None
        title = task.name or does
        own = next((tag for tag in task.tags if tag not in ("always", "never")), slug(title))
        line, variables, tags = task.spot().line, inside.variables, inside.tags
        return AppliedRole(own, title, "", phase, inside.conditions, line, variables, tags)

    def _within(self, around: _Around, inner: Written) -> _Around:
        said = self._value(inner, "vars")
        return _Around(
            tags=(*inner.tags, *around.tags),
            conditions=(*around.conditions, *inner.conditions),
            variables=around.variables | (said if isinstance(said, dict) else {}),
        )

    def _value(self, inner: Written, name: str) -> Any:
        node = inner.keyword(name)
        try:
            return None if node is None else self._document.value(node)
        except ValueError as error:
            self._document.complain(node or inner.node, f"{inner.where}.{name}", str(error))
            return None


def _prompts(given: Any) -> Iterator[Prompt]:
    for item in given if isinstance(given, list) else []:
        if isinstance(item, dict) and item.get("name"):
            yield Prompt(str(item["name"]), str(item.get("prompt") or item["name"]), bool(item.get("private", True)))


def _ambiguous(document: Document, imports: list[AppliedRole]) -> Iterator[Problem]:
    """Steps that a run could not tell apart; those of different strategies may share an id."""
    for strategy in STRATEGIES:
        seen: dict[tuple[Phase, str], AppliedRole] = {}
        for item in Playbook((), tuple(imports)).chosen(strategy):
            first = seen.setdefault((item.phase, item.id), item)
            if first is not item and first.line != item.line:
                message = f"the step {item.id} is here twice, first in line {first.line}; give each a tag of its own"
                yield Problem(document.file, item.line, 1, item.title, message)
        if seen and len(seen) == len(imports):
            return


def _unguarded(document: Document, imports: list[AppliedRole]) -> Iterator[Problem]:
    """Guards that a run of one step would leave out. A playbook that is no runbook of ours has none."""
    if not any(item.folder in GUARDS for item in imports):
        return
    for item in imports:
        if (item.folder in GUARDS or item.phase is Phase.ROLLBACK) and "always" not in item.tags:
            message = (
                f"the guard {item.id} needs the tag always, or a run of one step leaves it out; "
                f"write tags: [{item.id}, always]"
            )
            yield Problem(document.file, item.line, 1, item.title, message)


_COMPARISON = re.compile(
    r"""\(?\s*update_strategy
        (?:\s*\|\s*default\(\s*['"](?P<default>\w+)['"]\s*(?:,\s*(?:true|True))?\))?
        \s*\)?\s*(?P<operator>==|!=)\s*['"](?P<value>\w+)['"]""",
    re.VERBOSE,
)


def _verdict(condition: str, strategy: str) -> bool | None:
    """What the strategy makes of a condition; `None` where something else decides."""
    found = _COMPARISON.fullmatch(condition.strip())
    if found is None:
        return None
    return (found["value"] == strategy) is (found["operator"] == "==")
