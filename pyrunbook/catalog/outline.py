"""The outline of any playbook: its plays and what is in them, as far as the files say. Nothing is run or imported.

`catalog.playbook` derives the steps of our own runbooks and is strict; this survives what real repositories hold:
templated names, paths and hosts, `!vault`, several documents, duplicate keys, tabs, files that are no YAML. What is
wrong is listed with file, line and column, and the rest is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from pyrunbook.catalog.outline_tasks import Item, Kind, Tasks, is_template, key_values
from pyrunbook.catalog.roles import RolePlaces, inside, is_file
from pyrunbook.project.document import Document
from pyrunbook.project.problem import Problem

__all__ = ["SECTIONS", "Item", "Kind", "Outline", "OutlinePlay", "PlaybookImport", "read_outline"]

SECTIONS = ("pre_tasks", "roles", "tasks", "post_tasks", "handlers")
"""The lists of a play, in the order in which Ansible takes them."""
IMPORTS = ("import_playbook", "ansible.builtin.import_playbook", "include_playbook")
"""The keys of an entry that stands for another playbook."""
_MAX_IMPORTS = 20
_TOLD = (
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
        settings: keyword to what is written there, of `_TOLD`.
        pre_tasks: like the other sections, its items in order.
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
    pre_tasks: tuple[Item, ...] = ()
    roles: tuple[Item, ...] = ()
    tasks: tuple[Item, ...] = ()
    post_tasks: tuple[Item, ...] = ()
    handlers: tuple[Item, ...] = ()

    @property
    def sections(self) -> dict[str, tuple[Item, ...]]:
        """The sections that have something, by name, in the order in which Ansible takes them."""
        found = {section: getattr(self, section) for section in SECTIONS}
        return {section: items for section, items in found.items() if items}

    def walk(self) -> Iterator[Item]:
        """All items, those inside of others too."""
        for items in self.sections.values():
            for item in items:
                yield from item.walk()


@dataclass(frozen=True)
class PlaybookImport:
    """An entry that stands for another playbook.

    Attributes:
        target: the playbook, as written.
        path: its file; `None` where it was not followed.
        entries: what is in it.
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
        path: its directory.
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
        file: its path.
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
    """Read a playbook. Never raises for what is in the files.

    Args:
        file: the playbook.
        project: the directory that it belongs to; nothing outside of it is read, links followed.
    """
    project = project.resolve()
    if not inside(file, project):
        outside = Problem(file, 1, 1, "", f"stands outside of the project {project} and was not read")
        return Outline(file, project, (), (outside,), ())
    file = file.resolve()
    reader = _Playbooks(project)
    entries = reader.entries(file, ())
    roles = tuple(_roles(reader.tasks, entries, file))
    problems = tuple(problem for loose in reader.tasks.files for problem in loose.problems)
    return Outline(file, project, entries, problems, tuple(loose.file for loose in reader.tasks.files), roles)


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
        loose = self.tasks.file(file)
        if not loose.roots:
            if not loose.problems:
                loose.complain_at(1, 1, "the file is empty")
            return ()
        if loose.documents > 1:
            loose.complain(loose.roots[1], "", "a second document in the file; Ansible takes files of one only")
        found: list[OutlinePlay | PlaybookImport] = []
        for root in loose.roots:
            if not isinstance(root, yaml.SequenceNode):
                loose.complain(root, "", "a playbook is a list of plays")
                continue
            for index, node in enumerate(root.value):
                entry = self._entry(loose, node, f"[{index}]", (*opened, file))
                if entry is not None:
                    found.append(entry)
        return tuple(found)

    def _entry(
        self, loose: Document, node: yaml.Node, where: str, opened: tuple[Path, ...]
    ) -> OutlinePlay | PlaybookImport | None:
        entries = loose.entries(node, where)
        value = {key: entry[1] for key, entry in entries.items()}
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        key = next((key for key in (*IMPORTS, "include") if key in value), None)
        if key is not None:
            written = loose.text(value[key]) or ""
            target = written if is_template(written) else written.split(" ")[0]
            path = self._imported(loose, value[key], where, target, opened)
            return PlaybookImport(
                target, path, loose.file, line, column,
                tags=loose.names(value.get("tags")) or tuple(key_values(written).get("tags", "").split()),
                when=loose.texts(value.get("when")),
                variables=tuple((key, loose.brief(each[1])) for key, each in loose.entries(value.get("vars")).items()),
                entries=self.entries(path, opened) if path else (),
            )  # fmt: skip
        if "hosts" not in value:
            loose.complain(node, where, "a play needs hosts")
            return None
        hosts = ",".join(loose.texts(value["hosts"]))
        playbook = opened[-1]
        sections = {
            section: self.tasks.items(loose, value.get(section), f"{where}.{section}", (playbook,))
            for section in SECTIONS
        }
        become = value.get("become", value.get("sudo"))
        return OutlinePlay(
            loose.text(value.get("name")) or hosts, hosts, loose.file, line, column,
            serial=",".join(loose.texts(value.get("serial"))) or None,
            become=loose.text(become),
            tags=loose.names(value.get("tags")),
            vars_files=loose.texts(value.get("vars_files")),
            prompts=tuple(_prompts(loose, value.get("vars_prompt"))),
            settings=tuple((key, loose.brief(value[key])) for key in _TOLD if key in value),
            **sections,
        )  # fmt: skip

    def _imported(
        self, loose: Document, node: yaml.Node, where: str, target: str, opened: tuple[Path, ...]
    ) -> Path | None:
        shown = target[:100]
        if not target:
            loose.complain(node, where, "names no playbook to import")
        elif is_template(target):
            return None
        elif not is_file(path := loose.file.parent / target):
            loose.complain(node, where, f"there is no playbook {shown} in this project", elsewhere=True)
        elif not inside(path, self._project):
            loose.complain(node, where, f"{shown} stands outside of the project and was not read", elsewhere=True)
        elif (path := path.resolve()) in opened:
            loose.complain(node, where, f"{shown} imports itself")
        elif len(opened) > _MAX_IMPORTS:
            loose.complain(node, where, f"more than {_MAX_IMPORTS} playbooks import each other; {shown} was not read")
        else:
            return path
        return None


def _prompts(loose: Document, node: yaml.Node | None) -> Iterator[str]:
    if isinstance(node, yaml.SequenceNode):
        for member in node.value:
            name = loose.entries(member).get("name")
            if name is not None:
                yield loose.text(name[1]) or ""
    else:
        yield from loose.entries(node)
