"""A project's own settings for pages and lint: `.pyrunbook.yml`, or `[tool.pyrunbook]` in `pyproject.toml`."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from pyrunbook.catalog.metadata import Struct
from pyrunbook.catalog.strict import read_struct
from pyrunbook.catalog.values import LANGUAGES, Duration, read_value
from pyrunbook.project.document import read
from pyrunbook.project.playbooks import SETTINGS
from pyrunbook.project.problem import InvalidFile, Problem

FILE = SETTINGS
Level = Literal["error", "warning", "note"]


class DocsSettings(Struct, frozen=True, kw_only=True):
    """Of `pyrunbook docs`.

    Attributes:
        inventory: whose values the pages show, relative to the project; none when empty.
        languages: in which the pages are written; the first has no suffix.
        output: the directory of the pages, relative to the project.
    """

    inventory: str = ""
    languages: tuple[Literal["en", "fr"], ...] = ("en",)
    output: str = "docs/runbooks"


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
        InvalidFile: with every mistake in `.pyrunbook.yml`, or the first one in `pyproject.toml`.
    """
    file = project / FILE
    if file.is_file():
        document = read(file)
        problems: list[Problem] = []
        settings = read_struct(document, document.root, Settings, "", problems)
        if settings is None:
            raise InvalidFile(problems)
        return settings
    file = project / "pyproject.toml"
    return _from_toml(file) if file.is_file() else Settings()


def _from_toml(file: Path) -> Settings:
    text = file.read_text(encoding="utf-8")
    try:
        raw = tomllib.loads(text).get("tool", {}).get("pyrunbook", {})
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+), column (\d+)", str(error))
        line, column = (int(found[1]), int(found[2])) if found else (1, 1)
        raise InvalidFile([Problem(file, line, column, "", f"not TOML: {error}")]) from None

    def hook(kind: type[Any], given: Any) -> Any:
        return read_value(kind, given, file.parent)

    try:
        return msgspec.convert(raw, Settings, dec_hook=hook)
    except (msgspec.ValidationError, ValueError) as error:
        where = re.search(r"`\$\.?([^`]*)`", str(error))
        path = f"tool.pyrunbook.{where[1]}".rstrip(".") if where else "tool.pyrunbook"
        message, value = str(error), re.search(r"Invalid enum value '([^']*)'", str(error))
        line = _line(text, path)
        if value is not None:
            allowed = get_args(Level) if ".levels" in path else LANGUAGES
            message = f"{value[1]!r} is none of {', '.join(allowed)}"
            line = _line_of_value(text, value[1], line)
        raise InvalidFile([Problem(file, line, 1, path, message)]) from None


def _line(text: str, path: str) -> int:
    """The line of the table or key that a path is about, as near as a file without marks allows."""
    path = path.partition("[")[0]
    key = path.rpartition(".")[2]
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(rf"\s*{re.escape(key)}\s*=|\s*\[{re.escape(path)}\]", line):
            return number
    return next((n for n, line in enumerate(text.splitlines(), 1) if line.startswith("[tool.pyrunbook")), 1)


def _line_of_value(text: str, value: str, first: int) -> int:
    """The line in which a quoted value stands, from one on; that one where it stands in none."""
    lines = list(enumerate(text.splitlines(), 1))[first - 1 :]
    return next(
        (n for n, line in lines if re.search(rf"=.*(['\"]){re.escape(value)}\1|^\s*(['\"]){re.escape(value)}\2", line)),
        first,
    )
