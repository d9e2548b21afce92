"""Whose values a page shows: a project, and one service of an inventory of it."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyrunbook.catalog import STRATEGIES
from pyrunbook.catalog.contacts import Channel, Contact, contacts_of
from pyrunbook.catalog.roles import Role, read_role
from pyrunbook.docs.tasks_sum import tasks_sum
from pyrunbook.errors import BadInput
from pyrunbook.project.document import VAULTED
from pyrunbook.project.inventory import Origin, Service, is_vaulted

PLATFORMS = ("host", "kubernetes")


@dataclass(frozen=True)
class Target:
    """Whose values a page shows.

    Attributes:
        project: directory with `playbooks/`, `roles/` and `inventories/`.
        inventory: of the service; `None` where no inventory is known.
        service: the one whose values are shown; `None` as above.
        services: names of all services of the inventory.
        contacts: levels and channels of the organisation.
        asked_strategy: of `STRATEGIES`, in place of the one that the inventory selects.
    """

    project: Path
    inventory: Path | None = None
    service: Service | None = None
    services: tuple[str, ...] = ()
    contacts: dict[str, Contact | Channel] = field(default_factory=dict)
    asked_strategy: str = ""
    _roles: dict[tuple[Path, str], Role] = field(default_factory=dict, compare=False, repr=False)
    _sums: dict[tuple[Path, tuple[str, ...]], str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def platform(self) -> str:
        """`kubernetes` or `host`; empty where it is not known, and then a page shows both."""
        return str(self.service.variables.get("service_platform", "")) if self.service else ""

    @property
    def strategy(self) -> str:
        """The strategy that was asked for, or else the one that the inventory selects."""
        if self.asked_strategy:
            return self.asked_strategy
        chosen = str(self.service.variables.get("update_strategy", "")) if self.service else ""
        return chosen if chosen in STRATEGIES else STRATEGIES[0]

    def role(self, roles: Path, name: str) -> Role:
        """A role of a directory; read once, because many pages are about it."""
        if (roles, name) not in self._roles:
            self._roles[roles, name] = read_role(roles, name)
        return self._roles[roles, name]

    def tasks_sum(self, tasks: Path, platforms: tuple[str, ...]) -> str:
        """See `pyrunbook.docs.tasks_sum`; made once, too."""
        if (tasks, platforms) not in self._sums:
            self._sums[tasks, platforms] = tasks_sum(tasks, platforms, set(PLATFORMS) - set(platforms))
        return self._sums[tasks, platforms]

    def shown(self, path: Path) -> str:
        """A path as pages name it: relative to the project, the same on every machine; its name where it is outside."""
        try:
            return path.resolve().relative_to(self.project.resolve()).as_posix()
        except ValueError:
            return path.name

    @property
    def inventory_path(self) -> str:
        """What `ansible-playbook -i` takes, from the project's directory."""
        return self.shown(self.inventory) if self.inventory else "INVENTORY"

    @property
    def inventory_name(self) -> str:
        """What `pyrunbook -i` takes: the name of an inventory below `inventories/`, otherwise its path."""
        path = self.inventory_path
        return posixpath.basename(path) if posixpath.dirname(path) == "inventories" else path


def choose(project: Path, inventory: Path, services: list[Service], service: str = "") -> Target:
    """The target of pages: a service of the inventory, the first where none is named.

    Raises:
        BadInput: there is no such service.
    """
    names = tuple(found.name for found in services)
    chosen = next((found for found in services if found.name == (service or names[0])), None)
    if chosen is None:
        raise BadInput(f"inventory {inventory}: there is no service {service!r} (there is: {', '.join(names)})")
    return Target(project, inventory, chosen, names, contacts_of(chosen))


def refuse_vaulted(source: Path) -> None:
    """Refuse an inventory that has to be run and that has a file of variables which is vaulted as a whole.

    Raises:
        BadInput: it has: Ansible decrypts such a file where it has the password, and then nothing tells its secrets
            from what may be shown.
    """
    directory = source if source.is_dir() else source.parent
    for file in sorted(file for kind in ("group_vars", "host_vars") for file in (directory / kind).rglob("*")):
        if file.is_file() and is_vaulted(file):
            raise BadInput(
                f"{file} is vaulted as a whole, and inventory {source} has to be run to be read",
                means="On a page its secrets could not be told from other values.",
                next_step="ansible-vault encrypt_string for each secret of the file, or name an inventory in YAML",
            )


def told_by_ansible(source: Path, variables: Mapping[str, Mapping[str, Any]]) -> list[Service]:
    """Services, by their names, as `ansible-inventory` tells them: it is asked where a plugin makes the inventory."""
    return [
        Service(name, {key: _plain(value) for key, value in said.items()}, dict.fromkeys(said, Origin(source, 1, 1)))
        for name, said in variables.items()
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return VAULTED if set(value) == {"__ansible_vault"} else {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
