"""Action plugin: switch the secure mode of a service on or off, and see that the service itself says so."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from pyrunbook.errors import BadInput, FailedAndNotPutBack, Refused
from pyrunbook.plugins.guards import operator
from pyrunbook.plugins.step_action import FailedOnTarget, StepAction
from pyrunbook.rollout.checks import HttpCheck, until
from pyrunbook.run_contract import ENV_JOURNAL_BROKEN


class ActionModule(StepAction):
    """The step `secure_mode`. The switch alone proves nothing: what counts is what the service answers."""

    CHANGES = False
    """Switching it on is like putting back: it is done although nothing can be recorded. Switching it off is not."""

    def act(self, inputs: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Switch, then ask the service until it says so."""
        on, reason, seconds = (
            inputs["secure_mode_enabled"],
            inputs["secure_mode_reason"].strip(),
            inputs["secure_mode_timeout"],
        )
        if not reason:
            raise BadInput("Secure mode is switched with a reason only.", next_step="-e secure_mode_reason=TEXT")
        if not on and (broken := os.environ.get(ENV_JOURNAL_BROKEN)):
            raise Refused(f"The journal cannot be written ({broken}), so secure mode stays on.")
        checks = self._checks(on)
        wanted = {"on": on, "reason": reason, "by": operator(), "since": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
        try:
            file = inputs["secure_mode_file"] or f"{self.variable('service_root')}/security/secure-mode.json"
            done = self.document(file, "service_secure_mode", wanted, unless={"on": on}, missing={"on": False})
        except FailedOnTarget as error:
            raise FailedAndNotPutBack(
                f"Secure mode cannot be switched: {error.seen}",
                means="The service may go on signing.",
                next_step="by hand: pyrunbook docs show incidents/security_failure",
            ) from error
        word, now = "on" if on else "off", done["now"]
        since = f" since {now['since']}, by {now.get('by', '?')}: {now.get('reason', '?')}" if now.get("since") else ""
        said = f"secure mode is {word}{since}"
        evidence: dict[str, Any] = {"before": done["before"], "now": now}
        if self.check_mode:
            would = f"secure mode would be switched {word}" if done["changed"] else f"{said}; nothing would change"
            return {"changed": done["changed"], "detail": would, "evidence": evidence}
        url = self.variable("service_url")
        for check in checks:
            result, tries = until(check, url, seconds=seconds)
            evidence[check.name] = {"verdict": result.verdict.value, "tries": tries, **result.evidence}
            if not result.passed:
                raise FailedAndNotPutBack(
                    f"secure mode is switched {word}, and the service does not show it after {seconds:g} s: "
                    f"{result.detail}",
                    means="Take it for a service that signs." if on else "It may still sign nothing.",
                    next_step=f"curl -sS {url.rstrip('/')}/{check.path.lstrip('/')}, then restart what answers",
                    evidence=evidence,
                )
        detail = f"{said}; the service says so"
        return {"changed": done["changed"], "detail": detail, "evidence": evidence, "contained": on}

    def _checks(self, on: bool) -> list[HttpCheck]:
        """What the service has to answer: that it is in secure mode, and that it signs nothing; or the reverse."""
        given = self.variable("service_secure_mode_check") or {"path": "/security"}
        wanted = {**(given.get("json") or {}), "secure_mode": on}
        checks = [{"requests": 3, **given, "name": "secure mode", "json": wanted}]
        if path := self.variable("service_signing_path"):
            ca_file = {"ca_file": given["ca_file"]} if "ca_file" in given else {}
            sign = {"path": path, "method": "POST", "body": "pyrunbook", "name": "signing", **ca_file}
            checks.append({**sign, "status": [503] if on else [200]})
        return [HttpCheck.parse(check) for check in checks]
