"""Action plugin: record a rollback plan on this machine, or read one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pyrunbook.plugins.guards import operator
from pyrunbook.plugins.step_action import StepAction
from pyrunbook.redaction import secret_values
from pyrunbook.rollout import kept_checks, plan


class ActionModule(StepAction):
    """`recorded` writes the run's plan once; `read` gives a plan as `content`, null when there is none.

    `read` takes the copy on this machine, or `text`, the copy at the service, where this machine has none. What a
    plan leaves out of the address of the ready check is in the variable that `ready_check` names.
    """

    ARGUMENTS = {
        "state": {"type": "str", "required": True, "choices": ["recorded", "read"]},
        "service": {"type": "str", "required": True},
        "id": {"type": "str"},
        "runbook": {"type": "str"},
        "platform": {"type": "str"},
        "active": {"type": "str"},
        "preview": {"type": "str"},
        "release": {"type": "str"},
        "backup": {"type": "dict"},
        "verify": {"type": "list", "elements": "dict"},
        "host": {"type": "dict"},
        "kubernetes": {"type": "dict"},
        "text": {"type": "str"},
        "ready_check": {"type": "str", "default": ""},
    }
    CHANGES = False

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Record or read."""
        plan_id = arguments["id"] or self.run_id
        service = arguments["service"]
        if arguments["state"] == "read":
            return self._read(plan_id, service, arguments["text"], task_vars.get(arguments["ready_check"]))
        told = {key: arguments[key] for key in ("backup", "host", "kubernetes", "release")}
        secrets = [*secret_values(task_vars), *secret_values(arguments)]
        checks = [kept_checks.referring(check, secrets) for check in arguments["verify"] or []]
        referring = any(kept_checks.REFERENCES in check for check in checks)
        if (ready := (told["host"] or {}).get("ready")) and "?" in ready["url"]:
            url = ready["url"].partition("?")[0]
            told["host"] = {**told["host"], "ready": {**ready, "url": url, kept_checks.REFERENCES: ["query"]}}
            referring = True
        fresh = plan.Plan(
            id=plan_id,
            service=service,
            platform=arguments["platform"],
            runbook=arguments["runbook"],
            operator=operator(),
            created=datetime.now(UTC).isoformat(timespec="milliseconds"),
            active=arguments["active"],
            preview=arguments["preview"],
            verify=checks if arguments["verify"] is not None else None,
            schema=plan.REFERRING if referring else plan.PLAIN,
            **told,
        )
        if self.check_mode:
            kept, written = fresh, True
        else:
            kept, written = plan.record(fresh)
        word = "would record" if self.check_mode else f"plan {kept.id}"
        return {
            "changed": written,
            "detail": f"{word}: {kept.active} serves {kept.release}",
            "plan": {"id": kept.id, "checksum": kept.checksum()},
            "sealed": kept.sealed(),
        }

    def _read(self, plan_id: str, service: str, text: str | None, ready_check: Any) -> dict[str, Any]:
        path = plan.path_of(plan_id, service)
        if path.exists():
            found = plan.read(path)
        elif text:  # kept at the service: another operator's machine made it
            found = plan.unseal(text, f"the plan {plan_id} kept at {service}")
        else:
            # Without `text` nobody has asked at the service yet.
            detail = "" if text is None else f"no plan {plan_id}: nothing was changed"
            return {"changed": False, "content": None, "detail": detail}
        content, detail = found.as_dict(), ""
        ready = (content["host"] or {}).get("ready") or {}
        if kept_checks.REFERENCES in ready:
            known, why = self.inventory_checks(ready_check)
            query = str(known[0].get("path", "")).partition("?")[2] if known else ""
            ready["url"] += f"?{query}" if query else ""
            detail = "" if query else f"ready is asked without its query ({why or 'the inventory has none'})"
        return {"changed": False, "content": content, "detail": detail}
