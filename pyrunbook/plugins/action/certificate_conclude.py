"""Action plugin: end the rotations that were proven, and revoke what was replaced long enough ago."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pyrunbook.plugins.service_certificates import ServiceCertificates, certificates_of
from pyrunbook.plugins.step_action import StepAction


class ActionModule(StepAction):
    """A revocation that fails is reported and tried again next time; the rotation does not fail with it.

    Certificates that were not due are looked at, too: the overlap of what they replaced last time may be over. Where a
    secret opens only one login, `certificate_stage` revokes, because a second login would look like a theft.

    The result has `ended`, one line: what is served, or staged, now. It is there only when all were proven.
    """

    def act(self, inputs: dict[str, Any], task_vars: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Conclude one after the other, and revoke."""
        recorded, told = self.variable("__rotate_certs"), []
        with certificates_of(self) as service:
            if inputs["rotate_certs_phase"] == "generate":
                for name in recorded["due"]:
                    told.append(f"{name}: {service.store(service.named(name)).read().standing.new} is staged")
            else:
                for name in recorded["certificates"]:
                    done = self._conclude(service, name)
                    yield done
                    if name in recorded["due"]:
                        told.append(f"{name} serves {done['serial']}")
        waiting = ", ".join(recorded["waiting"])
        left = f"nothing was replaced, {waiting} waits for its window" if waiting else "nothing is due"
        yield {"changed": False, "ended": ", ".join(told) or left}

    def _conclude(self, service: ServiceCertificates, name: str) -> dict[str, Any]:
        from pyrunbook.pki import overlap, rotation

        wanted = service.named(name)
        store = service.store(wanted)
        if self.check_mode:
            held = store.read()
            ends = [each.version for each in overlap.over(wanted, held, datetime.now(UTC))]
            would = f"would revoke {', '.join(ends)}" if ends else ""
            return {"changed": bool(ends), "serial": held.standing.current, "detail": would}
        done = rotation.conclude(store)
        once = service.issuers.logs_in_once(wanted.issuer)
        ended = overlap.RetiredVersions() if once else overlap.revoke_retired(wanted, store, service.issuers)
        return {
            "changed": done.changed or ended.changed,
            "serial": done.serial,
            "detail": "; ".join(each for each in (done.detail, ended.describe()) if each),
            "evidence": self.recorded({name: {**done.evidence, "overlap": ended.as_json()}}),
        }
