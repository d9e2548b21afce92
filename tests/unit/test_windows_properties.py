"""Properties of windows, against a model that scans minutes and knows nothing of how the package computes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import example, given, settings
from hypothesis import strategies as st
from windows_asked import decide, next_open

from pyrunbook.errors import BadInput
from pyrunbook.windows import Schedule, parse
from pyrunbook.windows.recurrence import parse_recurrence

MINUTE = timedelta(minutes=1)
NAMES = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
ORDINALS = {None: "", 1: "first ", 2: "second ", 3: "third ", 4: "fourth ", -1: "last "}
# A gap and a fold of an hour, of half an hour, at midnight; no change; a whole day left out (Samoa, 2011-12-30).
ZONES = [
    "UTC",
    "Europe/Paris",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "Asia/Kathmandu",
    "Pacific/Apia",
]
CHANGES = [
    "2026-03-08T07:00", "2026-11-01T06:00",  # New York
    "2026-03-29T01:00", "2026-10-25T01:00",  # Paris
    "2026-04-04T15:00", "2026-10-03T15:30",  # Lord Howe
    "2026-04-23T22:00", "2026-10-29T21:00",  # Cairo
    "2011-12-30T10:00", "2026-11-21T12:00", "2028-02-29T00:00",
]  # fmt: skip


@dataclass(frozen=True)
class Model:
    """A window as its words say, without any cleverness."""

    days: frozenset[int]
    nth: int | None
    start: int  # minutes since midnight
    length: int  # minutes
    zone: str
    rule: bool  # written as a recurrence rule

    @property
    def spec(self) -> str:
        clock = f"{self.start // 60:02}:{self.start % 60:02}"
        if self.rule:
            nth = self.nth or ""
            days = ",".join(f"{nth}{NAMES[day][:2].upper()}" for day in self.days)
            frequency = "MONTHLY" if self.nth else "WEEKLY"
            return f"RRULE:FREQ={frequency};BYDAY={days} {clock} {self.length}m {self.zone}"
        end = (self.start + self.length) % 1440
        names = ",".join(NAMES[day] for day in self.days)
        last = "24:00" if end == 0 else f"{end // 60:02}:{end % 60:02}"
        return f"{ORDINALS[self.nth]}{names} {clock}-{last} {self.zone}"

    def starts(self, first: date, days: int) -> list[datetime]:
        """The starts of the dates from `first` on, in UTC, each once."""
        found = [first + timedelta(days=step) for step in range(days)]
        return sorted({self._start(day) for day in found if self._named(day)})

    def open_at(self, starts: list[datetime], instant: datetime) -> bool:
        return any(start <= instant < start + timedelta(minutes=self.length) for start in starts)

    def _named(self, day: date) -> bool:
        same = [day + timedelta(days=7 * step) for step in range(-5, 6)]
        same = [other for other in same if (other.year, other.month) == (day.year, day.month)]
        return day.weekday() in self.days and (
            self.nth is None or same.index(day) == (self.nth - 1 if self.nth > 0 else len(same) - 1)
        )

    def _start(self, day: date) -> datetime:
        """Watches the zone's clock, minute by minute, until it shows the start, or jumps over it."""
        wall = datetime.combine(day, datetime.min.time()) + timedelta(minutes=self.start)
        zone = ZoneInfo(self.zone)
        instant = (wall - timedelta(hours=16)).replace(tzinfo=UTC)
        before = instant.astimezone(zone).replace(tzinfo=None)
        assert before < wall
        while True:
            instant += MINUTE
            shown = instant.astimezone(zone).replace(tzinfo=None)
            if shown == wall:
                return instant
            if shown > wall:
                gap = shown - before - MINUTE
                return instant + (wall + gap - shown)
            before = shown


@st.composite
def models(draw: st.DrawFn) -> Model:
    rule = draw(st.booleans())
    nth = draw(st.sampled_from([None, None, None, 1, 2, 3, 4, -1]))
    length = draw(st.one_of(st.integers(1, 3 * 1440 if rule else 1440), st.sampled_from([60, 120, 1440, 1439])))
    start = draw(st.one_of(st.integers(0, 1439), st.sampled_from([0, 30, 60, 90, 120, 150, 180])))
    if not rule and length == 1440:
        start = 0  # the only whole day that can be written
    days = draw(st.frozensets(st.integers(0, 6), min_size=1, max_size=7 if nth is None else 6))
    return Model(days, nth, start, length, draw(st.sampled_from(ZONES)), rule)


@st.composite
def moments(draw: st.DrawFn) -> tuple[Model, datetime]:
    """A window and an instant near a change of the clock: anywhere, or where one of its instances begins or ends."""
    model = draw(models())
    at = datetime.fromisoformat(draw(st.sampled_from(CHANGES))).replace(tzinfo=UTC)
    at += timedelta(minutes=draw(st.integers(-3 * 1440, 3 * 1440)))
    if draw(st.booleans()):
        start = min(model.starts(at.date() - timedelta(days=2), 75), key=lambda start: abs(start - at))
        at = start + timedelta(minutes=draw(st.sampled_from([0, model.length // 2, model.length])))
    return model, at + timedelta(seconds=draw(st.sampled_from([0, 0, 1, -1])))


@settings(max_examples=100, deadline=None)
@given(moments())
@example(
    (Model(frozenset({6}), None, 150, 120, "America/New_York", False), datetime(2026, 3, 8, 7, 29, 59, tzinfo=UTC))
)
@example((Model(frozenset(range(7)), None, 120, 120, "Pacific/Apia", True), datetime(2011, 12, 30, 12, tzinfo=UTC)))
def test_open_is_being_inside_exactly_one_instance(moment: tuple[Model, datetime]) -> None:
    model, at = moment
    starts = model.starts(at.date() - timedelta(days=6), 8)
    expected = model.open_at(starts, at)
    window = parse(model.spec)
    inside = [i for i in islice(window.instances(at - timedelta(days=4)), 12) if i.start <= at < i.end]
    assert len(inside) == (1 if expected else 0)
    decision = decide(model.spec, at)
    assert decision.open == expected
    if expected:
        assert decision.start is not None
        assert decision.end is not None or len(model.days) == 7 or model.length > 1440
        assert not decision.end or not model.open_at(
            model.starts(decision.end.date() - timedelta(days=6), 8), decision.end
        )


@settings(max_examples=40, deadline=None)
@given(moments())
def test_next_is_the_earliest(moment: tuple[Model, datetime]) -> None:
    model, at = moment
    starts = model.starts(at.date() - timedelta(days=6), 75)
    (found,) = islice(Schedule.read(model.spec).upcoming(at), 1)
    assert found.start == min(start for start in starts if start >= at)
    earliest = next_open(model.spec, at)
    assert earliest is not None
    assert model.open_at(starts, earliest)
    minute = at.replace(second=0) + (MINUTE if at.second else timedelta())
    assert earliest == at or not model.open_at(starts, at)
    near = [start for start in starts if start < earliest + timedelta(days=4)]
    while minute < earliest:
        assert not model.open_at(near, minute)
        minute += MINUTE if earliest - minute < timedelta(days=1) else 7 * MINUTE


@settings(max_examples=100, deadline=None)
@given(moments())
def test_instances_are_those_of_the_model_in_order_and_never_two_from_one_start(moment: tuple[Model, datetime]) -> None:
    model, at = moment
    found = list(islice(parse(model.spec).instances(at), 10))
    assert all(instance.start < instance.end and instance.end > at for instance in found)
    assert all(one.end <= following.start for one, following in pairwise(found))
    first = found[0].start.date() - timedelta(days=2)
    starts = model.starts(first, (found[-1].start.date() - first).days + 3)
    begin = starts.index(found[0].start)
    assert starts[begin : begin + 10] == [instance.start for instance in found]
    for instance, following in pairwise(found):
        assert instance.end == min(instance.start + timedelta(minutes=model.length), following.start)


@settings(max_examples=100, deadline=None)
@given(moments(), st.integers(-3, 3), st.integers(0, 5), st.integers(0, 200), st.integers(0, 200))
def test_what_the_exclusion_cutoff_and_fit_leave(
    moment: tuple[Model, datetime], first: int, days: int, cutoff: int, needs: int
) -> None:
    """An exclusion beats the window; and open means that the whole run stays inside."""
    model, at = moment
    zone = ZoneInfo(model.zone)
    begin = at.astimezone(zone).date() + timedelta(days=first)
    end = begin + timedelta(days=days)
    limits = {"cutoff": timedelta(minutes=cutoff), "needs": timedelta(minutes=needs)}
    starts = model.starts(at.date() - timedelta(days=6), 12)

    def may(instant: datetime) -> bool:
        return model.open_at(starts, instant) and not begin <= instant.astimezone(zone).date() <= end

    try:
        decision = decide(model.spec, at, exclusions=[f"{begin}..{end}"], **limits)
    except BadInput as error:
        assert "can never be met" in error.seen
        assert model.length < cutoff
        return
    left = timedelta(minutes=max(cutoff, needs))
    whole = may(at) and all(may(at + step * MINUTE) for step in range(max(cutoff, needs)))
    whole = whole and (not left or may(at + left - timedelta(seconds=1)))
    assert decision.open == whole
    if begin <= at.astimezone(zone).date() <= end:
        assert not decision.open
    if decision.next_start is not None and not decision.open:
        again = decide(model.spec, decision.next_start, exclusions=[f"{begin}..{end}"], **limits)
        assert again.open
        if decision.next_start - at > MINUTE:
            assert not decide(
                model.spec, decision.next_start - timedelta(seconds=1), exclusions=[f"{begin}..{end}"], **limits
            ).open


@settings(max_examples=40, deadline=None)
@given(moments(), st.integers(0, 1000), st.integers(0, 1000))
def test_a_window_that_can_never_be_met_is_refused_when_it_is_read(
    moment: tuple[Model, datetime], cutoff: int, needs: int
) -> None:
    """Whatever is accepted does open, within what the calendar makes possible."""
    model, at = moment
    limits = {"cutoff": timedelta(minutes=cutoff), "needs": timedelta(minutes=needs)}
    try:
        decision = decide(model.spec, at, **limits)
    except BadInput:
        assert model.length < cutoff
        return
    if decision.open:
        return
    if decision.next_start is None:
        assert decision.code == "does_not_fit"
        assert model.length < needs
    else:
        assert decide(model.spec, decision.next_start, **limits).open


def iso_weeks(year: int) -> int:
    return date(year, 12, 28).isocalendar().week


@pytest.mark.parametrize("week", [1, 2, 20, 51, 52, 53, -1, -2, -52, -53])
@pytest.mark.parametrize("weekday", range(7))
def test_weeks_are_those_of_iso_8601(week: int, weekday: int) -> None:
    rule = parse_recurrence(f"FREQ=YEARLY;BYWEEKNO={week};BYDAY={NAMES[weekday][:2].upper()}", has_start=False)
    days = [date(2020, 1, 1) + timedelta(days=step) for step in range(20 * 366)]
    expected = [
        day for day in days
        if day.weekday() == weekday
        and (number := day.isocalendar()).week in (week, iso_weeks(number.year) + 1 + week)
    ]  # fmt: skip
    assert list(islice(rule.dates(days[0]), len(expected))) == expected
    assert expected


@st.composite
def rules(draw: st.DrawFn) -> str:
    """A rule of a calendar."""
    frequency = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    parts = [f"FREQ={frequency}", f"INTERVAL={draw(st.integers(1, 5))}"]
    if draw(st.booleans()):
        nth = draw(st.sampled_from(["", "1", "-1", "2"])) if frequency in ("MONTHLY", "YEARLY") else ""
        parts.append(
            "BYDAY="
            + ",".join(nth + day for day in draw(st.sets(st.sampled_from(["MO", "TU", "SA", "SU"]), min_size=1)))
        )
    elif frequency in ("MONTHLY", "YEARLY") and draw(st.booleans()):
        parts.append(f"BYMONTHDAY={draw(st.sampled_from([1, 15, 28, 29, 30, 31, -1]))}")
    if draw(st.booleans()):
        parts.append(
            "BYMONTH=" + ",".join(str(month) for month in draw(st.sets(st.integers(1, 12), min_size=1, max_size=4)))
        )
    if draw(st.booleans()):
        parts.append(f"BYHOUR={draw(st.sampled_from(['0', '8,20', '23']))}")
    if draw(st.booleans()):
        parts.append(f"WKST={draw(st.sampled_from(['MO', 'SU']))}")
    return ";".join(parts)


CENTURY = datetime(2000, 1, 1, tzinfo=UTC)


@settings(max_examples=100, deadline=None)
@given(
    rules(),
    st.integers(0, 20 * 365 * 24 * 3600),
    st.integers(0, 32 * 365 * 24 * 3600),
)
def test_a_rule_that_is_moved_on_has_the_occurrences_of_one_that_is_walked(text: str, started: int, asked: int) -> None:
    start, since = (CENTURY.replace(tzinfo=None) + timedelta(seconds=seconds) for seconds in (started, asked))
    rule = parse_recurrence(text, has_start=True)
    walked = takewhile(lambda wall: wall.year < 2040, rrulestr(text, dtstart=start))
    expected = [wall for wall in walked if wall >= since][:5]
    found = takewhile(lambda wall: wall.year < 2040, rule.occurrences(start, since))
    assert list(islice(found, 5)) == expected
