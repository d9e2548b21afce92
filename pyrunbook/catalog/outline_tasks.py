"""Tasks as an outline reads them: what each is called and does, blocks and included files with what is in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import yaml

from pyrunbook.catalog.roles import RolePlaces, is_file
from pyrunbook.project.document import Document, Entries, read_leniently

_MAX_INCLUDES = 20
_MAX_BLOCKS = 30
_MAX_ITEMS = 20_000

_BLOCK = ("block", "rescue", "always")
_KEYWORDS = {
    "any_errors_fatal", "args", "async", "become", "become_exe", "become_flags", "become_method", "become_user",
    "changed_when", "check_mode", "collections", "connection", "debugger", "delay", "delegate_facts", "delegate_to",
    "diff", "environment", "failed_when", "ignore_errors", "ignore_unreachable", "listen", "loop", "loop_control",
    "module_defaults", "name", "no_log", "notify", "poll", "port", "register", "remote_user", "retries", "run_once",
    "tags", "throttle", "timeout", "until", "vars", "when",
    # no longer Ansible's, and still in use
    "always_run", "become_pass", "first_available_file", "su", "su_user", "sudo", "sudo_pass", "sudo_user",
}  # fmt: skip
_TOLD = {
    "any_errors_fatal", "async", "become", "become_user", "check_mode", "connection", "delay", "delegate_to",
    "environment", "failed_when", "ignore_errors", "ignore_unreachable", "listen", "loop", "notify", "poll",
    "remote_user", "retries", "run_once", "su", "su_user", "sudo", "sudo_user", "throttle", "until",
}  # fmt: skip
"""The keywords that say where, how often and as whom something is done, and what a failure means."""
_OF_ROLES = ("tasks_from", "vars_from", "defaults_from", "handlers_from", "apply")
_ROLE_TASKS = ("import_role", "include_role")
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
        settings: keyword to what is written there, of `_TOLD` and `_OF_ROLES`; `with_…` too.
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


def is_template(text: str) -> bool:
    """Whether only a run could say what it is."""
    return "{{" in text or "{%" in text


def key_values(text: str) -> dict[str, str]:
    """The `k=v` of a task's old, free form."""
    return {key: value[1:-1] if value[:1] in "\"'" else value for key, value in _KEY_VALUE.findall(text)}


class Tasks:
    """Reads the tasks of a project's playbooks; a file is read once.

    Args:
        project: the directory that nothing is read outside of, links resolved.
        places: where its roles stand.
    """

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
        self, loose: Document, node: yaml.Node | None, where: str, opened: tuple[Path, ...], depth: int = 0
    ) -> tuple[Item, ...]:
        """The items of a list of tasks, or of a play's `roles`.

        Args:
            loose: the file.
            node: the list.
            where: its place in the file, for messages.
            opened: the files that led here: the playbook first, the file itself last.
            depth: of the blocks around.
        """
        if node is None or loose.text(node) in (None, ""):
            return ()
        if not isinstance(node, yaml.SequenceNode):
            loose.complain(node, where, f"expected a list of tasks, got {loose.written(node)[:60]!r}")
            return ()
        found = []
        for index, member in enumerate(node.value):
            path = f"{where}[{index}]"
            if self._left <= 0:
                loose.complain(member, path, f"more than {_MAX_ITEMS} tasks; those from here on were not read")
                break
            self._left -= 1
            item = self._item(loose, member, path, opened, depth)
            if item is not None:
                found.append(item)
        return tuple(found)

    def of_role(self, folder: Path, name: str, playbook: Path) -> tuple[Item, ...]:
        """The tasks, or the handlers, of a role.

        Args:
            folder: `tasks` or `handlers` of the role.
            name: of the file in it, as `tasks_from` names one.
            playbook: that applies the role.
        """
        candidates = [folder / name, *(folder / f"{name}{suffix}" for suffix in (".yml", ".yaml"))]
        file = next((path.resolve() for path in candidates if not is_template(name) and is_file(path)), None)
        if file is None or not file.is_relative_to(self._project):
            return ()
        loose = self.file(file)
        opened = (playbook, file)
        return tuple(
            item for index, root in enumerate(loose.roots) for item in self._document(loose, root, index, opened)
        )

    def dependencies(self, role: Path, playbook: Path) -> tuple[Item, ...]:
        """The roles that a role has applied before itself."""
        file = next((path for name in ("main.yml", "main.yaml") if is_file(path := role / "meta" / name)), None)
        if file is None or not file.resolve().is_relative_to(self._project):
            return ()
        loose = self.file(file.resolve())
        found = []
        for root in loose.roots:
            _, node = loose.entries(root).get("dependencies", (None, None))
            for member in node.value if isinstance(node, yaml.SequenceNode) else ():
                entries = loose.entries(member)
                keys = [key for key in ("role", "name", "src") if key in entries]
                name = loose.text(entries[keys[0]][1] if keys else member)
                if name:
                    found.append(self._applied(loose, member, entries, name, (playbook,)))
        return tuple(found)

    def _item(self, loose: Document, node: yaml.Node, where: str, opened: tuple[Path, ...], depth: int) -> Item | None:
        in_roles = where.rpartition("[")[0].endswith(".roles")
        if in_roles and isinstance(node, yaml.ScalarNode) and node.value:
            return self._applied(loose, node, {}, loose.written(node), opened)
        if isinstance(node, yaml.SequenceNode):  # a list in the list: Ansible takes its tasks one after the other
            return self._block(loose, node, {"block": (node, node)}, where, opened, depth)
        entries = loose.entries(node, where)
        if not entries:
            loose.complain(node, where, f"expected a task, got {loose.written(node)[:60] or 'nothing'!r}")
            return None
        if in_roles:
            name = next((loose.text(entries[key][1]) for key in ("role", "name") if key in entries), None)
            if not name:
                loose.complain(node, where, "an entry of roles needs the role's name")
            return self._applied(loose, node, entries, name, opened) if name else None
        if any(part in entries for part in _BLOCK):
            return self._block(loose, node, entries, where, opened, depth)
        return self._task(loose, node, entries, where, opened)

    def _block(
        self, loose: Document, node: yaml.Node, entries: Entries, where: str, opened: tuple[Path, ...], depth: int
    ) -> Item:
        parts: dict[str, tuple[Item, ...]] = {}
        for part in _BLOCK:
            if part in entries and depth >= _MAX_BLOCKS:
                loose.complain(node, where, f"more than {_MAX_BLOCKS} blocks in each other; this one was not read")
                break
            parts[part] = self.items(loose, entries.get(part, (None, None))[1], f"{where}.{part}", opened, depth + 1)
        title = self._name(loose, entries) or "block"
        return self._made(
            Kind.BLOCK, title, loose, node, entries,
            children=parts.get("block", ()), rescue=parts.get("rescue", ()), always=parts.get("always", ()),
        )  # fmt: skip

    def _task(
        self, loose: Document, node: yaml.Node, entries: Entries, where: str, opened: tuple[Path, ...]
    ) -> Item | None:
        written = self._module(loose, entries, where)
        if written is None:
            loose.complain(node, where, "the task has no module")
            return None
        module, free, arguments = written
        plain = _BUILTIN.sub("", module)
        name = self._name(loose, entries)
        if plain in _ROLE_TASKS:
            role = arguments.get("name") or arguments.get("role")
            if not role:
                loose.complain(node, where, f"{plain} needs the role's name")
            return self._applied(loose, node, entries, role or "", opened, module, arguments)
        if plain in _INCLUDES:
            target = arguments.get("file") or (free.split(" ")[0] if not is_template(free) else free)
            children = self._included(loose, node, where, target, opened)
            title = name or target or plain
            return self._made(
                Kind.INCLUDE, title, loose, node, entries, module=module, target=target or None, children=children
            )
        asks = plain == "pause" and ("prompt" in arguments or not {"seconds", "minutes"} & arguments.keys())
        return self._made(Kind.TASK, name or plain, loose, node, entries, module=module, asks=asks)

    def _module(self, loose: Document, entries: Entries, where: str) -> tuple[str, str, dict[str, str]] | None:
        """The module as written, its free form, and its arguments by name: those that are short enough to be texts."""
        own = [key for key in entries if key not in _KEYWORDS and not key.startswith("with_")]
        if not own:
            return None
        if len(own) > 1:
            loose.complain(entries[own[1]][0], where, f"a task does one thing; this one says {', '.join(own)}")
        module, node = own[0], entries[own[0]][1]
        free, arguments = self._arguments(loose, node, where)
        if module in ("action", "local_action"):
            first, _, rest = free.partition(" ")
            module = arguments.pop("module", first) or module
            free = rest
        if "args" in entries:
            arguments = self._arguments(loose, entries["args"][1], where)[1] | arguments
        return module, free, arguments

    def _arguments(self, loose: Document, node: yaml.Node, where: str) -> tuple[str, dict[str, str]]:
        if isinstance(node, yaml.MappingNode) and not is_template(loose.written(node)[:2]):
            values = loose.entries(node, where).items()
            return "", {
                key: loose.text(value) or "" for key, (_, value) in values if isinstance(value, yaml.ScalarNode)
            }
        free = loose.text(node) or ""
        if not isinstance(node, yaml.ScalarNode) and is_template(free):
            loose.complain(node, where, f"{free[:60]} is a template and needs quotes")
        return free, key_values(free)

    def _name(self, loose: Document, entries: Entries) -> str | None:
        return loose.text(entries["name"][1]) if "name" in entries else None

    def _applied(
        self, loose: Document, node: yaml.Node, entries: Entries, role: str, opened: tuple[Path, ...],
        module: str = "", arguments: dict[str, str] | None = None,
    ) -> Item:  # fmt: skip
        path = None
        if role and not is_template(role):
            path = self._places.find(role, opened[0]) or self._places.find(role, loose.file)
            if path is None and not self._places.comes_with_pyrunbook(role):
                loose.complain(node, "", f"the role {role[:100]} is not in this project", elsewhere=True)
        title = (self._name(loose, entries) if module else None) or role or module
        return self._made(
            Kind.ROLE, title, loose, node, entries, module=module, role=role or None, role_path=path,
            tasks_from=(arguments or {}).get("tasks_from", ""),
        )  # fmt: skip

    def _made(
        self, kind: Kind, title: str, loose: Document, node: yaml.Node, entries: Entries,
        *, module: str = "", role: str | None = None, role_path: Path | None = None, target: str | None = None,
        children: tuple[Item, ...] = (), rescue: tuple[Item, ...] = (), always: tuple[Item, ...] = (),
        tasks_from: str = "", asks: bool = False,
    ) -> Item:  # fmt: skip
        value = {key: entry[1] for key, entry in entries.items()}
        settings = [(key, loose.brief(node)) for key, node in value.items() if key in _TOLD or key.startswith("with_")]
        if "local_action" in value:
            settings.append(("delegate_to", "localhost"))
        variables = [(key, loose.brief(entry[1])) for key, entry in loose.entries(value.get("vars")).items()]
        if kind is Kind.ROLE:
            own = loose.entries(value.get(module)) if module else {}
            settings += [(key, loose.brief(own[key][1])) for key in _OF_ROLES if key in own]
            if not module:
                variables += [
                    (key, loose.brief(node))
                    for key, node in value.items()
                    if key not in _KEYWORDS and key not in ("role", "name", "src", "version", "scm")
                ]
        return Item(
            kind, title, loose.file, node.start_mark.line + 1, node.start_mark.column + 1,
            module, role, role_path, target,
            tags=loose.names(value.get("tags")),
            when=loose.texts(value.get("when")),
            tasks_from=tasks_from, settings=tuple(settings), variables=tuple(variables), asks=asks,
            children=children, rescue=rescue, always=always,
        )  # fmt: skip

    def _included(
        self, loose: Document, node: yaml.Node, where: str, target: str, opened: tuple[Path, ...]
    ) -> tuple[Item, ...]:
        if not target:
            loose.complain(node, where, "names no file to include")
            return ()
        if is_template(target):
            return ()
        shown = target[:100]
        file = self._found(loose.file, target, opened[0])
        if file is None:
            loose.complain(node, where, f"there is no {shown} in this project", elsewhere=True)
        elif not file.is_relative_to(self._project):
            loose.complain(node, where, f"{shown} stands outside of the project and was not read", elsewhere=True)
        elif file in opened:
            loose.complain(node, where, f"{shown} includes itself")
        elif len(opened) > _MAX_INCLUDES:
            loose.complain(node, where, f"more than {_MAX_INCLUDES} files include each other; {shown} was not read")
        else:
            included = self.file(file)
            return tuple(
                item
                for index, root in enumerate(included.roots)
                for item in self._document(included, root, index, (*opened, file))
            )
        return ()

    def _found(self, file: Path, target: str, playbook: Path) -> Path | None:
        """The file that a task includes, links resolved; it may stand outside of the project."""
        key = (file, target, playbook)
        if key not in self._targets:
            candidates = self._candidates(file, target, playbook)
            self._targets[key] = next((path.resolve() for path in candidates if is_file(path)), None)
        return self._targets[key]

    def _document(self, loose: Document, root: yaml.Node, index: int, opened: tuple[Path, ...]) -> tuple[Item, ...]:
        # A piece of a broken file is a list of one task.
        return self.items(loose, root, f"({index})" if index else "", opened)

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
