"""Fixtures of the tests that need real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox_under_test import Sandbox


@pytest.fixture
def new_sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox that has not been started."""
    made = Sandbox(tmp_path / "home", tmp_path / "sandbox")
    yield made
    made.destroy()


@pytest.fixture
def sandbox(new_sandbox: Sandbox) -> Sandbox:
    """A running sandbox: blue serves 1.0.4, green is empty, 1.1.0 is the candidate."""
    new_sandbox.start()
    return new_sandbox
