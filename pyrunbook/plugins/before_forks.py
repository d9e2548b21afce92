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


def prepare(play: Any, services: list[dict[str, Any]]) -> None:
    """Import what the workers would import, and keep the garbage collector off what they share with this process.

    Args:
        play: about to begin.
        services: the variables of each.
    """
    for name in sorted({str(task.action) for task, _ in tasks_of(play.compile())}):
        with suppress(Exception):  # a task that names no plugin is Ansible's to tell
            action_loader.get_with_context(name, class_only=True)
    for name in {str(variables.get("ansible_connection") or "ssh") for variables in services}:
        connection_loader.get_with_context(name, class_only=True)
    shell_loader.get_with_context("sh", class_only=True)
    Templar(loader=play.get_loader(), variables={}).template(USES_PLUGINS)
    for variables in services:
        if variables.get("service_platform") == "host":
            import pyrunbook.platforms.host

            target_program.program()
        elif variables.get("service_platform") == "kubernetes":
            import pyrunbook.platforms.kubernetes  # noqa: F401
            from pyrunbook.kubernetes import client

            client.prepare(variables.get("service_kubeconfig"), variables.get("service_context"))  # 46 ms a task
    gc.collect()
    gc.freeze()
