"""What a wheel carries twice, or elsewhere. An editable install has the links of the checkout instead."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COLLECTION = "ansible_collections/pyrunbook/core"
# From where in the checkout, to where in the collection.
FILES = {
    "ansible.cfg": "ansible.cfg",
    # The package calls it on a service's machine, and the modules take it there by themselves.
    "pyrunbook/on_target": "plugins/module_utils",
    # What the scenarios of all roles share; `pyrunbook init` gives it to a project, too.
    ".config/molecule": ".config/molecule",
}


class CustomBuildHook(BuildHookInterface[Any]):
    """Called by hatchling."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the files to a wheel; in front of an editable install they would hide the checkout's collection."""
        if version == "standard":
            build_data["force_include"].update({source: f"{COLLECTION}/{place}" for source, place in FILES.items()})
