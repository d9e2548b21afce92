"""Roles of anybody's project: where they stand, and what they say about themselves. Read as text, never run."""

from __future__ import annotations

from collections.abc import Iterator
from configparser import Error as MalformedIni
from configparser import RawConfigParser
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import yaml

from pyrunbook import places
from pyrunbook.catalog.metadata import Input
from pyrunbook.project.document import Document, Entries, read_leniently
from pyrunbook.project.problem import Problem

SPECS = Path("meta") / "argument_specs.yml"
"""Where a role declares its inputs."""
_INPUT = {item.encode_name: item for item in msgspec.structs.fields(Input)}


def inside(path: Path, project: Path) -> bool:
    """Whether a path, links followed, stands in the project."""
    try:
        return path.resolve().is_relative_to(project.resolve())
    except (OSError, RuntimeError):  # a loop of links
        return False


def is_file(path: Path) -> bool:
    """Whether a file is there; what a foreign project names as one may be no possible name at all."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


class RolePlaces:
    """Where the roles of a project stand: `roles/`, `roles_path` of its `ansible.cfg`, and `roles/` beside a playbook.

    A project that is a collection itself may name its roles `<namespace>.<name>.<role>`.
    """

    def __init__(self, project: Path) -> None:
        self._project = project
        self._directories = [project / "roles", *_configured(project)]
        self._collection = _collection(project)
        self._found: dict[tuple[str, Path], Path | None] = {}

    def find(self, name: str, playbook: Path) -> Path | None:
        """The directory of a role; `None` where the project does not have it.

        Args:
            name: of the role.
            playbook: whose neighbour `roles/` is looked into first.
        """
        key = (name, playbook.parent)
        if key not in self._found:
            self._found[key] = self._look(name.removeprefix(self._collection), playbook.parent)
        return self._found[key]

    def comes_with_pyrunbook(self, name: str) -> bool:
        """Whether a role is one of the shipped ones that the project's `ansible.cfg` goes on to."""
        shipped = shipped_roles(self._project)
        return shipped is not None and "/" not in name and (shipped / name).is_dir()

    def _look(self, short: str, beside: Path) -> Path | None:
        if not short or short.startswith((".", "/")) or ".." in short.split("/"):
            return None
        for directory in (beside / "roles", *self._directories):
            try:
                if (directory / short).is_dir():
                    return directory / short if inside(directory / short, self._project) else None
            except (OSError, ValueError):
                return None
        return None


def shipped_roles(project: Path) -> Path | None:
    """The directory of the roles that come with pyrunbook, where the project's `ansible.cfg` goes on to them."""
    uses = any(part.startswith(f"${places.ENV_PACKAGE}/") for part in _roles_path(project))
    return places.shipped() / "roles" if uses else None


def _configured(project: Path) -> Iterator[Path]:
    return (project / part for part in _roles_path(project) if not part.startswith(("~", "$", "/")))


def _roles_path(project: Path) -> list[str]:
    parser = RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read_string((project / "ansible.cfg").read_text(encoding="utf-8", errors="replace"))
        written = parser.get("defaults", "roles_path", fallback="") or ""
    except (OSError, MalformedIni):
        return []
    return [part.strip() for part in written.replace("\n", "").split(":") if part.strip()]


def _collection(project: Path) -> str:
    file = project / "galaxy.yml"
    if not is_file(file):
        return ""
    loose = read_leniently(file)
    entries = loose.entries(loose.roots[0]) if loose.roots else {}
    names = [loose.text(entries[key][1]) for key in ("namespace", "name") if key in entries]
    return f"{names[0]}.{names[1]}." if len(names) == 2 else ""


@dataclass(frozen=True)
class Role:
    """What a role says about itself.

    Attributes:
        name: as asked for.
        path: its directory; `None` where there is none.
        description: one line, of `meta/argument_specs.yml` or else of `meta/main.yml`; empty where nobody has said.
        summary: the first paragraph of its README; empty where there is none.
        details: the paragraphs of the spec's `description`, where it has a `short_description` too.
        inputs: what `meta/argument_specs.yml` declares for `tasks/main.yml`.
        defaults: of `defaults/main.yml`, plain values, templates as written.
        problems: what of all this is malformed; the rest was read.
    """

    name: str
    path: Path | None
    description: str = ""
    summary: str = ""
    details: tuple[str, ...] = ()
    inputs: dict[str, Input] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def read_role(roles: Path, name: str, project: Path | None = None) -> Role:
    """Read what a role says about itself; what is malformed is listed.

    Args:
        roles: the directory with the roles.
        name: of the role.
        project: what links must not lead out of; `roles` when `None`.
    """
    boundary = project or roles
    path = roles / name
    try:
        if not name or ".." in name.split("/") or not path.is_dir() or not inside(path, boundary):
            return Role(name, None)
    except (OSError, ValueError):
        return Role(name, None)
    of_defaults: list[Problem] = []
    defaults = _defaults(path, boundary, of_defaults)
    spec_file, spec = _main_spec(path, boundary)
    description, inputs = "", {}
    details: tuple[str, ...] = ()
    if spec_file is not None:
        entries = spec_file.entries(spec)
        description = _line(spec_file, entries, "short_description") or _line(spec_file, entries, "description")
        if {"short_description", "description"} <= entries.keys():
            details = spec_file.texts(entries["description"][1])
        inputs = dict(_inputs(spec_file, entries, defaults))
    if not description:
        description = _galaxy_description(path, boundary)
    return Role(
        name,
        path,
        description,
        _first_paragraph(path / "README.md") if inside(path / "README.md", boundary) else "",
        details,
        inputs,
        defaults,
        (*(spec_file.problems if spec_file else ()), *of_defaults),
    )


def _one_of(directory: Path, name: str, boundary: Path) -> Path | None:
    for suffix in (".yml", ".yaml"):
        file = directory / f"{name}{suffix}"
        if is_file(file) and inside(file, boundary):
            return file
    return None


def _main_spec(path: Path, boundary: Path) -> tuple[Document | None, yaml.Node | None]:
    """The spec `main`; ansible-core reads `argument_specs` of `meta/main.yml` too, where the file has none."""
    for name in ("argument_specs", "main"):
        file = _one_of(path / "meta", name, boundary)
        if file is not None:
            loose = read_leniently(file)
            for root in loose.roots:
                _, specs = loose.entries(root).get("argument_specs", (None, None))
                _, spec = loose.entries(specs).get("main", (None, None))
                if spec is not None:
                    return loose, spec
            if name == "argument_specs":
                return loose, None
    return None, None


def _line(loose: Document, entries: Entries, key: str) -> str:
    return " ".join(loose.texts(entries[key][1])) if key in entries else ""


def _galaxy_description(path: Path, boundary: Path) -> str:
    file = _one_of(path / "meta", "main", boundary)
    if file is None:
        return ""
    loose = read_leniently(file)
    for root in loose.roots:
        _, info = loose.entries(root).get("galaxy_info", (None, None))
        return _line(loose, loose.entries(info), "description")
    return ""


def differ(told: Any, default: Any) -> bool:
    """Whether a spec tells another default than the one that a run has; what a template will be is not known here."""
    return told is not None and "{{" not in str(default) and told != default and str(told) != str(default)


def _inputs(loose: Document, spec: Entries, defaults: dict[str, Any]) -> Iterator[tuple[str, Input]]:
    _, options = spec.get("options", (None, None))
    for name, (_, node) in loose.entries(options, "argument_specs.main.options").items():
        where = f"argument_specs.main.options.{name}"
        values: dict[str, Any] = {}
        for key, (_, value) in loose.entries(node, where).items():
            if key not in _INPUT:
                loose.complain(value, f"{where}.{key}", "unknown field of an argument spec")
                continue
            try:
                values[_INPUT[key].name] = msgspec.convert(loose.value(value), _INPUT[key].type, strict=False)
            except (msgspec.ValidationError, ValueError) as error:
                loose.complain(value, f"{where}.{key}", str(error))
        made = Input(**values)
        if name in defaults and differ(made.default, defaults[name]):
            (_, told) = loose.entries(node)["default"]
            means = f"is {made.default!r} here, and {defaults[name]!r} in defaults/main.yml, which is what a run has"
            loose.complain(told, f"{where}.default", means)
        yield name, made


def _defaults(path: Path, boundary: Path, problems: list[Problem]) -> dict[str, Any]:
    directory = path / "defaults"
    file = _one_of(directory, "main", boundary)
    files = [file] if file else sorted((directory / "main").glob("**/*.y*ml")) if (directory / "main").is_dir() else []
    found: dict[str, Any] = {}
    for each in files:
        if not inside(each, boundary):
            continue
        loose = read_leniently(each)
        for root in loose.roots:
            for name, (_, node) in loose.entries(root).items():
                try:
                    found[name] = loose.value(node)
                except ValueError as error:
                    loose.complain(node, name, str(error))
                    found[name] = loose.written(node)
        problems += loose.problems
    return found


def _first_paragraph(readme: Path) -> str:
    """The first paragraph that has words: badges and logos are none."""
    try:
        if readme.stat().st_size > 2**20:
            return ""
        text = readme.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return ""
    from markdown_it import MarkdownIt

    tokens = MarkdownIt().parse(text)
    for before, token in pairwise(tokens):
        if before.type == "paragraph_open" and before.level == 0:
            parts = [
                child.content or " " for child in token.children or () if child.type not in ("image", "html_inline")
            ]
            words = " ".join("".join(parts).split())
            if words:
                return words
    return ""
