"""Action plugin: what is wrong with the issuers of a service, problem by problem, and what to do about each."""

from __future__ import annotations

from typing import Any

from pyrunbook.errors import FailedAndPutBack
from pyrunbook.plugins.service_certificates import issuers_of, wanted_of
from pyrunbook.plugins.step_action import StepAction


class ActionModule(StepAction):
    """Looks only; fails with everything that is not as it should be."""

    CHANGES = False

    def act(self, inputs: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Examine all of them: one that is broken says nothing about the others."""
        from pyrunbook.pki import issuer_health

        signing_keys = self.listed("service_signing_keys")
        with issuers_of(self, inputs["diagnose_vault_issuers"]) as issuers:
            wanted = wanted_of(self, issuers)
            found = {}
            for name in issuers.names:
                lifetimes = [each.request.lifetime for each in wanted if each.issuer == name]
                keys = [each for each in signing_keys if each.get("issuer") == name]
                transit = [(str(each.get("mount", "transit")), str(each.get("key", ""))) for each in keys]
                found[name] = issuer_health.examine(
                    issuers, name, lifetime=max(lifetimes, default=None), transit=transit
                )
        evidence = issuer_health.as_json(found)
        bad = [(name, each) for name, several in found.items() for each in several if not each.ok]
        if bad:
            _, first = bad[0]
            raise FailedAndPutBack(
                "; ".join(f"{name}: {each.kind.value}: {each.seen}" for name, each in bad),
                means=first.means,
                next_step=first.next_step,
                evidence=evidence,
            )
        looked = sum(len(each) for each in found.values())
        detail = f"{', '.join(found)}: {looked} of {looked} healthy" if found else "there is no issuer to look at"
        return {"changed": False, "detail": detail, "evidence": evidence}
