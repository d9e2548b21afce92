"""The services of an inventory as its files say them, with file and line. Reads YAML; runs no script and no plugin.

Pages and lint read any project, so nothing of it may be executed. Precedence is Ansible's: a group's variables in the
inventory's files, `group_vars/all`, `group_vars/<group>` (parents before children), then the host's and `host_vars`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pyrunbook.errors import BadInput
from pyrunbook.project.document import Document, read
from pyrunbook.project.problem import InvalidFile, Problem

SERVICES = "services"
"""The group whose hosts are services."""
_YAML = (".yml", ".yaml", ".json")
_HOST_PATTERN = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True)
class Origin:
    """Where a variable gets its value; `line` and `column` count from 1."""

    file: Path
    line: int
    column: int
    node: yaml.Node | None = field(default=None, repr=False, compare=False)

    def within(self, steps: Sequence[str | int]) -> Origin:
        """Where a part of the value stands, by its keys and indices; what is missing stands where it should be."""
        here, node = self, self.node
        for step in steps:
            entry: yaml.Node | None = None
            if isinstance(node, yaml.MappingNode):
                entry, node = next(((key, value) for key, value in node.value if key.value == step), (None, None))
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                entry = node = node.value[step]
            if entry is None:
                break
            here = Origin(self.file, entry.start_mark.line + 1, entry.start_mark.column + 1, node)
        return here

    def problem(self, where: str, message: str) -> Problem:
        """A complaint about it."""
        return Problem(self.file, self.line, self.column, where, message)


@dataclass(frozen=True)
class Service:
    """A service as its inventory declares it.

    Attributes:
        variables: as written: a template stays one, a vaulted value is `VAULTED`.
        origins: where each variable gets its value.
    """

    name: str
    variables: dict[str, Any]
    origins: dict[str, Origin] = field(repr=False)


class NotStatic(BadInput):
    """The inventory is no YAML that can be read without running something: a script, a plugin, an INI file."""


@dataclass
class _Group:
    hosts: dict[str, dict[str, tuple[Any, Origin]]] = field(default_factory=dict)
    children: list[str] = field(default_factory=list)
    variables: dict[str, tuple[Any, Origin]] = field(default_factory=dict)


def read_services(source: Path) -> list[Service]:
    """The hosts of group `services`, in the order of the files.

    Args:
        source: a YAML file, or a directory of them with `group_vars/` and `host_vars/`.

    Raises:
        NotStatic: it has to be run to be read.
        InvalidFile: a file of it is malformed.
        BadInput: there is no such inventory, or it has no service.
    """
    groups: dict[str, _Group] = {}
    for file in _files(source):
        _read_groups(file, groups)
    names = list(dict.fromkeys(_hosts(groups, SERVICES, ())))
    if not names:
        raise BadInput(
            f"inventory {source}: no host in group {SERVICES}", next_step="put the service's host into that group"
        )
    directory = source if source.is_dir() else source.parent
    return [_service(name, groups, directory) for name in names]


def _files(source: Path) -> list[Path]:
    if not source.exists():
        raise BadInput(f"inventory {source}: no such file or directory")
    if source.is_file():
        files = [source]
    else:
        files = [path for path in sorted(source.iterdir()) if path.is_file() and not path.name.startswith(".")]
    for file in files:
        if file.suffix not in _YAML:
            raise NotStatic(
                f"inventory {file} is not YAML, so it would have to be run to be read",
                next_step=f"ansible-inventory -i {source} --list --yaml --output inventory.yml, and name that file",
            )
    return files


def _read_groups(file: Path, groups: dict[str, _Group]) -> None:
    document = read(file)
    if document.get(document.root, "plugin") is not None:
        raise NotStatic(f"inventory {file} is made by a plugin, which would have to be run")
    if not isinstance(document.root, yaml.MappingNode):
        raise InvalidFile([document.problem(document.root, "", "an inventory is a mapping of groups")])
    for name, _, node in document.items(document.root):
        _read_group(document, name, node, groups)


def _read_group(document: Document, name: str, node: yaml.Node, groups: dict[str, _Group]) -> None:
    group = groups.setdefault(name, _Group())
    hosts, children = document.get(node, "hosts"), document.get(node, "children")
    if isinstance(hosts, yaml.MappingNode):
        for pattern, _, variables in document.items(hosts):
            for host in _expanded(pattern):
                group.hosts.setdefault(host, {}).update(_variables(document, variables))
    elif isinstance(hosts, yaml.ScalarNode) and hosts.value:
        group.hosts |= {host: {} for host in _expanded(str(hosts.value)) if host not in group.hosts}
    if children is not None:
        for child, _, content in document.items(children):
            group.children.append(child)
            _read_group(document, child, content, groups)
    said = document.get(node, "vars")
    if said is not None:
        group.variables.update(_variables(document, said))


def _variables(document: Document, node: yaml.Node) -> dict[str, tuple[Any, Origin]]:
    found = {}
    for name, key, value in document.items(node):
        try:
            plain = document.value(value)
        except ValueError as error:
            raise InvalidFile([document.problem(value, name, str(error))]) from None
        found[name] = (plain, Origin(document.file, key.start_mark.line + 1, key.start_mark.column + 1, value))
    return found


def _expanded(pattern: str) -> Iterator[str]:
    """`web[1:3]` and `db-[a:c]` as Ansible writes ranges of hosts."""
    before, bracket, rest = pattern.partition("[")
    inside, closing, after = rest.partition("]")
    first, colon, last = inside.partition(":")
    if not (bracket and closing and colon):
        yield pattern
        return
    if first.isdigit() and last.isdigit():
        values = [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
    elif len(first) == len(last) == 1 and first in _HOST_PATTERN and last in _HOST_PATTERN:
        values = list(_HOST_PATTERN[_HOST_PATTERN.index(first) : _HOST_PATTERN.index(last) + 1])
    else:
        yield pattern
        return
    for value in values:
        yield from _expanded(f"{before}{value}{after}")


def _hosts(groups: dict[str, _Group], name: str, above: tuple[str, ...]) -> Iterator[str]:
    group = groups.get(name)
    if group is None or name in above:
        return
    yield from group.hosts
    for child in group.children:
        yield from _hosts(groups, child, (*above, name))


def _service(name: str, groups: dict[str, _Group], directory: Path) -> Service:
    mine = [group for group in groups if name in _hosts(groups, group, ())]
    ordered = ["all", *sorted((group for group in mine if group != "all"), key=lambda g: (_depth(groups, g), g))]
    merged: dict[str, tuple[Any, Origin]] = {}
    for group in ordered:
        merged |= groups[group].variables if group in groups else {}
    for group in ordered:
        merged |= _directory_variables(directory / "group_vars", group)
    for group in ordered:
        merged |= groups[group].hosts.get(name, {}) if group in groups else {}
    merged |= _directory_variables(directory / "host_vars", name)
    values = {key: value for key, (value, _) in merged.items()}
    return Service(name, values, {key: origin for key, (_, origin) in merged.items()})


def _depth(groups: dict[str, _Group], name: str, above: tuple[str, ...] = ()) -> int:
    parents = [other for other, group in groups.items() if name in group.children and other not in above]
    return 1 + max((_depth(groups, parent, (*above, name)) for parent in parents), default=0)


def _directory_variables(directory: Path, name: str) -> dict[str, tuple[Any, Origin]]:
    """Of `<name>.yml`, `<name>`, or the files below `<name>/`; a file that is vaulted as a whole tells nothing."""
    found: dict[str, tuple[Any, Origin]] = {}
    files = [directory / f"{name}{suffix}" for suffix in ("", *_YAML)]
    files = [path for file in files for path in (sorted(file.rglob("*")) if file.is_dir() else [file])]
    for file in files:
        if not file.is_file() or file.name.startswith("."):
            continue
        if is_vaulted(file):
            continue
        document = read(file)
        found |= _variables(document, document.root)
    return found


def is_vaulted(file: Path) -> bool:
    """Whether a file is vaulted as a whole."""
    with file.open("rb") as stream:
        return stream.read(14) == b"$ANSIBLE_VAULT"
