"""Finds the playbooks of any project, and says what their pages are called."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pyrunbook.catalog.loose_yaml import MAX_BYTES
from pyrunbook.catalog.outline import IMPORTS
from pyrunbook.catalog.roles import inside

PLAYBOOKS = "playbooks"
"""The directory that is searched with all that is below it; of the project itself only the top level is."""
_SUFFIXES = (".yml", ".yaml")
_NOT_HERE = {
    "collections", "files", "group_vars", "host_vars", "inventories", "inventory", "molecule", "node_modules", "roles",
    "site-packages", "templates", "vars", "venv",
}  # fmt: skip
_MARKS = {"hosts", *IMPORTS}
_MARKED = re.compile(rf"^(?:- +|  +)['\"]?(?:{'|'.join(map(re.escape, sorted(_MARKS)))})['\"]?[ \t]*:", re.MULTILINE)
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def find_playbooks(project: Path) -> list[Path]:
    """The playbooks of a project: at its top and anywhere below `playbooks/`, in the order of their names.

    A playbook is a YAML file that is a list with a mapping that has `hosts` or imports another playbook. One that is
    broken counts when it looks like one, so that somebody says so. Links that lead out of the project are left alone.
    """
    files = [*_yaml_files(project, deep=False), *_yaml_files(project / PLAYBOOKS, deep=True)]
    return sorted(file for file in files if _is_playbook(file) and (not file.is_symlink() or inside(file, project)))


def page_id(playbook: Path, project: Path) -> str:
    """What the page of a playbook is called; no two playbooks of a project have the same.

    `playbooks/maintenance/x.yml` is `maintenance/x`; any other keeps its path without the extension: `site`,
    `playbooks/x`, `playbooks/a/b/x`. A `.yaml` beside a `.yml` of the same name keeps its extension.
    """
    path = playbook.relative_to(project)
    if len(path.parts) == 3 and path.parts[0] == PLAYBOOKS != path.parts[1]:
        path = path.relative_to(PLAYBOOKS)
    twin = playbook.suffix == ".yaml" and playbook.with_suffix(".yml").is_file()
    return (path if twin else path.with_suffix("")).as_posix()


def _yaml_files(directory: Path, *, deep: bool) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except OSError:
        return
    if any(entry.name == "pyvenv.cfg" for entry in entries):
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        try:
            if entry.name.endswith(_SUFFIXES) and entry.is_file() and entry.stat().st_size <= MAX_BYTES:
                if not entry.name.endswith((".meta.yml", ".meta.yaml")):
                    yield Path(entry.path)
            elif deep and entry.name not in _NOT_HERE and entry.is_dir(follow_symlinks=False):
                yield from _yaml_files(Path(entry.path), deep=True)
        except OSError:
            continue


def _is_playbook(file: Path) -> bool:
    try:
        text = file.read_bytes().decode("utf-8-sig", errors="replace")
    except OSError:
        return False
    if not any(mark in text for mark in _MARKS):
        return False
    try:
        return _has_a_play(text)
    except yaml.YAMLError:
        return _MARKED.search(text) is not None


def _has_a_play(text: str) -> bool:
    """Read only as far as the first play: the events of a mapping in a list at the top, keys and values in turn."""
    depth, is_key = 0, False
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth == 1 and not isinstance(event, yaml.SequenceStartEvent):
                return False
            if depth == 2:
                is_key = isinstance(event, yaml.MappingStartEvent)
                in_mapping = is_key
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
            if depth == 2 and in_mapping:
                is_key = not is_key
            continue
        if depth == 2 and in_mapping:
            if is_key and isinstance(event, yaml.ScalarEvent) and event.value in _MARKS:
                return True
            is_key = not is_key
    return False
