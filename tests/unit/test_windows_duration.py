from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrunbook.errors import BadInput
from pyrunbook.windows import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("1d", 86400), ("0m", 0), ("1d2h3m4s", 93784)],
)
def test_parse(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "h", "-5m", "1.5h", "30m1h", "1h1h", "1 h", "2H", "٣h", "367d", "9" * 30 + "s"]
)
def test_refuse(text: str) -> None:
    with pytest.raises(BadInput, match="the duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (-5, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (6180, "1 h 43 min"),
        (6239, "1 h 43 min"),
        (50400, "14 h"),
        (50420, "14 h"),
        (90, "1 min 30 s"),
        (3 * 3600 + 5, "3 h"),
        (2 * 86400 + 3 * 3600 + 59 * 60, "2 d 3 h"),
    ],
)
def test_format(seconds: float, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text


@given(st.integers(0, 366 * 86400))
def test_what_is_shown_is_never_longer_than_what_is_left(seconds: int) -> None:
    shown = parse_duration(format_duration(timedelta(seconds=seconds)).replace("min", "m").replace(" ", ""))
    assert timedelta() <= timedelta(seconds=seconds) - shown < timedelta(hours=1)
