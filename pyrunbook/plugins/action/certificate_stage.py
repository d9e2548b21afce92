"""Action plugin: issue a new certificate, check it, and write it beside the one that is deployed."""

from __future__ import annotations

from typing import Any

from pyrunbook.plugins.service_certificates import certificates_of
from pyrunbook.plugins.step_action import StepAction


class ActionModule(StepAction):
    """Nothing that serves changes. In check mode nothing is asked of the issuer.

    Where a secret opens only one login, what was replaced long enough ago is revoked in it as well.
    """

    ARGUMENTS = {"name": {"type": "str", "required": True}}

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Issue, check, stage."""
        from pyrunbook.pki import overlap, rotation

        with certificates_of(self) as service:
            wanted = service.named(arguments["name"])
            store, issuers = service.store(wanted), service.issuers
            if self.check_mode:
                store.read()
                names = ", ".join([*wanted.request.dns_names, *wanted.request.ip_names])
                issuer = issuers.issuer(wanted.issuer).name
                return {"changed": True, "detail": f"would ask {issuer} for a certificate for {names}"}
            result = rotation.stage(wanted, store, issuers, self.run_id).as_result()
            if result["changed"] and issuers.logs_in_once(wanted.issuer):
                ended = overlap.revoke_retired(wanted, store, issuers)
                result["detail"] = "; ".join(each for each in (result["detail"], ended.describe()) if each)
                result["evidence"] = {**result["evidence"], "overlap": ended.as_json()}
            return result
