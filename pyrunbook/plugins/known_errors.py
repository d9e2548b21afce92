"""What is known about a step's failure: the entries of its role's troubleshooting, with the service's values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Ansible's own, about all hosts or the play: commands do not use them.
_MAGIC = frozenset({"hostvars", "vars", "groups", "environment", "omit", "ansible_facts", "role_names"})


def known_errors(notes: Path, message: str, service: str, variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries that a message is about, their commands filled with the service's values.

    Args:
        notes: the role's `meta/step.yml`, which may be missing.
        message: of the failure.
        service: its name in the inventory.
        variables: of the service, as Ansible has them; templates among them need not be filled, secrets stay hidden.

    Returns:
        `error`, `cause`, `solution` and `commands` of each. A command that cannot be filled is given as it is written;
        without readable notes there is none. Nothing is raised: what went wrong is the failure itself.
    """
    if not notes.is_file():
        return []
    from pyrunbook.catalog.step_notes import read_step_notes
    from pyrunbook.errors import BadInput

    try:
        troubles = read_step_notes(notes).troubleshooting
    except BadInput:
        return []
    platform = variables.get("service_platform")
    found = [t for t in troubles if t.found_in(message) and (platform is None or t.platform in (None, platform))]
    commands = _filled([t.commands for t in found], notes.parents[2], service, variables) if found else []
    return [
        {"error": t.error, "cause": str(t.cause), "solution": str(t.solution), "commands": shown}
        for t, shown in zip(found, commands, strict=True)
    ]


def _filled(
    commands: list[tuple[str, ...]], roles: Path, service: str, variables: Mapping[str, Any]
) -> list[list[str]]:
    from pyrunbook.redaction import redact, redact_text, secret_values

    told = {name: value for name, value in variables.items() if name not in _MAGIC}
    try:
        from pyrunbook.catalog.page_values import page_values, read_role_defaults
        from pyrunbook.project.inventory import Service

        # Redacted first: a vaulted value would be decrypted by the template that asks for it.
        values = page_values(Service(service, redact(told), {}), read_role_defaults(roles), roles.parent, None)
        secrets = list(secret_values(told))
        return [[redact_text(values.fill(command), secrets) for command in group] for group in commands]
    except Exception:  # a command that cannot be shown must not fail the step once more
        return [list(group) for group in commands]
