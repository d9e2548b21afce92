"""Action plugin: see that what is deployed is what every address serves, that clients accept it, and for how long."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pyrunbook.errors import BadInput
from pyrunbook.plugins.certificate_action import Asked, CertificateAction


class ActionModule(CertificateAction):
    """Passes only when every look at every certificate passed; what could not be measured is no pass."""

    ARGUMENTS = {
        "only": {"type": "list", "elements": "str", "default": []},
        "warn_days": {"type": "float", "default": 7},
    }
    CHANGES = False

    def operate(self, asked: Asked) -> dict[str, Any]:
        """Look at all of them, then judge."""
        from pyrunbook.pki.errors import NotServed
        from pyrunbook.pki.validation import validate

        chosen = [asked.named(name) for name in asked.arguments["only"]] or asked.certificates
        if not chosen:
            raise BadInput("the service has no certificate (service_certificates is empty)")
        least = timedelta(days=asked.arguments["warn_days"])
        seen = {each.name: validate(each, self.store(each), asked.issuers, least=least) for each in chosen}
        evidence = {name: [look.as_json() for look in looks] for name, looks in seen.items()}
        bad = [
            f"{name}: {look.what} ({look.verdict}): {look.detail}"
            for name, looks in seen.items()
            for look in looks
            if not look.good
        ]
        if bad:
            raise NotServed("\n".join(bad), next_step="pyrunbook certs status", evidence={"certificates": evidence})
        passed = sum(look.good for looks in seen.values() for look in looks)
        dates = "; ".join(
            f"{name}: {look.detail}" for name, looks in seen.items() for look in looks if look.what == "dates"
        )
        return {
            "changed": False,
            "certificates": evidence,
            "detail": f"{passed} looks passed; {dates}",
            "evidence": {"certificates": evidence},
        }
