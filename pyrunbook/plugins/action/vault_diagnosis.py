"""Action plugin: what is wrong with the issuers of a service, each thing told apart, with what to do."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from pyrunbook.errors import FailedAndPutBack
from pyrunbook.plugins.step_action import StepAction


class ActionModule(StepAction):
    """Looks only; fails with everything that is not as it should be."""

    ARGUMENTS = {
        "platform": {"type": "str", "required": True, "choices": ["host", "kubernetes"]},
        "certificates": {"type": "list", "elements": "dict", "default": []},
        "signing_keys": {"type": "list", "elements": "dict", "default": []},
        "issuers": {"type": "dict", "required": True},
    }
    CHANGES = False

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Examine all of them: one that is broken says nothing about the others."""
        from pyrunbook.pki import issuer_health
        from pyrunbook.pki.secret import forbid_core_dumps
        from pyrunbook.pki.sources import Issuers
        from pyrunbook.pki.wanted import read_certificates

        forbid_core_dumps()
        given = json.loads(json.dumps(arguments))  # Ansible's values carry tags
        with Issuers(given["issuers"]) as issuers:
            wanted = read_certificates(given["certificates"], issuers.names, given["platform"])
            found = {}
            for name in issuers.names:
                lifetimes = [each.request.lifetime for each in wanted if each.issuer == name]
                longest: timedelta | None = max(lifetimes, default=None)
                keys = [each for each in given["signing_keys"] if each.get("issuer") == name]
                transit = [(str(each.get("mount", "transit")), str(each.get("key", ""))) for each in keys]
                found[name] = issuer_health.examine(issuers, name, lifetime=longest, transit=transit)
        evidence = issuer_health.as_json(found)
        bad = [(name, each) for name, several in found.items() for each in several if not each.ok]
        if bad:
            name, first = bad[0]
            others = [f"{other}: {each.kind.value}: {each.seen}" for other, each in bad[1:]]
            failure = FailedAndPutBack(
                "; ".join([f"{name}: {first.kind.value}: {first.seen}", *others]),
                means=first.means,
                next_step=first.next_step,
            )
            failure.evidence = evidence
            raise failure
        looked = sum(len(each) for each in found.values())
        detail = f"{', '.join(found)}: {looked} of {looked} healthy" if found else "there is no issuer to look at"
        return {"changed": False, "detail": detail, "evidence": evidence}
