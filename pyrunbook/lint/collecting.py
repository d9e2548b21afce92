"""From paths to subjects: what is a page, a playbook, a role's notes, alert rules; what a whole project has."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyrunbook.errors import BadInput
from pyrunbook.lint.context import Project
from pyrunbook.lint.from_alerts import from_alerts, is_alert_rules
from pyrunbook.lint.from_markdown import from_page
from pyrunbook.lint.from_role import is_notes, read_role
from pyrunbook.lint.from_runbook import from_playbook
from pyrunbook.lint.subject import Subject
from pyrunbook.project.playbooks import find_playbooks, is_metadata, need_playbooks
from pyrunbook.project.problem import Spot
from pyrunbook.project.tasks import plays_of
from pyrunbook.project_file import around

_PAGES = (".md", ".markdown")
_YAML = (".yml", ".yaml")
_META = re.compile(r"\.meta(\.[a-z]{2})?(?=\.ya?ml$)")
_NOT_HERE = {"node_modules", "site-packages", "venv", "vendor", "__pycache__", "molecule"}
_MARKS = ("pyproject.toml", "playbooks", "roles", ".git")


@dataclass
class Linted:
    """What is linted.

    Attributes:
        only: the files whose findings are wanted; all when empty. Of a step's notes the runbooks are read that use it.
    """

    subjects: list[Subject] = field(default_factory=list)
    only: set[Path] = field(default_factory=set)


def project_of(path: Path) -> Path:
    """The project that a path is in, or else the nearest directory above it with playbooks, roles or a repository."""
    start = path.resolve()
    start = start if start.is_dir() else start.parent
    if settings := next(around(start), None):
        return settings.parent
    for directory in (start, *start.parents):
        if any((directory / mark).exists() for mark in _MARKS):
            return directory
    return start


def collect(paths: Sequence[Path], project: Project) -> Linted:
    """What is at some paths; all playbooks of the project where there are none.

    Raises:
        BadInput: a path is not there, or is nothing that can be linted; there is nothing at all.
    """
    found = Linted()
    playbooks: dict[Path, None] = {}
    others: dict[Path, None] = {}
    whole: set[Path] = set()
    if not paths:
        playbooks |= dict.fromkeys(need_playbooks(project.root))
    for path in paths:
        if not path.exists():
            raise BadInput(f"{path}: no such file or directory")
        if path.is_dir():
            chosen = find_playbooks(path) if path == project.root or (path / "playbooks").is_dir() else []
            playbooks |= dict.fromkeys(chosen)
            below = list(_files(path))
            playbooks |= dict.fromkeys(file for file in below if _is_playbook(file, project))
            others |= dict.fromkeys(file for file in below if file.suffix in _PAGES)
            continue
        playbook = _playbook_of(path)
        if path.suffix in _PAGES:
            others[path] = None
        elif playbook is not None:
            playbooks[playbook] = None
            whole.add(playbook)
        elif is_notes(path):
            playbooks |= dict.fromkeys(_users_of(path.parent.parent, project))
            others[path] = None
            found.only.add(path)
        elif path.suffix in _YAML and _is_playbook(path, project):
            playbooks[path] = None
            whole.add(path)
        elif path.suffix in _YAML and is_alert_rules(path, project):
            others[path] = None
        else:
            raise BadInput(
                f"{path} is neither a playbook, nor its metadata, nor a role's meta/step.yml, nor alert rules, "
                "nor a Markdown page"
            )
    if not playbooks and not others:
        raise BadInput(
            f"{', '.join(map(str, paths))}: no playbook and no Markdown page in it, so there is nothing to look at",
            next_step="name a playbook, a role's meta/step.yml, alert rules, a Markdown page, or a directory with them",
        )
    found.subjects += [from_playbook(playbook, project) for playbook in playbooks]
    found.subjects += list(_others(others, project))
    # Roles that come with pyrunbook, or from elsewhere, are not this project's to correct.
    home = project.root.resolve()
    found.subjects += [s for path, s in project.role_subjects.items() if path.resolve().is_relative_to(home)]
    if found.only:  # what is named beside a step's notes is wanted whole
        found.only |= {file for s in found.subjects if s.file in whole or s.kind == "page" for file in s.files}
        if any(path.is_dir() for path in paths):
            found.only = set()
    return found


def _others(files: Iterable[Path], project: Project) -> Iterator[Subject]:
    for file in files:
        if file.suffix in _PAGES:
            yield from_page(file)
        elif is_notes(file):
            read_role(file.parent.parent, project)
        else:
            yield from_alerts(file, project)


def alert_subjects(project: Project) -> list[Subject]:
    """The alert rules of the project's settings.

    Raises:
        BadInput: a file of the settings is not there.
    """
    subjects = []
    for pattern in project.settings.lint.alert_rules:
        files = (
            sorted(project.root.glob(pattern)) if any(mark in pattern for mark in "*?[") else [project.root / pattern]
        )
        files = [file for file in files if file.is_file()]
        if not files:
            raise BadInput(f"lint.alert_rules: {pattern} is not there", next_step="correct the path in the settings")
        subjects += [from_alerts(file, project) for file in files]
    return subjects


def named_alerts(project: Project) -> dict[str, Spot]:
    """The alerts that the metadata of the project's runbooks name."""
    read = {playbook.with_suffix(".meta.yml"): project.metadata(playbook) for playbook in project.runbooks.values()}
    return {name: Spot(file, 1, 1) for file, known in read.items() if known for name in known.alerts}


def _playbook_of(path: Path) -> Path | None:
    """The playbook that a file of metadata belongs to."""
    name = _META.sub("", path.name)
    if name == path.name:
        return None
    playbook = path.with_name(name)
    if not playbook.is_file():
        raise BadInput(f"{path} has no playbook beside it: {playbook.name} is not there")
    return playbook


def _users_of(role: Path, project: Project) -> Iterator[Path]:
    for playbook in find_playbooks(project.root):
        if role.name in project.role_names(playbook) and project.role(role.name, playbook) == role:
            yield playbook


def _is_playbook(file: Path, project: Project) -> bool:
    if file.suffix not in _YAML or is_metadata(file.name):
        return False
    lines = project.lines(file)
    if not any("hosts:" in line or "import_playbook:" in line for line in lines):
        return False
    return any(plays_of(project.read(file)))


def _files(directory: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(directory):
        folders[:] = sorted(name for name in folders if name not in _NOT_HERE and not name.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            if path.suffix in (*_PAGES, *_YAML) and path.is_file():
                yield path
