"""What the tasks of a play have in common, made once before Ansible forks its workers and not anew in each of them."""

from __future__ import annotations

import gc
from contextlib import suppress
from typing import Any

from ansible.plugins.loader import action_loader, connection_loader, shell_loader
from ansible.template import Templar, trust_as_template

from pyrunbook.plugins import target_program
from pyrunbook.plugins.selection import tasks_of

USES_PLUGINS = trust_as_template("{{ lookup('env', 'HOME') | default('') | trim is match('') and '' is not none }}")
"""Has Ansible import its filters, tests and lookups, which it does when the first template of a process names one."""


def prepare(play: Any, variables: dict[str, Any]) -> None:
    """Import what the workers would import, and keep the garbage collector off what they share with this process.

    Args:
        play: about to begin.
        variables: of one of its services.
    """
    for name in sorted({str(task.action) for task, _ in tasks_of(play.compile())}):
        with suppress(Exception):  # a task that names no plugin is Ansible's to tell
            action_loader.get_with_context(name, class_only=True)
    connection_loader.get_with_context(str(variables.get("ansible_connection") or "ssh"), class_only=True)
    shell_loader.get_with_context("sh", class_only=True)
    Templar(loader=play.get_loader(), variables={}).template(USES_PLUGINS)
    if variables.get("service_platform") == "host":
        import pyrunbook.platforms.host  # noqa: F401

        target_program.program()
    gc.collect()
    gc.freeze()
