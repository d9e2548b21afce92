"""Perform HTTP checks and script hooks one after the other, and judge them together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyrunbook.errors import FailedAndPutBack
from pyrunbook.rollout import hooks
from pyrunbook.rollout.checks import CheckResult, HttpCheck, perform

Work = Sequence[HttpCheck | hooks.Hook]


def read(checks: Sequence[dict[str, Any]], scripts: Sequence[dict[str, Any]]) -> Work:
    """Read all checks and hooks, before any of them is performed.

    Raises:
        BadInput: one of them cannot be performed.
        FailedAndPutBack: there is none, so nothing could be said to be good.
    """
    work: list[HttpCheck | hooks.Hook] = [*map(HttpCheck.parse, checks), *map(hooks.Hook.parse, scripts)]
    for each in work:
        if isinstance(each, hooks.Hook):
            hooks.check_startable(each)
    if not work:
        raise FailedAndPutBack("There is nothing to check, so nothing can be said to be good.")
    return work


def verify(work: Work, url: str, environment: dict[str, str], secrets: Sequence[str]) -> dict[str, Any]:
    """Perform them until the first one that does not pass.

    Args:
        secrets: values that the output of hooks must not show.

    Returns:
        `detail` and `evidence` of a task's result.

    Raises:
        FailedAndPutBack: one did not pass: it failed, could not be performed, or had no data.
    """
    evidence: dict[str, Any] = {}
    results: list[CheckResult] = []
    for each in work:
        result = perform(each, url) if isinstance(each, HttpCheck) else hooks.perform(each, environment, secrets)
        evidence[result.name] = {"verdict": result.verdict.value, **result.evidence}
        results.append(result)
        if not result.passed:
            raise FailedAndPutBack(f"{result.name} ({result.verdict.value}): {result.detail}", evidence=evidence)
    widest = max(
        (result for result in results if "requests" in result.evidence),
        key=lambda result: int(result.evidence["requests"]),
        default=results[-1],
    )
    detail = widest.detail if len(results) == 1 else f"{len(results)} checks passed; {widest.name}: {widest.detail}"
    return {"detail": detail, "evidence": evidence}
