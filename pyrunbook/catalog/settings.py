"""A project's own settings for pages and lint: `.pyrunbook.yml`, or `[tool.pyrunbook]` in `pyproject.toml`."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from pyrunbook.catalog.metadata import Struct
from pyrunbook.catalog.strict import read_struct
from pyrunbook.catalog.values import Duration
from pyrunbook.project.document import LOADER, Document, read
from pyrunbook.project.problem import InvalidFile, Problem
from pyrunbook.project_file import PYPROJECT, SETTINGS

Level = Literal["error", "warning", "note"]


class DocsSettings(Struct, frozen=True, kw_only=True):
    """Of `pyrunbook docs`.

    Attributes:
        inventory: whose values the pages show, relative to the project; none when empty.
        languages: in which the pages are written; the first has no suffix.
        output: the directory of the pages, relative to the project.
        shipped: whether the runbooks that come with pyrunbook have pages too.
    """

    inventory: str = ""
    languages: tuple[Literal["en", "fr"], ...] = ("en",)
    output: str = "docs/runbooks"
    shipped: bool = False


class LintSettings(Struct, frozen=True, kw_only=True):
    """Of `pyrunbook lint`.

    Attributes:
        select: ids of the only rules to apply; all when empty.
        ignore: ids of rules to leave out.
        levels: rule id to the level that its findings have here.
        reviewed_within: a runbook that nobody has reviewed for longer is obsolete.
        tested_within: a runbook that was not run for longer is obsolete; asked only with a journal.
        alert_rules: files with Prometheus alerting rules, relative to the project.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    levels: dict[str, Level] = msgspec.field(default_factory=dict)
    reviewed_within: Duration = msgspec.field(default_factory=lambda: Duration(days=365))
    tested_within: Duration = msgspec.field(default_factory=lambda: Duration(days=180))
    alert_rules: tuple[str, ...] = ()


class Settings(Struct, frozen=True, kw_only=True):
    """Both.

    Attributes:
        docs: of `pyrunbook docs`.
        lint: of `pyrunbook lint`.
    """

    docs: DocsSettings = msgspec.field(default_factory=DocsSettings)
    lint: LintSettings = msgspec.field(default_factory=LintSettings)


def read_settings(project: Path) -> Settings:
    """The settings of a project; the defaults where it has none. `.pyrunbook.yml` goes before `pyproject.toml`.

    Raises:
        InvalidFile: with every mistake in it.
    """
    file = project / SETTINGS
    if file.is_file():
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        if all(line.strip() in ("", "---") or line.lstrip().startswith("#") for line in lines):
            return Settings()  # it says where the project is, and nothing else
        document = read(file)
        problems: list[Problem] = []
        settings = read_struct(document, document.root, Settings, "", problems)
        if settings is None:
            raise InvalidFile(problems)
        return settings
    file = project / PYPROJECT
    return _from_toml(file) if file.is_file() else Settings()


def _from_toml(file: Path) -> Settings:
    text = file.read_text(encoding="utf-8")
    try:
        raw = tomllib.loads(text).get("tool", {}).get("pyrunbook", {})
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+), column (\d+)", str(error))
        line, column = (int(found[1]), int(found[2])) if found else (1, 1)
        raise InvalidFile([Problem(file, line, column, "", f"not TOML: {error}")]) from None

    # JSON is YAML: so both forms of the settings have one reader, and its messages.
    node: Any = yaml.compose(json.dumps(raw, default=str), Loader=LOADER)
    problems: list[Problem] = []
    settings = read_struct(Document(file), node, Settings, "tool.pyrunbook", problems)
    if settings is None:
        raise InvalidFile([replace(each, line=_line(text, each.where), column=1) for each in problems])
    return settings


def _line(text: str, path: str) -> int:
    """The line of a key, or of the nearest table or key around it: a TOML file is read without marks."""
    names = re.sub(r"\[\d+\]", "", path).split(".")
    for end in range(len(names), 0, -1):
        begins = re.compile(rf"\s*{re.escape(names[end - 1])}\s*=|\s*\[{re.escape('.'.join(names[:end]))}\]")
        for number, line in enumerate(text.splitlines(), 1):
            if begins.match(line):
                return number
    return 1
