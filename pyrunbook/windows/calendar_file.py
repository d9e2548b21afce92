"""Reads an iCalendar file (RFC 5545) as exclusions: every event in it closes the window while it lasts.

The `icalendar` library reads the properties. It forgives much: it leaves out what it cannot read and what was cut off.
A freeze must not get lost that way, so whatever it could not read, and whatever is not understood here, is an error
with file and line. Events with `STATUS:CANCELLED` do not close; `TRANSP` is not looked at.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pyrunbook.errors import BadInput
from pyrunbook.windows.duration import LONGEST, shortened
from pyrunbook.windows.exclusions import Closed
from pyrunbook.windows.instant import FIRST_YEAR, LAST_YEAR, localise
from pyrunbook.windows.recurrence import Recurrence, parse_recurrence

_NO_TIME = timedelta()
_READ = ("DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID", "STATUS", "UID")


@dataclass(frozen=True, slots=True)
class Event:
    """One event, recurring or not.

    Attributes:
        why: how an operator finds it: file name, and summary where it has one.
        start: its first start, as naive wall-clock time in `zone`.
        zone: where that clock stands.
        days: its length in days, for an all-day event: from midnight to midnight, however long those days are.
        length: its elapsed length, for any other.
        rule: how it recurs.
        extra: more starts (`RDATE`), naive.
        skipped: starts at which it does not happen (`EXDATE`, and those that another event replaces): naive for an
            all-day event, in UTC for any other.
    """

    why: str
    start: datetime
    zone: tzinfo
    days: int = 0
    length: timedelta = _NO_TIME
    rule: Recurrence | None = None
    extra: tuple[datetime, ...] = ()
    skipped: frozenset[datetime] = frozenset()

    def closed(self, after: datetime) -> Iterator[Closed]:
        """Its times that end after an instant, in order."""
        previous = None
        for wall in heapq.merge(self._regular(), self.extra):
            if wall == previous:
                continue
            previous = wall
            start = localise(wall, self.zone).utc
            if (wall if self.days else start) in self.skipped:
                continue
            end = localise(wall + timedelta(days=self.days), self.zone).utc if self.days else start + self.length
            if end > after:
                yield Closed(start, end, self.why)

    def _regular(self) -> Iterator[datetime]:
        # The start counts even where the rule does not name it.
        yield self.start
        for wall in self.rule.occurrences(self.start) if self.rule else ():
            if self.rule and self.rule.ended(wall, localise(wall, self.zone).utc):
                return
            if wall != self.start:
                yield wall


@dataclass(frozen=True, slots=True)
class CalendarFile:
    """The events of one iCalendar file."""

    text: str
    events: tuple[Event, ...]

    def closed(self, after: datetime) -> Iterator[Closed]:
        """The times of all events that end after an instant, ordered by their start."""
        return heapq.merge(*(event.closed(after) for event in self.events))


def read_calendar(path: str, zone: ZoneInfo) -> CalendarFile:
    """Read the events of an iCalendar file.

    Args:
        path: of the file; `~` is expanded.
        zone: where all-day events and events without a zone are meant.

    Raises:
        BadInput: the file cannot be read, is cut off, or has something that is not understood; names file and line.
    """
    file = Path(path).expanduser()
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BadInput(f"the exclusions in {shortened(path, 200)} cannot be read: {reason}") from None
    places = _Places(path, text)

    from icalendar import Calendar

    try:
        calendars = Calendar.from_ical(text, multiple=True)
        components = [event for calendar in calendars for event in calendar.walk("VEVENT")]
    except Exception as error:  # the library raises what it pleases on broken text
        raise places.wrong(0, f"not iCalendar: {shortened(error, 200)}") from None
    if len(components) != len(places.events):
        raise places.wrong(0, f"{len(places.events)} events begin in the file, {len(components)} can be read")
    readers = [
        _EventReader(component, line, places, zone) for component, line in zip(components, places.events, strict=True)
    ]
    return CalendarFile(path, tuple(_events(readers)))


def _events(readers: list[_EventReader]) -> Iterator[Event]:
    """Events as they happen: those that replace one occurrence of another are taken out of it."""
    replaced: dict[str, set[datetime]] = {}
    for reader in readers:
        if (moment := reader.replaces()) is not None:
            replaced.setdefault(reader.uid, set()).add(moment)
    for reader in readers:
        event = reader.event()
        if reader.cancelled:
            continue
        if reader.replaces() is None and reader.uid in replaced:
            event = replace(event, skipped=event.skipped | replaced[reader.uid])
        yield event


class _Places:
    """Where in the file things stand, and that all that begins ends."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.lines = re.split(r"\r\n|\r|\n", text)
        self.events: list[int] = []
        opened: list[tuple[str, int]] = []
        for number, line in enumerate(self.lines, 1):
            word, _, name = line.rstrip().upper().partition(":")
            if word == "BEGIN":
                opened.append((name, number))
                if name == "VEVENT":
                    self.events.append(number)
            elif word == "END" and (not opened or opened.pop()[0] != name):
                raise self.wrong(number, f"END:{shortened(name)} ends nothing that is open there")
        if opened:
            raise self.wrong(opened[-1][1], f"BEGIN:{shortened(opened[-1][0])} is never ended: the file is cut off")
        if not any(line.rstrip().upper() == "BEGIN:VCALENDAR" for line in self.lines):
            raise self.wrong(0, "it has no VCALENDAR: this is not an iCalendar file")

    def line_of(self, event: int, name: str) -> int:
        """The line of a property of the event that begins at a line; the event's own when it is not found."""
        for number, line in enumerate(self.lines[event:], event + 1):
            word = line.upper()
            if word.startswith(name) and word[len(name) : len(name) + 1] in (":", ";"):
                return number
            if word.strip() == "END:VEVENT":
                break
        return event

    def wrong(self, line: int, what: str) -> BadInput:
        """An error with file and line; line 0 for the whole file."""
        place = f"{shortened(self.path, 200)}:{line}" if line else shortened(self.path, 200)
        return BadInput(
            f"{place}: {what}",
            means="Without its exclusions the window counts as closed.",
            next_step="correct the file",
        )


class _EventReader:
    """Reads one VEVENT strictly."""

    def __init__(self, component: Any, line: int, places: _Places, zone: ZoneInfo) -> None:
        self._component = component
        self._line = line
        self._places = places
        self._zone = zone
        for name, problem in component.errors:
            if name and name not in _READ:
                continue
            raise self._wrong(
                name or "", f"{name or 'a line'} of the event is not understood: {shortened(problem, 200)}"
            )
        self.uid = str(component.get("UID", f"line {line}"))
        self.cancelled = str(component.get("STATUS", "")).upper() == "CANCELLED"

    def event(self) -> Event:
        """The event, without regard for others that replace a part of it."""
        start, zone = self._moment("DTSTART")
        all_day = not isinstance(start, datetime)
        days, length = self._length(start, zone)
        why = Path(self._places.path).name
        if summary := str(self._component.get("SUMMARY", "")).strip():
            why += f" ({shortened(summary, 60)})"
        return Event(
            why,
            _wall(start),
            zone,
            days,
            length,
            self._rule(),
            tuple(sorted(_wall(moment) for moment, _ in self._moments("RDATE", all_day, zone))),
            frozenset(
                _wall(moment) if all_day else localise(_wall(moment), its_zone).utc
                for moment, its_zone in self._moments("EXDATE", all_day, None)
            ),
        )

    def replaces(self) -> datetime | None:
        """Which occurrence of the event with the same UID this one replaces: naive for all-day, UTC otherwise."""
        value = self._single("RECURRENCE-ID")
        if value is None:
            return None
        if "RANGE" in value.params:
            raise self._wrong("RECURRENCE-ID", "RANGE is not supported: write the changed events one by one")
        moment, zone = self._moment("RECURRENCE-ID")
        return localise(_wall(moment), zone).utc if isinstance(moment, datetime) else _wall(moment)

    def _rule(self) -> Recurrence | None:
        value = self._single("RRULE")
        if value is None:
            return None
        try:
            return parse_recurrence(value.to_ical().decode(), has_start=True)
        except BadInput as error:
            raise self._wrong("RRULE", error.seen) from None

    def _length(self, start: date, zone: tzinfo) -> tuple[int, timedelta]:
        """Days of an all-day event, or the elapsed length of any other."""
        all_day = not isinstance(start, datetime)
        if self._single("DTEND") is not None:
            end, end_zone = self._moment("DTEND")
            if isinstance(end, datetime) == all_day:
                raise self._wrong("DTEND", "DTSTART and DTEND must both be dates, or both be times")
            if all_day:
                length = _wall(end) - _wall(start)
            else:
                length = localise(_wall(end), end_zone).utc - localise(_wall(start), zone).utc
            name = "DTEND"
        elif (duration := self._single("DURATION")) is not None:
            length, name = duration.dt, "DURATION"
        elif all_day:
            length, name = timedelta(days=1), "DTSTART"
        else:
            raise self._wrong("DTSTART", "the event has neither DTEND nor DURATION: it would close nothing")
        if not isinstance(length, timedelta) or length <= _NO_TIME or length > 10 * LONGEST:
            raise self._wrong(name, "the event does not end after it begins, or lasts longer than ten years")
        if all_day and length % timedelta(days=1):
            raise self._wrong(name, "the event begins on a date, and does not last whole days")
        return (length.days, _NO_TIME) if all_day else (0, length)

    def _moment(self, name: str) -> tuple[date, tzinfo]:
        """A date, or a time without its zone, and the zone that it is meant in."""
        value = self._single(name)
        if value is None:
            raise self._wrong(name, f"the event has no {name}")
        return self._meant(name, value.dt, value.params)

    def _moments(self, name: str, all_day: bool, wanted: tzinfo | None) -> Iterator[tuple[date, tzinfo]]:
        """All values of a property that may be given many times; times are moved to the zone that is wanted."""
        values = self._component.get(name, [])
        for value in values if isinstance(values, list) else [values]:
            for item in value.dts:
                moment, zone = self._meant(name, item.dt, value.params)
                if isinstance(moment, datetime) == all_day:
                    raise self._wrong(name, f"DTSTART and {name} must both be dates, or both be times")
                if isinstance(moment, datetime) and wanted is not None:
                    moment = localise(moment, zone).utc.astimezone(wanted).replace(tzinfo=None)
                    zone = wanted
                yield moment, zone

    def _meant(self, name: str, moment: object, parameters: Any) -> tuple[date, tzinfo]:
        if not isinstance(moment, date):
            raise self._wrong(name, f"{name} is neither a date nor a time")
        if not FIRST_YEAR <= moment.year <= LAST_YEAR:
            raise self._wrong(name, f"{name} is not from {FIRST_YEAR} to {LAST_YEAR}")
        if not isinstance(moment, datetime):
            return moment, self._zone
        if moment.tzinfo is not None:
            return moment.replace(tzinfo=None), UTC if moment.tzname() == "UTC" else moment.tzinfo
        if zone_id := parameters.get("TZID"):
            raise self._wrong(
                name, f'the time zone "{shortened(zone_id)}" is not known, and the file does not define it'
            )
        return moment, self._zone

    def _single(self, name: str) -> Any:
        value = self._component.get(name)
        if isinstance(value, list):
            raise self._wrong(name, f"the event has {name} more than once")
        return value

    def _wrong(self, name: str, what: str) -> BadInput:
        return self._places.wrong(self._places.line_of(self._line, name) if name else self._line, what)


def _wall(moment: date) -> datetime:
    """Naive: a time as it is, a date at midnight."""
    return moment if isinstance(moment, datetime) else datetime.combine(moment, time())
