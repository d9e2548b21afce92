"""What closes a window: a date, a range of dates, or the events of an iCalendar file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, ClassVar
from zoneinfo import ZoneInfo

from pyrunbook.errors import BadInput
from pyrunbook.windows.duration import shortened
from pyrunbook.windows.instant import FIRST_YEAR, LAST_YEAR, localise
from pyrunbook.windows.window import Closed

if TYPE_CHECKING:
    from pyrunbook.windows.calendar_file import CalendarFile

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FORM = "write a date 2026-12-24, a range 2026-12-24..2027-01-02, or the path of an iCalendar file *.ics"


@dataclass(frozen=True, slots=True)
class Dates:
    """Whole days of a zone, from `first` to `last` inclusive. It has what `CalendarFile` has, too."""

    text: str
    first: date
    last: date
    zone: ZoneInfo
    series: ClassVar = 1

    @property
    def settled(self) -> datetime:
        """The midnight after the last day."""
        return localise(datetime.combine(self.last + timedelta(days=1), time()), self.zone).utc

    def closed(self, after: datetime) -> Iterator[Closed]:
        """The one time from the first midnight to the one after the last day."""
        start = localise(datetime.combine(self.first, time()), self.zone).utc
        if after < self.settled:
            yield Closed(start, self.settled, self.text)


def read_exclusion(text: str | os.PathLike[str], zone: ZoneInfo) -> Dates | CalendarFile:
    """Read one exclusion.

    Args:
        text: a date, a range of dates, or a path that ends in `.ics` (`~` is expanded).
        zone: the window's: dates, all-day events and events without a zone are meant there.

    Raises:
        BadInput: it is none of them, or the file cannot be read; names file and line where there are some.
    """
    written = os.fspath(text)
    if not isinstance(written, str):
        raise BadInput(f"the exclusion {shortened(written)} is not a text", next_step=_FORM)
    if written.lower().endswith(".ics"):
        from pyrunbook.windows.calendar_file import read_calendar

        return read_calendar(written, zone)
    first, dots, last = written.strip().partition("..")
    begin = _parse_date(first, written)
    end = _parse_date(last, written) if dots else begin
    if end < begin:
        raise BadInput(f'the exclusion "{shortened(written)}" ends before it begins', next_step=_FORM)
    return Dates(written.strip(), begin, end, zone)


def _parse_date(text: str, whole: str) -> date:
    try:
        if not _DATE.fullmatch(text):
            raise ValueError(text)
        day = date.fromisoformat(text)
    except ValueError:
        raise BadInput(
            f'the exclusion "{shortened(whole)}" is wrong: "{shortened(text)}" is not a date', next_step=_FORM
        ) from None
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise BadInput(f'the exclusion "{shortened(whole)}" is wrong: {day} is not from {FIRST_YEAR} to {LAST_YEAR}')
    return day
