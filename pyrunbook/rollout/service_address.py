"""Whether the service's URL leads to the release that serves, asked before anything is changed.

Where `service_url` has a wrong port, scheme or name, no release could be proven after the switch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pyrunbook.errors import Refused
from pyrunbook.rollout.checks import HttpCheck, until

PATIENCE = 5.0
"""Seconds that a right answer may take to come: a proxy may lose one request."""


def require_answer(
    url: str, color: str, release: str, checks: Sequence[HttpCheck], ready_check: HttpCheck
) -> dict[str, Any]:
    """Perform those checks once that pass with this release only; where there is none, the ready check.

    Args:
        url: `service_url`.
        release: what it serves; empty where that is not known.

    Returns:
        A task's result with `detail` and `evidence`; it says where no release was compared.

    Raises:
        Refused: something else answers there, or nothing.
    """
    telling = [check for check in checks if release and _names(check, release)]
    for check in telling or [ready_check]:
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
