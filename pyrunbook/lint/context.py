"""What rules know besides their subject: the project, its settings and inventory, the date, the alerts, past runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path

from pyrunbook import places
from pyrunbook.catalog.catalog import playbooks_of
from pyrunbook.catalog.metadata import Metadata, read_metadata
from pyrunbook.catalog.settings import Settings
from pyrunbook.lint.shell_syntax import Fault, faults
from pyrunbook.lint.subject import Alert, Command, Subject
from pyrunbook.project.document import Document, read_leniently
from pyrunbook.project.inventory import Service
from pyrunbook.project.problem import InvalidFile, Spot
from pyrunbook.project.role_places import RolePlaces, folder_of, shipped_roles
from pyrunbook.project.tasks import plays_of, task_files, tasks_of_file

_KEPT = 64
"""How many YAML files are kept as nodes."""
ALWAYS_THERE = ("always", "never", "all", "tagged", "untagged")
"""Tags that Ansible knows by itself."""


class Project:
    """A directory with playbooks and roles. Nothing of it is executed; its files are read when a rule asks, and once.

    Attributes:
        settings: of `.pyrunbook.yml` or `pyproject.toml`.
        services: of the inventory; none where there is none.
        role_subjects: the roles that were read, by their directory.
    """

    def __init__(self, root: Path, settings: Settings, services: list[Service] | None = None) -> None:
        self.root = root
        self.settings = settings
        self.services = services or []
        self._loose: dict[Path, Document] = {}
        self.role_subjects: dict[Path, Subject] = {}
        self._metadata: dict[Path, Metadata | None] = {}
        self._places = RolePlaces(root)
        self._shipped = shipped_roles(root)
        self._lines: dict[Path, list[str]] = {}
        self._tags: dict[Path, frozenset[str]] = {}

    @cached_property
    def runbooks(self) -> dict[str, Path]:
        """The playbooks in the folders of the categories by `<category>/<name>`."""
        return {f"{path.parent.name}/{path.stem}": path for path in sorted(playbooks_of(self.root))}

    @cached_property
    def known_runbooks(self) -> dict[str, Path]:
        """The same, and below them the shipped ones, where the project has those too."""
        shipped = sorted(playbooks_of(self._shipped.parent)) if self._shipped else []
        return {f"{path.parent.name}/{path.stem}": path for path in shipped} | self.runbooks

    def lines(self, file: Path) -> list[str]:
        """The lines of a file; none where it cannot be read."""
        if file not in self._lines:
            try:
                text = file.read_text(encoding="utf-8", errors="replace")
            except OSError:
                text = ""
            self._lines[file] = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        return self._lines[file]

    def read(self, file: Path) -> Document:
        """A YAML file as far as it can be read. A few are kept: trees of nodes are large."""
        if file not in self._loose:
            if len(self._loose) >= _KEPT:
                self._loose.pop(next(iter(self._loose)))
            self._loose[file] = read_leniently(file)
        return self._loose[file]

    def roles(self, playbook: Path) -> tuple[Path, ...]:
        """The directories in which a playbook's roles are looked for; the project's own where there is none."""
        own = (*(parent / "roles" for parent in playbook.parents), self.root / "roles")
        found = (path for path in dict.fromkeys((*own, self._shipped)) if path is not None and path.is_dir())
        return tuple(found) or (self.root / "roles",)

    def role(self, name: str, playbook: Path) -> Path | None:
        """The directory of a role."""
        folder = folder_of(name)
        homes = self.roles(playbook) if folder == name else [places.shipped() / "roles"]
        elsewhere = (directory / folder for directory in homes)
        return self._places.find(name, playbook) or next((path for path in elsewhere if path.is_dir()), None)

    @cached_property
    def required_roles(self) -> frozenset[str]:
        """Roles that a requirements file of the project brings."""
        found: set[str] = set()
        for name in ("requirements.yml", "requirements.yaml", "roles/requirements.yml", "roles/requirements.yaml"):
            if (self.root / name).is_file():
                found.update(
                    re.findall(r"(?:name|src|role):\s*['\"]?([\w.-]+)", "\n".join(self.lines(self.root / name)))
                )
        return frozenset(found)

    def runbook(self, name: str) -> Path | None:
        """The playbook of a runbook, named by its id or without its category, hyphens for underscores."""
        wanted = name.removesuffix(".yml").replace("-", "_")
        if wanted in self.known_runbooks:
            return self.known_runbooks[wanted]
        return next((path for each, path in self.known_runbooks.items() if each.partition("/")[2] == wanted), None)

    def metadata(self, playbook: Path) -> Metadata | None:
        """The metadata of a runbook; `None` where it cannot be read."""
        if playbook not in self._metadata:
            self._metadata[playbook] = None
            with suppress(InvalidFile):
                self._metadata[playbook] = read_metadata(playbook.with_suffix(".meta.yml"))[1].runbook
        return self._metadata[playbook]

    def role_names(self, playbook: Path) -> frozenset[str]:
        """The folders of the roles that a playbook applies."""
        tasks = (task for play in plays_of(self.read(playbook)) for task in play.tasks())
        return frozenset(folder_of(role[0]) for task in tasks if (role := task.role()))

    def tags_of(self, playbook: Path) -> frozenset[str]:
        """All tags that can be selected in a playbook: its own and those in the files and roles that it includes."""
        if playbook not in self._tags:
            self._tags[playbook] = frozenset()  # a playbook that imports itself ends here
            found: set[str] = set()
            for play in plays_of(self.read(playbook)):
                found.update(play.tags)
                if play.imports and "{{" not in play.imports:
                    found |= self.tags_of(playbook.parent / play.imports)
                for task in play.tasks():
                    found.update(task.tags)
                    role = task.role()
                    directory = self.role(role[0], playbook) if role else None
                    for file in task_files(directory) if directory else []:
                        for inner in tasks_of_file(self.read(file)):
                            found.update(inner.tags)
            self._tags[playbook] = frozenset(found)
        return self._tags[playbook]


@dataclass
class Context:
    """What a rule may ask.

    Attributes:
        today: the date from which a runbook's age is counted.
        subjects: all that is linted together.
        alerts: of the alert rules; `None` where no rules are known.
        runbook_alerts: alerts that the metadata of the project's runbooks name, with the place of each.
        last_tested: runbook to the date of its last successful run that was no dry run; `None` without `--journal`.
        answers: what a URL answered, see `pyrunbook.lint.online`; `None` without `--online`.
    """

    project: Project
    today: date
    subjects: list[Subject] = field(default_factory=list)
    alerts: dict[str, Alert] | None = None
    runbook_alerts: dict[str, Spot] = field(default_factory=dict)
    last_tested: dict[str, date] | None = None
    answers: Callable[[str], str | None] | None = None

    @property
    def now(self) -> datetime:
        """The beginning of today, in UTC."""
        return datetime(self.today.year, self.today.month, self.today.day, tzinfo=UTC)

    def goes_back(self, role: Subject) -> bool:
        """Whether every playbook applies a role in `rescue` or `always` only: then its changes are the rollback."""
        sections = self._applied.get(role.file.parent.parent, set())
        return bool(sections) and sections <= {"rescue", "always"}

    @cached_property
    def _applied(self) -> dict[Path, set[str]]:
        found: dict[Path, set[str]] = {}
        for subject in self.subjects:
            for role, sections in subject.roles.items():
                found.setdefault(role, set()).update(sections)
        return found

    @cached_property
    def syntax(self) -> dict[Command, Fault]:
        """What Bash does not understand in the commands of all subjects: asked once, for all of them together."""
        return faults([command for subject in self.subjects for command in subject.commands])
