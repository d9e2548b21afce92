"""Action plugin: put back what a rollback plan recorded, or keep the release that the run had verified."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyrunbook.errors import FailedAndPutBack, PyrunbookError
from pyrunbook.plugins.step_action import StepAction
from pyrunbook.plugins.verified import verified
from pyrunbook.rollout import kept_checks, plan, verification


class ActionModule(StepAction):
    """The step `rollback`.

    The result says how the run ends: `outcome`, its `cause`, and `now`, what the service is like. `outcome` is
    `rollback_failed` until what was there is in place, so that a failure on the way is told as one.
    """

    CHANGES = False

    def act(self, inputs: dict[str, Any], task_vars: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Keep the release, or put back what was there. Nothing is read before: clients may see a bad release."""
        failed = self.variable("ansible_failed_result") or {}
        yield {
            "outcome": "rollback_failed",
            "cause": failed.get("msg") or inputs["rollback_reason"],
            "now": "what was there before is not in place",
        }
        if inputs["rollback_keeps"]:
            try:
                yield from self._keep(inputs["rollback_keeps_as"])
                return
            except PyrunbookError as error:
                yield {"cause": str(error), "evidence": error.evidence}
        yield from self._put_back(inputs["rollback_plan_id"], inputs["rollback_outcome"])

    def _keep(self, outcome: str) -> Iterator[dict[str, Any]]:
        """See that the release which was verified serves as it did then, and verify it once more."""
        platform = self.platform
        color = platform.preview
        release = platform.run.release or platform.run.deployed.get("release")
        release = release or platform.known["colors"][color]["release"]
        yield platform.require_serving(color, release)
        checks = "validate_checks" if "validate_checks" in self.variables else "service_checks"
        work = verification.read(
            self.variable(checks, validate_release=release) or [], self.variable("validate_service_hooks") or []
        )
        if not self.check_mode:
            yield verified(self, str(platform.service.url), work, release)
        left = "gone" if outcome == "succeeded" else "not cleaned up"
        yield {"outcome": outcome, "now": f"{color} serves {release}, {platform.active} is {left}"}

    def _put_back(self, plan_id: str, outcome: str) -> Iterator[dict[str, Any]]:
        """Do what the plan says; without a plan nothing was changed."""
        recorded = self._plan(plan_id)
        if recorded is None:
            outcome = "failed" if outcome == "rolled_back" else outcome
            yield {
                "outcome": outcome,
                "now": "nothing was changed",
                "detail": f"no plan {plan_id}: nothing was changed",
            }
            return
        section = recorded.host or recorded.kubernetes or {}
        yield from self._with_query(section)
        yield from self.platform.put_back(section)
        yield self._verify(recorded)
        serves = f"{recorded.active} serves {recorded.release}"
        yield {"now": f"{serves}, {recorded.preview} is not yet what it was"}
        yield self.platform.put_back_preview(section)
        yield {"outcome": outcome, "now": serves}

    def _plan(self, plan_id: str) -> plan.Plan | None:
        """The plan as it is kept on this machine, or else at the service: another operator's machine made it."""
        service = self.platform.run.service
        path = plan.path_of(plan_id, service)
        if path.exists():
            return plan.read(path)
        text = self.platform.kept_plan(plan_id)
        return plan.unseal(text, f"the plan {plan_id} kept at {service}") if text else None

    def _with_query(self, section: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Complete the address of the ready check: the plan keeps it without its query, which may be secret."""
        ready = section.get("ready") or {}
        if kept_checks.REFERENCES in ready:
            known, why = self.inventory_checks(self.variables.get("service_ready_check"))
            query = str(known[0].get("path", "")).partition("?")[2] if known else ""
            ready["url"] += f"?{query}" if query else ""
            if not query:
                yield {"detail": f"the ready check is made without its query ({why or 'the inventory has none'})"}

    def _verify(self, recorded: plan.Plan) -> dict[str, Any]:
        """Perform the plan's checks. One that misses something in the inventory is left out, and named."""
        checks = recorded.verify or []
        missing: list[str] = []
        if any(kept_checks.REFERENCES in check for check in checks):
            checks, missing = self._completed(checks, recorded.release)
        if missing and not checks:
            raise FailedAndPutBack(
                f"No check can be performed, so nothing can be said to be good; not performed: {'; '.join(missing)}.",
                next_step="give service_checks in the inventory what is missing, then: pyrunbook recover",
            )
        work = verification.read(checks, [])
        if self.check_mode:
            return {"changed": False, "detail": f"{len(work)} checks and 0 hooks, not performed"}
        done = verification.verify(work, str(self.platform.service.url), {}, self.secrets)
        if missing:
            done["evidence"]["not performed"] = missing
            done["detail"] += f"; not performed: {'; '.join(missing)}"
        return {"changed": False, **done}

    def _completed(self, checks: list[dict[str, Any]], release: str | None) -> tuple[list[dict[str, Any]], list[str]]:
        """The checks with what they refer to in the inventory; and those that miss something, with why."""
        inventory, broken = self.inventory_checks(self.variables.get("service_checks"), validate_release=release)
        whole: list[dict[str, Any]] = []
        missing: list[str] = []
        for check in checks:
            try:
                whole.append(kept_checks.resolved(check, inventory))
            except kept_checks.Unresolved as error:
                missing.append(f"{check.get('name')} ({broken or error})")
        return whole, missing
