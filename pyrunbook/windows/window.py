"""A window: days, a start on the wall clock, a length of elapsed time, a zone; and its instances."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from pyrunbook.windows.instant import checked_instant, localise
from pyrunbook.windows.weekdays import Weekdays

if TYPE_CHECKING:
    from pyrunbook.windows.recurrence import Recurrence

LATEST = datetime(9999, 1, 1, tzinfo=UTC)

_NO_TIME = timedelta()


class Instance(NamedTuple):
    """One opening of a window: open at instants `t` with `start <= t < end`.

    Attributes:
        start: its start, in UTC.
        end: its end, in UTC; `LATEST` for `always`. Where the next instance starts before this one would be over,
            it ends there: instances touch, but never overlap.
        wall: its start as the window writes it: a naive time on the zone's clock.
        gap: by how much the start was moved forward because the clock skipped it.
        fold: the clock shows the start twice that day; this is the first of the two.
    """

    start: datetime
    end: datetime
    wall: datetime | None = None
    gap: timedelta = _NO_TIME
    fold: bool = False


class Closed(NamedTuple):
    """A time without runs, `[start, end)` in UTC, and the exclusion that says so."""

    start: datetime
    end: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Window:
    """When a runbook may run, as read by `pyrunbook.windows.parse`.

    Attributes:
        spec: the text that it was read from, with single spaces.
        zone: the zone of its start; UTC for `always`.
        rule: which days; `None` for `always`.
        start: the start on the zone's wall clock.
    """

    spec: str
    zone: ZoneInfo
    rule: Weekdays | Recurrence | None
    start: time
    length: timedelta

    @property
    def always(self) -> bool:
        """Open at all times, exclusions apart."""
        return self.rule is None

    @property
    def ends(self) -> bool:
        """Whether there is a last instance (an `UNTIL`)."""
        return self.rule is not None and self.rule.ends

    def instances(self, after: datetime) -> Iterator[Instance]:
        """The instances that end after an instant, in order, disjoint, each start once.

        Args:
            after: an aware datetime. An `always` window has one instance, from there on.

        Raises:
            BadInput: `after` is naive, or centuries away.
        """
        after = checked_instant(after)
        if self.rule is None:
            yield Instance(after, LATEST)
            return
        current: Instance | None = None
        for following in self._recur(after):
            if current is not None:
                if following.start == current.start:
                    continue
                if following.start < current.end:
                    current = current._replace(end=following.start)
                if current.end > after:
                    yield current
            current = following
        if current is not None and current.end > after:
            yield current

    def _recur(self, after: datetime) -> Iterator[Instance]:
        """Instances from a little before `after` on, as the rule has them: they may overlap."""
        if self.rule is None:
            return
        # Two days more than the length: no zone is further from UTC, and no gap longer, than a day.
        first = (after - self.length).date() - timedelta(days=2)
        for day in self.rule.dates(first):
            wall = datetime.combine(day, self.start)
            local = localise(wall, self.zone)
            if self.rule.ended(wall, local.utc):
                return
            yield Instance(local.utc, local.utc + self.length, wall, local.gap, local.fold)
