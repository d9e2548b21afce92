"""Action plugin: rotate once on trial with each issuer and each scratch signing key; nothing that serves is touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyrunbook import running
from pyrunbook.errors import BadInput, FailedAndPutBack, PyrunbookError
from pyrunbook.plugins.step_action import StepAction

if TYPE_CHECKING:
    from pyrunbook.pki.issuers import Issuer
    from pyrunbook.pki.sources import Issuers


class ActionModule(StepAction):
    """Fails with everything that a rotation would fail on; one trial says nothing about the others."""

    ARGUMENTS = {
        "certificates": {
            "type": "list",
            "elements": "dict",
            "required": True,
            "options": {
                "issuer": {"type": "str", "required": True},
                "role": {"type": "str", "default": ""},
                "dns_names": {"type": "list", "elements": "str", "default": []},
                "ip_names": {"type": "list", "elements": "str", "default": []},
                "lifetime": {"type": "str", "default": "10m"},
                "key": {"type": "str", "default": "ec-p256"},
            },
        },
        "signing_keys": {"type": "list", "elements": "dict", "default": []},
        "spared": {"type": "list", "elements": "dict", "default": []},
        "issuers": {"type": "dict", "required": True},
    }
    CHANGES = False

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Perform all of them."""
        from pyrunbook.pki.secret import forbid_core_dumps
        from pyrunbook.pki.sources import Issuers, read_signing_keys

        forbid_core_dumps()
        given = json.loads(json.dumps(arguments))  # Ansible's values carry tags
        trials = given["certificates"]
        if not trials and not given["signing_keys"]:
            raise BadInput(
                "There is nothing to rotate on trial.",
                means="whether a rotation would succeed is not known",
                next_step="name test_rotation_certificates in the inventory (docs/pki/README.md)",
            )
        in_use = {_identity(each) for each in given["spared"]}
        if taken := [str(each.get("name")) for each in given["signing_keys"] if _identity(each) in in_use]:
            raise BadInput(
                f"{', '.join(taken)} signs templates, so it is not rotated on trial",
                means="nothing was rotated",
                next_step="make a key of its own for trials, and name that one in test_rotation_signing_keys",
            )
        if self.check_mode:
            return {"changed": False, "detail": f"{len(trials) + len(given['signing_keys'])} trials, not performed"}
        evidence: dict[str, Any] = {}
        faults: list[tuple[str, PyrunbookError]] = []
        with Issuers(given["issuers"]) as issuers:
            for trial in trials:
                name = f"{trial['issuer']}/{trial['role']}" if trial["role"] else str(trial["issuer"])
                try:
                    evidence[name] = self._certificate(issuers, given["issuers"], trial)
                except PyrunbookError as error:
                    faults.append((name, error))
            for wanted in read_signing_keys(given["signing_keys"], issuers):
                try:
                    evidence[wanted.name] = self._signing_key(wanted.keys)
                except PyrunbookError as error:
                    faults.append((wanted.name, error))
        evidence |= {name: {"fault": error.seen, **getattr(error, "evidence", {})} for name, error in faults}
        if faults:
            _, first = faults[0]
            failure = FailedAndPutBack(
                "; ".join(f"{name}: {error.seen}" for name, error in faults),
                means=first.means or "A rotation would fail now; nothing that serves was touched.",
                next_step=first.next_step,
            )
            failure.evidence = evidence
            raise failure
        return {
            "changed": False,
            "detail": f"{', '.join(evidence)}: rotated on trial",
            "evidence": evidence,
        }

    def _certificate(self, issuers: Issuers, settings: dict[str, Any], trial: dict[str, Any]) -> dict[str, Any]:
        from pyrunbook.pki import rotation_trial
        from pyrunbook.pki.issuers import CertificateRequest
        from pyrunbook.windows.duration import parse_duration

        issuer: Issuer
        if trial["role"]:
            from pyrunbook.pki.issuers.vault_pki import VaultPki

            about = settings.get(trial["issuer"], {})
            trust = Path(about["trust_file"]).expanduser() if about.get("trust_file") else None
            vault, mount = issuers.vault(trial["issuer"]), str(about.get("mount", "pki"))
            issuer = VaultPki(vault, trial["role"], mount=mount, trust_file=trust)
        else:
            issuer = issuers.issuer(trial["issuer"])
        lifetime = parse_duration(trial["lifetime"])
        names, addresses = tuple(trial["dns_names"]), tuple(trial["ip_names"])
        with running.directory(f"{self.run_id}-trial") as private:
            return rotation_trial.perform(
                issuer, CertificateRequest(names, lifetime, addresses, key=trial["key"]), private
            )

    @staticmethod
    def _signing_key(keys: Any) -> dict[str, Any]:
        from pyrunbook.pki.signing_keys import prove

        text = b"pyrunbook: signed before the rotation on trial"
        before = (text, keys.sign(text)) if keys.versions() else None
        version = keys.rotate()
        return {"version": version, "detail": prove(keys, before)}


def _identity(entry: dict[str, Any]) -> tuple[str, ...]:
    """What tells one signing key from another, whatever it is called."""
    if entry.get("kind") == "files":
        return (str(Path(str(entry.get("directory"))).expanduser().resolve()),)
    return str(entry.get("issuer")), str(entry.get("mount", "transit")).strip("/"), str(entry.get("key"))
