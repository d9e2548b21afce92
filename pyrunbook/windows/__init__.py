"""When a runbook may run.

A window is read from one line of text (`parse`, see `pyrunbook.windows.grammar` for how it is written). Whether a run
may start is decided from the window, its exclusions, its cutoff, and the time that the run needs (`decide`).
Everything is computed from the arguments: nothing here looks at the clock.
"""

from __future__ import annotations

from pyrunbook.windows.decision import Code, Decision, decide, next_open, require_fit
from pyrunbook.windows.duration import format_duration, parse_duration
from pyrunbook.windows.explain import describe, explain
from pyrunbook.windows.grammar import parse
from pyrunbook.windows.instant import iso, parse_instant, shown
from pyrunbook.windows.schedule import Opening, Schedule
from pyrunbook.windows.window import Instance, Window

__all__ = [
    "Code",
    "Decision",
    "Instance",
    "Opening",
    "Schedule",
    "Window",
    "decide",
    "describe",
    "explain",
    "format_duration",
    "iso",
    "next_open",
    "parse",
    "parse_duration",
    "parse_instant",
    "require_fit",
    "shown",
]
