"""Finds the playbooks of any project, and says what their pages are called."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from pyrunbook.errors import BadInput
from pyrunbook.project.document import LOADER, MAX_BYTES
from pyrunbook.project.problem import Problem
from pyrunbook.project.role_places import inside
from pyrunbook.project.tasks import IMPORTS
from pyrunbook.project_file import SETTINGS

PLAYBOOKS = "playbooks"
"""The directory in which every YAML file is meant as a playbook, and is listed when it is none."""
_SUFFIXES = (".yml", ".yaml")
_NOT_HERE = {
    "__pycache__", "ansible_collections", "collections", "files", "group_vars", "handlers", "host_vars", "inventories",
    "inventory", "molecule", "node_modules", "roles", "site-packages", "tasks", "templates", "test", "tests", "vars",
    "vendor", "venv",
}  # fmt: skip
"""Directories whose YAML is no playbook that an operator runs, wherever in a project they are."""
_PROJECT_MARKS = (PLAYBOOKS, "plays", "roles", "ansible.cfg", "galaxy.yml", SETTINGS)
_MARKS = {"hosts", *IMPORTS}
_MARKED = re.compile(rf"^(?:- +|  +)['\"]?(?:{'|'.join(map(re.escape, sorted(_MARKS)))})['\"]?[ \t]*:", re.MULTILINE)


def is_metadata(name: str) -> bool:
    """Whether a file is a playbook's metadata or a translation of it, by its name: `x.meta.yml`, `x.meta.fr.yml`."""
    return ".meta." in name


def find_playbooks(project: Path) -> list[Path]:
    """The playbooks of a project, in the order of their names: at its top and in all its directories but `_NOT_HERE`.

    A playbook is a YAML file that is a list with a mapping that has `hosts` or imports another playbook. One that is
    broken counts when it looks like one, and below `playbooks/` in any case, so that somebody says so. Links that lead
    out of the project are left alone.
    """
    below = project / PLAYBOOKS
    return sorted(
        file
        for file in _yaml_files(project)
        if _is_playbook(file, or_broken=file.is_relative_to(below)) and (not file.is_symlink() or inside(file, project))
    )


def need_playbooks(project: Path) -> list[Path]:
    """The same, of a project that somebody names as one.

    Raises:
        BadInput: there is none; says where they were looked for.
    """
    found = find_playbooks(project)
    if not found:
        raise BadInput(
            "\n".join([f"{project} has no playbook", *map(str, no_playbooks(project))]),
            means="A playbook is a YAML file that is a list of plays (hosts) or imports one (import_playbook). All "
            f"directories were looked into but hidden ones and those called {', '.join(sorted(_NOT_HERE))}.",
            next_step="--project DIRECTORY of an Ansible project",
        )
    return found


def is_project(directory: Path) -> bool:
    """Whether a directory looks like the top of an Ansible project, as far as its own entries say."""
    if any((directory / mark).exists() for mark in _PROJECT_MARKS):
        return True
    return any(_is_playbook(file, or_broken=False) for file in _yaml_files(directory, deep=False))


def no_playbooks(project: Path) -> Iterator[Problem]:
    """What stands below `playbooks/`, is sound YAML, and is no list: variables perhaps, or plays without their dashes.

    Each is `elsewhere`: the file may be right, and has no page.
    """
    for file in _yaml_files(project / PLAYBOOKS):
        if file.is_symlink() and not inside(file, project):
            continue
        kind, line = _top(file)
        if kind:
            yield Problem(file, line, 1, "", f"is no playbook, which is a list of plays: {kind}", elsewhere=True)


def _top(file: Path) -> tuple[str, int]:
    """What a file is in place of a list, and the line in which that begins; empty where it is a list or broken."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
        if text.startswith("$ANSIBLE_VAULT"):
            return "it is vaulted as a whole", 1
        events = list(yaml.parse(text, Loader=LOADER))  # to the end: what is broken further down is not this
        top = next((event for event in events if isinstance(event, yaml.NodeEvent)), None)
        if isinstance(top, yaml.SequenceStartEvent):
            return "", 1
        if top is not None:
            kind = "a mapping" if isinstance(top, yaml.MappingStartEvent) else "a text"
            return f"it is {kind}", top.start_mark.line + 1 if top.start_mark else 1
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return "", 1
    return "it is empty", 1


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


def _yaml_files(directory: Path, *, deep: bool = True) -> Iterator[Path]:
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
                if not is_metadata(entry.name):
                    yield Path(entry.path)
            elif deep and entry.name not in _NOT_HERE and entry.is_dir(follow_symlinks=False):
                yield from _yaml_files(Path(entry.path))
        except OSError:
            continue


def _is_playbook(file: Path, *, or_broken: bool) -> bool:
    try:
        raw = file.read_bytes()
    except OSError:
        return False
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        if or_broken:
            return True
        text = raw.decode("utf-8-sig", errors="replace")
    if not or_broken and not any(mark in text for mark in _MARKS):
        return False
    try:
        if _has_a_play(text):
            return True
        if or_broken:
            all(True for _ in yaml.parse(text, Loader=LOADER))  # to its end: it may be broken further down
        return False
    except yaml.YAMLError:
        return or_broken or _MARKED.search(text) is not None


def _has_a_play(text: str) -> bool:
    """Read only as far as the first play: the events of a mapping in a list at the top, keys and values in turn."""
    depth, is_key = 0, False
    for event in yaml.parse(text, Loader=LOADER):
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
