"""Action plugin: deploy the certificate that was staged, reload its server, and see it served at every address."""

from __future__ import annotations

from typing import Any

from pyrunbook.plugins.service_certificates import certificates_of
from pyrunbook.plugins.step_action import StepAction


class ActionModule(StepAction):
    """Takes what this run or an earlier one has staged, and refuses where nothing is."""

    ARGUMENTS = {"name": {"type": "str", "required": True}}

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Activate, reload, prove."""
        from pyrunbook.pki import rotation

        with certificates_of(self) as service:
            wanted = service.named(arguments["name"])
            store = service.store(wanted)
            if self.check_mode:
                new = store.read().standing.new or "what would be staged"
                addresses = ", ".join(str(each) for each in wanted.addresses)
                return {"changed": True, "detail": f"would deploy {new} to {store.place} and look at {addresses}"}
            return rotation.deploy(wanted, store, self.run_id).as_result()
