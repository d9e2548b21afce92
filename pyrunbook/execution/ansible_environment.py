"""What every program of Ansible that we start is told: its configuration, and where roles are.

What is ours has the name of its collection, which Ansible finds by itself. A project of an older version has short
names for our roles and for the inventory of the sandbox; its own roles go before ours there.
"""

from __future__ import annotations

import os
from pathlib import Path

from pyrunbook import places
from pyrunbook.project.ansible_cfg import absolute, configured, paths

SANDBOX = f"{places.COLLECTION}.pyrunbook_sandbox"
"""The inventory of the sandbox; older projects have it by its short name."""
_INVENTORIES = "host_list, script, auto, yaml, ini, toml"
"""The kinds of inventories that Ansible knows by default."""


def ansible_environment() -> dict[str, str]:
    """Variables for a program of Ansible; they keep what the operator's environment or the ansible.cfg says.

    But for one: Python's path is always searched for collections, because ours is there.

    Raises:
        BadInput: the ansible.cfg cannot be read.
    """
    config = places.ansible_config().resolve()
    found = {"ANSIBLE_CONFIG": str(config), "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "true"}
    project = places.project()
    own = [str(project / "roles")] if project else []
    given = _given_roles(config)
    found["ANSIBLE_ROLES_PATH"] = _joined(*own, *given, str(places.shipped() / "roles"))
    kinds = os.environ.get("ANSIBLE_INVENTORY_ENABLED") or configured(
        config, "inventory", "enable_plugins", _INVENTORIES
    )
    others = [name for each in kinds.split(",") if (name := each.strip()) not in (SANDBOX, "pyrunbook_sandbox")]
    return found | {"ANSIBLE_INVENTORY_ENABLED": ", ".join([SANDBOX, *others])}


def _given_roles(config: Path) -> list[str]:
    """The directories of roles that the environment names, or ansible.cfg, or else Ansible itself."""
    if named := os.environ.get("ANSIBLE_ROLES_PATH"):
        return [absolute(part, Path.cwd()) for part in named.split(os.pathsep) if part]
    home = os.environ.get("ANSIBLE_HOME") or "~/.ansible"
    system = [absolute(f"{home}/roles", Path("/")), "/usr/share/ansible/roles", "/etc/ansible/roles"]
    return paths(config, "roles_path") or system


def _joined(*directories: str) -> str:
    """Each once, for a variable; one that is not there is left out."""
    return os.pathsep.join(dict.fromkeys(each for each in directories if Path(each).is_dir()))
