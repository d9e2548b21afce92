"""What a role of any project says about itself: description, inputs, defaults. Read as text, never run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import yaml

from pyrunbook.catalog.metadata import Input
from pyrunbook.project.document import Document, read_leniently
from pyrunbook.project.problem import Problem
from pyrunbook.project.role_places import inside, is_file

SPECS = Path("meta") / "argument_specs.yml"
"""Where a role declares its inputs."""
_INPUT = {item.encode_name: item for item in msgspec.structs.fields(Input)}


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
        defaults: of `defaults/main.yml`, else of the spec; plain values, templates as written.
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
    """Read what a role says about itself; mistakes are listed. No link may lead out of `project`, or `roles`."""
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
        short, long = (spec_file.texts(spec_file.get(spec, key)) for key in ("short_description", "description"))
        description, details = " ".join(short or long), long if short else ()
        inputs = dict(_inputs(spec_file, spec, defaults))
    if not description:
        description = _galaxy_description(path, boundary)
    return Role(
        name,
        path,
        description,
        _first_paragraph(path / "README.md") if inside(path / "README.md", boundary) else "",
        details,
        inputs,
        {name: each.default for name, each in inputs.items() if each.default is not None} | defaults,
        (*(spec_file.problems if spec_file else ()), *of_defaults),
    )


def inputs_of_role(path: Path) -> dict[str, Input]:
    """The inputs that a role in this directory declares; mistakes are left to `read_role`."""
    file, spec = _main_spec(path, path)
    return dict(_inputs(file, spec, {})) if file else {}


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
            document = read_leniently(file)
            specs = (document.get(root, "argument_specs", "main") for root in document.roots)
            spec = next((each for each in specs if each is not None), None)
            if spec is not None or name == "argument_specs":
                return document, spec
    return None, None


def _galaxy_description(path: Path, boundary: Path) -> str:
    file = _one_of(path / "meta", "main", boundary)
    if file is None:
        return ""
    document = read_leniently(file)
    for root in document.roots[:1]:
        return " ".join(document.texts(document.get(root, "galaxy_info", "description")))
    return ""


def differ(told: Any, default: Any) -> bool:
    """Whether a spec tells another default than the one that a run has; what a template will be is not known here."""
    return told is not None and "{{" not in str(default) and told != default and str(told) != str(default)


def _inputs(document: Document, spec: yaml.Node | None, defaults: dict[str, Any]) -> Iterator[tuple[str, Input]]:
    options = document.get(spec, "options")
    for name, (_, node) in document.entries(options, "argument_specs.main.options").items():
        where = f"argument_specs.main.options.{name}"
        values: dict[str, Any] = {}
        for key, (_, value) in document.entries(node, where).items():
            if key not in _INPUT:
                document.complain(value, f"{where}.{key}", "unknown field of an argument spec")
                continue
            try:
                values[_INPUT[key].name] = msgspec.convert(document.value(value), _INPUT[key].type, strict=False)
            except (msgspec.ValidationError, ValueError) as error:
                document.complain(value, f"{where}.{key}", str(error))
        made = Input(**values)
        said = document.get(node, "default")
        if said is not None and name in defaults and differ(made.default, defaults[name]):
            means = f"is {made.default!r} here, and {defaults[name]!r} in defaults/main.yml, which is what a run has"
            document.complain(said, f"{where}.default", means)
        yield name, made


def _defaults(path: Path, boundary: Path, problems: list[Problem]) -> dict[str, Any]:
    directory = path / "defaults"
    file = _one_of(directory, "main", boundary)
    files = [file] if file else sorted((directory / "main").glob("**/*.y*ml"))
    found: dict[str, Any] = {}
    for each in files:
        if not inside(each, boundary):
            continue
        document = read_leniently(each)
        for root in document.roots:
            for name, (_, node) in document.entries(root).items():
                try:
                    found[name] = document.value(node)
                except ValueError as error:
                    document.complain(node, name, str(error))
                    found[name] = document.written(node)
        problems += document.problems
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
