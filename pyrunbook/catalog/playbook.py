"""Derives the steps of a runbook from its playbook. The playbook is read, never run, and no template is resolved."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from pyrunbook.project.document import Document, read
from pyrunbook.project.problem import InvalidFile, Problem

GUARDS = ("preflight", "rollback_plan", "conclude")
"""Roles without which no part of a runbook may be run; like everything that stands in `rescue`."""
STRATEGIES = ("zero_downtime", "controlled_stop")
"""The values of `update_strategy`; the first is the default."""


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
class Import:
    """A task that applies a role: what a step is made of.

    Attributes:
        id: the first tag that is not `always` or `never`; the role's name where there is none. The journal's callback
            names steps by the same rule.
        title: the task's name, templates as written.
        conditions: the `when` of the task and of the blocks around it.
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


@dataclass(frozen=True)
class Playbook:
    """What a playbook says."""

    plays: tuple[Play, ...]
    imports: tuple[Import, ...]

    def chosen(self, strategy: str) -> Iterator[Import]:
        """The imports that a run of this strategy reaches, without the conditions that the strategy decides."""
        for item in self.imports:
            verdicts = [_verdict(condition, strategy) for condition in item.conditions]
            if False not in verdicts:
                open_ones = (c for c, verdict in zip(item.conditions, verdicts, strict=True) if verdict is None)
                yield replace(item, conditions=tuple(open_ones))


def _prompts(given: Any) -> Iterator[Prompt]:
    for item in given if isinstance(given, list) else []:
        if isinstance(item, dict) and item.get("name"):
            yield Prompt(str(item["name"]), str(item.get("prompt") or item["name"]), bool(item.get("private", True)))


_ROLE_TASKS = ("import_role", "include_role", "ansible.builtin.import_role", "ansible.builtin.include_role")
_PLAYBOOK_IMPORTS = ("import_playbook", "ansible.builtin.import_playbook")
_SECTIONS = (
    ("pre_tasks", Phase.PREREQUISITE),
    ("roles", Phase.PROCEDURE),
    ("tasks", Phase.PROCEDURE),
    ("post_tasks", Phase.CONCLUDE),
)
_TASKS = {"pre_tasks", "tasks", "post_tasks", "handlers", "block", "rescue", "always"}


@dataclass(frozen=True)
class _Around:
    """What tasks inherit from the blocks and the play around them."""

    tags: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    variables: dict[str, Any] = field(default_factory=dict)

    def within(self, data: dict[str, Any]) -> _Around:
        return _Around(
            tags=(*_tags(data.get("tags")), *self.tags),
            conditions=(*self.conditions, *_when(data)),
            variables=self.variables | _variables(data),
        )


def read_playbook(file: Path) -> Playbook:
    """Read a playbook.

    Raises:
        InvalidFile: with every place where it is no playbook, or where two steps of a phase have the same id.
    """
    document = read(file)
    problems: list[Problem] = []
    plays: list[Play] = []
    imports: list[Import] = []
    if not isinstance(document.root, yaml.SequenceNode) or not document.root.value:
        raise InvalidFile([document.problem(document.root, "", "a playbook is a list of plays")])
    for index, node in enumerate(document.root.value):
        where = f"[{index}]"
        keys = {name: key for name, key, _ in document.items(node)}
        for name in _PLAYBOOK_IMPORTS:
            if name in keys:
                problems.append(
                    document.problem(keys[name], where, "a runbook is one playbook; what is imported has no page")
                )
        if "hosts" not in keys:
            if not keys.keys() & set(_PLAYBOOK_IMPORTS):
                problems.append(document.problem(node, where, "a play needs hosts"))
            continue
        data = _plain(document, node, where, problems)
        serial = data.get("serial")
        name = str(data.get("name") or data["hosts"])
        line, hosts = node.start_mark.line + 1, str(data["hosts"])
        refuses, prompts = _refuses(document, node), tuple(_prompts(data.get("vars_prompt")))
        count = None if serial is None else str(serial)
        plays.append(Play(name, hosts, count, line, _variables(data), refuses, prompts))
        around = _Around(tags=_tags(data.get("tags")), variables=_variables(data))
        for section, phase in _SECTIONS:
            tasks = document.get(node, section)
            if tasks is not None:
                imports += _imports(document, tasks, phase, around, f"{where}.{section}", problems)
    problems += [*_ambiguous(document, imports), *_unguarded(document, imports)]
    if problems:
        raise InvalidFile(problems)
    return Playbook(tuple(plays), tuple(imports))


def _refuses(document: Document, play: yaml.Node) -> bool:
    """Whether a task in front of the steps fails whatever is so, as `pyrunbook import` writes it."""
    tasks = document.get(play, "pre_tasks")
    for task in tasks.value if isinstance(tasks, yaml.SequenceNode) else ():
        keys = {name for name, _, _ in document.items(task)}
        if keys & {"fail", "ansible.builtin.fail"} and "when" not in keys:
            return True
    return False


def _imports(
    document: Document, tasks: yaml.Node, phase: Phase, around: _Around, where: str, problems: list[Problem]
) -> Iterator[Import]:
    if not isinstance(tasks, yaml.SequenceNode):
        if tasks.tag != "tag:yaml.org,2002:null":
            problems.append(document.problem(tasks, where, "expected a list of tasks"))
        return
    for index, node in enumerate(tasks.value):
        path = f"{where}[{index}]"
        if where.endswith(".roles") and isinstance(node, yaml.ScalarNode):
            role = str(node.value)
            line = node.start_mark.line + 1
            yield Import(_step_id(around.tags, role), role, role, phase, around.conditions, line, tags=around.tags)
            continue
        if not isinstance(node, yaml.MappingNode):
            problems.append(document.problem(node, path, "expected a task"))
            continue
        data = _plain(document, node, path, problems)
        inside = around.within(data)
        if "block" in data:
            for part, part_phase in (("block", phase), ("rescue", Phase.ROLLBACK), ("always", Phase.CONCLUDE)):
                tasks_of_part = document.get(node, part)
                if tasks_of_part is not None:
                    yield from _imports(document, tasks_of_part, part_phase, inside, f"{path}.{part}", problems)
            continue
        applied = _role_of(data)
        if applied:
            title = " ".join(str(data.get("name") or applied).split())
            line = node.start_mark.line + 1
            step = _step_id(inside.tags, applied)
            yield Import(step, title, applied, phase, inside.conditions, line, inside.variables, inside.tags)


def _plain(document: Document, node: yaml.Node, where: str, problems: list[Problem]) -> dict[str, Any]:
    """The keywords of a play or a task; a list of tasks in it is `None` here, because each has its own turn."""
    data: dict[str, Any] = {}
    for name, _, value in document.items(node):
        try:
            data[name] = None if name in _TASKS else document.value(value)
        except ValueError as error:
            problems.append(document.problem(value, f"{where}.{name}", str(error)))
            data[name] = ""
    return data


def _role_of(data: dict[str, Any]) -> str | None:
    for task in _ROLE_TASKS:
        arguments = data.get(task)
        if isinstance(arguments, dict) and arguments.get("name"):
            return str(arguments["name"])
        if isinstance(arguments, str):
            found = re.search(r"\bname=([\w.-]+)", arguments)
            return found[1] if found else None
    role = data.get("role")
    return str(role) if role else None


def _variables(data: dict[str, Any]) -> dict[str, Any]:
    given = data.get("vars")
    return {str(key): value for key, value in given.items()} if isinstance(given, dict) else {}


def _tags(raw: Any) -> tuple[str, ...]:
    items = raw.split(",") if isinstance(raw, str) else raw if isinstance(raw, list) else []
    return tuple(str(item).strip() for item in items)


def _when(data: dict[str, Any]) -> tuple[str, ...]:
    raw = data.get("when")
    if raw is None:
        return ()
    return tuple(" ".join(str(item).split()) for item in (raw if isinstance(raw, list) else [raw]))


def _step_id(tags: tuple[str, ...], role: str) -> str:
    return next((tag for tag in tags if tag not in ("always", "never")), role)


def _ambiguous(document: Document, imports: list[Import]) -> Iterator[Problem]:
    """Steps that a run could not tell apart; those of different strategies may share an id."""
    for strategy in STRATEGIES:
        seen: dict[tuple[Phase, str], Import] = {}
        for item in Playbook((), tuple(imports)).chosen(strategy):
            first = seen.setdefault((item.phase, item.id), item)
            if first is not item and first.line != item.line:
                message = f"the step {item.id} is here twice, first in line {first.line}; give each a tag of its own"
                yield Problem(document.file, item.line, 1, item.title, message)
        if seen and len(seen) == len(imports):
            return


def _unguarded(document: Document, imports: list[Import]) -> Iterator[Problem]:
    """Guards that a run of one step would leave out. A playbook that is no runbook of ours has none."""
    if not any(item.role in GUARDS for item in imports):
        return
    for item in imports:
        if (item.role in GUARDS or item.phase is Phase.ROLLBACK) and "always" not in item.tags:
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
