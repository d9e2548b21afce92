"""What every program of Ansible that we start is told: its configuration, and where roles and plugins are.

A project's ansible.cfg need not name ours: its own roles and plugins go first, the shipped ones follow.
"""

from __future__ import annotations

import os
from pathlib import Path

from pyrunbook import places
from pyrunbook.project.ansible_cfg import absolute, configured, paths

_PLUGINS = {
    "ANSIBLE_ACTION_PLUGINS": ("action_plugins", "action", "plugins/action"),
    "ANSIBLE_CALLBACK_PLUGINS": ("callback_plugins", "callback", "plugins/callback"),
    "ANSIBLE_INVENTORY_PLUGINS": ("inventory_plugins", "inventory", "plugins/inventory"),
    "ANSIBLE_LIBRARY": ("library", "modules", "plugins/modules"),
    "ANSIBLE_MODULE_UTILS": ("module_utils", "module_utils", "on_target"),
}
"""Variable to: the setting of ansible.cfg, the directory where Ansible looks by default, ours in the package."""
_INVENTORIES = "host_list, script, auto, yaml, ini, toml"
"""The kinds of inventories that Ansible knows by default."""


def ansible_environment() -> dict[str, str]:
    """Variables for a program of Ansible; each keeps what the operator's environment or the ansible.cfg says.

    Raises:
        BadInput: the ansible.cfg cannot be read.
    """
    config = places.ansible_config().resolve()
    home = os.environ.get("ANSIBLE_HOME") or "~/.ansible"
    found = {"ANSIBLE_CONFIG": str(config)}
    project = places.project()
    own = [str(project / "roles")] if project else []
    given = _given("ANSIBLE_ROLES_PATH", "roles_path", "roles", home, config)
    found["ANSIBLE_ROLES_PATH"] = _joined(*own, *given, str(places.shipped() / "roles"))
    for variable, (key, kind, ours) in _PLUGINS.items():
        given = _given(variable, key, f"plugins/{kind}", home, config)
        found[variable] = _joined(*given, str(places.package() / ours))
    kinds = os.environ.get("ANSIBLE_INVENTORY_ENABLED") or configured(
        config, "inventory", "enable_plugins", _INVENTORIES
    )
    if "pyrunbook_sandbox" not in kinds:
        kinds = f"pyrunbook_sandbox, {kinds}"
    return found | {"ANSIBLE_INVENTORY_ENABLED": kinds}


def _given(variable: str, key: str, kind: str, home: str, config: Path) -> list[str]:
    """The directories that the environment names, or ansible.cfg, or else Ansible itself."""
    if named := os.environ.get(variable):
        return [absolute(part, Path.cwd()) for part in named.split(os.pathsep) if part]
    system = [f"/usr/share/ansible/{kind}", *(["/etc/ansible/roles"] if kind == "roles" else [])]
    return paths(config, key) or [absolute(f"{home}/{kind}", Path("/")), *system]


def _joined(*directories: str) -> str:
    """Each once, for a variable; one that is not there is left out."""
    return os.pathsep.join(dict.fromkeys(each for each in directories if Path(each).is_dir()))
