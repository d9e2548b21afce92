"""Action plugin: issue a new certificate, check it, and write it beside the one that is deployed."""

from __future__ import annotations

from typing import Any

from pyrunbook.plugins.certificate_action import Asked, CertificateAction


class ActionModule(CertificateAction):
    """Nothing that serves changes. In check mode nothing is asked of the issuer.

    Where the login is good for once, what was replaced long enough ago is revoked here, in the same session.
    """

    ARGUMENTS = {"name": {"type": "str", "required": True}}

    def operate(self, asked: Asked) -> dict[str, Any]:
        """Issue, check, stage."""
        from pyrunbook.pki import overlap, rotation

        wanted = asked.named(asked.arguments["name"])
        store = self.store(wanted)
        if self.check_mode:
            store.read()
            names = ", ".join([*wanted.request.dns_names, *wanted.request.ip_names])
            issuer = asked.issuers.issuer(wanted.issuer).name
            return {"changed": True, "detail": f"would ask {issuer} for a certificate for {names}"}
        done = rotation.stage(wanted, store, asked.issuers, self.run_id)
        result = {"changed": done.changed, "serial": done.serial, "detail": done.detail, "evidence": done.evidence}
        if done.changed and asked.issuers.logs_in_once(wanted.issuer):
            ended = overlap.revoke_retired(wanted, store, asked.issuers)
            result["detail"] = "; ".join(each for each in (done.detail, ended.describe()) if each)
            result["evidence"] = {**done.evidence, "overlap": ended.as_json()}
        return result
