"""Recurrence rules that name weeks of the year (`BYWEEKNO`), as ISO 8601 numbers them.

dateutil walks calendar years, and so gives the first days of January that belong to the last week of the year before
the number that the last week of their own year has: four of the 35 rules with a week from 50 to 53 and one weekday
name other days with it than ISO 8601 does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta

_DAY = timedelta(days=1)


def occurrences(
    parts: Mapping[str, frozenset[int]],
    start: datetime,
    since: datetime,
    *,
    interval: int,
    week_start: int,
    last_year: int,
) -> Iterator[datetime]:
    """The naive wall-clock times of a yearly rule with `BYWEEKNO`, in order, from `since` on.

    Args:
        parts: the numbers of each `BY…` part that the rule has; those of `BYDAY` are weekdays, Monday is 0.
        start: the rule's start; the weekday and the time of day are its own where no part says another.
        since: those before it are left out; not before `start`.
        interval: every how many years; they count from the year that the start's week belongs to.
        week_start: the first day of a week, Monday is 0.
        last_year: the last year that is walked.
    """
    weekdays = parts.get("BYDAY", frozenset({start.weekday()}))
    clocks = sorted(
        time(hour, minute, second)
        for hour in parts.get("BYHOUR", {start.hour})
        for minute in parts.get("BYMINUTE", {start.minute})
        for second in parts.get("BYSECOND", {start.second})
    )
    # A week belongs to the year that has its fourth day.
    first = (start.date() - ((start.weekday() - week_start) % 7 - 3) * _DAY).year
    first += max(0, since.year - 1 - first) // interval * interval
    for year in range(first, last_year + 1, interval):
        found = [
            datetime.combine(day, clock)
            for day in _days(year, parts["BYWEEKNO"], week_start)
            if day.weekday() in weekdays and _fits(day, parts)
            for clock in clocks
        ]
        picked = parts.get("BYSETPOS")
        for position, wall in enumerate(found):
            if wall >= since and (picked is None or picked & {position + 1, position - len(found)}):
                yield wall


def _days(year: int, weeks: frozenset[int], week_start: int) -> Iterator[date]:
    """The days of a year's weeks; negative numbers count from the year's last week."""
    begin, end = _first_day(year, week_start), _first_day(year + 1, week_start)
    count = (end - begin).days // 7
    for number in range(count):
        if weeks & {number + 1, number - count}:
            yield from (begin + (7 * number + day) * _DAY for day in range(7))


def _first_day(year: int, week_start: int) -> date:
    """Where week 1 begins: it is the first with four days in its year, and so has 4 January."""
    fourth = date(year, 1, 4)
    return fourth - (fourth.weekday() - week_start) % 7 * _DAY


def _fits(day: date, parts: Mapping[str, frozenset[int]]) -> bool:
    """Whether a day is one that `BYMONTH`, `BYMONTHDAY` and `BYYEARDAY` allow."""
    month_end = (date(day.year + day.month // 12, day.month % 12 + 1, 1) - _DAY).day
    year_day, year_end = day.timetuple().tm_yday, date(day.year, 12, 31).timetuple().tm_yday
    return (
        day.month in parts.get("BYMONTH", {day.month})
        and bool({day.day, day.day - month_end - 1} & parts.get("BYMONTHDAY", {day.day}))
        and bool({year_day, year_day - year_end - 1} & parts.get("BYYEARDAY", {year_day}))
    )
