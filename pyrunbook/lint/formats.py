"""Findings for people, for programs, for code scanning and for GitHub's annotations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pyrunbook import __version__, places
from pyrunbook.catalog.settings import Level
from pyrunbook.lint.linting import Reported
from pyrunbook.lint.rule import Rule, page_of

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS: tuple[Level, ...] = ("error", "warning", "note")
_GITHUB = {"error": "error", "warning": "warning", "note": "notice"}


def as_text(found: Sequence[Reported]) -> Iterator[str]:
    """`file:line:column: level rule: message`, as editors read it."""
    for each in found:
        at = each.at
        yield f"{places.from_here(at.file)}:{at.line}:{at.column}: {each.level} {each.rule}: {each.message}"


def summary(found: Sequence[Reported], subjects: int) -> str:
    """One line: how many of each level, and in how much."""
    of = f"{subjects} {'runbook or page' if subjects == 1 else 'runbooks and pages'}"
    counts = [(level, sum(each.level == level for each in found)) for level in _LEVELS]
    said = ", ".join(f"{count} {level}{'s' if count > 1 else ''}" for level, count in counts if count)
    return f"{said} in {of}." if said else f"No findings in {of}."


def as_json(found: Sequence[Reported]) -> Iterator[str]:
    """One JSON object a line."""
    for each in found:
        fields = {
            "file": places.from_here(each.at.file),
            "line": each.at.line,
            "column": each.at.column,
            "level": each.level,
            "rule": each.rule,
            "message": each.message,
            "fixable": each.edit is not None,
        }
        yield json.dumps(fields, ensure_ascii=False)


def as_github(found: Sequence[Reported]) -> Iterator[str]:
    """Workflow commands, from which GitHub makes annotations."""
    for each in found:
        properties = {
            "file": places.from_here(each.at.file), "line": each.at.line, "col": each.at.column, "title": each.rule
        }  # fmt: skip
        given = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
        yield f"::{_GITHUB[each.level]} {given}::{_data(each.message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def as_sarif(found: Sequence[Reported], chosen: Mapping[Rule, Level]) -> str:
    """A SARIF 2.1.0 log with one run."""
    order = {rule.id: index for index, rule in enumerate(chosen)}
    log = {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "pyrunbook lint",
                        "semanticVersion": __version__,
                        "rules": [_rule(rule, level) for rule, level in chosen.items()],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(each, order) for each in found],
            }
        ],
    }
    return json.dumps(log, ensure_ascii=False, indent=2)


def _rule(rule: Rule, level: Level) -> dict[str, Any]:
    page = page_of(rule.id)
    text = page.read_text(encoding="utf-8") if page.is_file() else rule.summary
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in rule.id.split("-")),
        "shortDescription": {"text": rule.summary},
        "help": {"text": text, "markdown": text},
        "helpUri": page.as_uri(),
        "defaultConfiguration": {"level": level},
    }


def _result(each: Reported, order: Mapping[str, int]) -> dict[str, Any]:
    name = places.from_here(each.at.file)
    path = Path(name)
    uri = path.as_uri() if path.is_absolute() else quote(path.as_posix())
    return {
        "ruleId": each.rule,
        "ruleIndex": order[each.rule],
        "level": each.level,
        "message": {"text": each.message},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": uri},
                    "region": {"startLine": each.at.line, "startColumn": each.at.column},
                }
            }
        ],
    }
