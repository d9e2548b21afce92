"""One event of a calendar, and the times that it closes."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from pyrunbook.windows.instant import localise
from pyrunbook.windows.recurrence import Recurrence
from pyrunbook.windows.window import Closed

_NO_TIME = timedelta()
# More than any zone is away from UTC, and than any gap of a clock is long.
_AROUND = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Event:
    """One event, recurring or not.

    Attributes:
        why: how an operator finds it: file name, and summary where it has one.
        start: its first start, as naive wall-clock time in `zone`.
        days: the nominal part of its length (RFC 5545, 3.3.6): to the same time of the clock that many days later.
        length: the elapsed part of its length, after those days.
        extra: more starts (`RDATE`), naive, in order.
        skipped: starts at which it does not happen (`EXDATE`, and those that another event replaces), in UTC.
        skipped_days: dates (of that clock) without an occurrence, whatever the hour.
    """

    why: str
    start: datetime
    zone: tzinfo
    days: int = 0
    length: timedelta = _NO_TIME
    rule: Recurrence | None = None
    extra: tuple[datetime, ...] = ()
    skipped: frozenset[datetime] = frozenset()
    skipped_days: frozenset[date] = frozenset()

    def closed(self, after: datetime) -> Iterator[Closed]:
        """Its times that end after an instant, in order."""
        since = after.astimezone(UTC).replace(tzinfo=None) - timedelta(days=self.days) - self.length - _AROUND
        previous = None
        for wall in heapq.merge(self._regular(since), self.extra):
            if wall == previous:
                continue
            previous = wall
            start = localise(wall, self.zone).utc
            if start in self.skipped or wall.date() in self.skipped_days:
                continue
            if (end := self._end(wall)) > after:
                yield Closed(start, end, self.why)

    @property
    def settled(self) -> datetime | None:
        """From when on it happens year by year as the calendar does; `None` when it never does (`INTERVAL`)."""
        last = max([self.start, *self.extra, *(datetime.combine(day, self.start.time()) for day in self.skipped_days)])
        if self.rule is not None:
            over = self.rule.over_after(self.start)
            if over is None and self.rule.interval > 1:
                return None
            last = max(last, over or last)
        return max([self._end(last), *self.skipped])

    def _end(self, wall: datetime) -> datetime:
        # A time that the clock skips moves forward by the gap; the days are counted from the time that was written.
        return localise(wall + timedelta(days=self.days), self.zone).utc + self.length

    def _regular(self, since: datetime) -> Iterator[datetime]:
        # The start counts even where the rule does not name it.
        yield self.start
        if self.rule is None:
            return
        for wall in self.rule.occurrences(self.start, since):
            if self.rule.ended(wall, localise(wall, self.zone).utc):
                return
            if wall != self.start:
                yield wall
