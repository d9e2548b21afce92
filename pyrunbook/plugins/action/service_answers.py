"""Action plugin: see that the service's URL leads to the release that serves, before anything is changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pyrunbook.errors import Refused
from pyrunbook.plugins.step_action import StepAction
from pyrunbook.rollout.checks import HttpCheck, until

PATIENCE = 5.0
"""Seconds that a right answer may take to come: a proxy may lose one request."""


class ActionModule(StepAction):
    """Where `service_url` has a wrong port, scheme or name, no release could be proven after the switch.

    The checks of the service that name the release (in `json` or `contains`) tell who answers. Where none does, the
    service must pass its ready check there, and the result says that no more was compared.
    """

    ARGUMENTS = {
        "url": {"type": "str", "required": True},
        "color": {"type": "str", "required": True},
        "release": {"type": "str", "default": ""},
        "checks": {"type": "list", "elements": "dict", "required": True},
        "ready_check": {"type": "dict", "required": True},
    }
    CHANGES = False

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Ask each of them once, also in a dry run; it changes nothing."""
        url, color, release = arguments["url"], arguments["color"], arguments["release"]
        parsed = [HttpCheck.parse(check) for check in arguments["checks"]]
        telling = [check for check in parsed if release and _names(check, release)]
        for check in telling or [HttpCheck.parse(arguments["ready_check"])]:
            once = replace(check, requests=1, allowed_failures=0, latency={})
            result, _ = until(once, url, seconds=PATIENCE)
            if not result.passed:
                who = f"{color} serves {release}" if telling else f"{color} serves"
                raise Refused(
                    f"{url} (service_url) does not answer as the service does while {who}: "
                    f"{result.name} ({result.verdict.value}): {result.evidence.get('seen', result.detail)}",
                    means="After a switch nobody could prove from here which release answers. Nothing was changed.",
                    next_step=f"correct service_url, or see why it does not answer: "
                    f"curl -sS -i --max-time 5 {result.evidence['url']}",
                    evidence={"answers": result.evidence},
                )
        compared = ", ".join(check.name for check in telling)
        detail = f"{url} answers {release}" if telling else f"{url} is ready; no check names its release"
        return {"changed": False, "detail": detail, "evidence": {"url": url, "compared": compared or "ready check"}}


def _names(check: HttpCheck, release: str) -> bool:
    """Whether a check passes with this release only."""
    return release in check.contains or release in map(str, check.json.values())
