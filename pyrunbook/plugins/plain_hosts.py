"""The hosts of a plain playbook: which of them it may have changed, as far as its tasks say."""

from __future__ import annotations

import re
from typing import Any

from pyrunbook.plugins.step_progress import first_line

ON_CONTROLLER = frozenset(
    {
        "add_host", "assert", "async_status", "debug", "fail", "group_by", "import_role", "import_tasks",
        "include_role", "include_tasks", "include_vars", "meta", "pause", "set_fact", "set_stats",
        "validate_argument_spec",
    }
)  # fmt: skip
"""Ansible's own actions that do not even ask the host."""
HARMLESS = ON_CONTROLLER | {
    "find", "gather_facts", "getent", "mount_facts", "package_facts", "ping", "service_facts", "setup", "slurp",
    "stat", "wait_for", "wait_for_connection",
}  # fmt: skip
"""Those that change nothing on a host. What any other one did before it was ended is not known."""

_NOT_CONNECTED = re.compile(
    r"ssh: connect to host|Could not resolve hostname|Permission denied \(|Host key verification failed"
    r"|Failed to create temporary directory|Failed to establish a new connection"
)
"""What Ansible says of a host that it did not reach; of any other one that is lost, a task may have begun."""


class PlainHosts:
    """What is known of the hosts of a run of a plain playbook.

    Attributes:
        known: those that a play of the run has had.
        changed: those on which something was changed, or may have been.
    """

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.changed: set[str] = set()
        self._touched: set[str] = set()
        self._reached: set[str] = set()

    def touches(self, host: str, task: Any, *, check_mode: bool) -> bool:
        """Whether this is the first task of a host that may change something: from its beginning on, it counts so."""
        if check_mode or host in self._touched or not may_change(task):
            return False
        self._touched.add(host)
        return True

    def take(self, host: str, task: Any, result: dict[str, Any], outcome: str, *, check_mode: bool) -> bool:
        """Take in the result of a task: whether it changed something, or may have; not where it only checks.

        Ansible is believed where a module says itself that it changed nothing, also when it failed. A module that
        broke, went on in the background or lost its machine says nothing.
        """
        unsaid = any(name in result for name in ("module_stdout", "module_stderr", "exception"))
        background = bool(task.async_val) and task.poll == 0
        lost = outcome == "unreachable" and (host in self._reached or not _never_connected(result))
        unknown = (outcome == "failed" and unsaid) or background or lost
        changed = outcome != "skipped" and may_change(task) and bool(result.get("changed") or unknown)
        changed &= host in self._touched and not check_mode
        if changed:
            self.changed.add(host)
        if outcome not in ("unreachable", "skipped") and _name(task) not in ON_CONTROLLER:
            self._reached.add(host)
        return changed

    def unchanged(self) -> set[str]:
        """Those that counted as changed until now, and were not: all their tasks have ended."""
        return self._touched - self.changed


def may_change(task: Any) -> bool:
    """Whether a task may change something on its host; `changed_when: false` says that it does not."""
    return task.changed_when != [False] and _name(task) not in HARMLESS


def _never_connected(result: dict[str, Any]) -> bool:
    items = [item for item in result.get("results") or [] if isinstance(item, dict)]
    return all(_NOT_CONNECTED.search(str(each.get("msg"))) for each in items or [result])


def _name(task: Any) -> str:
    return str(task.action).rpartition(".")[2]


def said(task: Any, result: dict[str, Any]) -> str:
    """What a task tells the operator: the message of `debug` and `assert`, one line."""
    if result.get("_ansible_no_log") or _name(task) not in ("debug", "assert"):
        return ""
    return first_line(result.get("msg"))
