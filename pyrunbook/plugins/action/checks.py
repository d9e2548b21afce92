"""Action plugin: perform HTTP checks and script hooks against a color or the service, and judge them."""

from __future__ import annotations

from typing import Any

from pyrunbook.errors import FailedAndPutBack
from pyrunbook.plugins.step_action import StepAction
from pyrunbook.redaction import secret_values
from pyrunbook.rollout import hooks, kept_checks
from pyrunbook.rollout.checks import HttpCheck, Result, perform


class ActionModule(StepAction):
    """Passes only when every check and every hook passed; fail, error and no data all end the step.

    The checks of a rollback plan leave out what may be secret; `inventory` names the variable that has it. One that
    cannot be completed is not performed, which is told; without any other nothing can be said to be good.

    The result has `url` when they were performed: the role rollback asks what was verified.
    """

    ARGUMENTS = {
        "url": {"type": "str", "required": True},
        "checks": {"type": "list", "elements": "dict", "required": True},
        "hooks": {"type": "list", "elements": "dict", "default": []},
        "environment": {"type": "dict", "default": {}},
        "only_parse": {"type": "bool", "default": False},
        "inventory": {"type": "str", "default": ""},
    }
    CHANGES = False

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Parse all before performing any, then stop at the first that does not pass."""
        whole, missing = self._completed(arguments["checks"], arguments["inventory"], task_vars)
        checks = [HttpCheck.parse(check) for check in whole]
        scripts = [hooks.Hook.parse(hook) for hook in arguments["hooks"]]
        for hook in scripts:
            hooks.check_startable(hook)
        if missing and not checks:
            raise FailedAndPutBack(
                f"No check can be performed, so nothing can be said to be good; not performed: {'; '.join(missing)}.",
                next_step=f"give {arguments['inventory']} in the inventory what is missing, then: pyrunbook recover",
            )
        if not checks and not scripts:
            raise FailedAndPutBack("There is nothing to check, so nothing can be said to be good.")
        if self.check_mode or arguments["only_parse"]:
            told = f"{len(checks)} checks and {len(scripts)} hooks, not performed"
            return {"changed": False, "detail": "" if arguments["only_parse"] else told}
        url = arguments["url"]
        environment = {
            "PYRUNBOOK_URL": url,
            "PYRUNBOOK_RUN_ID": self.run_id,
            **{f"PYRUNBOOK_{key.upper()}": str(value) for key, value in arguments["environment"].items()},
        }
        secrets = [*secret_values(task_vars), *secret_values(arguments), *secret_values(whole)]
        evidence: dict[str, Any] = {}
        results: list[Result] = []
        work: list[HttpCheck | hooks.Hook] = [*checks, *scripts]
        for one in work:
            result = perform(one, url) if isinstance(one, HttpCheck) else hooks.perform(one, environment, secrets)
            evidence[result.name] = {"verdict": result.verdict.value, **result.evidence}
            results.append(result)
            if not result.passed:
                failure = FailedAndPutBack(f"{result.name} ({result.verdict.value}): {result.detail}")
                failure.evidence = evidence
                raise failure
        widest = max(
            (result for result in results if "requests" in result.evidence),
            key=lambda result: int(result.evidence["requests"]),
            default=results[-1],
        )
        detail = widest.detail if len(results) == 1 else f"{len(results)} checks passed; {widest.name}: {widest.detail}"
        if missing:
            evidence["not performed"] = missing
            detail = f"{detail}; not performed: {'; '.join(missing)}"
        return {"changed": False, "detail": detail, "evidence": evidence, "url": url}

    def _completed(
        self, checks: list[dict[str, Any]], variable: str, task_vars: dict[str, Any]
    ) -> tuple[list[dict[str, Any]], list[str]]:
        """The checks with what they refer to, and those that miss something, with why."""
        if not any(kept_checks.REFERENCES in check for check in checks):
            return checks, []
        inventory, broken = self.inventory_checks(task_vars.get(variable))
        whole, missing = [], []
        for check in checks:
            try:
                whole.append(kept_checks.resolved(check, inventory))
            except kept_checks.Unresolved as error:
                missing.append(f"{check.get('name')} ({broken or error})")
        return whole, missing
