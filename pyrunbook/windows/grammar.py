"""Reads a window: the one place that knows how windows are written.

    [first|second|third|fourth|last] DAYS HH:MM-HH:MM ZONE      Sun 02:00-04:00 Europe/Paris
    RRULE:<RFC 5545 rule> HH:MM DURATION ZONE                   RRULE:FREQ=MONTHLY;BYDAY=1SU 02:00 2h UTC
    always

DAYS is `daily`, or weekdays and ranges of them with commas (`Sun`, `Mon-Fri`, `Sat,Sun`). An end before the start
crosses midnight; `24:00` is an end. ZONE is an IANA name and is required.
"""

from __future__ import annotations

import re
from datetime import time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from pyrunbook.errors import BadInput
from pyrunbook.windows.duration import parse_duration, shortened
from pyrunbook.windows.instant import WEEKDAYS
from pyrunbook.windows.weekdays import ORDINALS, Weekdays
from pyrunbook.windows.window import Window

UTC_ZONE = ZoneInfo("UTC")
_DAY_NUMBERS = {name.lower(): number for number, name in enumerate(WEEKDAYS)}
_CLOCK = re.compile(r"([0-9]{2}):([0-9]{2})")
_ZONE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+\-/]*")
# Files beside the zones that are no zones, or are the zones of a machine or with leap seconds.
_NO_ZONES = re.compile(r"(posix|right)/.*|posixrules|localtime|Factory|leapseconds")
_FORM = "write it as [first|second|third|fourth|last] DAYS HH:MM-HH:MM ZONE, for example: Sun 02:00-04:00 UTC"
_RULE_FORM = "write it as RRULE:<rule> HH:MM DURATION ZONE, for example: RRULE:FREQ=MONTHLY;BYDAY=1SU 02:00 2h UTC"
_LONGEST_SPEC = 500


def parse(spec: str) -> Window:
    """Read a window.

    Raises:
        BadInput: naming the part that is wrong; also for a window that can never be met (a rule without any date).
    """
    if not isinstance(spec, str):
        raise BadInput(f"a window is a text, not {type(spec).__name__}", next_step=_FORM)
    if len(spec) > _LONGEST_SPEC:
        raise BadInput(f'the window "{shortened(spec)}" is longer than {_LONGEST_SPEC} characters', next_step=_FORM)
    if spec and spec.splitlines() != [spec]:
        raise BadInput(f'the window "{shortened(spec)}" has a line break', next_step="write it on one line")
    return _parse(spec)


@lru_cache(maxsize=256)
def _parse(spec: str) -> Window:
    words = spec.split()
    is_rule = bool(words) and words[0].upper().startswith("RRULE:")
    try:
        return _parse_rule(words) if is_rule else _parse_days(words)
    except BadInput as error:
        raise BadInput(
            f'the window "{shortened(spec, 200)}" is wrong: {error.seen}',
            means=error.means,
            next_step=error.next_step or (_RULE_FORM if is_rule else _FORM),
        ) from None


def _parse_days(words: list[str]) -> Window:
    if not words:
        raise BadInput("it is empty")
    if words[0].lower() == "always":
        if len(words) > 1:
            raise BadInput(f'after "always" nothing may follow, but "{shortened(words[1])}" does')
        return Window("always", UTC_ZONE, None, time(), timedelta())
    left = list(words)
    nth = ORDINALS.get(left[0].lower())
    if nth is not None:
        left.pop(0)
    elif len(left) > 1 and _looks_like_days(left[1]) and not _looks_like_days(left[0]):
        raise BadInput(f'"{shortened(left[0])}" is none of {", ".join(ORDINALS)}')
    if not left:
        raise BadInput("the days are missing")
    days = _parse_day_list(left.pop(0))
    if nth is not None and len(days) == 7:
        raise BadInput(f'"{words[0]}" needs a weekday: "{words[1]}" names all of them')
    if not left:
        raise BadInput("the hours are missing")
    start, length = _parse_hours(left.pop(0))
    zone = _parse_zone(left)
    return Window(" ".join(words), zone, Weekdays(days, nth), start, length)


def _parse_rule(words: list[str]) -> Window:
    from pyrunbook.windows.recurrence import parse_recurrence

    rule = parse_recurrence(words[0][len("RRULE:") :], has_start=False)
    if len(words) < 2:
        raise BadInput("the start is missing after the rule")
    start = _parse_start(words[1])
    if len(words) < 3:
        raise BadInput("the duration is missing after the start")
    length = parse_duration(words[2])
    if not length:
        raise BadInput(f'the duration "{words[2]}" is zero: such a window is never open')
    return Window(" ".join(words), _parse_zone(words[3:]), rule, _time_of_day(start), length)


def _parse_day_list(text: str) -> frozenset[int]:
    if text.lower() == "daily":
        return frozenset(range(7))
    days: set[int] = set()
    for item in text.split(","):
        first, dash, last = item.partition("-")
        numbers = [_parse_day(first)] + ([_parse_day(last)] if dash else [])
        if dash and numbers[0] == numbers[1]:
            raise BadInput(f'the range of days "{item}" begins and ends on the same day')
        days.update((numbers[0] + step) % 7 for step in range((numbers[-1] - numbers[0]) % 7 + 1))
    return frozenset(days)


def _looks_like_days(word: str) -> bool:
    return word.lower() == "daily" or word.replace("-", ",").partition(",")[0].lower() in _DAY_NUMBERS


def _parse_day(text: str) -> int:
    number = _DAY_NUMBERS.get(text.lower())
    if number is None:
        raise BadInput(f'the day "{shortened(text)}" is none of {", ".join(WEEKDAYS)} or daily')
    return number


def _parse_hours(text: str) -> tuple[time, timedelta]:
    first, dash, last = text.partition("-")
    start = _parse_start(first)
    if not dash:
        raise BadInput(f'the hours "{shortened(text)}" have no end')
    end = _parse_clock(last, "end")
    if end == start:
        raise BadInput(f'the end of the hours "{text}" is their start; a whole day is 00:00-24:00')
    return _time_of_day(start), end - start if end > start else end - start + timedelta(days=1)


def _parse_start(text: str) -> timedelta:
    start = _parse_clock(text, "start")
    if start == timedelta(days=1):
        raise BadInput("24:00 is an end, not a start; write 00:00 of the day after")
    return start


def _parse_clock(text: str, what: str) -> timedelta:
    """Time since midnight; up to 24:00."""
    found = _CLOCK.fullmatch(text)
    clock = timedelta(hours=int(found[1]), minutes=int(found[2])) if found else None
    if found is None or clock is None or int(found[2]) > 59 or clock > timedelta(days=1):
        raise BadInput(f'the {what} "{shortened(text)}" is not a time of day HH:MM from 00:00 to 24:00')
    return clock


def _time_of_day(clock: timedelta) -> time:
    return time(clock.seconds // 3600, clock.seconds % 3600 // 60)


def _parse_zone(words: list[str]) -> ZoneInfo:
    if not words:
        raise BadInput("the zone is missing at the end; it is an IANA name like UTC or Europe/Paris")
    if len(words) > 1:
        raise BadInput(
            f'the zone is one word at the end, but after "{shortened(words[0])}" follows "{shortened(words[1])}"'
        )
    name = words[0]
    try:
        if not _ZONE.fullmatch(name) or _NO_ZONES.fullmatch(name):
            raise ValueError(name)
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # an unknown zone is a KeyError, a directory an OSError
        raise BadInput(f'the zone "{shortened(name)}" is not an IANA time zone{_similar_zone(name)}') from None


def _similar_zone(name: str) -> str:
    from difflib import get_close_matches
    from zoneinfo import available_timezones

    close = get_close_matches(name, sorted(available_timezones()), n=1, cutoff=0.8) if len(name) < 40 else []
    return f"; did you mean {close[0]}?" if close else ""
