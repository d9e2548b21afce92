"""1: how many requests fail while the service is updated, ten times in a row."""

from __future__ import annotations

import time

from benchmarks import own_sandbox
from benchmarks.figures import Figure, NotMeasured
from pyrunbook.sandbox.load import Load
from pyrunbook.sandbox.load_report import LoadReport

PART = 1
NAME = "failed requests"
RATE = 300.0
"""Requests a second."""
UPDATES = 10
MARGIN = 0.5
"""Seconds of traffic before and after each update."""


def measure() -> list[Figure]:
    """Update the sandbox `UPDATES` times, each time under traffic of its own."""
    reports = []
    with own_sandbox.running() as sandbox:
        for number in range(1, UPDATES + 1):
            color, _ = own_sandbox.serves(sandbox)
            own_sandbox.release(sandbox, f"2.{number}.0")
            with Load(sandbox.url, RATE) as load:
                time.sleep(MARGIN)
                own_sandbox.must(sandbox.process(*own_sandbox.UPDATE), 0, f"update {number}")
                time.sleep(MARGIN)
            now = own_sandbox.serves(sandbox)
            if now[0] == color or now[1] != f"2.{number}.0":
                raise NotMeasured(f"update {number} succeeded, and {now[0]} serves {now[1]}")
            reports.append(load.report)
    return judge(reports)


def judge(reports: list[LoadReport]) -> list[Figure]:
    """The figures of these updates.

    Raises:
        NotMeasured: an update was not seen by the traffic: too few requests, or answers of one version only.
    """
    for number, report in enumerate(reports, start=1):
        if report.sent < 0.95 * RATE * report.duration_s:
            raise NotMeasured(
                f"update {number}: {report.sent} requests in {report.duration_s:.1f} s are no {RATE:.0f} a second; "
                "the machine is too busy"
            )
        if len(report.seen) < 2:
            raise NotMeasured(f"update {number}: all answers came from {', '.join(report.seen) or 'nobody'}")
    failed = tuple(float(report.failed) for report in reports)
    sent = sum(report.sent for report in reports)
    gaps = tuple(report.longest_gap_ms for report in reports)
    seconds = sum(report.duration_s for report in reports)
    behind = max(report.late_ms for report in reports)
    first = [failure for report in reports for failure in report.first_failures][:3]
    note = (
        f"{sent} requests sent in {seconds:.0f} s, {RATE:.0f} a second, half GET, half POST, half on new connections, "
        "half on kept ones"
    )
    return [
        Figure(PART, "failed requests, all updates", sum(failed), "", "sum", 0, failed, "\n".join([note, *first])),
        Figure(
            PART, "longest time without a good answer", max(gaps), "ms", "maximum", None, gaps,
            f"the traffic itself was late by {behind:.0f} ms at worst",
        ),
    ]  # fmt: skip
