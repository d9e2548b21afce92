"""A time without runs."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple


class Closed(NamedTuple):
    """A time without runs, `[start, end)` in UTC, and the exclusion that says so."""

    start: datetime
    end: datetime
    why: str
