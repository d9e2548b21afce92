"""A window in which the runbook can never run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache

from pyrunbook.errors import BadInput
from pyrunbook.lint.context import Context
from pyrunbook.lint.rule import Finding, Rule
from pyrunbook.lint.subject import Subject
from pyrunbook.windows.decision import require_fit
from pyrunbook.windows.schedule import Schedule


def check(subject: Subject, context: Context) -> Iterator[Finding]:
    """The runbook's own window and those of the inventory's services, with exclusions, cutoff, estimate and reserve."""
    for window in subject.windows:
        of = f"for {window.service}: " if window.service else ""
        why = _why_not(window.spec, window.exclusions, window.cutoff, window.estimate, window.reserve, context.now)
        if why:
            yield Finding(window.at, f"{of}{why} ({subject.name})")


@lru_cache(maxsize=1024)
def _why_not(
    spec: str | None,
    exclusions: tuple[str, ...],
    cutoff: timedelta,
    needs: timedelta,
    reserve: timedelta,
    now: datetime,
) -> str:
    """Why a run can never start from now on; empty where it can."""
    try:
        require_fit(Schedule.read(spec, exclusions=exclusions, cutoff=cutoff, needs=needs, reserve=reserve), now)
    except BadInput as error:
        return error.seen.replace(": closed: ", ": ")
    return ""


RULE = Rule("impossible-window", "error", "A runbook can never run in its window.", check)
