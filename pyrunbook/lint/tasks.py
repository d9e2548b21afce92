"""The tasks of playbooks and of roles, wherever they stand: plays, blocks, files that are included. Reads only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from pyrunbook.lint.subject import Spot
from pyrunbook.project.document import Document

_SECTIONS = ("pre_tasks", "roles", "tasks", "post_tasks", "handlers")
_PARTS = ("block", "rescue", "always")
_BUILTIN = "ansible.builtin."
_ROLES = ("import_role", "include_role")
_FILES = ("import_tasks", "include_tasks", "include")
_PLAYBOOKS = ("import_playbook",)
_DEEPEST = 30


@dataclass(frozen=True)
class Task:
    """A task, or a block of tasks.

    Attributes:
        entries: its keywords: name to the nodes of the key and of the value.
        section: `block`, `rescue`, `always`, or the section of the play; empty in a file of tasks.
    """

    source: Document
    node: yaml.Node
    entries: dict[str, tuple[yaml.Node, yaml.Node]]
    section: str

    def value(self, *names: str) -> tuple[yaml.Node, yaml.Node] | None:
        """The nodes of the first keyword or module of these names that it has, with `ansible.builtin.` or without."""
        for name in names:
            found = self.entries.get(name) or self.entries.get(_BUILTIN + name)
            if found is not None:
                return found
        return None

    def spot(self, node: yaml.Node) -> Spot:
        """Where a node of it stands."""
        return Spot(self.source.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def role(self) -> tuple[str, Spot] | None:
        """The role that it applies."""
        if self.section == "roles":
            named = self.entries.get("role") or self.entries.get("name")
            node = named[1] if named else self.node if isinstance(self.node, yaml.ScalarNode) else None
            return (self.source.written(node), self.spot(node)) if node is not None else None
        return self._argument(_ROLES, "name")

    def file(self) -> str | None:
        """The file of tasks that it includes, as written."""
        found = self._argument(_FILES, "file")
        return found[0] if found else None

    def _argument(self, modules: tuple[str, ...], name: str) -> tuple[str, Spot] | None:
        found = self.value(*modules)
        if found is None:
            return None
        node = found[1]
        if isinstance(node, yaml.MappingNode):
            named = self.source.entries(node).get(name)
            return (self.source.written(named[1]), self.spot(named[1])) if named else None
        text = self.source.written(node)
        word = next((w.partition("=")[2] for w in text.split() if w.startswith(f"{name}=")), None)
        return (word if word is not None else text, self.spot(node)) if text else None


@dataclass(frozen=True)
class Play:
    """A play; of an imported playbook only the name of the file is known, `imports`."""

    source: Document
    node: yaml.Node
    entries: dict[str, tuple[yaml.Node, yaml.Node]]
    imports: str = ""

    def spot(self, node: yaml.Node) -> Spot:
        """Where a node of it stands."""
        return Spot(self.source.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def tasks(self) -> Iterator[Task]:
        """All of its tasks in order, those inside of blocks too."""
        for section in _SECTIONS:
            if section in self.entries:
                yield from tasks_below(self.source, self.entries[section][1], section)


def plays_of(source: Document) -> Iterator[Play]:
    """The plays of a playbook."""
    for root in source.roots:
        members = root.value if isinstance(root, yaml.SequenceNode) else [root]
        for node in members:
            entries = source.entries(node) if isinstance(node, yaml.Node) else {}
            imported = next((entries[k] for n in _PLAYBOOKS for k in (n, _BUILTIN + n) if k in entries), None)
            if imported or "hosts" in entries:
                yield Play(source, node, entries, source.written(imported[1]) if imported else "")


def tasks_of_file(source: Document) -> Iterator[Task]:
    """The tasks of a file of tasks."""
    for root in source.roots:
        yield from tasks_below(source, root, "")


def tasks_below(source: Document, node: yaml.Node, section: str, depth: int = 0) -> Iterator[Task]:
    """The tasks of a list, each block before what is in it."""
    if not isinstance(node, yaml.SequenceNode) or depth > _DEEPEST:
        return
    for item in node.value:
        entries = source.entries(item)
        task = Task(source, item, entries, section)
        yield task
        for part in _PARTS:
            if part in entries:
                yield from tasks_below(source, entries[part][1], part, depth + 1)


def task_files(role: Path) -> list[Path]:
    """The files with tasks and handlers of a role."""
    return sorted(
        path
        for folder in ("tasks", "handlers")
        for pattern in ("*.yml", "*.yaml")
        for path in (role / folder).rglob(pattern)
        if path.is_file()
    )
