"""Action plugin: see that what is deployed is what every address serves, that clients accept it, and for how long."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pyrunbook.plugins.service_certificates import certificates_of
from pyrunbook.plugins.step_action import StepAction


class ActionModule(StepAction):
    """Passes only when every look at every certificate passed; one that could not be made has not passed."""

    CHANGES = False

    def act(self, inputs: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Look at all of them, then judge."""
        from pyrunbook.pki.errors import NotServed
        from pyrunbook.pki.validation import validate

        least = timedelta(days=inputs["validate_certs_warn_days"])
        with certificates_of(self) as service:
            chosen = service.chosen(inputs["validate_certs_only"])
            seen = {each.name: validate(each, service.store(each), service.issuers, least=least) for each in chosen}
        evidence = {name: [look.as_json() for look in looks] for name, looks in seen.items()}
        every = [(name, look) for name, looks in seen.items() for look in looks]
        if bad := [f"{name}: {look.what} ({look.verdict}): {look.detail}" for name, look in every if not look.good]:
            raise NotServed("\n".join(bad), next_step="pyrunbook certs status", evidence={"certificates": evidence})
        dates = "; ".join(f"{name}: {look.detail}" for name, look in every if look.what == "dates")
        return {
            "changed": False,
            "certificates": evidence,
            "detail": f"{len(every)} looks passed; {dates}",
            "evidence": {"certificates": evidence},
        }
