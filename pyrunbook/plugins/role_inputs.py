"""The inputs of a step: the options of its role's `meta/argument_specs.yml`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def role_inputs(role: Path) -> dict[str, dict[str, Any]]:
    """The inputs of the role in a directory, read once a process: name to option, an Ansible argument spec.

    They are those of the entry point `main`; none where the role declares none.
    """
    path = role / "meta" / "argument_specs.yml"
    if not path.is_file():
        return {}
    specs = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a safe loader
    options: dict[str, dict[str, Any]] = specs["argument_specs"]["main"].get("options") or {}
    return options
