"""Where the roles of a project are: its own, and the shipped ones where its `ansible.cfg` names them."""

from __future__ import annotations

from collections.abc import Iterator
from configparser import Error as MalformedIni
from configparser import RawConfigParser
from pathlib import Path

from pyrunbook import places
from pyrunbook.project.document import read_leniently


def inside(path: Path, project: Path) -> bool:
    """Whether a path, links followed, stands in the project."""
    try:
        return path.resolve().is_relative_to(project.resolve())
    except (OSError, RuntimeError):  # a loop of links
        return False


def is_file(path: Path) -> bool:
    """Whether a file is there; what a foreign project names as one may be no possible name at all."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


class RolePlaces:
    """Where the roles of a project stand: `roles/`, `roles_path` of its `ansible.cfg`, and `roles/` beside a playbook.

    A project that is a collection itself may name its roles `<namespace>.<name>.<role>`.
    """

    def __init__(self, project: Path) -> None:
        self._project = project
        self._directories = [project / "roles", *_configured(project)]
        self._collection = _collection(project)
        self._found: dict[tuple[str, Path], Path | None] = {}

    def find(self, name: str, playbook: Path) -> Path | None:
        """The directory of a role, beside the playbook first; `None` where the project does not have it."""
        key = (name, playbook.parent)
        if key not in self._found:
            self._found[key] = self._look(name.removeprefix(self._collection), playbook.parent)
        return self._found[key]

    def comes_with_pyrunbook(self, name: str) -> bool:
        """Whether a role is one of the shipped ones that the project's `ansible.cfg` goes on to."""
        shipped = shipped_roles(self._project)
        return shipped is not None and "/" not in name and (shipped / name).is_dir()

    def _look(self, short: str, beside: Path) -> Path | None:
        if not short or short.startswith((".", "/")) or ".." in short.split("/"):
            return None
        for directory in (beside / "roles", *self._directories):
            try:
                if (directory / short).is_dir():
                    return directory / short if inside(directory / short, self._project) else None
            except (OSError, ValueError):
                return None
        return None


def shipped_roles(project: Path) -> Path | None:
    """The directory of the roles that come with pyrunbook, where the project's `ansible.cfg` goes on to them."""
    uses = any(part.startswith(f"${places.ENV_PACKAGE}/") for part in _roles_path(project))
    return places.shipped() / "roles" if uses else None


def _configured(project: Path) -> Iterator[Path]:
    return (project / part for part in _roles_path(project) if not part.startswith(("~", "$", "/")))


def _roles_path(project: Path) -> list[str]:
    parser = RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read_string((project / "ansible.cfg").read_text(encoding="utf-8", errors="replace"))
        written = parser.get("defaults", "roles_path", fallback="") or ""
    except (OSError, MalformedIni):
        return []
    return [part.strip() for part in written.replace("\n", "").split(":") if part.strip()]


def _collection(project: Path) -> str:
    document = read_leniently(project / "galaxy.yml")
    for root in document.roots[:1]:
        namespace, name = (document.text(document.get(root, key)) for key in ("namespace", "name"))
        return f"{namespace}.{name}." if namespace and name else ""
    return ""
