"""When a run may start: a window without its exclusions, with the cutoff, and with the time that the run needs."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from pyrunbook.errors import BadInput
from pyrunbook.windows.duration import LONGEST
from pyrunbook.windows.grammar import UTC_ZONE, parse
from pyrunbook.windows.instant import LAST_YEAR, checked_instant
from pyrunbook.windows.window import LATEST, Window

if TYPE_CHECKING:
    from pyrunbook.windows.exclusions import Closed, Exclusion

# An opening that lasts longer than this is not followed further: it "does not end".
HORIZON = timedelta(days=400)
# How many instances, or exclusions, are looked at in vain before a search gives up: 10 years of a daily window.
PATIENCE = 4000

_NO_TIME = timedelta()


class Opening(NamedTuple):
    """A time in which runs may go on: `[start, end)` in UTC; `end` is `None` when it does not end within 400 days."""

    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Schedule:
    """Everything that decides when a run may start; read once, asked often.

    Attributes:
        window: `None` when none is declared: nothing may start.
        exclusions: what closes the window.
        cutoff: nothing starts later than this before the end.
        needs: how long the run takes.
        reserve: how long its rollback takes; a run starts only when both fit.
    """

    window: Window | None
    exclusions: tuple[Exclusion, ...] = ()
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
        read: tuple[Exclusion, ...] = ()
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

        In order and disjoint; they may touch. A long vain search is given up (see `PATIENCE`).
        """
        if self.window is None:
            return
        blocks: Iterator[Closed] | None = None
        block: Closed | None = None
        vain = 0
        for instance in self.window.instances(after):
            if blocks is None:
                blocks = self._blocks(instance.start)
                block = next(blocks, None)
            reached = instance.start
            while block is not None and block.start < instance.end:
                if reached < block.start and block.start > after:
                    vain = 0
                    yield Opening(reached, block.start)
                reached = max(reached, block.end)
                if reached >= instance.end:
                    break
                block = next(blocks, None)
                vain += 1
                if vain > PATIENCE:
                    return
            if reached < instance.end:
                vain = 0
                yield Opening(reached, None if instance.end == LATEST else instance.end)
            vain += 1
            if vain > PATIENCE:
                return

    def openings(self, after: datetime) -> Iterator[Opening]:
        """Like `instances`, with those that touch joined: the times in which the window does not close."""
        joined: Opening | None = None
        for piece in self.instances(after):
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
        """The earliest instant from `at` on at which a run could start, and the opening that it lies in."""
        at = checked_instant(at)
        for opening in islice(self.openings(at), PATIENCE):
            start = max(at, opening.start)
            latest = self.latest_start(opening)
            if start.year > LAST_YEAR:
                break
            if latest is None or start <= latest:
                return start, opening
        return None

    def upcoming(self, at: datetime) -> Iterator[Opening]:
        """The instances that start at `at` or later, and in which a run could start at once."""
        at = checked_instant(at)
        for piece in self.instances(at):
            if piece.start < at:
                continue
            following = self.next_start(piece.start)
            if following is None:
                return
            if following[0] == piece.start:
                yield piece

    def closed_by(self, at: datetime) -> Closed | None:
        """The exclusion that holds at an instant."""
        block = next(self._blocks(at), None)
        return block if block is not None and block.start <= at else None

    def _blocks(self, after: datetime) -> Iterator[Closed]:
        """What is excluded and ends after an instant, ordered by start."""
        return heapq.merge(*(exclusion.closed(after) for exclusion in self.exclusions))
