"""Windows as tests write them: read, then asked."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pyrunbook import windows


def decide(spec: str | None, at: datetime, **limits: Any) -> windows.Decision:
    return windows.decide(windows.Schedule.read(spec, **limits), at)


def explain(spec: str | None, at: datetime, **limits: Any) -> str:
    return windows.explain(windows.Schedule.read(spec, **limits), at)


def next_open(spec: str | None, at: datetime, **limits: Any) -> datetime | None:
    return windows.next_open(windows.Schedule.read(spec, **limits), at)
