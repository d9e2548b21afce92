"""Decides whether a run may start at an instant, and says why in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pyrunbook.errors import BadInput
from pyrunbook.windows.duration import format_duration
from pyrunbook.windows.instant import checked_instant, iso, shown
from pyrunbook.windows.schedule import Opening, Schedule, SearchGivenUp

_NO_TIME = timedelta()


class Code(StrEnum):
    """Why a window is open or closed."""

    OPEN = "open"
    OUTSIDE = "outside"
    EXCLUDED = "excluded"
    CUTOFF = "cutoff"
    DOES_NOT_FIT = "does_not_fit"
    UNDECLARED = "undeclared"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a run may start at an instant.

    Attributes:
        code: the same for a program.
        at: the instant asked about, in UTC.
        start: since when the window has been open; `None` when it is not, and for `always`.
        end: when it closes, exclusions included; `None` when it is not open, or does not close within 400 days.
        next_start: open: when it opens again after this; closed: the earliest instant at which the run could start.
            `None` when there is none.
        next_end: when the window closes after `next_start`.
        closes_in: what is left of the window at `at`; `None` like `end`.
        searched_until: up to when nothing was found, where a search for `next_start` was given up; else `None`.
    """

    open: bool
    reason: str
    code: Code
    at: datetime
    start: datetime | None = None
    end: datetime | None = None
    next_start: datetime | None = None
    next_end: datetime | None = None
    closes_in: timedelta | None = None
    searched_until: datetime | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON: instants in ISO 8601 UTC, `closes_in` in whole seconds as `closes_in_seconds`."""
        return {
            "open": self.open,
            "code": self.code.value,
            "reason": self.reason,
            "at": iso(self.at),
            "start": iso(self.start),
            "end": iso(self.end),
            "next_start": iso(self.next_start),
            "next_end": iso(self.next_end),
            "closes_in_seconds": None if self.closes_in is None else int(self.closes_in.total_seconds()),
        }


def next_open(schedule: Schedule, at: datetime) -> datetime | None:
    """The earliest instant from `at` on (`at` itself when open) at which a run could start; `None`: never again.

    Raises:
        BadInput: the window can never be met, see `decide`.
    """
    decision = decide(schedule, at)
    return decision.at if decision.open else decision.next_start


def decide(schedule: Schedule, at: datetime) -> Decision:
    """Decide whether a run may start.

    Args:
        at: the instant, an aware datetime.

    Raises:
        BadInput: the window can never be met: its cutoff is longer than the window, or its exclusions close it for
            good.
    """
    at = checked_instant(at)
    window = schedule.window
    if window is None:
        reason = "closed: this runbook runs only in a window, and none is declared"
        return Decision(False, reason, Code.UNDECLARED, at)
    openings = schedule.openings(at)
    current = _next(openings)
    if current is None or current.start > at:
        instance = next(window.instances(at), None)
        exclusion = schedule.closed_by(at) if instance is not None and instance.start <= at else None
        if exclusion is not None:
            return _closed(schedule, at, Code.EXCLUDED, f"closed by the exclusion {exclusion.why}")
        return _closed(schedule, at, Code.OUTSIDE, f"closed: outside {window.spec}")
    left = None if current.end is None else current.end - at
    latest = schedule.latest_start(current)
    if latest is None or at <= latest:
        following = _next(openings) if current.end is not None else None
        return Decision(
            True,
            _open_reason(schedule, left),
            Code.OPEN,
            at,
            None if window.always else current.start,
            current.end,
            following.start if following else None,
            following.end if following else None,
            left,
        )
    assert left is not None  # noqa: S101 - an opening without end has no latest start
    if left < schedule.whole_run:
        return _closed(schedule, at, Code.DOES_NOT_FIT, f"closed: {_needs(schedule)}, {_are_left(left)}", current)
    why = f"closed: nothing starts in the last {format_duration(schedule.cutoff)} of the window, {_are_left(left)}"
    return _closed(schedule, at, Code.CUTOFF, why, current)


def _next(openings: Iterator[Opening]) -> Opening | None:
    """The next one; none also where one may follow after a long time."""
    try:
        return next(openings, None)
    except SearchGivenUp:
        return None


def require_fit(schedule: Schedule, at: datetime) -> None:
    """When a declaration is read: refuse a window in which the run could not start at any time from `at` on.

    Raises:
        BadInput: the run needs more time than the window ever has, or exclusions or cutoff close it for good.
    """
    decision = decide(schedule, at)
    if schedule.window and not decision.open and decision.next_start is None and decision.searched_until is None:
        raise BadInput(f'the window "{schedule.window.spec}" can never be met: {decision.reason}')


def _closed(schedule: Schedule, at: datetime, code: Code, why: str, current: Opening | None = None) -> Decision:
    """A refusal, with the instant from which on the run could start."""
    closed = Decision(False, f"{why}; it does not open again", code, at)
    if current is not None and schedule.window is not None:
        closed = replace(closed, start=None if schedule.window.always else current.start, end=current.end)
        closed = replace(closed, closes_in=current.end - at) if current.end else closed
    try:
        found = schedule.next_start(at)
        if found is not None:
            opens, opening = found
            reason = f"{why}; opens {shown(opens, schedule.zone)}, in {format_duration(opens - at)}"
            return replace(closed, reason=reason, next_start=opens, next_end=opening.end)
        if schedule.whole_run and replace(schedule, needs=_NO_TIME, reserve=_NO_TIME).next_start(at) is not None:
            never = f"closed: {_needs(schedule)}, and the window {_spec(schedule)} is never open for that long"
            return replace(closed, reason=never, code=Code.DOES_NOT_FIT)
        _refuse_if_never(schedule, at)
    except SearchGivenUp as search:
        unknown = f"{why}; up to {shown(search.until, schedule.zone)} it does not open for long enough"
        return replace(closed, reason=unknown, searched_until=search.until)
    return closed


def _refuse_if_never(schedule: Schedule, at: datetime) -> None:
    """A window that goes on for ever, and in which still nothing can start, is a mistake in its declaration."""
    if schedule.window is None or schedule.window.ends:
        return
    if replace(schedule, cutoff=_NO_TIME, needs=_NO_TIME, reserve=_NO_TIME).next_start(at) is not None:
        raise BadInput(
            f"the window {_spec(schedule)} can never be met: nothing starts in its last "
            f"{format_duration(schedule.cutoff)} (cutoff), and it is never open for longer",
            next_step="shorten the cutoff or widen the window",
        )
    raise BadInput(
        f"the window {_spec(schedule)} can never be met: its exclusions close it for good",
        means=f"The exclusions are: {', '.join(exclusion.text for exclusion in schedule.exclusions)}",
        next_step="shorten the exclusions",
    )


def _open_reason(schedule: Schedule, left: timedelta | None) -> str:
    until = "does not close" if left is None else f"closes in {format_duration(left)}"
    if not schedule.whole_run:
        return f"open, {until}"
    return f"open, {until}; {_needs(schedule).replace('the run', 'this run', 1)}"


def _needs(schedule: Schedule) -> str:
    needs = f"the run needs {format_duration(schedule.needs)}"
    return f"{needs} and {format_duration(schedule.reserve)} in reserve for a rollback" if schedule.reserve else needs


def _are_left(left: timedelta) -> str:
    return f"{format_duration(left)} {'is' if format_duration(left).startswith('1 ') else 'are'} left"


def _spec(schedule: Schedule) -> str:
    return f'"{schedule.window.spec}"' if schedule.window else ""
