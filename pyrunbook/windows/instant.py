"""Points in time: read from text, put on the clock of a zone, written for programs and for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

from pyrunbook.errors import BadInput
from pyrunbook.windows.duration import shortened

FIRST_YEAR = 1970
LAST_YEAR = 2299


class Localised(NamedTuple):
    """What a wall-clock time comes to in a zone.

    Attributes:
        utc: the instant.
        gap: by how much the clock skipped that time, and the instant moved forward; zero nearly always.
        fold: the clock shows that time twice; `utc` is the first of the two.
    """

    utc: datetime
    gap: timedelta
    fold: bool


def localise(wall: datetime, zone: tzinfo) -> Localised:
    """Put a naive wall-clock time on the clock of a zone.

    A time that does not exist there (clocks went forward) moves forward by the gap; of a time that occurs twice
    (clocks went back) the first is taken.
    """
    first = wall.replace(tzinfo=zone, fold=0)
    utc = first.astimezone(UTC)
    gap = utc.astimezone(zone).replace(tzinfo=None) - wall
    fold = not gap and first.utcoffset() != first.replace(fold=1).utcoffset()
    return Localised(utc, gap, fold)


def parse_instant(text: str) -> datetime:
    """Read an ISO 8601 date and time; without an offset it is UTC.

    Raises:
        BadInput: it is not one, or lies outside of the years that windows are computed for.
    """
    try:
        instant = datetime.fromisoformat(text.strip())
    except (ValueError, AttributeError):
        raise BadInput(
            f'the instant "{shortened(text)}" is not an ISO 8601 date and time',
            next_step="write it like 2026-11-22T02:00:00Z or 2026-11-22T03:00+01:00; without an offset it is UTC",
        ) from None
    return checked_instant(instant if instant.tzinfo else instant.replace(tzinfo=UTC))


def checked_instant(at: datetime) -> datetime:
    """The same instant in UTC.

    Raises:
        BadInput: it has no zone, or lies outside of the years that windows are computed for.
    """
    if at.utcoffset() is None:
        raise BadInput(f"the instant {at.isoformat()} has no time zone: it could mean several moments")
    if not FIRST_YEAR < at.year < LAST_YEAR:
        raise BadInput(f"the instant {at.isoformat()} is not between {FIRST_YEAR + 1} and {LAST_YEAR - 1}")
    return at.astimezone(UTC)


def iso(instant: datetime | None) -> str | None:
    """ISO 8601 in UTC, to the second, with a `Z`: what `--json` prints."""
    return None if instant is None else instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def shown(instant: datetime, zone: ZoneInfo) -> str:
    """For people, on the clock of a zone: `Sun 2026-11-22 02:00 UTC`, `Sun 2026-11-01 01:30 EDT`."""
    local = instant.astimezone(zone)
    seconds = ":%S" if local.second else ""
    return f"{WEEKDAYS[local.weekday()]} {local.strftime(f'%Y-%m-%d %H:%M{seconds} %Z')}"


# Our own names: those of strftime follow the operator's locale.
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
