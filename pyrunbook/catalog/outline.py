"""The outline of any playbook: its plays and what is in them, as far as the files say. Nothing is run or imported.

`catalog.playbook` derives the steps of our own runbooks and is strict; this survives what real repositories hold:
templated names, paths and hosts, `!vault`, several documents, duplicate keys, tabs, files that are no YAML. What is
wrong is listed with file, line and column, and the rest is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from pyrunbook.catalog.outline_tasks import Item, Tasks, is_template, key_values
from pyrunbook.project.document import Document
from pyrunbook.project.problem import Problem
from pyrunbook.project.role_places import RolePlaces, inside, is_file
from pyrunbook.project.tasks import IMPORTS, SECTIONS, Written

_MAX_IMPORTS = 20
_SHOWN = (
    "strategy", "order", "any_errors_fatal", "max_fail_percentage", "force_handlers", "ignore_errors",
    "ignore_unreachable", "become_user", "remote_user", "connection", "environment", "throttle", "check_mode",
)  # fmt: skip
"""The keywords of a play that say how its tasks are done, besides those that have an attribute of their own."""


@dataclass(frozen=True)
class OutlinePlay:
    """A play. Texts are as written; `None` and empty where nothing is said.

    Attributes:
        name: of the play; its hosts where it has none.
        hosts: a list is joined by commas.
        file: in which it stands; `line` and `column` count from 1.
        prompts: the variables that it asks for in the terminal.
        settings: keyword to what is written there, of `_SHOWN`.
        sections: those that have something, by name, in the order in which Ansible takes them.
    """

    name: str
    hosts: str
    file: Path
    line: int
    column: int
    serial: str | None = None
    become: str | None = None
    tags: tuple[str, ...] = ()
    vars_files: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    sections: dict[str, tuple[Item, ...]] = field(default_factory=dict)

    def walk(self) -> Iterator[Item]:
        """All items, those inside of others too."""
        for items in self.sections.values():
            for item in items:
                yield from item.walk()


@dataclass(frozen=True)
class PlaybookImport:
    """An entry that stands for another playbook.

    Attributes:
        path: its file; `None` where it was not followed.
    """

    target: str
    path: Path | None
    file: Path
    line: int
    column: int
    tags: tuple[str, ...] = ()
    when: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    entries: tuple[OutlinePlay | PlaybookImport, ...] = ()


@dataclass(frozen=True)
class OutlineRole:
    """A role that a playbook applies, directly or by another role.

    Attributes:
        name: as it is first applied.
        tasks_from: the file of its tasks, as written; empty for its `main`.
        dependencies: the roles that are applied before it.
        tasks: in order.
        handlers: of its `main`.
    """

    name: str
    path: Path
    tasks_from: str
    dependencies: tuple[Item, ...]
    tasks: tuple[Item, ...]
    handlers: tuple[Item, ...]


@dataclass(frozen=True)
class Outline:
    """A playbook.

    Attributes:
        project: the directory that nothing was read outside of. This and all paths below are absolute, links resolved.
        entries: its plays and imports in order.
        roles: those of the project that it applies, each with each file of its tasks, in the order in which it does.
        problems: all that is wrong, in it and in what it includes.
        files: what was read for it, itself first.
    """

    file: Path
    project: Path
    entries: tuple[OutlinePlay | PlaybookImport, ...]
    problems: tuple[Problem, ...]
    files: tuple[Path, ...]
    roles: tuple[OutlineRole, ...] = ()

    @property
    def plays(self) -> list[OutlinePlay]:
        """The plays in the order in which Ansible takes them, imported ones too."""
        return list(_plays(self.entries))


def _plays(entries: tuple[OutlinePlay | PlaybookImport, ...]) -> Iterator[OutlinePlay]:
    for entry in entries:
        if isinstance(entry, OutlinePlay):
            yield entry
        else:
            yield from _plays(entry.entries)


def read_outline(file: Path, project: Path) -> Outline:
    """Read a playbook; nothing outside of the project is read, links followed. What is in the files raises nothing."""
    project = project.resolve()
    if not inside(file, project):
        outside = Problem(file, 1, 1, "", f"stands outside of the project {project} and was not read")
        return Outline(file, project, (), (outside,), ())
    file = file.resolve()
    reader = _Playbooks(project)
    entries = reader.entries(file, ())
    roles = tuple(_roles(reader.tasks, entries, file))
    problems = tuple(problem for document in reader.tasks.files for problem in document.problems)
    return Outline(file, project, entries, problems, tuple(document.file for document in reader.tasks.files), roles)


def _roles(tasks: Tasks, entries: tuple[OutlinePlay | PlaybookImport, ...], playbook: Path) -> Iterator[OutlineRole]:
    seen: set[tuple[Path, str]] = set()

    def applied(items: Iterator[Item]) -> Iterator[OutlineRole]:
        for item in items:
            if item.role is None or item.role_path is None or (item.role_path, item.tasks_from) in seen:
                continue
            seen.add((item.role_path, item.tasks_from))
            before = tasks.dependencies(item.role_path, playbook)
            own = tasks.of_role(item.role_path / "tasks", item.tasks_from or "main", playbook)
            handlers = tasks.of_role(item.role_path / "handlers", "main", playbook)
            yield OutlineRole(item.role, item.role_path, item.tasks_from, before, own, handlers)
            yield from applied(inner for each in (*before, *own) for inner in each.walk())

    for play in _plays(entries):
        yield from applied(play.walk())


class _Playbooks:
    def __init__(self, project: Path) -> None:
        self._project = project
        self.tasks = Tasks(project, RolePlaces(project))

    def entries(self, file: Path, opened: tuple[Path, ...]) -> tuple[OutlinePlay | PlaybookImport, ...]:
        document = self.tasks.file(file)
        if not document.roots:
            if not document.problems:
                document.complain_at(1, 1, "the file is empty")
            return ()
        if document.documents > 1:
            document.complain(document.roots[1], "", "a second document in the file; Ansible takes files of one only")
        found: list[OutlinePlay | PlaybookImport] = []
        for root in document.roots:
            if not isinstance(root, yaml.SequenceNode):
                document.complain(root, "", "a playbook is a list of plays")
                continue
            for index, node in enumerate(root.value):
                where = f"[{index}]"
                written = Written(document, node, document.entries(node, where), where)
                if (entry := self._entry(written, (*opened, file))) is not None:
                    found.append(entry)
        return tuple(found)

    def _entry(self, entry: Written, opened: tuple[Path, ...]) -> OutlinePlay | PlaybookImport | None:
        document, keyword = entry.document, entry.keyword
        imported = next((entry.entries[key][1] for key in (*IMPORTS, "include") if key in entry.entries), None)
        if imported is not None:
            written = document.text(imported) or ""
            target = written if is_template(written) else written.split(" ")[0]
            path = self._imported(replace(entry, node=imported), target, opened)
            return PlaybookImport(
                target, path, *entry.spot(), tags=entry.tags or tuple(key_values(written).get("tags", "").split()),
                when=entry.conditions,
                variables=tuple((name, document.brief(value)) for name, _, value in document.items(keyword("vars"))),
                entries=self.entries(path, opened) if path else (),
            )  # fmt: skip
        if "hosts" not in entry.entries:
            entry.complain("a play needs hosts")
            return None
        hosts, (file, line, column) = ",".join(document.texts(keyword("hosts"))), entry.spot()
        sections = {
            section: items for section in SECTIONS
            if (items := self.tasks.items(document, keyword(section), section, f"{entry.where}.{section}", opened[-1:]))
        }  # fmt: skip
        return OutlinePlay(
            entry.name or hosts, hosts, file, line, column, tags=entry.tags,
            serial=",".join(document.texts(keyword("serial"))) or None,
            become=document.text(keyword("become") or keyword("sudo")),
            vars_files=document.texts(keyword("vars_files")),
            prompts=tuple(_prompts(document, keyword("vars_prompt"))),
            settings=tuple((key, document.brief(entry.entries[key][1])) for key in _SHOWN if key in entry.entries),
            sections=sections,
        )  # fmt: skip

    def _imported(self, entry: Written, target: str, opened: tuple[Path, ...]) -> Path | None:
        shown = target[:100]
        if not target:
            entry.complain("names no playbook to import")
        elif is_template(target):
            return None
        elif not is_file(path := entry.document.file.parent / target):
            entry.complain(f"there is no playbook {shown} in this project", elsewhere=True)
        elif not inside(path, self._project):
            entry.complain(f"{shown} stands outside of the project and was not read", elsewhere=True)
        elif (path := path.resolve()) in opened:
            entry.complain(f"{shown} imports itself")
        elif len(opened) > _MAX_IMPORTS:
            entry.complain(f"more than {_MAX_IMPORTS} playbooks import each other; {shown} was not read")
        else:
            return path
        return None


def _prompts(document: Document, node: yaml.Node | None) -> Iterator[str]:
    if isinstance(node, yaml.SequenceNode):
        for member in node.value:
            if (name := document.get(member, "name")) is not None:
                yield document.text(name) or ""
    else:
        yield from document.entries(node)
