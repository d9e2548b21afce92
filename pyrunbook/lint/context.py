"""What rules know besides their subject: the project, its settings and inventory, the date, the alerts, past runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path

from pyrunbook.catalog import CATEGORIES
from pyrunbook.catalog.inventory import Service
from pyrunbook.catalog.loose_yaml import LooseFile, read_loosely
from pyrunbook.catalog.metadata import read_metadata
from pyrunbook.catalog.roles import shipped_roles
from pyrunbook.catalog.settings import LintSettings, Settings
from pyrunbook.catalog.yaml_file import Document, InvalidFile, read
from pyrunbook.lint.rule import Finding
from pyrunbook.lint.shell_syntax import Fault, faults
from pyrunbook.lint.subject import Alert, Command, Reach, Spot, Subject
from pyrunbook.lint.tasks import plays_of, task_files, tasks_of_file

ALWAYS_THERE = ("always", "never", "all", "tagged", "untagged")
"""Tags that Ansible knows by itself."""


class Project:
    """A directory with playbooks and roles. Nothing of it is executed; its files are read when a rule asks, and once.

    Attributes:
        root: the directory.
        settings: of `.pyrunbook.yml` or `pyproject.toml`.
        services: of the inventory; none where there is none.
        reaches: how the people are reached that a service's inventory names, by the service; filled when it is read.
        role_subjects: the roles that were read, by their directory.
    """

    def __init__(self, root: Path, settings: Settings, services: list[Service] | None = None) -> None:
        self.root = root
        self.settings = settings
        self.services = services or []
        self._loose: dict[Path, LooseFile] = {}
        self.reaches: dict[str, list[Reach]] = {}
        self.role_subjects: dict[Path, Subject] = {}
        self._strict: dict[Path, Document | InvalidFile] = {}
        self._lines: dict[Path, list[str]] = {}
        self._tags: dict[Path, frozenset[str]] = {}

    @property
    def lint(self) -> LintSettings:
        """The settings of lint."""
        return self.settings.lint

    @cached_property
    def runbooks(self) -> dict[str, Path]:
        """The playbooks in the folders of the categories by `<category>/<name>`."""
        return {
            f"{category}/{path.stem}": path
            for category in CATEGORIES
            for path in sorted((self.root / "playbooks" / category).glob("*.yml"))
            if not path.name.endswith(".meta.yml") and not path.name.startswith(".")
        }

    def lines(self, file: Path) -> list[str]:
        """The lines of a file; none where it cannot be read."""
        if file not in self._lines:
            try:
                text = file.read_text(encoding="utf-8", errors="replace")
            except OSError:
                text = ""
            self._lines[file] = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        return self._lines[file]

    def read(self, file: Path) -> LooseFile:
        """A YAML file as far as it can be read."""
        if file not in self._loose:
            self._loose[file] = read_loosely(file)
        return self._loose[file]

    def document(self, file: Path) -> Document:
        """A YAML file of ours, strictly.

        Raises:
            InvalidFile: it is not YAML, or has a key twice.
        """
        if file not in self._strict:
            try:
                self._strict[file] = read(file)
            except InvalidFile as error:
                self._strict[file] = error
        found = self._strict[file]
        if isinstance(found, InvalidFile):
            raise found
        return found

    def roles(self, playbook: Path) -> list[Path]:
        """The directories in which a playbook's roles are looked for."""
        candidates = [
            playbook.parent / "roles",
            *(parent / "roles" for parent in playbook.parents),
            self.root / "roles",
        ]
        if shipped := shipped_roles(self.root):
            candidates.append(shipped)
        return [path for path in dict.fromkeys(candidates) if path.is_dir()]

    def role(self, name: str, playbook: Path) -> Path | None:
        """The directory of a role."""
        found = (directory / name for directory in self.roles(playbook))
        return next((path for path in found if path.is_dir()), None)

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
        if wanted in self.runbooks:
            return self.runbooks[wanted]
        return next((path for each, path in self.runbooks.items() if each.partition("/")[2] == wanted), None)

    def prerequisites(self, playbook: Path) -> frozenset[str] | None:
        """The ids of a runbook's prerequisites; `None` where its metadata cannot be read."""
        try:
            _, spec = read_metadata(playbook.with_suffix(".meta.yml"))
        except InvalidFile:
            return None
        return frozenset(each.id for each in spec.runbook.prerequisites)

    def role_names(self, playbook: Path) -> frozenset[str]:
        """The roles that a playbook applies."""
        tasks = (task for play in plays_of(self.read(playbook)) for task in play.tasks())
        return frozenset(role[0] for task in tasks if (role := task.role()))

    def tags_of(self, playbook: Path) -> frozenset[str]:
        """All tags that can be selected in a playbook: its own and those in the files and roles that it includes."""
        if playbook not in self._tags:
            self._tags[playbook] = frozenset()  # a playbook that imports itself ends here
            found: set[str] = set()
            for play in plays_of(self.read(playbook)):
                found.update(play.source.names(play.entries["tags"][1]) if "tags" in play.entries else ())
                if play.imports and "{{" not in play.imports:
                    found |= self.tags_of(playbook.parent / play.imports)
                for task in play.tasks():
                    found.update(task.source.names(task.entries["tags"][1]) if "tags" in task.entries else ())
                    role = task.role()
                    directory = self.role(role[0], playbook) if role else None
                    for file in task_files(directory) if directory else []:
                        for inner in tasks_of_file(self.read(file)):
                            found.update(
                                inner.source.names(inner.entries["tags"][1]) if "tags" in inner.entries else ()
                            )
            self._tags[playbook] = frozenset(found)
        return self._tags[playbook]


@dataclass
class Context:
    """What a rule may ask.

    Attributes:
        today: the date that "obsolete" is reckoned from.
        subjects: all that is linted together.
        alerts: of the alert rules; `None` where no rules are known.
        runbook_alerts: alerts that the metadata of the project's runbooks name, with the place of each.
        last_tested: runbook to the date of its last run that changed something and ended as it should; `None` where no
            journal is asked.
        bad_waivers: what is wrong with waivers; filled when all other rules have spoken.
        answers: what a URL answered, see `pyrunbook.lint.online`; `None` where it is not to be asked.
    """

    project: Project
    today: date
    subjects: list[Subject] = field(default_factory=list)
    alerts: dict[str, Alert] | None = None
    runbook_alerts: dict[str, Spot] = field(default_factory=dict)
    last_tested: dict[str, date] | None = None
    answers: Callable[[str], str | None] | None = None
    bad_waivers: list[Finding] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        """The beginning of today, in UTC."""
        return datetime(self.today.year, self.today.month, self.today.day, tzinfo=UTC)

    def goes_back(self, role: Subject) -> bool:
        """Whether a role is applied only where something is put back: what it changes is the way back itself."""
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
