"""The secrets of a play: collected from its variables, masked in all that Ansible shows and logs."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import Any

from pyrunbook.redaction import environment_secrets, redact_whole, secret_values

LOOKUP = re.compile(r"\b(?:lookup|query|q)\s*\(")
"""A template that asks a Vault or a program. It is filled when a task needs it, not before."""


class Secrets(set[str]):
    """The secret values of a play that are known by now."""

    def of_environment(self) -> None:
        """Add those of our environment."""
        self.update(environment_secrets(os.environ))

    def of_variables(self, variables: dict[str, Any], loader: Any) -> None:
        """Add those among variables of a host or task, or among inputs; fill templates where that asks nobody."""
        templar = None
        for value in set(secret_values(variables)):
            if "{{" in value and not LOOKUP.search(value):
                from ansible.template import Templar

                templar = templar or Templar(loader=loader, variables=variables)
                with suppress(Exception):  # it cannot be filled, or not yet: nobody can show it either
                    value = templar.template(value)
            self.add(str(value))

    def mask_shown(self, display: Any) -> None:
        """Have all that Ansible prints and logs pass through `redact`, also what `-vvv` shows of tasks."""
        shown = display.display

        def masked(msg: Any, *args: Any, **options: Any) -> Any:
            return shown(redact_whole(str(msg), self), *args, **options)

        display.display = masked
