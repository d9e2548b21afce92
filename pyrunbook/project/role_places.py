"""Where the roles of a project are: its own, and below them the shipped ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pyrunbook import places
from pyrunbook.errors import BadInput
from pyrunbook.project.ansible_cfg import configured
from pyrunbook.project.document import read_leniently
from pyrunbook.project_file import project_file


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


def folder_of(role: str) -> str:
    """The name of a role's folder: without the name of our collection, where it has that."""
    return role.removeprefix(f"{places.COLLECTION}.")


def collection_of(project: Path) -> str:
    """The collection that a project is, or has in `ansible_collections/` as links; empty where it is none."""
    if project.parent.parent.name == "ansible_collections":
        return f"{project.parent.name}.{project.name}"
    for roles in project.glob("ansible_collections/*/*/roles"):
        if roles.is_symlink() and roles.resolve() == (project / "roles").resolve():
            return f"{roles.parent.parent.name}.{roles.parent.name}"
    document = read_leniently(project / "galaxy.yml")
    for root in document.roots[:1]:
        namespace, name = (document.text(document.get(root, key)) for key in ("namespace", "name"))
        return f"{namespace}.{name}" if namespace and name else ""
    return ""


class RolePlaces:
    """Where the roles of a project stand: `roles/`, `roles_path` of its `ansible.cfg`, and `roles/` beside a playbook.

    A project that is a collection itself may name its roles `<namespace>.<name>.<role>`.
    """

    def __init__(self, project: Path) -> None:
        self._project = project
        self._directories = [project / "roles", *_configured(project)]
        self._shipped = shipped_roles(project)
        self._collection = f"{collection_of(project)}."
        self._found: dict[tuple[str, Path], Path | None] = {}

    def find(self, name: str, playbook: Path) -> Path | None:
        """The directory of a role, beside the playbook first; `None` where the project does not have it."""
        key = (name, playbook.parent)
        if key not in self._found:
            self._found[key] = self._look(name.removeprefix(self._collection), playbook.parent)
        return self._found[key]

    def comes_with_pyrunbook(self, name: str) -> bool:
        """Whether a role is one of ours: by its full name, or where the project has the shipped ones too."""
        folder = folder_of(name)
        shipped = self._shipped if folder == name else places.shipped() / "roles"
        return shipped is not None and "/" not in name and (shipped / folder).is_dir()

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
    """The directory of the roles that come with pyrunbook, for a project of ours; `None` for any other of Ansible.

    There a role of the same name is somebody else's, from wherever they have installed it.
    """
    ours = project_file(project) is not None or project.resolve() == places.content()
    return places.shipped() / "roles" if ours else None


def role_directories(project: Path) -> tuple[Path, ...]:
    """Where the roles of a project's runbooks are looked for: its own first."""
    shipped = shipped_roles(project)
    return tuple(dict.fromkeys((project / "roles", *([shipped] if shipped else []))))


def _configured(project: Path) -> Iterator[Path]:
    return (project / part for part in _roles_path(project) if not part.startswith(("~", "$", "/")))


def _roles_path(project: Path) -> list[str]:
    try:
        written = configured(project / "ansible.cfg", "defaults", "roles_path", "")
    except BadInput:
        return []
    return [part.strip() for part in written.replace("\n", "").split(":") if part.strip()]
