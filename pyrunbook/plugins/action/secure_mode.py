"""Action plugin: switch the secure mode of a service on or off, and see that the service itself says so."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from pyrunbook.errors import BadInput, FailedAndNotPutBack, Refused
from pyrunbook.plugins import target_program
from pyrunbook.plugins.guards import operator
from pyrunbook.plugins.step_action import StepAction
from pyrunbook.rollout.checks import HttpCheck, until
from pyrunbook.run_contract import ENV_JOURNAL_BROKEN

if TYPE_CHECKING:
    from pyrunbook.rollout.checks import Result


class ActionModule(StepAction):
    """The switch alone proves nothing: secure mode is on when the service says so, and off likewise."""

    ARGUMENTS = {
        "platform": {"type": "str", "required": True, "choices": ["host", "kubernetes"]},
        "enabled": {"type": "bool", "required": True},
        "reason": {"type": "str", "required": True},
        "file": {"type": "str", "default": ""},
        "cluster": {"type": "dict", "default": {}},
        "config_map": {"type": "dict", "default": {}},
        "url": {"type": "str", "required": True},
        "check": {"type": "dict", "required": True},
        "signing_path": {"type": "str", "default": ""},
        "seconds": {"type": "float", "required": True},
    }
    CHANGES = False
    """To contain is like putting back: it is done also when nothing can be recorded. Switching off is not."""

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Switch, then ask the service until it says so."""
        on, reason = arguments["enabled"], arguments["reason"].strip()
        if not reason:
            raise BadInput("Secure mode is switched with a reason only.", next_step="-e secure_mode_reason=TEXT")
        if not on and (broken := os.environ.get(ENV_JOURNAL_BROKEN)):
            raise Refused(f"The journal cannot be written ({broken}), so secure mode stays on.")
        checks = self._checks(arguments)
        arguments = json.loads(json.dumps(arguments))  # Ansible's values carry tags
        switched = (self._on_host if arguments["platform"] == "host" else self._in_cluster)(
            arguments, reason, task_vars
        )
        word = "on" if on else "off"
        now = switched["now"]
        since = f" since {now['since']}, by {now.get('by', '?')}: {now.get('reason', '?')}" if now.get("since") else ""
        said = f"secure mode is {word}{since}"
        evidence: dict[str, Any] = {"before": switched["before"], "now": now}
        if self.check_mode:
            would = f"secure mode would be switched {word}" if switched["changed"] else f"{said}; nothing would change"
            return {"changed": switched["changed"], "detail": would, "evidence": evidence}
        for check in checks:
            result, tries = until(check, arguments["url"], seconds=arguments["seconds"])
            evidence[check.name] = {"verdict": result.verdict.value, "tries": tries, **result.evidence}
            if not result.passed:
                raise self._not_seen(word, check, result, arguments, evidence)
        return {
            "changed": switched["changed"],
            "detail": f"{said}; the service says so",
            "evidence": evidence,
            "seen": on,
        }

    @staticmethod
    def _checks(arguments: dict[str, Any]) -> list[HttpCheck]:
        """What the service has to answer: that it is in secure mode, and that it signs nothing; or the reverse."""
        on, given = arguments["enabled"], arguments["check"]
        wanted = {**(given.get("json") or {}), "secure_mode": on}
        checks = [HttpCheck.parse({"requests": 3, **given, "name": "secure mode", "json": wanted})]
        if arguments["signing_path"]:
            sign = {"path": arguments["signing_path"], "method": "POST", "body": "pyrunbook", "name": "signing"}
            if "ca_file" in given:
                sign["ca_file"] = given["ca_file"]
            checks.append(HttpCheck.parse({**sign, "status": [503] if on else [200]}))
        return checks

    def _on_host(self, arguments: dict[str, Any], reason: str, task_vars: dict[str, Any]) -> dict[str, Any]:
        given = {"path": arguments["file"], "enabled": arguments["enabled"], "reason": reason, "by": operator()}
        result = target_program.call(self, "secure_mode", given, task_vars)
        if result.get("failed") or result.get("unreachable") or "now" not in result:
            raise FailedAndNotPutBack(
                str(result.get("msg") or "the machine of the service gave no answer"),
                means="The service may go on signing.",
                next_step="by hand: pyrunbook docs show incidents/security_failure",
            )
        return result

    def _in_cluster(self, arguments: dict[str, Any], reason: str, task_vars: dict[str, Any]) -> dict[str, Any]:
        from pyrunbook.kubernetes.client import connect
        from pyrunbook.kubernetes.secure_mode import switch

        where, at = arguments["config_map"], arguments["cluster"]
        if not where.get("config_map") or not where.get("file"):
            raise BadInput(
                "service_secure_mode does not name config_map and file, by which the service learns of secure mode.",
                next_step="name them in the inventory (docs/pki/README.md, Secure mode)",
            )
        cluster = connect(at.get("kubeconfig") or None, at.get("context") or None, at.get("namespace"))
        done = switch(
            cluster, where["config_map"], where["file"],
            on=arguments["enabled"], reason=reason, by=operator(), check=self.check_mode,
        )  # fmt: skip
        return {"changed": done.changed, "before": done.before, "now": done.now}

    def _not_seen(
        self, word: str, check: HttpCheck, result: Result, arguments: dict[str, Any], evidence: dict[str, Any]
    ) -> FailedAndNotPutBack:
        failure = FailedAndNotPutBack(
            f"secure mode is switched {word}, and the service does not show it after {arguments['seconds']:g} s: "
            f"{result.detail}",
            means="Take it for a service that signs." if word == "on" else "It may still sign nothing.",
            next_step=f"curl -sS {arguments['url'].rstrip('/')}/{check.path.lstrip('/')}, then restart what answers",
        )
        failure.evidence = evidence
        return failure
