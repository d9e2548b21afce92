"""Tasks as an outline reads them: what each is called and does, blocks and included files with what is in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from pyrunbook.project.document import Document, Entries, read_leniently
from pyrunbook.project.role_places import RolePlaces, is_file
from pyrunbook.project.tasks import PARTS, ROLE_TASKS, Task, tasks_in

_MAX_INCLUDES = 20
_MAX_BLOCKS = 30
_MAX_ITEMS = 20_000

_KEYWORDS = {
    "any_errors_fatal", "args", "async", "become", "become_exe", "become_flags", "become_method", "become_user",
    "changed_when", "check_mode", "collections", "connection", "debugger", "delay", "delegate_facts", "delegate_to",
    "diff", "environment", "failed_when", "ignore_errors", "ignore_unreachable", "listen", "loop", "loop_control",
    "module_defaults", "name", "no_log", "notify", "poll", "port", "register", "remote_user", "retries", "run_once",
    "tags", "throttle", "timeout", "until", "vars", "when",
    # no longer Ansible's, and still in use
    "always_run", "become_pass", "first_available_file", "su", "su_user", "sudo", "sudo_pass", "sudo_user",
}  # fmt: skip
_SHOWN = {
    "any_errors_fatal", "async", "become", "become_user", "check_mode", "connection", "delay", "delegate_to",
    "environment", "failed_when", "ignore_errors", "ignore_unreachable", "listen", "loop", "notify", "poll",
    "remote_user", "retries", "run_once", "su", "su_user", "sudo", "sudo_user", "throttle", "until",
}  # fmt: skip
"""The keywords that say where, how often and as whom something is done, and what a failure means."""
_NAMES_A_ROLE = ("role", "name", "src", "version", "scm")
_OF_ROLES = ("tasks_from", "vars_from", "defaults_from", "handlers_from", "apply")
_INCLUDES = ("import_tasks", "include_tasks", "include")
_BUILTIN = re.compile(r"^ansible\.(?:builtin|legacy)\.")
_KEY_VALUE = re.compile(r"""(\w+)=("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?:\{\{.*?\}\}|\S)+)""")


class Kind(StrEnum):
    """What an item is."""

    TASK = "task"
    ROLE = "role"
    BLOCK = "block"
    INCLUDE = "include"


@dataclass(frozen=True)
class Item:
    """A task, a role, a block or an included file. Texts are as written: a template stays one.

    Attributes:
        title: its name; the role's, the file's or the module's where it has none.
        module: as written, `ansible.builtin.copy`; empty for a block and for an entry of `roles`.
        role: the name of the role that it applies.
        role_path: the role's directory, where the project has it.
        target: the file that it includes, as written.
        tags: its own; not those of what stands around it.
        when: its own conditions.
        tasks_from: the file of the role's tasks, as written; empty for its `main`.
        settings: keyword to what is written there, of `_SHOWN` and `_OF_ROLES`; `with_…` too.
        variables: what it sets (`vars`), parameters of a role among them.
        asks: whether it waits for an answer in the terminal.
        children: the tasks of a block, or of an included file whose path says which.
        rescue: of a block.
        always: of a block.
        file: in which it stands; `line` and `column` count from 1.
    """

    kind: Kind
    title: str
    file: Path
    line: int
    column: int
    module: str = ""
    role: str | None = None
    role_path: Path | None = None
    target: str | None = None
    tags: tuple[str, ...] = ()
    when: tuple[str, ...] = ()
    tasks_from: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    asks: bool = False
    children: tuple[Item, ...] = ()
    rescue: tuple[Item, ...] = ()
    always: tuple[Item, ...] = ()

    def walk(self) -> Iterator[Item]:
        """It and all that is in it, in the order of the files."""
        yield self
        for part in (self.children, self.rescue, self.always):
            for item in part:
                yield from item.walk()


def is_keyword(key: str) -> bool:
    """Whether a key of a task is a keyword of Ansible, and not what the task does."""
    return key in _KEYWORDS or key.startswith("with_") or key in PARTS


def is_template(text: str) -> bool:
    """Whether only a run could say what it is."""
    return "{{" in text or "{%" in text


def key_values(text: str) -> dict[str, str]:
    """The `k=v` of a task's old, free form."""
    return {key: value[1:-1] if value[:1] in "\"'" else value for key, value in _KEY_VALUE.findall(text)}


class Tasks:
    """Reads the tasks of a project's playbooks, each file once; nothing outside of the project is read."""

    def __init__(self, project: Path, places: RolePlaces) -> None:
        self._project = project
        self._places = places
        self._files: dict[Path, Document] = {}
        self._targets: dict[tuple[Path, str, Path], Path | None] = {}
        self._left = _MAX_ITEMS

    @property
    def files(self) -> list[Document]:
        """All files that were read."""
        return list(self._files.values())

    def file(self, path: Path) -> Document:
        """A file, read when it is first asked for."""
        if path not in self._files:
            self._files[path] = read_leniently(path)
        return self._files[path]

    def items(
        self,
        document: Document,
        node: yaml.Node | None,
        section: str,
        where: str,
        opened: tuple[Path, ...],
        depth: int = 0,
    ) -> tuple[Item, ...]:
        """The items of a list of tasks, or of a play's `roles`.

        Args:
            section: what the list is called, see `pyrunbook.project.tasks.Task`.
            where: its place in the file, for messages.
            opened: the files that led here: the playbook first, the file itself last.
            depth: of the blocks around.
        """
        if node is None or document.text(node) in (None, ""):
            return ()
        if not isinstance(node, yaml.SequenceNode):
            document.complain(node, where, f"expected a list of tasks, got {document.written(node)[:60]!r}")
            return ()
        found = []
        for task in tasks_in(document, node, section, where):
            if self._left <= 0:
                task.complain(f"more than {_MAX_ITEMS} tasks; those from here on were not read")
                break
            self._left -= 1
            item = self._item(task, opened, depth)
            if item is not None:
                found.append(item)
        return tuple(found)

    def of_role(self, folder: Path, name: str, playbook: Path) -> tuple[Item, ...]:
        """The tasks, or the handlers, of a role: `folder` is the one or the other, `name` a file in it."""
        candidates = [folder / name, *(folder / f"{name}{suffix}" for suffix in (".yml", ".yaml"))]
        file = next((path.resolve() for path in candidates if not is_template(name) and is_file(path)), None)
        return () if file is None or not file.is_relative_to(self._project) else self._of_file(file, (playbook,))

    def dependencies(self, role: Path, playbook: Path) -> tuple[Item, ...]:
        """The roles that a role has applied before itself."""
        file = next((path for name in ("main.yml", "main.yaml") if is_file(path := role / "meta" / name)), None)
        if file is None or not file.resolve().is_relative_to(self._project):
            return ()
        document = self.file(file.resolve())
        found = []
        for root in document.roots:
            for task in tasks_in(document, document.get(root, "dependencies"), "roles", ""):
                name = next((task.keyword(key) for key in ("role", "name", "src") if key in task.entries), task.node)
                if said := document.text(name):
                    found.append(self._applied(task, said, (playbook,)))
        return tuple(found)

    def _item(self, task: Task, opened: tuple[Path, ...], depth: int) -> Item | None:
        document, node, in_roles = task.document, task.node, task.section == "roles"
        if in_roles and isinstance(node, yaml.ScalarNode) and node.value:
            return self._applied(task, document.written(node), opened)
        if isinstance(node, yaml.SequenceNode):  # a list in the list: Ansible takes its tasks one after the other
            return self._block(replace(task, entries={"block": (node, node)}), opened, depth)
        if not task.entries:
            task.complain(f"expected a task, got {document.written(node)[:60] or 'nothing'!r}")
            return None
        if in_roles:
            name = document.text(task.keyword("role")) or document.text(task.keyword("name"))
            if not name:
                task.complain("an entry of roles needs the role's name")
            return self._applied(task, name, opened) if name else None
        if any(part in task.entries for part in PARTS):
            return self._block(task, opened, depth)
        return self._task(task, opened)

    def _block(self, task: Task, opened: tuple[Path, ...], depth: int) -> Item:
        parts: dict[str, tuple[Item, ...]] = {}
        for part in PARTS:
            if part in task.entries and depth >= _MAX_BLOCKS:
                task.complain(f"more than {_MAX_BLOCKS} blocks in each other; this one was not read")
                break
            parts[part] = self.items(task.document, task.keyword(part), part, f"{task.where}.{part}", opened, depth + 1)
        children, rescue, always = (parts.get(part, ()) for part in PARTS)
        name = task.name or "block"
        return self._made(Kind.BLOCK, name, task, children=children, rescue=rescue, always=always)

    def _task(self, task: Task, opened: tuple[Path, ...]) -> Item | None:
        written = self._module(task)
        if written is None:
            task.complain("the task has no module")
            return None
        module, free, arguments = written
        plain = _BUILTIN.sub("", module)
        if plain in ROLE_TASKS:
            role = arguments.get("name") or arguments.get("role")
            if not role:
                task.complain(f"{plain} needs the role's name")
            return self._applied(task, role or "", opened, module, arguments)
        if plain in _INCLUDES:
            target = arguments.get("file") or (free.split(" ")[0] if not is_template(free) else free)
            children = self._included(task, target, opened)
            title = task.name or target or plain
            return self._made(Kind.INCLUDE, title, task, module=module, target=target or None, children=children)
        asks = plain == "pause" and ("prompt" in arguments or not {"seconds", "minutes"} & arguments.keys())
        return self._made(Kind.TASK, task.name or plain, task, module=module, asks=asks)

    def _module(self, task: Task) -> tuple[str, str, dict[str, str]] | None:
        """The module as written, its free form, and its arguments by name: those that are short enough to be texts."""
        own = [key for key in task.entries if key not in _KEYWORDS and not key.startswith("with_")]
        if not own:
            return None
        if len(own) > 1:
            message = f"a task does one thing; this one says {', '.join(own)}"
            task.document.complain(task.entries[own[1]][0], task.where, message)
        module = own[0]
        free, arguments = self._arguments(task.document, task.entries[module][1], task.where)
        if module in ("action", "local_action"):
            first, _, rest = free.partition(" ")
            module = arguments.pop("module", first) or module
            free = rest
        if "args" in task.entries:
            arguments = self._arguments(task.document, task.entries["args"][1], task.where)[1] | arguments
        return module, free, arguments

    def _arguments(self, document: Document, node: yaml.Node, where: str) -> tuple[str, dict[str, str]]:
        if isinstance(node, yaml.MappingNode) and not is_template(document.written(node)[:2]):
            values = document.entries(node, where).items()
            return "", {
                key: document.text(value) or "" for key, (_, value) in values if isinstance(value, yaml.ScalarNode)
            }
        free = document.text(node) or ""
        if not isinstance(node, yaml.ScalarNode) and is_template(free):
            document.complain(node, where, f"{free[:60]} is a template and needs quotes")
        return free, key_values(free)

    def _applied(
        self, task: Task, role: str, opened: tuple[Path, ...], module: str = "", arguments: dict[str, str] | None = None
    ) -> Item:
        path = None
        if role and not is_template(role):
            path = self._places.find(role, opened[0]) or self._places.find(role, task.document.file)
            if path is None and not self._places.comes_with_pyrunbook(role):
                message = f"the role {role[:100]} is not in this project"
                task.document.complain(task.node, "", message, elsewhere=True)
        title = (task.name if module else "") or role or module
        return self._made(
            Kind.ROLE, title, task, module=module, role=role or None, role_path=path,
            tasks_from=(arguments or {}).get("tasks_from", ""),
        )  # fmt: skip

    def _made(self, kind: Kind, title: str, task: Task, *, module: str = "", **attributes: Any) -> Item:
        """An item with what its task says; `attributes` are further ones of `Item`."""

        def said(names: Iterable[str], entries: Entries = task.entries) -> list[tuple[str, str]]:
            return [(name, task.document.brief(entries[name][1])) for name in names if name in entries]

        settings = said(key for key in task.entries if key in _SHOWN or key.startswith("with_"))
        if "local_action" in task.entries:
            settings.append(("delegate_to", "localhost"))
        own = task.document.entries(task.keyword("vars"))
        variables = said(own, own)
        if kind is Kind.ROLE and module:
            settings += said(_OF_ROLES, task.document.entries(task.keyword(module)))
        elif kind is Kind.ROLE:
            variables += said(key for key in task.entries if key not in _KEYWORDS and key not in _NAMES_A_ROLE)
        return Item(
            kind, title, *task.spot(), module, tags=task.tags, when=task.conditions, settings=tuple(settings),
            variables=tuple(variables), **attributes,
        )  # fmt: skip

    def _included(self, task: Task, target: str, opened: tuple[Path, ...]) -> tuple[Item, ...]:
        if is_template(target):
            return ()
        shown = target[:100]
        file = self._found(task.document.file, target, opened[0]) if target else None
        if not target:
            task.complain("names no file to include")
        elif file is None:
            task.complain(f"there is no {shown} in this project", elsewhere=True)
        elif not file.is_relative_to(self._project):
            task.complain(f"{shown} stands outside of the project and was not read", elsewhere=True)
        elif file in opened:
            task.complain(f"{shown} includes itself")
        elif len(opened) > _MAX_INCLUDES:
            task.complain(f"more than {_MAX_INCLUDES} files include each other; {shown} was not read")
        else:
            return self._of_file(file, opened)
        return ()

    def _of_file(self, file: Path, opened: tuple[Path, ...]) -> tuple[Item, ...]:
        document, opened = self.file(file), (*opened, file)
        # A piece of a broken file is a list of one task.
        pieces = ((root, f"({index})" if index else "") for index, root in enumerate(document.roots))
        return tuple(item for root, where in pieces for item in self.items(document, root, "", where, opened))

    def _found(self, file: Path, target: str, playbook: Path) -> Path | None:
        """The file that a task includes, links resolved; it may stand outside of the project."""
        key = (file, target, playbook)
        if key not in self._targets:
            candidates = self._candidates(file, target, playbook)
            self._targets[key] = next((path.resolve() for path in candidates if is_file(path)), None)
        return self._targets[key]

    def _candidates(self, file: Path, target: str, playbook: Path) -> Iterator[Path]:
        """Where Ansible looks, nearest first: beside the file, in the role's tasks, beside the playbook."""
        if target.startswith("/"):
            yield Path(target)
            return
        yield file.parent / target
        for above in file.parents:
            if above.name in ("tasks", "handlers") and above != file.parent:
                yield above / target
            if above == self._project:
                break
        for directory in (playbook.parent, playbook.parent / "tasks"):
            yield directory / target
