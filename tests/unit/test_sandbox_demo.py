"""The demo's verdict, its choice of a release, and what it does with signals."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pyrunbook.sandbox import content, demo, layout
from pyrunbook.sandbox.load_report import LoadReport


def report(*, sent: int = 10, failed: int = 0) -> LoadReport:
    numbers: dict[str, Any] = dict.fromkeys(LoadReport.__dataclass_fields__, 0)
    return LoadReport(**{**numbers, "sent": sent, "succeeded": sent - failed, "failed": failed})


@pytest.mark.parametrize(
    ("code", "traffic", "verdict"),
    [
        (0, report(), 0),
        (0, report(failed=1), 4),
        (0, report(sent=0), 4),
        (4, report(), 4),
        (5, report(failed=1), 5),
        (130, report(), 130),
    ],
)
def test_a_success_that_clients_noticed_is_none(code: int, traffic: LoadReport, verdict: int) -> None:
    assert demo._exit_code(code, traffic) == verdict


@pytest.mark.parametrize(
    ("serving", "candidate", "chosen"),
    [
        ("1.0.4", "1.1.0", "1.1.0"),
        ("1.1.0", "1.1.0", "1.0.4"),
        ("1.0.4", "1.0.4", "1.1.0"),
        ("1.0.4", "2.0.0", "2.0.0"),
        ("2.0.0", "2.0.0", "1.1.0"),
        ("2.0.0", None, "1.1.0"),
    ],
)
def test_the_release_to_deploy_is_never_the_one_that_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serving: str, candidate: str | None, chosen: str
) -> None:
    made = []
    monkeypatch.setattr(content, "make_release", lambda where, version: made.append((where.root, version)))
    layout.Layout(tmp_path).run.mkdir()

    slot = SimpleNamespace(version=serving)
    found: Any = SimpleNamespace(active="blue", colors={"blue": slot}, directory=tmp_path, candidate=candidate)
    assert demo._choose_release(found) == chosen
    assert made == ([] if chosen == candidate else [(tmp_path, chosen)])


def test_a_program_that_is_asked_to_end_decides_how() -> None:
    """SIGTERM is handed on, SIGINT is left to the terminal, and the program's own answer counts."""
    code = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(7)); time.sleep(0.3); time.sleep(20)"
    before = signal.getsignal(signal.SIGTERM)
    timers = [threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))]
    timers.append(threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM)))
    for timer in timers:
        timer.start()
    assert demo._call([sys.executable, "-c", code]) == 7
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_program_that_was_killed_is_no_success() -> None:
    assert demo._call([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]) == 137
