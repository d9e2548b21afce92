"""Reads an iCalendar file (RFC 5545) as exclusions: every event in it closes the window while it lasts.

The `icalendar` library reads the properties. It forgives much: it leaves out what it cannot read and what was cut off.
A freeze must not get lost that way, so whatever it could not read, and whatever is not understood here, is an error
with file and line. What calendar programs write against the letter of the RFC, and can only mean one thing, is read as
they mean it; of two meanings the one that closes more holds. Events with `STATUS:CANCELLED` do not close; `TRANSP` is
ignored.

recurring-ical-events was tried in place of `pyrunbook.windows.event`: it loses the last day of Outlook's all-day
series, gives a day of 25 hours 24, and walks a series from its first day.
"""

from __future__ import annotations

import heapq
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pyrunbook.errors import BadInput
from pyrunbook.windows.duration import LONGEST, shortened
from pyrunbook.windows.event import Event
from pyrunbook.windows.instant import FIRST_YEAR, LAST_YEAR, localise
from pyrunbook.windows.recurrence import Recurrence, parse_recurrence
from pyrunbook.windows.window import Closed

_NO_TIME = timedelta()
_ONE_DAY = timedelta(days=1)
_READ = ("DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID", "STATUS", "UID")
_NOMINAL = re.compile(r"[+-]?P(?:([0-9]+)W)?(?:([0-9]+)D)?")
# The furthest that a zone's midnight is ahead of UTC's (Kiritimati).
_FURTHEST_EAST = timedelta(hours=14)


@dataclass(frozen=True, slots=True)
class CalendarFile:
    """The events of one iCalendar file."""

    text: str
    events: tuple[Event, ...]

    @property
    def series(self) -> int:
        """How many events there are."""
        return len(self.events)

    @property
    def settled(self) -> datetime | None:
        """From when on all events happen year by year as the calendar does; `None` when they never do."""
        last = datetime.min.replace(tzinfo=UTC)
        for event in self.events:
            if event.settled is None:
                return None
            last = max(last, event.settled)
        return last

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
    from icalendar.timezone import tzp

    tzp.use_default()  # forgets the zones that files read before have defined
    try:
        with warnings.catch_warnings(action="ignore"):  # of zones whose vendor's name it strips
            calendars = Calendar.from_ical(text, multiple=True)
        found = [(event, calendar) for calendar in calendars for event in calendar.walk("VEVENT")]
    except Exception as error:  # the library raises exceptions of any kind on broken text
        raise places.wrong(0, f"not iCalendar: {shortened(error, 200)}") from None
    if len(found) != len(places.events):
        raise places.wrong(0, f"{len(places.events)} events begin in the file, {len(found)} can be read")
    readers = [
        _EventReader(component, place, places, calendar, zone)
        for (component, calendar), place in zip(found, places.events, strict=True)
    ]
    return CalendarFile(path, tuple(_events(readers)))


def _events(readers: list[_EventReader]) -> Iterator[Event]:
    """Events as they happen: those that replace one occurrence of another are taken out of it."""
    overrides = [reader for reader in readers if reader.is_override]
    for reader in readers:
        event = reader.event()
        if event is None or reader.cancelled:
            continue
        if not reader.is_override:
            for override in overrides:
                if override.uid == reader.uid:
                    event = reader.without(event, override, "RECURRENCE-ID")
        yield event


@dataclass
class _Place:
    """The position of an event in the file: its first line, and per property of its own the line and the value."""

    line: int
    properties: dict[str, tuple[int, str]] = field(default_factory=dict)


class _Places:
    """The positions of components in the file; checks that each BEGIN has its END."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.events: list[_Place] = []
        opened: list[tuple[str, int]] = []
        calendars = 0
        for number, line in self._unfolded(text):
            name, _, value = line.rstrip().partition(":")
            word = name.upper()
            if word == "BEGIN":
                opened.append((value.upper(), number))
                calendars += value.upper() == "VCALENDAR"
                if value.upper() == "VEVENT":
                    self.events.append(_Place(number))
            elif word == "END" and (not opened or opened.pop()[0] != value.upper()):
                raise self.wrong(number, f"END:{shortened(value.upper())} ends nothing that is open there")
            elif opened and opened[-1][0] == "VEVENT":
                self.events[-1].properties.setdefault(word.partition(";")[0], (number, value))
        if opened:
            raise self.wrong(opened[-1][1], f"BEGIN:{shortened(opened[-1][0])} is never ended: the file is cut off")
        if not calendars:
            raise self.wrong(0, "it has no VCALENDAR: this is not an iCalendar file")

    @staticmethod
    def _unfolded(text: str) -> Iterator[tuple[int, str]]:
        """The content lines, each with the number of its first line: one that begins with a blank continues it."""
        begun: tuple[int, str] | None = None
        for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
            if begun is not None and line[:1] in (" ", "\t"):
                begun = (begun[0], begun[1] + line[1:])
                continue
            if begun is not None:
                yield begun
            begun = (number, line)
        if begun is not None:
            yield begun

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

    def __init__(self, component: Any, place: _Place, places: _Places, calendar: Any, window: ZoneInfo) -> None:
        self._component = component
        self._place = place
        self._places = places
        self._calendar = calendar
        self._window = window
        for name, problem in component.errors:
            if name and name not in _READ:
                continue
            raise self._wrong(
                name or "", f"{name or 'a line'} of the event is not understood: {shortened(problem, 200)}"
            )
        self.uid = str(component.get("UID", f"line {place.line}"))
        self.cancelled = str(component.get("STATUS", "")).upper() == "CANCELLED"

    @property
    def is_override(self) -> bool:
        """Whether it replaces one occurrence of the event with the same UID."""
        value = self._single("RECURRENCE-ID")
        if value is not None and "RANGE" in value.params:
            raise self._wrong("RECURRENCE-ID", "RANGE is not supported: write the changed events one by one")
        return value is not None

    def event(self) -> Event | None:
        """The event, without regard for others that replace a part of it; `None` when it has no length."""
        start, zone = self._moment("DTSTART", self._window)
        all_day = not isinstance(start, datetime)
        days, length = self._length(start, zone)
        if not days and not length:
            return None
        why = Path(self._places.path).name
        if summary := str(self._component.get("SUMMARY", "")).strip():
            why += f" ({shortened(summary, 60)})"
        event = Event(why, _wall(start), zone, days, length)
        if self.is_override:
            return event  # that one alone, whatever rule was copied into it
        event = replace(event, rule=self._rule(all_day), extra=tuple(sorted(self._extra(all_day, zone))))
        return self.without(event, self, "EXDATE")

    def without(self, event: Event, other: _EventReader, name: str) -> Event:
        """The same event without the occurrences that a property of this or of another one names.

        They are instants, or days on the event's clock. Exchange names the days of an all-day series by times: by the
        day's midnight, without a zone or in one. An instant that is no midnight where the series is meant names no day
        for sure, and leaves the series closed.
        """
        start, _ = self._moment("DTSTART", self._window)
        instants, days = set(event.skipped), set(event.skipped_days)
        for moment, zone in other._moments(name, event.zone):
            if not isinstance(moment, datetime):
                days.add(moment)
            elif isinstance(start, datetime):
                instants.add(localise(moment, zone).utc)
            elif zone is not UTC or moment.time() == time():
                days.add(moment.date())
            elif (wall := moment.replace(tzinfo=UTC).astimezone(event.zone)).time() == time():
                days.add(wall.date())
        return replace(event, skipped=frozenset(instants), skipped_days=frozenset(days))

    def _rule(self, all_day: bool) -> Recurrence | None:
        value = self._single("RRULE")
        if value is None:
            return None
        try:
            rule = parse_recurrence(value.to_ical().decode(), has_start=True)
        except BadInput as error:
            raise self._wrong("RRULE", error.seen) from None
        if not all_day:
            return rule
        return rule.on_dates(_last_day(rule.until) if isinstance(rule.until, datetime) else rule.until)

    def _length(self, start: date, zone: tzinfo) -> tuple[int, timedelta]:
        """Nominal days, and the elapsed length after them; nothing for a reminder, which begins and ends at once."""
        all_day = not isinstance(start, datetime)
        name, days, length = "DTSTART", 1 if all_day else 0, _NO_TIME
        if self._single("DTEND") is not None:
            name = "DTEND"
            end, end_zone = self._moment("DTEND", zone)
            if isinstance(end, datetime) == all_day:
                raise self._wrong("DTEND", "DTSTART and DTEND must both be dates, or both be times")
            if all_day:
                days = (_wall(end) - _wall(start)).days
            else:
                length = localise(_wall(end), end_zone).utc - localise(_wall(start), zone).utc
        elif (duration := self._single("DURATION")) is not None:
            name = "DURATION"
            days, length = self._nominal(duration.dt, all_day)
        elif not all_day:
            raise self._wrong("DTSTART", "the event has neither DTEND nor DURATION: it would close nothing")
        if not _NO_TIME <= days * _ONE_DAY + length <= 10 * LONGEST:
            raise self._wrong(name, "the event ends before it begins, or lasts longer than ten years")
        # Some programs end an event of one day on the day that it begins.
        return (max(days, 1), length) if all_day else (days, length)

    def _nominal(self, length: timedelta, all_day: bool) -> tuple[int, timedelta]:
        """A DURATION as days by the clock and the time after them; the library makes 24 hours of a day."""
        if all_day:
            if length % _ONE_DAY:
                raise self._wrong("DURATION", "the event begins on a date, and does not last whole days")
            return length.days, _NO_TIME
        if length < _NO_TIME:
            return 0, length
        found = _NOMINAL.match(self._place.properties["DURATION"][1].strip().upper())
        days = int(found[1] or 0) * 7 + int(found[2] or 0) if found else 0
        return days, length - days * _ONE_DAY

    def _extra(self, all_day: bool, zone: tzinfo) -> Iterator[datetime]:
        """More starts, on the clock of the event's zone."""
        for moment, its_zone in self._moments("RDATE", zone):
            if isinstance(moment, datetime) == all_day:
                raise self._wrong("RDATE", "DTSTART and RDATE must both be dates, or both be times")
            if isinstance(moment, datetime) and its_zone is not zone:
                moment = localise(_wall(moment), its_zone).utc.astimezone(zone).replace(tzinfo=None)
            yield _wall(moment)

    def _moment(self, name: str, zone: tzinfo) -> tuple[date, tzinfo]:
        """A date, or a time without its zone, and the zone that it is meant in: `zone` where it names none."""
        value = self._single(name)
        if value is None:
            raise self._wrong(name, f"the event has no {name}")
        return self._meant(name, value.dt, value.params, zone)

    def _moments(self, name: str, zone: tzinfo) -> Iterator[tuple[date, tzinfo]]:
        """All values of a property that may be given many times."""
        values = self._component.get(name, [])
        for value in values if isinstance(values, list) else [values]:
            for item in getattr(value, "dts", [value]):
                yield self._meant(name, item.dt, value.params, zone)

    def _meant(self, name: str, moment: object, parameters: Any, zone: tzinfo) -> tuple[date, tzinfo]:
        if not isinstance(moment, date):
            raise self._wrong(name, f"{name} is neither a date nor a time")
        if not FIRST_YEAR <= moment.year <= LAST_YEAR:
            raise self._wrong(name, f"{name} is not from {FIRST_YEAR} to {LAST_YEAR}")
        if not isinstance(moment, datetime):
            return moment, zone
        wall = moment.replace(tzinfo=None)
        if moment.tzinfo is not None and moment.tzname() == "UTC":
            return wall, UTC
        if zone_id := parameters.get("TZID"):
            try:
                meant = self._zone(moment, str(zone_id))
            except Exception as error:  # of any kind, on a broken definition
                raise self._wrong(
                    name, f'the time zone "{shortened(zone_id)}" of the file cannot be read: {shortened(error, 200)}'
                ) from None
            if meant is None:
                raise self._wrong(
                    name, f'the time zone "{shortened(zone_id)}" is not known, and the file does not define it'
                )
            return wall, meant
        return wall, zone

    def _zone(self, moment: datetime, name: str) -> tzinfo | None:
        """The zone `name`, which everybody knows or the calendar defines; `None` when it is unknown."""
        if isinstance(moment.tzinfo, ZoneInfo):
            return moment.tzinfo
        # Not the one that the library has found: another calendar may have defined another zone of that name.
        defined = [each for each in self._calendar.walk("VTIMEZONE") if str(each.get("TZID", "")) == name]
        zone = defined[-1].to_tz(lookup_tzid=False) if defined else None
        return zone if isinstance(zone, tzinfo) else None

    def _single(self, name: str) -> Any:
        value = self._component.get(name)
        if isinstance(value, list):
            raise self._wrong(name, f"the event has {name} more than once")
        return value

    def _wrong(self, name: str, what: str) -> BadInput:
        line, _ = self._place.properties.get(name, (self._place.line, ""))
        return self._places.wrong(line, what)


def _wall(moment: date) -> datetime:
    """Naive: a time as it is, a date at midnight."""
    return moment if isinstance(moment, datetime) else datetime.combine(moment, time())


def _last_day(until: datetime) -> date:
    """The last day of an all-day series whose UNTIL is a time.

    Outlook writes the last day's midnight where its user is, in UTC: 23:00 of the day before in Berlin, 05:00 of the
    same day in New York. Which zone that was is not said. From 10:00 on it can be a midnight east of UTC, and then it
    is the next day's; where it can also be one far to the west, the later day is taken.
    """
    if until.tzinfo is None or until.second or until.minute % 15:
        return until.date()
    return (until + _FURTHEST_EAST).date()
