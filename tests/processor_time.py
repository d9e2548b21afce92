"""Counts the processor time of each test, and which tests needed a second try. Printed at the end of a run.

The time of a test is that of its worker and of every child that the worker has waited for. What a daemon uses is not
seen. A fixture of a module or a session counts with the test that needed it first.
"""

from __future__ import annotations

import json
import os
import resource
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import cast

import pytest

SHOWN = 12
COSTS = "PYRUNBOOK_TEST_COSTS"
"""Names a file that gets the seconds of every test, as JSON."""
KEY = "processor_time"


def used() -> float:
    """Seconds of user and system time of this process and of the children that it has waited for."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)


def add(seconds: dict[str, float], name: str, more: float) -> None:
    seconds[name] = seconds.get(name, 0.0) + more


def most(seconds: dict[str, float]) -> list[tuple[str, float]]:
    """The most expensive first."""
    return sorted(seconds.items(), key=lambda entry: -entry[1])


class ProcessorTime:
    """A pytest plugin: a worker measures, the process that prints adds up."""

    def __init__(self) -> None:
        self.tests: dict[str, float] = {}
        self.second_tries: Counter[str] = Counter()
        self._last = 0.0

    def pytest_runtest_logstart(self) -> None:
        self._last = used()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        now = used()
        report.user_properties = [*report.user_properties, (KEY, now - self._last)]
        self._last = now
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for key, seconds in report.user_properties:
            if key == KEY:
                add(self.tests, report.nodeid, cast("float", seconds))
        if str(report.outcome) == "rerun":
            self.second_tries[report.nodeid] += 1

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if path := os.environ.get(COSTS):
            Path(path).write_text(json.dumps(dict(most(self.tests)), indent=1))
        files: dict[str, float] = {}
        for test, seconds in self.tests.items():
            add(files, test.partition("::")[0], seconds)
        terminalreporter.section("processor time")
        for line in self._lines(files):
            terminalreporter.write_line(line)

    def _lines(self, files: dict[str, float]) -> Iterator[str]:
        tests, again = sum(files.values()), self.second_tries.total()
        yield f"{used():.0f} s in all, {tests:.0f} s of it in tests; second tries: {again}"
        for test in self.second_tries:
            yield f"second try: {test}"
        for measured in (files, self.tests):
            for name, seconds in most(measured)[:SHOWN]:
                if seconds >= 1:
                    yield f"{seconds:7.1f} s  {name}"
