"""Action plugin: record what was there before the first change, on this machine and at the service."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pyrunbook.errors import BadInput
from pyrunbook.plugins.guards import operator
from pyrunbook.plugins.step_action import StepAction
from pyrunbook.rollout import kept_checks, plan


class ActionModule(StepAction):
    """The step `rollback_plan`. The run's plan is written once: a resumed run keeps that of its first attempt."""

    CHANGES = False

    def act(self, inputs: dict[str, Any], task_vars: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Read what is there, record it here, then keep a copy at the service."""
        platform = self.platform
        release = platform.known["colors"][platform.active]["release"]
        checks = self.variable("service_checks", validate_release=release)
        if not checks:
            raise BadInput("service_checks is not defined, so nothing could say that a rollback has succeeded")
        backup = (self.variable("service_backup") or {}).get("backup")
        captured = platform.capture(self.ready_check, seconds=inputs["rollback_plan_ready_seconds"], backup=backup)
        section = captured.pop("section")
        yield captured
        fresh = self._plan(release, checks, section, backup)
        kept, written = (fresh, True) if self.check_mode else plan.record(fresh)
        word = "would record" if self.check_mode else f"plan {kept.id}"
        yield {
            "changed": written,
            "detail": f"{word}: {kept.active} serves {kept.release}",
            "plan": {"id": kept.id, "checksum": kept.checksum()},
        }
        yield platform.keep_plan(kept.id, kept.sealed())

    def _plan(self, release: str, checks: list[Any], section: dict[str, Any], backup: Any) -> plan.Plan:
        """The plan, with references in place of what may be secret in its checks."""
        secrets = self.secrets
        verify = [kept_checks.referring(check, secrets) for check in checks]
        referring = any(kept_checks.REFERENCES in check for check in verify)
        if (ready := section.get("ready")) and "?" in ready["url"]:
            ready |= {"url": ready["url"].partition("?")[0], kept_checks.REFERENCES: ["query"]}
            referring = True
        platform = self.platform
        kind = platform.service.platform
        return plan.Plan(
            id=self.run_id,
            service=platform.run.service,
            platform=kind,
            runbook=self.variable("runbook_id"),
            operator=operator(),
            created=datetime.now(UTC).isoformat(timespec="milliseconds"),
            active=platform.active,
            preview=platform.preview,
            release=release,
            backup=backup,
            verify=verify,
            host=section if kind == "host" else None,
            kubernetes=section if kind == "kubernetes" else None,
            schema=plan.REFERRING if referring else plan.PLAIN,
        )
