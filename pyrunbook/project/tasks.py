"""The plays and tasks of a file, as they are written, each with its place. What is included stays unread here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from pyrunbook.project.document import Document, Entries
from pyrunbook.project.problem import Spot

SECTIONS = ("pre_tasks", "roles", "tasks", "post_tasks", "handlers")
"""The lists of a play, in the order in which Ansible takes them."""
PARTS = ("block", "rescue", "always")
"""The lists of a block."""
ROLE_TASKS = ("import_role", "include_role")
_BUILTIN = "ansible.builtin."
IMPORTS = ("import_playbook", _BUILTIN + "import_playbook", "include_playbook")
"""The keys of an entry that stands for another playbook."""
_DEEPEST = 30


@dataclass(frozen=True)
class Written:
    """A play, a task or a block as it is written.

    Attributes:
        entries: its keywords: name to the nodes of the key and of the value.
        where: its path in the file, for messages.
    """

    document: Document
    node: yaml.Node
    entries: Entries
    where: str

    def keyword(self, name: str) -> yaml.Node | None:
        """The value of a keyword."""
        return self.entries.get(name, (None, None))[1]

    @property
    def name(self) -> str:
        """Its name, templates as written; empty where it has none."""
        return self.document.text(self.keyword("name")) or ""

    @property
    def tags(self) -> tuple[str, ...]:
        """Its own tags."""
        return self.document.names(self.keyword("tags"))

    @property
    def conditions(self) -> tuple[str, ...]:
        """Its own `when`."""
        return self.document.texts(self.keyword("when"))

    def complain(self, message: str, *, elsewhere: bool = False) -> None:
        """List a problem of its file at its place."""
        self.document.complain(self.node, self.where, message, elsewhere=elsewhere)

    def spot(self, node: yaml.Node | None = None) -> Spot:
        """Where it begins, or one of its nodes."""
        return self.document.spot(node or self.node)


@dataclass(frozen=True)
class Task(Written):
    """A task, or a block of tasks.

    Attributes:
        section: `block`, `rescue`, `always`, or the section of the play; empty in a file of tasks.
    """

    section: str

    def module(self, *names: str) -> tuple[yaml.Node, yaml.Node] | None:
        """The key and the arguments of the first module of these that it has, with `ansible.builtin.` or without."""
        return next(
            (self.entries[key] for name in names for key in (name, _BUILTIN + name) if key in self.entries), None
        )

    def role(self) -> tuple[str, Spot] | None:
        """The role that it applies, and where that is named."""
        found = self.module(*ROLE_TASKS)
        if self.section == "roles" or found is None:
            name = self.keyword("role") or (self.keyword("name") if self.section == "roles" else None)
            node = name or (self.node if self.section == "roles" and isinstance(self.node, yaml.ScalarNode) else None)
            return (self.document.written(node), self.spot(node)) if node is not None else None
        node = found[1]
        if isinstance(node, yaml.MappingNode):
            named = self.document.entries(node).get("name")
            return (self.document.written(named[1]), self.spot(named[1])) if named else None
        text = self.document.written(node)
        word = next((w.partition("=")[2] for w in text.split() if w.startswith("name=")), text)
        return (word, self.spot(node)) if word else None


@dataclass(frozen=True)
class Play(Written):
    """A play, or an entry that stands for another playbook.

    Attributes:
        imports: the file of that playbook, as written; empty for a play.
    """

    imports: str

    def tasks(self) -> Iterator[Task]:
        """All of its tasks in order, those inside of blocks too."""
        for section in SECTIONS:
            yield from tasks_below(self.document, self.keyword(section), section, f"{self.where}.{section}")


def plays_of(document: Document) -> Iterator[Play]:
    """The entries of a playbook that have `hosts` or import another playbook."""
    for root in document.roots:
        for index, node in enumerate(root.value if isinstance(root, yaml.SequenceNode) else [root]):
            entries = document.entries(node) if isinstance(node, yaml.Node) else {}
            imported = next((entries[key] for key in IMPORTS if key in entries), None)
            if imported or "hosts" in entries:
                yield Play(document, node, entries, f"[{index}]", document.written(imported[1]) if imported else "")


def tasks_in(document: Document, node: yaml.Node | None, section: str, where: str) -> Iterator[Task]:
    """The entries of a list of tasks; what is in a block stays there."""
    for index, item in enumerate(node.value if isinstance(node, yaml.SequenceNode) else ()):
        path = f"{where}[{index}]"
        yield Task(document, item, document.entries(item, path), path, section)


def tasks_below(
    document: Document, node: yaml.Node | None, section: str, where: str = "", depth: int = 0
) -> Iterator[Task]:
    """The tasks of a list, each block before what is in it."""
    for task in tasks_in(document, node, section, where) if depth <= _DEEPEST else ():
        yield task
        for part in PARTS:
            if part in task.entries:
                yield from tasks_below(document, task.keyword(part), part, f"{task.where}.{part}", depth + 1)


def tasks_of_file(document: Document) -> Iterator[Task]:
    """The tasks of a file of tasks."""
    for root in document.roots:
        yield from tasks_below(document, root, "")


def task_files(role: Path) -> list[Path]:
    """The files with tasks and handlers of a role."""
    return sorted(
        path
        for folder in ("tasks", "handlers")
        for pattern in ("*.yml", "*.yaml")
        for path in (role / folder).rglob(pattern)
        if path.is_file()
    )
