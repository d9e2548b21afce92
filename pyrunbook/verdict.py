"""The verdict of a check, of a service, a certificate or what it serves."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """Only `PASS` is good."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    ERROR = "error"
    """It could not be measured: no connection, no answer in time, a hook that did not start."""
    NO_DATA = "no data"
    """It was measured, and there was nothing to judge by."""
