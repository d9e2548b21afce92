"""How windows are written, and what is refused."""

from __future__ import annotations

import time as clock
from datetime import time, timedelta
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from windows_asked import decide

from pyrunbook.errors import BadInput
from pyrunbook.windows import describe, parse, parse_instant

AT = parse_instant("2026-11-21T12:00:00Z")


def starts(spec: str, after: str, count: int) -> list[str]:
    return [
        f"{instance.start:%Y-%m-%d %H:%M}" for instance in islice(parse(spec).instances(parse_instant(after)), count)
    ]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("Sun 02:00-04:00 UTC", "every Sunday, from 02:00 for 2 h, by the clock of UTC"),
        ("Sat,Sun 02:00-04:00 UTC", "every Saturday and Sunday, from 02:00 for 2 h, by the clock of UTC"),
        ("Mon-Tue,Fri 22:00-00:00 UTC", "every Monday, Tuesday and Friday, from 22:00 for 2 h, by the clock of UTC"),
        ("Sat-Mon 21:00-05:00 UTC", "every Monday, Saturday and Sunday, from 21:00 for 8 h, by the clock of UTC"),
        ("daily 00:00-24:00 Europe/Paris", "every day, from 00:00 for 1 d, by the clock of Europe/Paris"),
        ("Mon-Sun 00:00-24:00 UTC", "every day, from 00:00 for 1 d, by the clock of UTC"),
        ("last Fri 22:00-02:30 UTC", "the last Friday of each month, from 22:00 for 4 h 30 min, by the clock of UTC"),
        ("first Sat,Sun 1:00", ""),
        ("ALWAYS", "open at all times"),
        ("  sun   02:00-04:00\tUTC ", "every Sunday, from 02:00 for 2 h, by the clock of UTC"),
    ],
)  # fmt: skip
def test_in_words(spec: str, words: str) -> None:
    if not words:
        with pytest.raises(BadInput):
            parse(spec)
    else:
        assert describe(parse(spec)) == words


def test_what_it_reads() -> None:
    window = parse("Sat 23:00-03:00 Europe/Paris")
    assert (window.start, window.length, window.zone.key, window.always) == (
        time(23), timedelta(hours=4), "Europe/Paris", False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        ("Sun 24:00-02:00 UTC", "24:00 is an end, not a start"),
        ("Sun 02:00-24:01 UTC", '"24:01"'),
        ("Sun 02:60-04:00 UTC", '"02:60"'),
        ("Sun 2:00-04:00 UTC", '"2:00"'),
        ("Sun 02:00-٠٤:00 UTC", "the end"),
        ("Sun 02:00-04:00-06:00 UTC", '"04:00-06:00"'),
        ("Sun-Sun 02:00-04:00 UTC", '"Sun-Sun"'),
        ("Sun,,Mon 02:00-04:00 UTC", 'the day ""'),
        ("Mon-Wed-Fri 02:00-04:00 UTC", '"Wed-Fri"'),
        ("Sun", "the hours are missing"),
        ("first", "the days are missing"),
        ("first daily 02:00-04:00 UTC", '"first" needs a weekday'),
        ("first first Sun 02:00-04:00 UTC", 'the day "first"'),
        ("fifth Sun 02:00-04:00 UTC", '"fifth" is none of first'),
        ("Sun 02:00-04:00 UTC extra", '"extra"'),
        ("Sun 02:00-04:00 ../UTC", '"../UTC"'),
        ("Sun 02:00-04:00 /etc/passwd", "/etc/passwd"),
        ("Sun 02:00-04:00 Europe", '"Europe"'),
        ("Sun 02:00-04:00 localtime", '"localtime"'),
        ("Sun 02:00-04:00 right/UTC", '"right/UTC"'),
        ("Sun 02:00-04:00 Europe/Pariss", "did you mean Europe/Paris?"),
        ("Sun 02:00-04:00 +02:00", r'"\+02:00"'),
        ("always UTC", '"UTC"'),
        ("x" * 501, "longer than 500"),
        ("RRULE:", "NAME=VALUE"),
        ("RRULE:FREQ=DAILY", "the start is missing"),
        ("RRULE:FREQ=DAILY 02:00", "the duration is missing"),
        ("RRULE:FREQ=DAILY 02:00 2h", "the zone is missing"),
        ("RRULE:FREQ=DAILY 24:00 2h UTC", "24:00 is an end"),
        ("RRULE:FREQ=DAILY 02:00 0m UTC", "is zero"),
        ("RRULE:FREQ=DAILY 02:00 04:00 UTC", 'the duration "04:00"'),
        ("RRULE:FREQ=DAILY 02:00 400d UTC", "longer than 366 days"),
        ("RRULE:BYDAY=SU 02:00 2h UTC", "no FREQ"),
        ("RRULE:FREQ=HOURLY 02:00 2h UTC", "FREQ=HOURLY"),
        ("RRULE:FREQ=OFTEN 02:00 2h UTC", '"OFTEN"'),
        ("RRULE:FREQ=DAILY;FREQ=DAILY 02:00 2h UTC", "FREQ twice"),
        ("RRULE:FREQ=DAILY;BYHOUR=3 02:00 2h UTC", "BYHOUR"),
        ("RRULE:FREQ=DAILY;BYEASTER=0 02:00 2h UTC", "BYEASTER"),
        ("RRULE:FREQ=DAILY;COUNT=3 02:00 2h UTC", "COUNT"),
        ("RRULE:FREQ=DAILY;INTERVAL=0 02:00 2h UTC", "INTERVAL"),
        ("RRULE:FREQ=DAILY;INTERVAL=99999999999 02:00 2h UTC", "INTERVAL"),
        ("RRULE:FREQ=WEEKLY 02:00 2h UTC", "needs BYDAY"),
        ("RRULE:FREQ=MONTHLY 02:00 2h UTC", "needs BYDAY or BYMONTHDAY"),
        ("RRULE:FREQ=YEARLY;BYWEEKNO=1 02:00 2h UTC", "needs BYDAY"),
        ("RRULE:FREQ=WEEKLY;BYDAY=1SU 02:00 2h UTC", "1SU"),
        ("RRULE:FREQ=WEEKLY;BYDAY=SUN 02:00 2h UTC", '"SUN"'),
        ("RRULE:FREQ=MONTHLY;BYDAY=6SU 02:00 2h UTC", "6SU"),
        ("RRULE:FREQ=MONTHLY;BYMONTHDAY=32 02:00 2h UTC", '"32"'),
        ("RRULE:FREQ=MONTHLY;BYMONTH=-1;BYDAY=SU 02:00 2h UTC", '"-1"'),
        ("RRULE:FREQ=WEEKLY;BYDAY=SU;BYMONTHDAY=1 02:00 2h UTC", "BYMONTHDAY"),
        ("RRULE:FREQ=DAILY;BYSETPOS=1 02:00 2h UTC", "BYSETPOS"),
        ("RRULE:FREQ=DAILY;WKST=X 02:00 2h UTC", "WKST"),
        ("RRULE:FREQ=DAILY;UNTIL=2027 02:00 2h UTC", "UNTIL"),
        ("RRULE:FREQ=DAILY;UNTIL=20270230 02:00 2h UTC", "UNTIL"),
    ],
)
def test_the_wrong_part_is_named(spec: str, part: str) -> None:
    with pytest.raises(BadInput, match=part):
        parse(spec)


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MONTHLY;BYMONTH=4,6;BYMONTHDAY=31",
        "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=2",
        "FREQ=DAILY;UNTIL=19991231",
        "FREQ=DAILY;UNTIL=19990101T000000Z",
    ],
)
def test_a_rule_without_any_date_is_refused_and_quickly(rule: str) -> None:
    before = clock.process_time()
    with pytest.raises(BadInput, match="can never be met"):
        parse(f"RRULE:{rule} 02:00 2h UTC")
    assert clock.process_time() - before < 2  # dateutil by itself looks for six seconds


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=SU", ["2026-11-29", "2026-12-13", "2026-12-27"]),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=SU;WKST=SU", ["2026-11-22", "2026-12-06", "2026-12-20"]),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", ["2026-11-30", "2026-12-31", "2027-01-29"]),
        ("FREQ=MONTHLY;INTERVAL=3;BYMONTHDAY=-1", ["2027-01-31", "2027-04-30", "2027-07-31"]),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", ["2028-02-29", "2032-02-29", "2036-02-29"]),
        ("FREQ=YEARLY;BYWEEKNO=1;BYDAY=MO", ["2027-01-04", "2028-01-03", "2029-01-01"]),
        ("FREQ=DAILY;INTERVAL=3", ["2026-11-22", "2026-11-25", "2026-11-28"]),
        ("FREQ=DAILY;UNTIL=20261123", ["2026-11-22", "2026-11-23"]),
        ("FREQ=DAILY;UNTIL=20261123T015959Z", ["2026-11-22"]),
        ("FREQ=DAILY;UNTIL=20261123T020000Z", ["2026-11-22", "2026-11-23"]),
        ("FREQ=DAILY;UNTIL=20261123T015959", ["2026-11-22"]),
        ("FREQ=DAILY;UNTIL=20261123T020000", ["2026-11-22", "2026-11-23"]),
    ],
)
def test_rules(rule: str, expected: list[str]) -> None:
    assert starts(f"RRULE:{rule} 02:00 2h UTC", "2026-11-21T12:00Z", 3) == [f"{day} 02:00" for day in expected]


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;INTERVAL=7",
        "FREQ=WEEKLY;INTERVAL=3;BYDAY=MO,SU",
        "FREQ=WEEKLY;INTERVAL=3;BYDAY=MO,SU;WKST=SU",
        "FREQ=MONTHLY;INTERVAL=5;BYMONTHDAY=1,-1",
        "FREQ=YEARLY;INTERVAL=2;BYMONTH=1;BYMONTHDAY=1",
    ],
)
def test_an_interval_keeps_its_phase_wherever_it_is_asked_from(rule: str) -> None:
    spec = f"RRULE:{rule} 02:00 2h UTC"
    whole = starts(spec, "2026-01-01T00:00Z", 120)
    for later in range(10):
        for hours in (0, 24 * 10, 24 * 40, 24 * 366):
            at = parse_instant(f"{whole[later]}Z") + timedelta(hours=hours)
            expected = [start for start in whole if parse_instant(f"{start}Z") + timedelta(hours=2) > at]
            assert starts(spec, at.isoformat(), 5) == expected[:5]


def test_a_position_is_counted_in_a_whole_week_wherever_it_is_asked_from() -> None:
    spec = "RRULE:FREQ=WEEKLY;BYDAY=SU,WE;BYSETPOS=1;WKST=SU 02:00 2h UTC"
    assert starts(spec, "2026-11-18T03:00Z", 2) == ["2026-11-22 02:00", "2026-11-29 02:00"]


def test_overlapping_instances_are_cut_at_the_next_start() -> None:
    instances = list(islice(parse("RRULE:FREQ=DAILY 12:00 36h UTC").instances(AT), 3))
    assert [instance.end for instance in instances[:-1]] == [instance.start for instance in instances[1:]]


def test_a_skipped_calendar_day_gives_one_instance_not_two() -> None:
    # Samoa left out Friday 2011-12-30: its window moves forward by the day, to where Saturday's begins.
    assert starts("daily 02:00-04:00 Pacific/Apia", "2011-12-29T11:59Z", 3) == [
        "2011-12-29 12:00", "2011-12-30 12:00", "2011-12-31 12:00",
    ]  # fmt: skip


WORDS = [
    "first",
    "last",
    "Sun",
    "Mon-Fri",
    "Sat,",
    "daily",
    "02:00-04:00",
    "23:59-24:00",
    "-",
    "UTC",
    "Europe/Paris",
    "always",
    "RRULE:FREQ=DAILY",
    "RRULE:FREQ=YEARLY;BYMONTH=2",
    "02:00",
    "2h",
    ";",
    "25:00",
    "Etc/GMT+1",
]
PARTS = ["FREQ", "INTERVAL", "BYDAY", "BYMONTH", "BYMONTHDAY", "BYSETPOS", "BYWEEKNO", "BYYEARDAY", "WKST", "UNTIL"]
VALUES = [
    "DAILY",
    "WEEKLY",
    "MONTHLY",
    "YEARLY",
    "1",
    "-1",
    "2",
    "53",
    "SU",
    "1SU",
    "-5FR",
    "SU,MO",
    "20301231",
    "0",
    "HOURLY",
]
RULES = st.lists(st.tuples(st.sampled_from(PARTS), st.sampled_from(VALUES)), max_size=5).map(
    lambda parts: "RRULE:" + ";".join(map("=".join, parts)) + " 02:00 2h UTC"
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join), RULES))
def test_any_text_is_a_window_or_bad_input(text: str) -> None:
    try:
        window = parse(text)
    except BadInput as error:
        assert error.seen
        assert error.seen.isprintable()
    else:
        assert parse(window.spec) == window
        decide(text, AT)


@pytest.mark.parametrize("value", [None, 5, ["Sun"], b"always", {"a": 1}])
def test_what_is_no_text_is_bad_input(value: object) -> None:
    with pytest.raises(BadInput, match="a window is a text"):
        parse(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "spec", ["Sun 02:00-04:00\nUTC", "Sun 02:00-04:00 UTC\n", "always\r\n", "\nalways", "always\u2028"]
)
def test_a_pasted_line_break_is_malformed(spec: str) -> None:
    with pytest.raises(BadInput, match="has a line break"):
        parse(spec)
