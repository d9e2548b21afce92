"""Starts a user's own project, which has the shipped runbooks and roles besides its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from pyrunbook import places
from pyrunbook.catalog import CATEGORIES
from pyrunbook.catalog.schema import SCHEMAS
from pyrunbook.errors import BadInput
from pyrunbook.scaffold.files import write_new
from pyrunbook.scaffold.rendering import render

GRANTS = ("role", "role-by-hand", "role-certificates")
"""The Roles of Kubernetes that pages and errors name as files of the project: an operator applies them."""
FIRST = "maintenance/check_service"
"""The runbook that the project begins with."""


def new_project(directory: Path, today: date) -> list[str]:
    """Write a project.

    Args:
        directory: made when it is missing; must hold nothing but `.git`.
        today: the day that the first runbook bears as its review.

    Returns:
        the names of what was written, relative to the directory.

    Raises:
        BadInput: the directory holds something, or cannot be written; then nothing was written.
    """
    there = [path.name for path in directory.iterdir() if path.name != ".git"] if directory.is_dir() else []
    if there or (directory.exists() and not directory.is_dir()):
        holds = f"holds {', '.join(sorted(there)[:5])}{' …' if len(there) > 5 else ''}" if there else "is a file"
        raise BadInput(f"{directory} {holds}", means="Nothing was written.", next_step="name a new or empty directory")
    found = _project_files(today)
    write_new(directory, found, elsewhere="name another directory, one that you may write to")
    return list(found)


def _project_files(today: date) -> dict[str, str]:
    found = dict(_templates(files("pyrunbook.scaffold") / "templates" / "project", "", today))
    content = places.shipped()
    for directory in ("inventories/sandbox", ".config/molecule"):
        for path in sorted(each for kind in ("*.yml", "*.py") for each in (content / directory).rglob(kind)):
            found[path.relative_to(content).as_posix()] = path.read_text(encoding="utf-8")
    for grant in GRANTS:
        name = f"docs/kubernetes/{grant}.yaml"
        found[name] = (content / name).read_text(encoding="utf-8")
    for name, schema in SCHEMAS.items():
        found[f"docs/schema/{name}.schema.json"] = json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
    # git keeps no empty directories.
    for directory in ("roles", *(f"playbooks/{category}" for category in CATEGORIES)):
        if not any(name.startswith(f"{directory}/") for name in found):
            found[f"{directory}/.gitkeep"] = ""
    return found


def _templates(directory: Traversable, prefix: str, today: date) -> Iterator[tuple[str, str]]:
    for entry in sorted(directory.iterdir(), key=lambda each: each.name):
        if entry.name == "__pycache__":
            continue
        if entry.is_dir():
            yield from _templates(entry, f"{prefix}{entry.name}/", today)
        elif entry.name.endswith(".j2"):
            yield f"{prefix}{entry.name}".removesuffix(".j2"), render(f"project/{prefix}{entry.name}", today=today)
        else:
            yield f"{prefix}{entry.name}", entry.read_text(encoding="utf-8")
