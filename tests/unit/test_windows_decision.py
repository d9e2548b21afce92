"""Decisions: their codes, their sentences, cutoff, fit, exclusions by date, and what can never be met."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from windows_asked import decide, explain, next_open

from pyrunbook.errors import BadInput
from pyrunbook.windows import Code, Schedule, parse_instant, require_fit

SUNDAY = "Sun 02:00-04:00 UTC"
RUN = {"needs": timedelta(minutes=30), "reserve": timedelta(minutes=10)}


def at(text: str) -> datetime:
    return parse_instant(text)


@pytest.mark.parametrize(
    ("spec", "instant", "limits", "code", "reason"),
    [
        (SUNDAY, "2026-11-22T02:17", RUN, "open",
         "open, closes in 1 h 43 min; this run needs 30 min and 10 min in reserve for a rollback"),
        (SUNDAY, "2026-11-22T02:17", {}, "open", "open, closes in 1 h 43 min"),
        ("always", "2026-11-22T02:17", {}, "open", "open, does not close"),
        ("always", "2026-11-22T02:17", {"exclusions": ["2026-11-23"]}, "open", "open, closes in 21 h 43 min"),
        (SUNDAY, "2026-11-21T12:00", {}, "outside",
         "closed: outside Sun 02:00-04:00 UTC; opens Sun 2026-11-22 02:00 UTC, in 14 h"),
        (SUNDAY, "2026-11-22T03:48", RUN, "does_not_fit",
         ("closed: the run needs 30 min and 10 min in reserve for a rollback, 12 min are left; "
         "opens Sun 2026-11-29 02:00 UTC, in 6 d 22 h")),
        (SUNDAY, "2026-11-22T03:48", {"cutoff": timedelta(minutes=15)}, "cutoff",
         ("closed: nothing starts in the last 15 min of the window, 12 min are left; "
         "opens Sun 2026-11-29 02:00 UTC, in 6 d 22 h")),
        (SUNDAY, "2026-12-27T02:30", {"exclusions": ["2026-12-24..2027-01-02"]}, "excluded",
         "closed by the exclusion 2026-12-24..2027-01-02; opens Sun 2027-01-03 02:00 UTC, in 6 d 23 h"),
        (SUNDAY, "2026-12-26T02:30", {"exclusions": ["2026-12-24..2027-01-02"]}, "outside",
         "closed: outside Sun 02:00-04:00 UTC; opens Sun 2027-01-03 02:00 UTC, in 7 d 23 h"),
        (None, "2026-12-26T02:30", {}, "undeclared",
         "closed: this runbook runs only in a window, and none is declared"),
        ("first Sun 02:00-03:00 Europe/Paris", "2026-11-22T01:30", {}, "outside",
         "closed: outside first Sun 02:00-03:00 Europe/Paris; opens Sun 2026-12-06 02:00 CET, in 13 d 23 h"),
        (SUNDAY, "2026-11-22T02:00", {"needs": timedelta(hours=3)}, "does_not_fit",
         'closed: the run needs 3 h, and the window "Sun 02:00-04:00 UTC" is never open for that long'),
        ("RRULE:FREQ=DAILY;UNTIL=20261122 02:00 2h UTC", "2026-11-22T04:00", {}, "outside",
         "closed: outside RRULE:FREQ=DAILY;UNTIL=20261122 02:00 2h UTC; it does not open again"),
    ],
)  # fmt: skip
def test_the_sentence(spec: str | None, instant: str, limits: dict[str, Any], code: str, reason: str) -> None:
    decision = decide(spec, at(instant), **limits)
    assert (decision.reason, decision.code.value) == (reason, code)
    assert decision.open == (code == "open")


def test_the_day_before_in_utc_may_be_the_day_in_the_zone() -> None:
    assert decide("Sat 23:00-24:00 America/New_York", at("2026-11-22T04:30")).open
    assert decide("Mon 00:00-01:00 Pacific/Kiritimati", at("2026-11-22T10:30")).open


def test_the_cutoff_itself_still_starts_and_a_second_later_does_not() -> None:
    limits = {"cutoff": timedelta(minutes=15)}
    assert decide(SUNDAY, at("2026-11-22T03:45:00"), **limits).open
    assert decide(SUNDAY, at("2026-11-22T03:45:01"), **limits).code is Code.CUTOFF


def test_a_run_that_just_fits_starts_and_a_second_later_does_not() -> None:
    assert decide(SUNDAY, at("2026-11-22T03:20:00"), **RUN).open
    assert decide(SUNDAY, at("2026-11-22T03:20:01"), **RUN).code is Code.DOES_NOT_FIT


def test_next_open_looks_past_what_does_not_fit() -> None:
    assert next_open(SUNDAY, at("2026-11-22T03:30"), **RUN) == at("2026-11-29T02:00")
    assert next_open(SUNDAY, at("2026-11-22T03:10"), **RUN) == at("2026-11-22T03:10")
    # The freeze leaves 30 minutes of Sunday's window: too little.
    spec = "Sat 23:30-03:00 UTC"
    assert next_open(spec, at("2026-11-21T12:00"), exclusions=["2026-11-22"], **RUN) == at("2026-11-28T23:30")
    assert next_open(spec, at("2026-11-21T12:00"), exclusions=["2026-11-22"]) == at("2026-11-21T23:30")
    assert next_open(None, at("2026-11-21T12:00")) is None


def test_an_exclusion_ends_the_window_early() -> None:
    decision = decide(
        "Sat 23:30-03:00 UTC", at("2026-11-21T23:40"), exclusions=["2026-11-22"], needs=timedelta(minutes=21)
    )
    assert (decision.code, decision.closes_in) == (Code.DOES_NOT_FIT, timedelta(minutes=20))
    assert decision.end == at("2026-11-22T00:00")


def test_days_of_an_exclusion_are_days_of_the_zone_of_the_window() -> None:
    spec = "daily 00:00-24:00 America/New_York"
    assert decide(spec, at("2026-12-24T04:59:59"), exclusions=["2026-12-24"]).open
    assert decide(spec, at("2026-12-24T05:00"), exclusions=["2026-12-24"]).code is Code.EXCLUDED
    assert decide(spec, at("2026-12-25T04:59:59"), exclusions=["2026-12-24"]).code is Code.EXCLUDED
    assert decide(spec, at("2026-12-25T05:00"), exclusions=["2026-12-24"]).open


def test_overlapping_exclusions_add_up() -> None:
    days = ["2026-12-24", "2026-12-20..2026-12-30", "2026-12-28..2027-01-04", "2026-12-21"]
    decision = decide(SUNDAY, at("2026-12-27T03:00"), exclusions=days)
    assert (decision.open, decision.next_start) == (False, at("2027-01-10T02:00"))


def test_an_exclusion_that_began_while_the_window_was_open_is_the_reason() -> None:
    decision = decide("Sat 20:00-04:00 UTC", at("2026-11-22T01:00"), exclusions=["2026-11-21", "2026-11-22"])
    assert decision.reason.startswith("closed by the exclusion 2026-11-22; ")
    decision = decide("Sat 20:00-04:00 UTC", at("2026-11-22T01:00"), exclusions=["2026-11-22"])
    assert (decision.code, decision.start, decision.end) == (Code.EXCLUDED, None, None)


def test_upcoming_leaves_out_what_the_run_does_not_fit_into() -> None:
    schedule = Schedule.read("Sat 23:30-03:00 UTC", exclusions=["2026-11-22", "2026-12-05"], **RUN)
    found = [opening for opening, _ in zip(schedule.upcoming(at("2026-11-21T12:00")), range(3), strict=False)]
    assert [opening.start for opening in found] == [at("2026-11-28T23:30"), at("2026-12-06"), at("2026-12-12T23:30")]


def test_within_the_cutoff_and_just_fitting_is_the_cutoff() -> None:
    limits = {"cutoff": timedelta(minutes=15), "needs": timedelta(minutes=10)}
    assert decide(SUNDAY, at("2026-11-22T03:50"), **limits).code is Code.CUTOFF
    assert decide(SUNDAY, at("2026-11-22T03:50:01"), **limits).code is Code.DOES_NOT_FIT


def test_instances_that_touch_are_one_time_of_being_open() -> None:
    """A run fits across the seam of two days, and a cutoff does not apply at it."""
    limits = {"needs": timedelta(hours=30), "cutoff": timedelta(hours=2)}
    decision = decide("Mon-Fri 00:00-24:00 UTC", at("2026-11-24T23:30"), **limits)
    assert (decision.open, decision.end) == (True, at("2026-11-28T00:00"))
    assert decide("daily 00:00-24:00 UTC", at("2026-11-24T23:59"), **limits).end is None
    pieces = Schedule.read("Mon-Fri 00:00-24:00 UTC").upcoming(at("2026-11-24T23:30"))
    assert [next(pieces).start.day for _ in range(4)] == [25, 26, 27, 30]


def test_a_day_of_25_hours_is_not_filled_by_24() -> None:
    spec = "daily 00:00-24:00 Europe/Paris"
    assert not decide(spec, at("2026-10-25T22:30")).open
    assert decide(spec, at("2026-10-25T23:00")).open
    assert decide(spec, at("2026-03-29T21:59")).open  # a day of 23 hours


@pytest.mark.parametrize("instant", ["2026-11-21T12:00", "2026-11-22T03:00", "2026-11-22T02:00"])
@pytest.mark.parametrize(
    ("limits", "part"),
    [
        ({"cutoff": timedelta(hours=3)}, "cutoff"),
        ({"exclusions": ["1990-01-01..2299-12-31"]}, "its exclusions close it for good"),
    ],
)
def test_a_window_that_can_never_be_met_is_refused(instant: str, limits: dict[str, Any], part: str) -> None:
    with pytest.raises(BadInput, match=f"can never be met: .*{part}"):
        decide(SUNDAY, at(instant), **limits)


def test_always_excluded_is_refused() -> None:
    with pytest.raises(BadInput, match="can never be met"):
        decide("always", at("2026-11-21T12:00"), exclusions=["1990-01-01..2299-12-31"])


def test_a_declaration_in_which_the_run_never_fits_is_refused_when_it_is_read() -> None:
    require_fit(Schedule.read(SUNDAY, **RUN), at("2026-11-21T12:00"))
    with pytest.raises(BadInput, match=r"can never be met: .*needs 2 h and 1 min in reserve"):
        require_fit(
            Schedule.read(SUNDAY, needs=timedelta(hours=2), reserve=timedelta(minutes=1)), at("2026-11-21T12:00")
        )


@pytest.mark.parametrize(
    ("exclusion", "part"),
    [
        ("2026-13-01", '"2026-13-01" is not a date'),
        ("2026-02-29", "not a date"),
        ("20261224", "not a date"),
        ("", "not a date"),
        ("2026-12-24..", '"" is not a date'),
        ("2026-12-24...2026-12-26", "not a date"),
        ("2027-01-02..2026-12-24", "ends before it begins"),
        ("0001-01-01..9999-12-31", "not from 1970 to 2299"),
        ("freeze.txt", '"freeze.txt" is not a date'),
    ],
)
def test_a_malformed_exclusion_is_bad_input(exclusion: str, part: str) -> None:
    for spec in (SUNDAY, "always", None):
        with pytest.raises(BadInput, match=part):
            decide(spec, at("2026-11-21T12:00"), exclusions=[exclusion])


def test_one_text_for_the_list_of_exclusions_is_bad_input() -> None:
    with pytest.raises(BadInput, match="where a list is expected"):
        decide(SUNDAY, at("2026-11-21T12:00"), exclusions="2026-12-24")


@pytest.mark.parametrize("name", ["cutoff", "needs", "reserve"])
@pytest.mark.parametrize("length", [timedelta(seconds=-1), timedelta(days=367)])
def test_lengths_out_of_range_are_bad_input(name: str, length: timedelta) -> None:
    with pytest.raises(BadInput, match="is not between 0 and 366 days"):
        decide(SUNDAY, at("2026-11-21T12:00"), **{name: length})


@pytest.mark.parametrize(
    "instant",
    [datetime(2026, 11, 22, 2), datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)],  # noqa: DTZ001
)
def test_an_instant_that_means_nothing_is_bad_input(instant: datetime) -> None:
    with pytest.raises(BadInput, match="the instant"):
        decide(SUNDAY, instant)


@pytest.mark.parametrize("text", ["", "now", "2026-11-22T25:00", "2026-02-30", "١٢", "2026-11-22T02:00:00ZZ"])
def test_an_instant_that_is_none_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput, match="the instant"):
        parse_instant(text)


def test_an_instant_without_an_offset_is_utc() -> None:
    assert (
        parse_instant("2026-11-22T02:00")
        == parse_instant("2026-11-22T03:00+01:00")
        == datetime(2026, 11, 22, 2, tzinfo=UTC)
    )


def test_as_dict_is_json() -> None:
    decision = decide(
        "first Sun 02:00-03:00 Europe/Paris", at("2026-12-06T01:30"), **RUN | {"needs": timedelta(minutes=20)}
    )
    assert json.loads(json.dumps(decision.as_dict())) == {
        "open": True,
        "code": "open",
        "reason": "open, closes in 30 min; this run needs 20 min and 10 min in reserve for a rollback",
        "at": "2026-12-06T01:30:00Z",
        "start": "2026-12-06T01:00:00Z",
        "end": "2026-12-06T02:00:00Z",
        "next_start": "2027-01-03T01:00:00Z",
        "next_end": "2027-01-03T02:00:00Z",
        "closes_in_seconds": 1800,
    }


@pytest.mark.parametrize(
    ("spec", "instant", "lines"),
    [
        ("Sun 02:30-04:30 America/New_York", "2026-03-08T06:00",
         ["the clock skips Sun 2026-03-08 02:30: it starts 1 h later, at Sun 2026-03-08 03:30",
          "Next one   Sun 2026-03-08 03:30 EDT to Sun 2026-03-08 05:30 EDT", "America/New_York is UTC-04:00",
          "Decision   closed: outside", "Next       Sun 2026-03-08 03:30 EDT, until Sun 2026-03-08 05:30 EDT"]),
        ("Sun 01:30-02:30 America/New_York", "2026-11-01T05:45",
         ["the clock shows Sun 2026-11-01 01:30 twice: it starts at the first",
          "from UTC-04:00 to UTC-05:00: it lasts 1 h",
          "This one   Sun 2026-11-01 01:30 EDT to Sun 2026-11-01 01:30 EST",
          "Rule       every Sunday, from 01:30 for 1 h"]),
        (SUNDAY, "2026-11-22T03:00", ["no clock change touches it", "Zone       UTC is UTC+00:00"]),
        ("always", "2026-11-22T03:00", ["Rule       open at all times", "it does not close"]),
        (None, "2026-11-22T03:00", ["none is declared", "never: declare a window"]),
        ("RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=SU;UNTIL=20261231 02:00 2h UTC", "2027-11-22T03:00",
         ["INTERVAL counts from the week of Monday 1970-01-05", "until 2026-12-31", "it does not open again"]),
    ],
)  # fmt: skip
def test_explain(spec: str | None, instant: str, lines: list[str]) -> None:
    text = explain(spec, at(instant))
    for line in lines:
        assert line in text


def test_explain_shows_what_else_decides() -> None:
    text = explain(SUNDAY, at("2026-11-22T03:00"), exclusions=["2026-12-24"], cutoff=timedelta(minutes=15), **RUN)
    assert "Excluded   2026-12-24" in text
    assert "Cutoff     nothing starts in the last 15 min" in text
    assert "Run        needs 30 min, and 10 min for its rollback, before the end" in text


def test_what_only_some_windows_need_is_not_imported_for_all() -> None:
    code = "import sys, pyrunbook.windows as w; w.parse('Sun 02:00-04:00 UTC'); "
    code += "print({'icalendar', 'dateutil'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
