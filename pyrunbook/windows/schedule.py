"""When a run may start: a window without its exclusions, with the cutoff, and with the time that the run needs."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from pyrunbook.errors import BadInput
from pyrunbook.windows.duration import LONGEST
from pyrunbook.windows.grammar import UTC_ZONE, parse
from pyrunbook.windows.instant import LAST_YEAR, checked_instant
from pyrunbook.windows.window import LATEST, Window

if TYPE_CHECKING:
    from pyrunbook.windows.calendar_file import CalendarFile
    from pyrunbook.windows.exclusions import Dates
    from pyrunbook.windows.window import Closed

# An opening that lasts longer than this is not followed further: it "does not end".
HORIZON = timedelta(days=400)
# After so long the calendar has shown all its years, weekdays and leap days included: 28 years, 40 across 2100.
CYCLE = timedelta(days=41 * 366)
# How many instances and exclusions are tried before a search gives up: about a second.
PATIENCE = 40_000
# So many exclusions in a row before an instance are walked over; more are jumped over.
_WALKED = 50
# What a jump costs, for each series of exclusions, in exclusions that are walked over.
_JUMP = 10

_NO_TIME = timedelta()


class SearchGivenUp(Exception):
    """A search was too long: up to `until`, in UTC, there is nothing; what comes later is not known."""

    def __init__(self, until: datetime) -> None:
        super().__init__(until)
        self.until = until


class Opening(NamedTuple):
    """A time in which runs may go on: `[start, end)` in UTC; `end` is `None` when it does not end within 400 days."""

    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Schedule:
    """Everything that decides when a run may start; read once, asked often.

    Attributes:
        window: `None` when none is declared: nothing may start.
        cutoff: nothing starts later than this before the end.
        reserve: how long its rollback takes; a run starts only when both fit.
    """

    window: Window | None
    exclusions: tuple[Dates | CalendarFile, ...] = ()
    cutoff: timedelta = _NO_TIME
    needs: timedelta = _NO_TIME
    reserve: timedelta = _NO_TIME

    @classmethod
    def read(
        cls,
        spec: str | None,
        *,
        exclusions: Sequence[str | os.PathLike[str]] = (),
        cutoff: timedelta = _NO_TIME,
        needs: timedelta = _NO_TIME,
        reserve: timedelta = _NO_TIME,
    ) -> Schedule:
        """Read a window and what belongs to it.

        Raises:
            BadInput: any of it is malformed.
        """
        window = None if spec is None else parse(spec)
        zone = window.zone if window else UTC_ZONE
        for name, length in (("cutoff", cutoff), ("estimate", needs), ("rollback reserve", reserve)):
            if not _NO_TIME <= length <= LONGEST:
                raise BadInput(f"the {name} {length} is not between 0 and {LONGEST.days} days")
        if isinstance(exclusions, str):
            raise BadInput(f'the exclusions are one text, "{exclusions}", where a list is expected')
        read: tuple[Dates | CalendarFile, ...] = ()
        if exclusions:
            from pyrunbook.windows.exclusions import read_exclusion

            read = tuple(read_exclusion(text, zone) for text in exclusions)
        return cls(window, read, cutoff, needs, reserve)

    @property
    def zone(self) -> ZoneInfo:
        """The zone to show times in: the window's."""
        return self.window.zone if self.window else UTC_ZONE

    @property
    def whole_run(self) -> timedelta:
        """What must be left of the window when the run starts."""
        return self.needs + self.reserve

    def instances(self, after: datetime) -> Iterator[Opening]:
        """The window's instances that end after an instant, without what exclusions take of them.

        In order and disjoint; they may touch. They end where the window does, or where it is proven that none follows.

        Raises:
            SearchGivenUp: none was found for long, and yet one may follow.
        """
        if self.window is None:
            return
        last = self._last_to_search(after)
        series = sum(exclusion.series for exclusion in self.exclusions)
        blocks: Iterator[Closed] = iter(())
        block: Closed | None = None
        instances, steps, begun = self.window.instances(after), 0, False
        while (instance := next(instances, None)) and instance.start <= last:
            steps += 1
            walked = 0
            while not begun or (block is not None and block.end <= instance.start):
                if not begun or walked == _WALKED:
                    blocks, begun, walked = self._blocks(instance.start), True, 0
                    steps += _JUMP * series
                block = next(blocks, None)
                walked += 1
            steps += walked
            reached = instance.start
            while block is not None and block.start < instance.end and reached <= last:
                if reached < block.start and block.start > after:
                    steps = 0
                    yield Opening(reached, block.start)
                reached = max(reached, block.end)
                if reached >= instance.end:
                    break
                block = next(blocks, None)
                steps += 1
                if steps > PATIENCE:
                    raise SearchGivenUp(reached)
            if reached < instance.end and reached <= last:
                steps = 0
                yield Opening(reached, None if instance.end == LATEST else instance.end)
            elif reached > last:
                return
            elif reached - instance.end > HORIZON:
                instances = self.window.instances(reached)
            if steps > PATIENCE:
                raise SearchGivenUp(instance.end)

    def openings(self, after: datetime) -> Iterator[Opening]:
        """Like `instances`, with those that touch joined: the times in which the window does not close."""
        joined: Opening | None = None
        pieces = self.instances(after)
        while True:
            try:
                piece = next(pieces, None)
            except SearchGivenUp:
                if joined is not None:
                    yield joined
                raise
            if piece is None:
                break
            if joined is not None and joined.end == piece.start:
                joined = joined._replace(end=piece.end)
            else:
                if joined is not None:
                    yield joined
                joined = piece
            if joined.end is None or joined.end - max(after, joined.start) > HORIZON:
                yield joined._replace(end=None)
                return
        if joined is not None:
            yield joined

    def latest_start(self, opening: Opening) -> datetime | None:
        """The last instant of an opening at which a run may start, before its start if none; `None`: no limit."""
        return None if opening.end is None else opening.end - max(self.cutoff, self.whole_run)

    def next_start(self, at: datetime) -> tuple[datetime, Opening] | None:
        """The earliest instant from `at` on at which a run could start, and the opening that it lies in.

        Raises:
            SearchGivenUp: none was found for long, and yet one may follow.
        """
        at = checked_instant(at)
        for number, opening in enumerate(self.openings(at)):
            start = max(at, opening.start)
            latest = self.latest_start(opening)
            if latest is None or start <= latest:
                return start, opening
            if number > PATIENCE:
                raise SearchGivenUp(start)
        return None

    def upcoming(self, at: datetime) -> Iterator[Opening]:
        """The instances that start at `at` or later, and in which a run could start at once; none after a long gap."""
        at = checked_instant(at)
        try:
            for piece in self.instances(at):
                if piece.start < at:
                    continue
                following = self.next_start(piece.start)
                if following is None:
                    return
                if following[0] == piece.start:
                    yield piece
        except SearchGivenUp:
            return

    def _last_to_search(self, at: datetime) -> datetime:
        """Where nothing was found up to here, nothing follows.

        When all that has an end is over, each year is like one that was there before. That does not hold for what
        recurs every so many periods only: there it is the end of the years that windows are computed for.
        """
        end = datetime(LAST_YEAR, 12, 31, tzinfo=UTC)
        settled = [exclusion.settled for exclusion in self.exclusions]
        if None in settled or (self.window and self.window.rule and self.window.rule.interval > 1):
            return end
        return min(end, max([at, *(moment for moment in settled if moment)]) + CYCLE)

    def closed_by(self, at: datetime) -> Closed | None:
        """The exclusion that holds at an instant."""
        block = next(self._blocks(at), None)
        return block if block is not None and block.start <= at else None

    def _blocks(self, after: datetime) -> Iterator[Closed]:
        """What is excluded and ends after an instant, ordered by start."""
        return heapq.merge(*(exclusion.closed(after) for exclusion in self.exclusions))
