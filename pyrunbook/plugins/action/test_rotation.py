"""Action plugin: rotate once on trial with each issuer and each scratch signing key; nothing that serves is touched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyrunbook import running
from pyrunbook.errors import BadInput, FailedAndPutBack, PyrunbookError
from pyrunbook.plugins.service_certificates import issuers_of
from pyrunbook.plugins.step_action import StepAction

if TYPE_CHECKING:
    from pyrunbook.pki.sources import Issuers


class ActionModule(StepAction):
    """Fails with everything that a rotation would fail on; after a failed trial the others are still made."""

    CHANGES = False

    def act(self, inputs: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Perform all of them."""
        from pyrunbook.pki.sources import read_signing_keys

        trials, signing_keys = inputs["test_rotation_certificates"], inputs["test_rotation_signing_keys"]
        if not trials and not signing_keys:
            raise BadInput(
                "There is nothing to rotate on trial.",
                means="whether a rotation would succeed is not known",
                next_step="name test_rotation_certificates in the inventory (docs/pki/README.md)",
            )
        in_use = {_identity(each) for each in self.listed("service_signing_keys")}
        if taken := [str(each.get("name")) for each in signing_keys if _identity(each) in in_use]:
            raise BadInput(
                f"{', '.join(taken)} signs templates, so it is not rotated on trial",
                means="nothing was rotated",
                next_step="make a key of its own for trials, and name that one in test_rotation_signing_keys",
            )
        if self.check_mode:
            return {"changed": False, "detail": f"{len(trials) + len(signing_keys)} trials, not performed"}
        evidence: dict[str, Any] = {}
        faults: list[tuple[str, PyrunbookError]] = []
        with issuers_of(self) as issuers:
            for trial in trials:
                name = f"{trial['issuer']}/{trial['role']}" if trial["role"] else str(trial["issuer"])
                try:
                    evidence[name] = self._certificate(issuers, trial)
                except PyrunbookError as error:
                    faults.append((name, error))
            for wanted in read_signing_keys(signing_keys, issuers):
                try:
                    evidence[wanted.name] = self._signing_key(wanted.keys)
                except PyrunbookError as error:
                    faults.append((wanted.name, error))
        evidence |= {name: {"fault": error.seen, **error.evidence} for name, error in faults}
        if faults:
            _, first = faults[0]
            raise FailedAndPutBack(
                "; ".join(f"{name}: {error.seen}" for name, error in faults),
                means=first.means or "A rotation would fail now; nothing that serves was touched.",
                next_step=first.next_step,
                evidence=evidence,
            )
        return {"changed": False, "detail": f"{', '.join(evidence)}: rotated on trial", "evidence": evidence}

    def _certificate(self, issuers: Issuers, trial: dict[str, Any]) -> dict[str, Any]:
        from pyrunbook.pki import rotation_trial
        from pyrunbook.pki.issuers import CertificateRequest
        from pyrunbook.windows.duration import parse_duration

        issuer = issuers.issuer(trial["issuer"], trial["role"])
        names, addresses = tuple(trial["dns_names"]), tuple(trial["ip_names"])
        request = CertificateRequest(names, parse_duration(trial["lifetime"]), addresses, key=trial["key"])
        with running.directory(f"{self.run_id}-trial") as private:
            return rotation_trial.perform(issuer, request, private)

    @staticmethod
    def _signing_key(keys: Any) -> dict[str, Any]:
        from pyrunbook.pki.signing_keys import prove

        text = b"pyrunbook: signed before the rotation on trial"
        before = (text, keys.sign(text)) if keys.versions() else None
        version = keys.rotate()
        return {"version": version, "detail": prove(keys, before)}


def _identity(entry: dict[str, Any]) -> tuple[str, ...]:
    """What is the same for two names of one signing key."""
    if entry.get("kind") == "files":
        return (str(Path(str(entry.get("directory"))).expanduser().resolve()),)
    return str(entry.get("issuer")), str(entry.get("mount", "transit")).strip("/"), str(entry.get("key"))
