"""iCalendar files as exclusions: what they close, and that nothing in them gets lost."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyrunbook.errors import BadInput
from pyrunbook.windows import Code, Schedule, decide, parse_instant

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


TIMED = "DTSTART:20261224T080000Z\n"


@pytest.mark.parametrize(
    ("event", "line", "part"),
    [
        ("DTSTART:2026xx\nDURATION:PT1H", 6, "DTSTART of the event is not understood"),
        ("SUMMARY:no start", 4, "no DTSTART"),
        (TIMED + "SUMMARY:no end", 6, "neither DTEND nor DURATION"),
        (TIMED + "DTEND:20261224T080000Z", 7, "does not end after it begins"),
        (TIMED + "DTEND:20261223T080000Z", 7, "does not end after it begins"),
        (TIMED + "DTEND;VALUE=DATE:20261225", 7, "both be dates, or both be times"),
        (TIMED + "DURATION:-PT1H", 7, "does not end after it begins"),
        (TIMED + "DURATION:P9999W", 7, "longer than ten years"),
        (TIMED + "DURATION:1h", 7, "DURATION of the event is not understood"),
        ("DTSTART;VALUE=DATE:20261224\nDURATION:PT1H", 7, "does not last whole days"),
        ("DTSTART;TZID=Nowhere/Else:20261224T080000\nDURATION:PT1H", 6, '"Nowhere/Else" is not known'),
        ("DTSTART:00010101T000000Z\nDURATION:PT1H", 6, "from 1970 to 2299"),
        (TIMED + "DURATION:PT1H\nRRULE:FREQ=HOURLY", 8, "finer than a day"),
        (TIMED + "DURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=x", 8, "RRULE of the event"),
        (TIMED + "DURATION:PT1H\nRRULE:FREQ=DAILY\nRRULE:FREQ=WEEKLY", 8, "RRULE more than once"),
        (TIMED + "DURATION:PT1H\nRRULE:FREQ=DAILY\nEXDATE;VALUE=DATE:20261225", 9, "both be dates, or both be times"),
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
