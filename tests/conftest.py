"""What all tests start from."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from processor_time import ProcessorTime

# A script that starts the tests in the background, or nohup, has these ignored, and every child would inherit that.
for number in (signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

TESTS = Path(__file__).parent
REAL_PROCESSES = ("integration", "cluster", "molecule", "packaging")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(ProcessorTime())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`--reruns` is for tests of real processes, which a busy machine delays; the others are right at once."""
    for item in items:
        if item.path.relative_to(TESTS).parts[0] not in REAL_PROCESSES:
            item.add_marker(pytest.mark.flaky(reruns=0))
