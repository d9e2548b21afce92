"""Action plugin: deploy the certificate that was staged, reload its server, and see it served at every address."""

from __future__ import annotations

from typing import Any

from pyrunbook.plugins.certificate_action import Asked, CertificateAction


class ActionModule(CertificateAction):
    """Takes what this run or an earlier one has staged, and refuses where nothing is."""

    ARGUMENTS = {"name": {"type": "str", "required": True}}

    def operate(self, asked: Asked) -> dict[str, Any]:
        """Activate, reload, prove."""
        from pyrunbook.pki import rotation

        wanted = asked.named(asked.arguments["name"])
        store = self.store(wanted)
        if self.check_mode:
            new = store.read().standing.new or "what would be staged"
            addresses = ", ".join(str(each) for each in wanted.addresses)
            return {"changed": True, "detail": f"would deploy {new} to {store.place} and look at {addresses}"}
        done = rotation.deploy(wanted, store, self.run_id)
        return {"changed": done.changed, "serial": done.serial, "detail": done.detail, "evidence": done.evidence}
