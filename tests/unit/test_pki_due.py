"""When a rotation is due, why, and when it may not wait: with examples, and for any lifetime."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pyrunbook.pki.certificate import CertificateFacts
from pyrunbook.pki.due import RESERVE, Deployed, Reason, Then, Wanted, Window, decide, renewal_time

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
FACTS = CertificateFacts(
    subject="CN=a.example", common_name="a.example", serial="0a", issuer="CN=issuer", dns_names=("a.example",),
    ip_names=("::1",), key_usage=("digital_signature",), extended_key_usage=("server_auth",), is_authority=False,
    key="ec-p256", not_before=BEGIN, not_after=BEGIN + timedelta(days=90), fingerprint="", public_key="", ocsp=(),
    crl=(),
)  # fmt: skip
GOOD = Deployed(FACTS, key_matches=True)
SAME = Wanted(("a.example",), ("::1",), ("CN=issuer",))


def day(number: float) -> datetime:
    return BEGIN + timedelta(days=number)


def reasons(found: Deployed, wanted: Wanted = SAME, at: float = 1, **options: object) -> set[Reason]:
    return {reason for reason, _ in decide(day(at), found, wanted, **options).reasons}  # type: ignore[arg-type]


def test_nothing_happens_before_two_thirds_of_the_lifetime() -> None:
    decision = decide(day(60) - timedelta(seconds=1), GOOD, SAME)
    assert (decision.then, decision.reasons, decision.due_at) == (Then.NOTHING, (), day(60))
    assert decision.describe() == "not due until 2026-03-02T00:00:00Z"


def test_due_at_two_thirds() -> None:
    decision = decide(day(60), GOOD, SAME)
    assert decision.then is Then.ROTATE
    assert [reason for reason, _ in decision.reasons] == [Reason.AGE]
    assert decision.describe() == "due now: 67% of its lifetime used, 30.0 days left"


def test_renew_before_says_otherwise() -> None:
    wanted = replace(SAME, renew_before=timedelta(days=10))
    assert decide(day(79), GOOD, wanted).then is Then.NOTHING
    assert decide(day(80), GOOD, wanted).then is Then.ROTATE


@pytest.mark.parametrize("days", [0, -5, 90, 1000])
def test_a_renew_before_that_makes_no_sense_is_not_followed_and_said(days: int) -> None:
    decision = decide(day(59), GOOD, replace(SAME, renew_before=timedelta(days=days)))
    assert (decision.then, decision.due_at) == (Then.NOTHING, day(60))
    assert "does not fit into the lifetime" in decision.notes[0]


@pytest.mark.parametrize(
    ("given_days", "asked_days", "before_days", "due_on"),
    [
        (30, 60, 30, 15),  # half of what was asked for: half of it
        (30, 60, 45, 7.5),
        (59, 60, 10, 59 * 5 / 6),
        (90, 60, 10, 80),  # longer than asked for
        (30, 60, None, 20),
    ],
)
def test_a_certificate_that_was_given_less_is_renewed_by_what_it_was_given(
    given_days: int, asked_days: int, before_days: int | None, due_on: float
) -> None:
    before = None if before_days is None else timedelta(days=before_days)
    wanted = replace(SAME, renew_before=before, lifetime=timedelta(days=asked_days))
    found = Deployed(replace(FACTS, not_after=day(given_days)), key_matches=True)
    decision = decide(day(0.01), found, wanted)
    assert (decision.then, decision.due_at) == (Then.NOTHING, day(due_on))
    clamped = f"the issuer gave {given_days} days, 0:00:00 where {asked_days} days, 0:00:00 were asked for"
    assert [note.partition(";")[0] for note in decision.notes] == ([clamped] if given_days < asked_days else [])


@pytest.mark.parametrize(
    ("found", "wanted", "at", "reason"),
    [
        (Deployed(), SAME, 1, Reason.MISSING),
        (Deployed(unreadable="key.pem: Permission denied"), SAME, 1, Reason.UNREADABLE),
        (Deployed(FACTS, "key.pem: Permission denied"), SAME, 1, Reason.UNREADABLE),
        (Deployed(FACTS, key_matches=False), SAME, 1, Reason.MISMATCH),
        (GOOD, replace(SAME, dns_names=("a.example", "b.example")), 1, Reason.NAMES),
        (GOOD, replace(SAME, ip_names=()), 1, Reason.NAMES),
        (GOOD, replace(SAME, issuers=("CN=other",)), 1, Reason.ISSUER),
        (GOOD, SAME, -1, Reason.NOT_YET_VALID),
        (GOOD, SAME, 90.1, Reason.EXPIRED),
    ],
)
def test_each_fault_is_a_reason(found: Deployed, wanted: Wanted, at: float, reason: Reason) -> None:
    decision = decide(day(at), found, wanted)
    assert {each for each, _ in decision.reasons} == {reason}
    assert decision.then is Then.ROTATE


def test_a_file_that_is_missing_is_not_unreadable_too() -> None:
    assert reasons(Deployed(unreadable="no certificate in PEM")) == {Reason.UNREADABLE}


def test_names_are_compared_as_names() -> None:
    assert reasons(GOOD, Wanted(("A.Example",), ("0:0:0:0:0:0:0:1",))) == set()
    assert reasons(GOOD, Wanted()) == set()


def test_forced_is_a_reason_of_its_own() -> None:
    assert reasons(GOOD, forced=True) == {Reason.FORCED}


# --- windows ---------------------------------------------------------------------------------------------------


def test_a_rotation_that_is_due_waits_for_its_window() -> None:
    decision = decide(day(60), GOOD, SAME, window=Window(day(63)))
    assert (decision.then, decision.waits_until, decision.override) == (Then.WAIT, day(63), "")
    assert decision.describe().startswith("due, waits for the window of 2026-03-05T00:00:00Z: 67%")


def test_an_open_window_is_nothing_to_override() -> None:
    for opens in (day(59), day(60)):
        decision = decide(day(60), GOOD, SAME, window=Window(opens))
        assert (decision.then, decision.override) == (Then.ROTATE, "")


def test_an_expiry_before_the_window_overrides_it_and_says_so() -> None:
    decision = decide(day(85), GOOD, SAME, window=Window(day(91)))
    assert decision.then is Then.ROTATE
    assert decision.override == "expires 2026-04-01T00:00:00Z, the window opens 2026-04-02T00:00:00Z"


def test_a_window_that_opens_just_before_the_expiry_is_too_late() -> None:
    just = FACTS.not_after - RESERVE
    assert decide(day(85), GOOD, SAME, window=Window(just)).then is Then.WAIT
    assert decide(day(85), GOOD, SAME, window=Window(just + timedelta(seconds=1))).then is Then.ROTATE


def test_without_a_window_in_sight_it_does_not_wait_for_ever() -> None:
    decision = decide(day(60), GOOD, SAME, window=Window(None))
    assert decision.then is Then.ROTATE
    assert "no window is in sight" in decision.override


@pytest.mark.parametrize("found", [Deployed(), Deployed(unreadable="x"), Deployed(FACTS, key_matches=False)])
def test_what_cannot_be_served_waits_for_no_window(found: Deployed) -> None:
    decision = decide(day(1), found, SAME, window=Window(day(2)))
    assert decision.then is Then.ROTATE
    assert "cannot be served" in decision.override


@pytest.mark.parametrize("options", [{"forced": True}, {}])
def test_a_wish_waits_for_the_window(options: dict[str, bool]) -> None:
    wanted = SAME if options else replace(SAME, issuers=("CN=other",))
    assert decide(day(1), GOOD, wanted, window=Window(day(2)), **options).then is Then.WAIT


# --- for any lifetime ------------------------------------------------------------------------------------------

moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
spans = st.timedeltas(timedelta(0), timedelta(days=4000))
any_spans = st.none() | st.timedeltas(timedelta(days=-4000), timedelta(days=8000))


@given(moments, spans, any_spans)
def test_renewal_is_never_outside_of_the_lifetime(begin: datetime, length: timedelta, before: timedelta | None) -> None:
    assert begin <= renewal_time(begin, begin + length, before) <= begin + length


@given(moments, spans, spans, spans)
def test_no_certificate_is_due_as_soon_as_it_is_made(
    begin: datetime, length: timedelta, asked: timedelta, before: timedelta
) -> None:
    """As far as the inventory lets through: `renew_before` is shorter than what is asked for, here by a tenth."""
    assume(length >= timedelta(hours=1) and timedelta(0) < before <= asked * 0.9)
    assert renewal_time(begin, begin + length, before, asked) >= begin + min(length, asked) * 0.09


@given(moments, spans, spans, st.none() | spans)
def test_a_longer_certificate_is_not_renewed_earlier(
    begin: datetime, length: timedelta, more: timedelta, before: timedelta | None
) -> None:
    assume(before is None or before < length)
    assert renewal_time(begin, begin + length, before) <= renewal_time(begin, begin + length + more, before)


@given(spans, any_spans, moments, spans)
def test_once_due_always_due(length: timedelta, before: timedelta | None, now: datetime, later: timedelta) -> None:
    assume(length > timedelta(0))
    found = Deployed(replace(FACTS, not_after=BEGIN + length), key_matches=True)
    wanted = replace(SAME, renew_before=before)
    assume(now >= BEGIN)
    if decide(now, found, wanted).then is Then.ROTATE:
        assert decide(now + later, found, wanted).then is Then.ROTATE


@given(spans, any_spans, moments, st.none() | moments)
def test_no_certificate_waits_past_its_expiry(
    length: timedelta, before: timedelta | None, now: datetime, opens: datetime | None
) -> None:
    assume(length > timedelta(0))
    facts = replace(FACTS, not_after=BEGIN + length)
    decision = decide(now, Deployed(facts, key_matches=True), replace(SAME, renew_before=before), window=Window(opens))
    if decision.then is Then.WAIT:
        assert decision.waits_until is not None
        assert now < decision.waits_until <= facts.not_after - RESERVE
    if decision.then is Then.NOTHING:
        assert now < facts.not_after
    if decision.override:
        assert decision.then is Then.ROTATE
