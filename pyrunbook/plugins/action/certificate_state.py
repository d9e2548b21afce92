"""Action plugin: look at a service's certificates, what serves them, and decide which are to be rotated now."""

from __future__ import annotations

from typing import Any

from pyrunbook.plugins.rotation_begin import state_of
from pyrunbook.plugins.service_certificates import certificates_of
from pyrunbook.plugins.step_action import StepAction


class ActionModule(StepAction):
    """The result is what `state_of` returns."""

    CHANGES = False

    def act(self, inputs: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Look at each, and decide."""
        with certificates_of(self) as service:
            return state_of(service, inputs)
