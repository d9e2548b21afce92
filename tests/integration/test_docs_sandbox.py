"""The page of a runbook for a service that only a running inventory plugin knows."""

from __future__ import annotations

import pytest
from sandbox_under_test import Sandbox

pytestmark = pytest.mark.integration


def test_the_page_of_the_sandbox_has_its_real_addresses(sandbox: Sandbox) -> None:
    shown = sandbox.run("docs", "show", "production_update", "-i", "sandbox")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert f"{sandbox.url}/health" in shown.stdout
    assert f'serving() {{ cat "{sandbox.directory}/proxy/upstream"; }}' in shown.stdout
    assert "kubectl" not in shown.stdout
