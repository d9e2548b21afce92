"""iCalendar files as exclusions: what they close, and that nothing in them gets lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from windows_asked import decide

from pyrunbook.errors import BadInput
from pyrunbook.windows import Code, Schedule, parse_instant, recurrence, require_fit, schedule

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a calendar of events, each given as its lines; returns the path."""

    def write(*events: str, before: str = "") -> str:
        lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", *before.split()]
        for number, event in enumerate(events):
            uid = [] if "UID:" in event else [f"UID:{number}"]
            lines += ["BEGIN:VEVENT", *uid, *event.strip().splitlines(), "END:VEVENT"]
        path = tmp_path / "freeze.ics"
        path.write_text("\r\n".join([*(line.strip() for line in lines), "END:VCALENDAR", ""]))
        return str(path)

    return write


def closed(path: str, count: int = 10, window: str = "always", after: str = "2026-11-21T12:00") -> list[str]:
    """The first times that the file closes."""
    (calendar,) = Schedule.read(window, exclusions=[path]).exclusions
    found = islice(calendar.closed(parse_instant(after)), count)
    return [f"{block.start:%Y-%m-%d %H:%M} {block.end:%Y-%m-%d %H:%M}" for block in found]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("DTSTART:20261224T080000Z\nDTEND:20261224T100000Z", ["2026-12-24 08:00 2026-12-24 10:00"]),
        ("DTSTART:20261224T080000Z\nDURATION:PT90M", ["2026-12-24 08:00 2026-12-24 09:30"]),
        ("DTSTART;TZID=Europe/Paris:20261224T080000\nDURATION:PT1H", ["2026-12-24 07:00 2026-12-24 08:00"]),
        ("DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261226", ["2026-12-24 00:00 2026-12-26 00:00"]),
        ("DTSTART;VALUE=DATE:20261224", ["2026-12-24 00:00 2026-12-25 00:00"]),
        ("DTSTART;VALUE=DATE:20261224\nDURATION:P1W", ["2026-12-24 00:00 2026-12-31 00:00"]),
        (
            "DTSTART;TZID=Europe/Paris:20261023T020000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=4",
            [f"2026-10-{day} {hour:02}:00 2026-10-{day} {hour + 1:02}:00"
             for day, hour in ((23, 0), (24, 0), (25, 0), (26, 1))],
        ),
        (
            "DTSTART;VALUE=DATE:20261224\nRRULE:FREQ=YEARLY;UNTIL=20281224",
            ["2026-12-24 00:00 2026-12-25 00:00", "2027-12-24 00:00 2027-12-25 00:00",
             "2028-12-24 00:00 2028-12-25 00:00"],
        ),
        (
            "DTSTART:20261224T080000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;UNTIL=20261226T080000Z\nEXDATE:20261225T080000Z",
            ["2026-12-24 08:00 2026-12-24 09:00", "2026-12-26 08:00 2026-12-26 09:00"],
        ),
        (
            "DTSTART;TZID=Europe/Paris:20261224T080000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE:20261225T070000Z",
            ["2026-12-24 07:00 2026-12-24 08:00", "2026-12-26 07:00 2026-12-26 08:00"],
        ),
        (
            "DTSTART;VALUE=DATE:20261224\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE;VALUE=DATE:20261225",
            ["2026-12-24 00:00 2026-12-25 00:00", "2026-12-26 00:00 2026-12-27 00:00"],
        ),
        (
            "DTSTART:20261224T080000Z\nDURATION:PT1H\nRDATE:20261220T080000Z,20261228T080000Z,20261224T080000Z",
            ["2026-12-20 08:00 2026-12-20 09:00", "2026-12-24 08:00 2026-12-24 09:00",
             "2026-12-28 08:00 2026-12-28 09:00"],
        ),
        ("DTSTART:20261224T080000Z\nDURATION:PT1H\nSTATUS:CANCELLED", []),
        ("DTSTART:20251224T080000Z\nDURATION:PT1H", []),
        # A start that its rule does not name counts all the same.
        (
            "DTSTART;VALUE=DATE:20261224\nRRULE:FREQ=WEEKLY;BYDAY=SU;UNTIL=20261227",
            ["2026-12-24 00:00 2026-12-25 00:00", "2026-12-27 00:00 2026-12-28 00:00"],
        ),
    ],
)  # fmt: skip
def test_what_an_event_closes(write: Write, event: str, expected: list[str]) -> None:
    after = "2026-10-01T00:00" if "202610" in event else "2026-11-21T12:00"
    assert closed(write(event), after=after) == expected


def test_days_and_times_without_a_zone_are_those_of_the_window(write: Write) -> None:
    path = write("DTSTART;VALUE=DATE:20261224", "DTSTART:20261226T080000\nDURATION:PT1H")
    assert closed(path, window="daily 00:00-24:00 America/New_York") == [
        "2026-12-24 05:00 2026-12-25 05:00",
        "2026-12-26 13:00 2026-12-26 14:00",
    ]


def test_a_day_lasts_from_midnight_to_midnight_when_the_clock_changes(write: Write) -> None:
    path = write("DTSTART;VALUE=DATE:20260329", "DTSTART;VALUE=DATE:20261025")
    assert closed(path, window="daily 00:00-24:00 Europe/Paris", after="2026-01-01T00:00") == [
        "2026-03-28 23:00 2026-03-29 22:00",
        "2026-10-24 22:00 2026-10-25 23:00",
    ]


def test_a_long_line_may_be_folded_anywhere(write: Write, tmp_path: Path) -> None:
    path = Path(write("DTSTART;VALUE=DATE:20261122\nDESCRIPTION:x"))
    path.write_text(path.read_text().replace("DESCRIPTION:x", "DESCRIPTION:x\n BEGIN:VEVENT\n END:VCALENDAR"))
    assert closed(str(path)) == ["2026-11-22 00:00 2026-11-23 00:00"]


def test_events_that_the_library_leaves_out_are_missed(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("DTSTART;VALUE=DATE:20261122")
    monkeypatch.setattr("icalendar.Calendar.from_ical", lambda *_, **__: [])
    with pytest.raises(BadInput, match="1 events begin in the file, 0 can be read"):
        decide("always", parse_instant("2026-11-21T12:00"), exclusions=[path])


def test_a_zone_that_the_file_defines(write: Write) -> None:
    zone = """BEGIN:VTIMEZONE TZID:Ship BEGIN:STANDARD DTSTART:19700101T000000 TZOFFSETFROM:+0300 TZOFFSETTO:+0300
    TZNAME:SHIP END:STANDARD END:VTIMEZONE"""
    path = write("DTSTART;TZID=Ship:20261224T080000\nDURATION:PT1H", before=zone)
    assert closed(path) == ["2026-12-24 05:00 2026-12-24 06:00"]


def test_an_event_that_replaces_one_occurrence_of_another(write: Write) -> None:
    path = write(
        "UID:a\nDTSTART:20261224T080000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3",
        "UID:a\nRECURRENCE-ID:20261225T080000Z\nDTSTART:20261225T180000Z\nDURATION:PT3H",
        "UID:a\nRECURRENCE-ID:20261226T080000Z\nSTATUS:CANCELLED\nDTSTART:20261226T080000Z\nDURATION:PT1H",
    )
    assert closed(path) == ["2026-12-24 08:00 2026-12-24 09:00", "2026-12-25 18:00 2026-12-25 21:00"]


OUTLOOK = "DTSTART;VALUE=DATE:20261220\nRRULE:FREQ=DAILY;UNTIL={}"


@pytest.mark.parametrize(
    ("until", "last"),
    [
        ("20261231", "2027-01-01"),
        ("20261230T230000Z", "2027-01-01"),  # midnight of the 31st in Berlin
        ("20261231T000000Z", "2027-01-01"),  # in London
        ("20261231T050000Z", "2027-01-01"),  # in New York
        ("20261230T183000Z", "2027-01-01"),  # in Kolkata
        ("20261231T235959Z", "2027-01-01"),
        ("20261231T225959Z", "2027-01-01"),
        ("20261231T120000", "2027-01-01"),
    ],
)
def test_the_last_day_of_an_all_day_series_is_not_lost(write: Write, until: str, last: str) -> None:
    assert closed(write(OUTLOOK.format(until)), count=20)[-1].endswith(f"{last} 00:00")


def zone(offset: str) -> str:
    return f"""BEGIN:VTIMEZONE TZID:Custom BEGIN:STANDARD DTSTART:19700101T000000 TZOFFSETFROM:{offset}
    TZOFFSETTO:{offset} END:STANDARD END:VTIMEZONE"""


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_files_may_define_different_zones_of_one_name(write: Write, tmp_path: Path, order: tuple[int, int]) -> None:
    files = []
    for number, offset in enumerate(("+0100", "+0900")):
        file = Path(write("DTSTART;TZID=Custom:20261201T120000\nDURATION:PT1H", before=zone(offset)))
        files.append(str(file.rename(tmp_path / f"{number}.ics")))
    exclusions = [files[number] for number in order]
    for moment in ("2026-12-01T03:30Z", "2026-12-01T11:30Z"):
        assert not decide("always", parse_instant(moment), exclusions=exclusions).open
    assert decide("always", parse_instant("2026-12-01T04:30Z"), exclusions=exclusions).open


def test_two_calendars_of_one_file_may_define_different_zones_of_one_name(write: Write, tmp_path: Path) -> None:
    texts = []
    for offset in ("+0100", "+0900"):
        texts.append(Path(write("DTSTART;TZID=Custom:20261201T120000\nDURATION:PT1H", before=zone(offset))).read_text())
    both = tmp_path / "both.ics"
    both.write_text("".join(texts))
    assert closed(str(both)) == ["2026-12-01 03:00 2026-12-01 04:00", "2026-12-01 11:00 2026-12-01 12:00"]


def test_a_zone_that_another_file_defines_is_not_known(write: Write) -> None:
    event = "DTSTART;TZID=Custom:20261201T120000\nDURATION:PT1H"
    closed(write(event, before=zone("+0100")))
    with pytest.raises(BadInput, match='"Custom" is not known'):
        closed(write(event))


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        # Days are by the clock, hours elapse: 25 October 2026 has 25 hours in Berlin.
        ("DTSTART;TZID=Europe/Berlin:20261024T180000\nDURATION:P1D", ["2026-10-24 16:00 2026-10-25 17:00"]),
        ("DTSTART;TZID=Europe/Berlin:20261024T180000\nDURATION:PT24H", ["2026-10-24 16:00 2026-10-25 16:00"]),
        ("DTSTART;TZID=Europe/Berlin:20261024T180000\nDURATION:P1DT1H", ["2026-10-24 16:00 2026-10-25 18:00"]),
        ("DTSTART;TZID=Europe/Berlin:20261024T180000\nDURATION:P1W", ["2026-10-24 16:00 2026-10-31 17:00"]),
        # DURATION of an alarm is not the event's.
        (
            "BEGIN:VALARM\nTRIGGER:-PT5M\nDURATION:P7D\nEND:VALARM\nDTSTART;TZID=Europe/Berlin:20261024T180000\nDURATION:P1D",
            ["2026-10-24 16:00 2026-10-25 17:00"],
        ),
        # Reminders begin and end at once.
        ("DTSTART:20261110T100000Z\nDTEND:20261110T100000Z", []),
        ("DTSTART:20261110T100000Z\nDURATION:PT0S", []),
        # One day, as some programs write it.
        ("DTSTART;VALUE=DATE:20261110\nDTEND;VALUE=DATE:20261110", ["2026-11-10 00:00 2026-11-11 00:00"]),
        # An end without a zone is meant in the zone of the start.
        ("DTSTART;TZID=Asia/Tokyo:20261110T100000\nDTEND:20261110T110000", ["2026-11-10 01:00 2026-11-10 02:00"]),
        # EXDATE: in the zone of the start, by dates for a series of times, by times for a series of days.
        (
            "DTSTART;TZID=Europe/Vienna:20261201T020000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE:20261202T020000",
            ["2026-12-01 01:00 2026-12-01 02:00", "2026-12-03 01:00 2026-12-03 02:00"],
        ),
        (
            "DTSTART;TZID=Asia/Tokyo:20261201T020000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE;VALUE=DATE:20261202",
            ["2026-11-30 17:00 2026-11-30 18:00", "2026-12-02 17:00 2026-12-02 18:00"],
        ),
        (
            "DTSTART;VALUE=DATE:20261201\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE:20261202T000000",
            ["2026-12-01 00:00 2026-12-02 00:00", "2026-12-03 00:00 2026-12-04 00:00"],
        ),
        (
            "DTSTART;VALUE=DATE:20261201\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE:20261202T000000Z",
            ["2026-12-01 00:00 2026-12-02 00:00", "2026-12-03 00:00 2026-12-04 00:00"],
        ),
        # Which day 23:00 UTC is meant for is not known where the series is meant in UTC: none is opened.
        (
            "DTSTART;VALUE=DATE:20261201\nRRULE:FREQ=DAILY;COUNT=2\nEXDATE:20261201T230000Z",
            ["2026-12-01 00:00 2026-12-02 00:00", "2026-12-02 00:00 2026-12-03 00:00"],
        ),
        # Hours in a rule.
        (
            "DTSTART;TZID=Europe/Paris:20261201T080000\nDURATION:PT1H\nRRULE:FREQ=DAILY;BYHOUR=8,20;COUNT=3",
            ["2026-12-01 07:00 2026-12-01 08:00", "2026-12-01 19:00 2026-12-01 20:00",
             "2026-12-02 07:00 2026-12-02 08:00"],
        ),
        (
            "DTSTART;VALUE=DATE:20261201\nRRULE:FREQ=WEEKLY;BYDAY=TU;BYHOUR=9;BYMINUTE=0;COUNT=2",
            ["2026-12-01 00:00 2026-12-02 00:00", "2026-12-08 00:00 2026-12-09 00:00"],
        ),
        (
            "DTSTART:20261201T080000Z\nDURATION:PT1H\nRRULE:FREQ=YEARLY;BYWEEKNO=49;BYHOUR=8,9;BYMINUTE=30;COUNT=2",
            ["2026-12-01 08:00 2026-12-01 09:00", "2026-12-01 08:30 2026-12-01 09:30",
             "2026-12-01 09:30 2026-12-01 10:30"],
        ),
    ],
)  # fmt: skip
def test_what_calendar_programs_write(write: Write, event: str, expected: list[str]) -> None:
    assert closed(write(event), after="2026-10-01T00:00") == expected


def test_an_occurrence_is_replaced_once_and_in_the_zone_of_its_series(write: Write) -> None:
    path = write(
        "UID:a\nDTSTART;TZID=Asia/Tokyo:20261201T020000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3",
        "UID:a\nRECURRENCE-ID:20261202T020000\nDTSTART:20261202T120000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3",
        "UID:b\nDTSTART;VALUE=DATE:20261210\nRRULE:FREQ=DAILY;COUNT=2",
        "UID:b\nRECURRENCE-ID:20261210T000000\nDTSTART;VALUE=DATE:20261220",
    )
    assert closed(path) == [
        "2026-11-30 17:00 2026-11-30 18:00",
        "2026-12-02 12:00 2026-12-02 13:00",
        "2026-12-02 17:00 2026-12-02 18:00",
        "2026-12-11 00:00 2026-12-12 00:00",
        "2026-12-20 00:00 2026-12-21 00:00",
    ]


def test_the_decision_says_which_event(write: Write) -> None:
    path = write("DTSTART;VALUE=DATE:20261122\nSUMMARY:Black\\nFriday freeze")
    decision = decide("Sun 02:00-04:00 UTC", parse_instant("2026-11-22T02:30"), exclusions=[path])
    assert decision.code is Code.EXCLUDED
    assert decision.reason == (
        "closed by the exclusion freeze.ics (Black?Friday freeze); opens Sun 2026-11-29 02:00 UTC, in 6 d 23 h"
    )


def test_a_path_may_be_a_path(write: Write) -> None:
    path = Path(write("DTSTART;VALUE=DATE:20261122"))
    assert not decide("always", parse_instant("2026-11-22T02:30"), exclusions=[path]).open


def test_a_calendar_without_events_closes_nothing(write: Write) -> None:
    assert decide("always", parse_instant("2026-11-22T02:30"), exclusions=[write()]).open


def test_a_rule_that_closes_every_instance_is_refused(write: Write) -> None:
    path = write("DTSTART;VALUE=DATE:20200105\nRRULE:FREQ=WEEKLY;BYDAY=SU")
    with pytest.raises(BadInput, match="its exclusions close it for good"):
        decide("Sun 02:00-04:00 UTC", parse_instant("2026-11-21T12:00"), exclusions=[path])
    every_day = write("DTSTART;VALUE=DATE:20200105\nRRULE:FREQ=DAILY")
    with pytest.raises(BadInput, match="its exclusions close it for good"):
        decide("always", parse_instant("2026-11-21T12:00"), exclusions=[every_day])


def series(count: int) -> list[str]:
    return [
        f"DTSTART;TZID=Europe/Berlin:20{number % 20:02}0101T{8 + number % 12:02}0000\nDURATION:PT9M\nRRULE:FREQ=DAILY"
        for number in range(count)
    ]


def test_old_series_are_not_walked_from_their_first_day(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    walked = 0

    def counting(*arguments: Any) -> Iterator[datetime]:
        nonlocal walked
        for wall in walk(*arguments):
            walked += 1
            yield wall

    walk = recurrence._walk
    monkeypatch.setattr(recurrence, "_walk", counting)
    path = write(*series(20))
    assert not decide("Sun 02:00-04:00 UTC", parse_instant("2026-11-21T12:00"), exclusions=[path]).open
    assert 0 < walked < 1000


def test_what_was_not_found_is_not_said_never_to_be(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve years of a daily window, excluded one day at a time; the thirteenth is free."""
    monkeypatch.setattr(schedule, "PATIENCE", 8000)
    freeze = "DTSTART;VALUE=DATE:20261121\nRRULE:FREQ=DAILY;UNTIL=20381231"
    at = parse_instant("2026-11-21T12:00")
    found = decide("RRULE:FREQ=YEARLY;BYMONTH=1;BYDAY=2SU 02:00 2h UTC", at, exclusions=[write(freeze, *series(20))])
    assert (found.code, found.next_start) == (Code.OUTSIDE, parse_instant("2039-01-09T02:00"))
    decision = decide("daily 02:00-04:00 UTC", at, exclusions=[write(freeze, *series(20))])
    assert decision.code is Code.OUTSIDE
    assert decision.next_start is None
    assert decision.searched_until is not None
    assert "it does not open for long enough" in decision.reason
    require_fit(Schedule.read("daily 02:00-04:00 UTC", exclusions=[write(freeze, *series(20))]), at)


TIMED = "DTSTART:20261224T080000Z\n"


@pytest.mark.parametrize(
    ("event", "line", "part"),
    [
        ("DTSTART:2026xx\nDURATION:PT1H", 6, "DTSTART of the event is not understood"),
        ("SUMMARY:no start", 4, "no DTSTART"),
        (TIMED + "SUMMARY:no end", 6, "neither DTEND nor DURATION"),
        (TIMED + "DTEND:20261223T080000Z", 7, "ends before it begins"),
        ("DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261223", 7, "ends before it begins"),
        (TIMED + "DTEND;VALUE=DATE:20261225", 7, "both be dates, or both be times"),
        (TIMED + "DURATION:-PT1H", 7, "ends before it begins"),
        (TIMED + "DURATION:P9999W", 7, "longer than ten years"),
        (TIMED + "DURATION:1h", 7, "DURATION of the event is not understood"),
        ("DTSTART;VALUE=DATE:20261224\nDURATION:PT1H", 7, "does not last whole days"),
        ("DTSTART;TZID=Nowhere/Else:20261224T080000\nDURATION:PT1H", 6, '"Nowhere/Else" is not known'),
        ("DTSTART:00010101T000000Z\nDURATION:PT1H", 6, "from 1970 to 2299"),
        (TIMED + "DURATION:PT1H\nRRULE:FREQ=HOURLY", 8, "finer than a day"),
        (TIMED + "DURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=x", 8, "RRULE of the event"),
        (TIMED + "DURATION:PT1H\nRRULE:FREQ=DAILY\nRRULE:FREQ=WEEKLY", 8, "RRULE more than once"),
        (TIMED + "DURATION:PT1H\nRDATE;VALUE=DATE:20261225", 8, "both be dates, or both be times"),
        (
            TIMED + "DURATION:PT1H\nRRULE:FREQ=DAILY;BYHOUR=24",
            8,
            'BYHOUR "24" of the rule is not a number from 0 to 23',
        ),
        (TIMED + "DURATION:PT1H\nRDATE;VALUE=PERIOD:20261225T080000Z/PT1H", 8, "neither a date nor a time"),
        (TIMED + "DURATION:PT1H\nRECURRENCE-ID;RANGE=THISANDFUTURE:20261224T080000Z", 8, "RANGE is not supported"),
        (TIMED + "DURATION:PT1H\nthis is no property", 4, "is not understood"),
    ],
)
def test_what_is_not_understood_is_named_with_its_line(write: Write, event: str, line: int, part: str) -> None:
    path = write(event)
    with pytest.raises(BadInput) as error:
        decide("always", parse_instant("2026-11-21T12:00"), exclusions=[path])
    assert error.value.seen.startswith(f"{path}:{line}: ")
    assert part in error.value.seen
    assert error.value.next_step


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (b"", "it has no VCALENDAR"),
        (b"2026-12-24\n", "it has no VCALENDAR"),
        (
            b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261224T080000Z\nDURATION:PT1H\n",
            ":2: BEGIN:VEVENT is never ended",
        ),
        (b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VCALENDAR\n", ":3: END:VCALENDAR ends nothing"),
        (b"BEGIN:VCALENDAR\nEND:VCALENDAR\nEND:VCALENDAR\n", ":3: END:VCALENDAR ends nothing"),
        (b"BEGIN:VCALENDAR\nnonsense\nEND:VCALENDAR\n", "not iCalendar"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_a_file_that_is_no_calendar(tmp_path: Path, text: bytes, part: str) -> None:
    path = tmp_path / "broken.ICS"
    path.write_bytes(text)
    with pytest.raises(BadInput) as error:
        decide("always", parse_instant("2026-11-21T12:00"), exclusions=[str(path)])
    assert str(path) in error.value.seen
    assert part in error.value.seen


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file or directory"):
        decide("always", parse_instant("2026-11-21T12:00"), exclusions=[str(tmp_path / "gone.ics")])
    (tmp_path / "directory.ics").mkdir()
    with pytest.raises(BadInput, match="Is a directory"):
        decide("always", parse_instant("2026-11-21T12:00"), exclusions=[str(tmp_path / "directory.ics")])


PIECES = st.sampled_from(
    [
        "BEGIN:VCALENDAR",
        "END:VCALENDAR",
        "BEGIN:VEVENT",
        "END:VEVENT",
        "BEGIN:VTIMEZONE",
        "END:VTIMEZONE",
        "TZID:x",
        "UID:a",
        "UID:",
        ":",
        "DTSTART:20261224T080000Z",
        "DTSTART:",
        "DTSTART;VALUE=DATE:20261224",
        "DTSTART;TZID=x:20261224T080000",
        "DTEND:20261224T090000Z",
        "DTEND;VALUE=DATE:20261225",
        "DURATION:P1D",
        "RRULE:",
        "RRULE:FREQ=DAILY;COUNT=2",
        "EXDATE:20261224T080000Z",
        "EXDATE:",
        "RECURRENCE-ID:20261224",
        "RDATE:20261224T080000Z",
        "STATUS:CANCELLED",
        "\x00",
    ]
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PIECES, max_size=12), st.booleans())
def test_any_file_is_a_calendar_or_bad_input(tmp_path: Path, lines: list[str], wrapped: bool) -> None:
    if wrapped:
        lines = ["BEGIN:VCALENDAR", "BEGIN:VEVENT", *lines, "END:VEVENT", "END:VCALENDAR"]
    path = tmp_path / "any.ics"
    path.write_text("\n".join(lines))
    try:
        decide("always", parse_instant("2026-11-21T12:00"), exclusions=[str(path)])
    except BadInput as error:
        assert str(path) in error.seen or "can never be met" in error.seen
