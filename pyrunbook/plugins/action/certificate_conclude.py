"""Action plugin: end the rotation of a certificate that was proven, and revoke what was replaced long enough ago."""

from __future__ import annotations

from typing import Any

from pyrunbook.plugins.certificate_action import Asked, CertificateAction


class ActionModule(CertificateAction):
    """A revocation that does not succeed is told and tried again next time; it fails no rotation.

    Where the issuer's login is good for once, `certificate_stage` revokes: a second login would look like a theft.
    """

    ARGUMENTS = {"name": {"type": "str", "required": True}}

    def operate(self, asked: Asked) -> dict[str, Any]:
        """Conclude, and revoke."""
        from datetime import UTC, datetime

        from pyrunbook.pki import overlap, rotation

        wanted = asked.named(asked.arguments["name"])
        store = self.store(wanted)
        if self.check_mode:
            ends = [each.version for each in overlap.over(wanted, store.read(), datetime.now(UTC))]
            return {"changed": bool(ends), "detail": f"would revoke {', '.join(ends)}" if ends else ""}
        done = rotation.conclude(store)
        once = asked.issuers.logs_in_once(wanted.issuer)
        ended = overlap.RetiredVersions() if once else overlap.revoke_retired(wanted, store, asked.issuers)
        return {
            "changed": done.changed or ended.changed,
            "serial": done.serial,
            "detail": "; ".join(each for each in (done.detail, ended.describe()) if each),
            "evidence": {**done.evidence, "overlap": ended.as_json()},
        }
