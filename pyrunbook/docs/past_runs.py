"""What a journal knows of a runbook: when it was last run, how long it took. Never on a committed page."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from statistics import median
from typing import TYPE_CHECKING

from pyrunbook.windows import format_duration

if TYPE_CHECKING:
    from pyrunbook.journal import Journal

RUNS = 1000
"""How many of the latest runs that succeeded are read."""


class PastRuns:
    """Figures of the runs that succeeded and changed something; the journal is read at once and not kept."""

    def __init__(self, journal: Journal) -> None:
        self._ended: dict[str, str] = {}
        self._runs: dict[str, list[float]] = defaultdict(list)
        self._steps: dict[tuple[str, str], list[float]] = defaultdict(list)
        for listed in journal.practised(RUNS):
            if listed.ended is None:
                continue
            self._ended.setdefault(listed.runbook, f"{listed.ended:%Y-%m-%d}")
            self._runs[listed.runbook].append((listed.ended - listed.started).total_seconds())
            for service in journal.get(listed.id).services:
                for step in service.steps:
                    if step.seconds is not None:
                        self._steps[listed.runbook, step.step].append(step.seconds)

    def last_tested(self, runbook: str) -> str:
        """The day (UTC) of the last run that succeeded; empty where there was none."""
        return self._ended.get(runbook, "")

    def of_runs(self, runbook: str) -> tuple[str, str, int] | None:
        """Median and longest time of a run, and how many there were."""
        return _figures(self._runs.get(runbook, []))

    def of_step(self, runbook: str, step: str) -> tuple[str, str, int] | None:
        """The same for a step."""
        return _figures(self._steps.get((runbook, step), []))


def _figures(seconds: list[float]) -> tuple[str, str, int] | None:
    if not seconds:
        return None
    middle, longest = median(seconds), max(seconds)
    return _shown(middle), _shown(longest), len(seconds)


def _shown(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else format_duration(timedelta(seconds=seconds))
