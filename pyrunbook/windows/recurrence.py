"""RFC 5545 recurrence rules, through python-dateutil.

Rules are stepped in wall-clock time, never in UTC: a window keeps its hour when the clocks change.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice

from pyrunbook.errors import BadInput
from pyrunbook.windows import weeks
from pyrunbook.windows.duration import shortened

# dateutil looks for the next match until the year 9999: a rule that never matches costs it six seconds. The calendar
# repeats, weekdays included, after 400 years; so the same dates are walked that much later, near the end of
# dateutil's, and the longest search is about as long as the calendar itself (0.02 to 0.3 s).
_LATER_YEARS = 19 * 400

_ONE_DAY = timedelta(days=1)
# The last year for which occurrences are computed.
_LAST_YEAR = 2399
# INTERVAL counts from the period that this Monday lies in.
_EPOCH = date(1970, 1, 5)
# Where the search for a first match begins: a rule without one in 400 years from here has none at all.
_SEARCH_FROM = date(2000, 1, 1)

_DAY_CODES = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_FINER = ("HOURLY", "MINUTELY", "SECONDLY")
_BY_DAY = re.compile(r"([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_NUMBER = re.compile(r"[+-]?[0-9]{1,6}")
_CLOCK = {"BYHOUR": 23, "BYMINUTE": 59, "BYSECOND": 59}
# part -> (greatest absolute value, negative allowed, frequencies that it goes with)
_NUMBERS: Mapping[str, tuple[int, bool, tuple[str, ...]]] = {
    "INTERVAL": (1000, False, _FREQUENCIES),
    "COUNT": (100_000, False, _FREQUENCIES),
    "BYMONTH": (12, False, _FREQUENCIES),
    "BYMONTHDAY": (31, True, ("DAILY", "MONTHLY", "YEARLY")),
    "BYYEARDAY": (366, True, ("YEARLY",)),
    "BYWEEKNO": (53, True, ("YEARLY",)),
    "BYSETPOS": (366, True, _FREQUENCIES),
}
_PARTS = ("FREQ", "UNTIL", "WKST", "BYDAY", *_NUMBERS)
# The parts of which one says on which days of its period a rule recurs; without any it is the start's day.
_DAY_PARTS = ("BYDAY", "BYMONTHDAY", "BYYEARDAY")


@dataclass(frozen=True, slots=True)
class Recurrence:
    """An RFC 5545 recurrence rule.

    Attributes:
        parts: its parts, by name, without `UNTIL`.
        until: its `UNTIL`: a date (inclusive, by the local calendar), a naive wall-clock time or an instant.
    """

    parts: Mapping[str, str]
    until: date | datetime | None

    @property
    def text(self) -> str:
        """The rule without `UNTIL`, as it is written."""
        return ";".join(f"{name}={value}" for name, value in self.parts.items())

    @property
    def ends(self) -> bool:
        """Whether it has an `UNTIL`."""
        return self.until is not None

    @property
    def interval(self) -> int:
        """Every how many periods it recurs."""
        return int(self.parts.get("INTERVAL", "1"))

    def dates(self, first: date) -> Iterator[date]:
        """The dates from `first` on, in order, of a rule that has no start of its own; `UNTIL` as a date is kept."""
        for wall in self.occurrences(datetime.combine(self._period_start(first), time())):
            if isinstance(self.until, date) and not isinstance(self.until, datetime) and wall.date() > self.until:
                return
            if wall.date() >= first:
                yield wall.date()

    def occurrences(self, start: datetime, since: datetime | None = None) -> Iterator[datetime]:
        """The naive wall-clock times of the rule from the naive `start` on, in order; `UNTIL` is ignored.

        They end before the year 2400. Those before the naive `since` are left out. Unless the rule counts (`COUNT`),
        they are not walked either: a series that began years ago costs no more than a new one.
        """
        since = start if since is None else max(start, since)
        if "COUNT" in self.parts:
            counted = _counted(self.text, start)
            yield from counted[bisect_left(counted, since) :]
        elif "BYWEEKNO" in self.parts:
            yield from self._in_weeks(start, since)
        else:
            parts, begin = self._moved_on(start, since)
            for wall in _walk(";".join(f"{name}={value}" for name, value in parts.items()), begin):
                if wall >= since:
                    yield wall

    def over_after(self, start: datetime) -> datetime | None:
        """A naive time after which a rule that starts at `start` has no occurrence; `None` when it does not end."""
        if "COUNT" in self.parts:
            return max(_counted(self.text, start), default=start)
        if self.until is None:
            return None
        until = self.until if isinstance(self.until, datetime) else datetime.combine(self.until, time())
        return until.replace(tzinfo=None) + 2 * _ONE_DAY  # whatever the zone

    def on_dates(self, until: date | None) -> Recurrence:
        """The same rule for an event of whole days: without hours, and until a date, inclusive."""
        return Recurrence({name: value for name, value in self.parts.items() if name not in _CLOCK}, until)

    def _moved_on(self, start: datetime, since: datetime) -> tuple[Mapping[str, str], datetime]:
        """Parts and a later start that have the same occurrences from `since` on."""
        frequency, days = self.parts["FREQ"], (since - start).days
        if frequency == "DAILY":
            return self.parts, start + days // self.interval * self.interval * _ONE_DAY
        if frequency == "WEEKLY":
            return self.parts, start + days // (7 * self.interval) * 7 * self.interval * _ONE_DAY
        months = (since.year - start.year) * 12 + since.month - start.month - 1
        period = self.interval if frequency == "MONTHLY" else 12 * self.interval
        if months < period:
            return self.parts, start
        # The later start is the first of its month or year, so what the old one said by its date is written out.
        parts = dict(self.parts)
        if not any(name in parts for name in _DAY_PARTS):
            parts["BYMONTHDAY"] = str(start.day)
            if frequency == "YEARLY":
                parts.setdefault("BYMONTH", str(start.month))
        month = start.year * 12 + (start.month - 1 if frequency == "MONTHLY" else 0) + months // period * period
        return parts, datetime.combine(date(month // 12, month % 12 + 1, 1), start.time())

    def _in_weeks(self, start: datetime, since: datetime) -> Iterator[datetime]:
        numbers = {
            name: frozenset(
                _DAY_CODES.index(item) if name == "BYDAY" else int(item) for item in self.parts[name].split(",")
            )
            for name in ("BYWEEKNO", *_DAY_PARTS, "BYMONTH", "BYSETPOS", *_CLOCK)
            if name in self.parts
        }
        week_start = _DAY_CODES.index(self.parts.get("WKST", "MO"))
        return weeks.occurrences(
            numbers, start, since, interval=self.interval, week_start=week_start, last_year=_LAST_YEAR
        )

    def ended(self, wall: datetime, utc: datetime) -> bool:
        """Whether an occurrence, given as wall-clock time and as instant, is later than `UNTIL`."""
        if self.until is None:
            return False
        if not isinstance(self.until, datetime):
            return wall.date() > self.until
        return wall > self.until if self.until.tzinfo is None else utc > self.until

    def describe(self) -> str:
        """In words, as far as that helps: the rule itself, how `INTERVAL` counts, and until when."""
        text = f"the days of the recurrence rule {self.text}"
        if self.interval > 1:
            text += f" (INTERVAL counts from the week of Monday {_EPOCH})"
        return text if self.until is None else f"{text}, until {self.until.isoformat()}"

    def _period_start(self, day: date) -> date:
        """The first day of a period that the rule counts, at or before `day`."""
        interval = self.interval
        frequency = self.parts["FREQ"]
        if frequency == "DAILY":
            return day - (day - _EPOCH).days % interval * _ONE_DAY
        if frequency == "WEEKLY":
            week_start = _DAY_CODES.index(self.parts.get("WKST", "MO"))
            first = _EPOCH - (_EPOCH.weekday() - week_start) % 7 * _ONE_DAY
            return day - (day - first).days % (7 * interval) * _ONE_DAY
        if frequency == "MONTHLY":
            months = (day.year - _EPOCH.year) * 12 + day.month - 1
            months -= months % interval
            return date(_EPOCH.year + months // 12, months % 12 + 1, 1)
        if "BYWEEKNO" in self.parts:
            # The week of 4 January is the first of its year, and may begin in the year before.
            year = day.year - 1
            return date(year - (year - _EPOCH.year) % interval, 1, 4)
        return date(day.year - (day.year - _EPOCH.year) % interval, 1, 1)


def _walk(text: str, start: datetime) -> Iterator[datetime]:
    """What dateutil makes of a rule; the naive wall-clock times in order."""
    from dateutil.rrule import rrulestr

    later = start.replace(year=start.year + _LATER_YEARS)
    for wall in rrulestr(text, dtstart=later):
        yield wall.replace(year=wall.year - _LATER_YEARS)


@lru_cache(maxsize=1024)
def _counted(text: str, start: datetime) -> tuple[datetime, ...]:
    """All occurrences of a rule that has `COUNT`: they can only be counted from its start."""
    parts = dict(part.split("=", 1) for part in text.split(";"))
    count = int(parts.pop("COUNT"))
    return tuple(islice(Recurrence(parts, None).occurrences(start), count))


def parse_recurrence(text: str, *, has_start: bool) -> Recurrence:
    """Read an RFC 5545 recurrence rule, every part of it, more strictly than dateutil does.

    Args:
        text: the rule without `RRULE:`, such as `FREQ=MONTHLY;BYDAY=1SU`.
        has_start: it stands in a calendar, beside a start that says on which day and at what time it recurs; it may
            name hours. A window's rule has none: it must name its days itself, and cannot be counted.

    Raises:
        BadInput: naming the part that is wrong; or the rule has no date at all.
    """
    parts: dict[str, str] = {}
    for part in text.upper().split(";"):
        name, equals, value = part.partition("=")
        if not equals or not value:
            raise BadInput(f'the part "{shortened(part)}" of the rule is not of the form NAME=VALUE')
        if name in parts:
            raise BadInput(f"the rule gives {shortened(name)} twice")
        if name in _CLOCK and not has_start:
            raise BadInput(f"the rule has {name}: a rule names days here, the time of day stands beside it")
        if name not in (*_PARTS, *_CLOCK):
            raise BadInput(f'the rule has "{shortened(name)}", which is none of {", ".join(_PARTS)}')
        parts[name] = value
    _check_frequency(parts)
    for name, value in parts.items():
        if name in _NUMBERS:
            _check_numbers(name, value, parts["FREQ"])
        if name in _CLOCK:
            _check_clock(name, value)
    _check_days(parts)
    if "WKST" in parts and parts["WKST"] not in _DAY_CODES:
        raise BadInput(f'WKST "{shortened(parts["WKST"])}" of the rule is none of {", ".join(_DAY_CODES)}')
    if "COUNT" in parts and "UNTIL" in parts:
        raise BadInput("the rule has both COUNT and UNTIL")
    if not has_start:
        _check_stands_alone(parts)
    until = _parse_until(parts.pop("UNTIL")) if "UNTIL" in parts else None
    rule = Recurrence(parts, until)
    if not has_start:
        first = next(rule.dates(_SEARCH_FROM), None)
        last = until.date() + _ONE_DAY if isinstance(until, datetime) else until
        if first is None or (last is not None and first > last):
            raise BadInput(f"the rule {shortened(text)} can never be met: it names no date from {_SEARCH_FROM} on")
    return rule


def _check_frequency(parts: Mapping[str, str]) -> None:
    frequency = parts.get("FREQ")
    if frequency is None:
        raise BadInput("the rule has no FREQ")
    if frequency in _FINER:
        raise BadInput(f"FREQ={frequency} of the rule is finer than a day; the finest is DAILY")
    if frequency not in _FREQUENCIES:
        raise BadInput(f'FREQ "{shortened(frequency)}" of the rule is none of {", ".join(_FREQUENCIES)}')


def _check_numbers(name: str, value: str, frequency: str) -> None:
    greatest, negative, frequencies = _NUMBERS[name]
    if frequency not in frequencies:
        raise BadInput(f"{name} of the rule does not go with FREQ={frequency}")
    single = name in ("INTERVAL", "COUNT")
    for item in [value] if single else value.split(","):
        number = int(item) if _NUMBER.fullmatch(item) else 0
        if not 1 <= abs(number) <= greatest or (number < 0 and not negative):
            allowed = f"1 to {greatest}" + (f" or -{greatest} to -1" if negative else "")
            raise BadInput(f'{name} "{shortened(item)}" of the rule is not a number from {allowed}')


def _check_clock(name: str, value: str) -> None:
    greatest = _CLOCK[name]
    for item in value.split(","):
        if not re.fullmatch("[0-9]{1,2}", item) or int(item) > greatest:
            raise BadInput(f'{name} "{shortened(item)}" of the rule is not a number from 0 to {greatest}')


def _check_days(parts: Mapping[str, str]) -> None:
    for item in parts["BYDAY"].split(",") if "BYDAY" in parts else []:
        found = _BY_DAY.fullmatch(item)
        if found is None:
            raise BadInput(f'BYDAY "{shortened(item)}" of the rule is not a weekday like SU, 1SU or -1SU')
        if found[1] is None:
            continue
        most = {"MONTHLY": 5, "YEARLY": 53}.get(parts["FREQ"], 0)
        if not most or "BYWEEKNO" in parts:
            raise BadInput(f'BYDAY "{item}" of the rule counts weekdays, which needs FREQ=MONTHLY or YEARLY')
        if not 1 <= abs(int(found[1])) <= most:
            raise BadInput(f'BYDAY "{item}" of the rule: a month or year does not have that many')
    if "BYSETPOS" in parts and not any(name.startswith("BY") and name != "BYSETPOS" for name in parts):
        raise BadInput("BYSETPOS of the rule picks from nothing: give BYDAY or another BY part")


def _check_stands_alone(parts: Mapping[str, str]) -> None:
    """A rule without a start must say on which days it recurs."""
    if "COUNT" in parts:
        raise BadInput("the rule has COUNT, but a window has no first time to count from; use UNTIL")
    frequency = parts["FREQ"]
    needed = {
        "DAILY": (),
        "WEEKLY": ("BYDAY",),
        "MONTHLY": ("BYDAY", "BYMONTHDAY"),
        "YEARLY": ("BYDAY",) if "BYWEEKNO" in parts else ("BYDAY", "BYMONTHDAY", "BYYEARDAY"),
    }[frequency]
    if needed and not any(name in parts for name in needed):
        raise BadInput(f"the rule does not say on which days: FREQ={frequency} needs {' or '.join(needed)}")


def _parse_until(value: str) -> date | datetime:
    for form in ("%Y%m%d", "%Y%m%dT%H%M%SZ", "%Y%m%dT%H%M%S"):
        # strptime is lenient about the number of digits; RFC 5545 is not.
        if re.fullmatch(re.sub("%Y", "[0-9]{4}", re.sub("%[mdHMS]", "[0-9]{2}", form)), value):
            try:
                until = datetime.strptime(value, form)  # noqa: DTZ007 - a zone is added where the text has one
            except ValueError:
                break
            if form == "%Y%m%d":
                return until.date()
            return until.replace(tzinfo=UTC) if form.endswith("Z") else until
    raise BadInput(f'UNTIL "{shortened(value)}" of the rule is not a date like 20271231 or 20271231T000000Z')
